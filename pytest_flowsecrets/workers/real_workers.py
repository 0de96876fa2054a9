"""The real code of Prefect 2.20 and 3 on the way of a secret: the job of a worker, ``prefect deploy``, pull steps.

A worker prepares a job in two steps: its configuration class fills the base job template of the work pool, and resolves
the templates of blocks and variables with the client. Then the configuration adds what identifies the flow run. Nothing
is started here.
"""

from __future__ import annotations

import asyncio
import warnings
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Dict, List, Mapping, Optional, Tuple
from uuid import uuid4

from pytest_flowsecrets.errors import RouteUnavailable, UsageError
from pytest_flowsecrets.isolation.prefect3.adapter import in_new_thread

_CLASSES = {
    "process": ("prefect.workers.process", "ProcessWorker", "prefect"),
    "kubernetes": ("prefect_kubernetes.worker", "KubernetesWorker", "prefect-kubernetes"),
    "docker": ("prefect_docker.worker", "DockerWorker", "prefect-docker"),
}
WORKERS = tuple(_CLASSES)


@dataclass(frozen=True)
class Job:
    """What determines the job of a flow run.

    Attributes:
        template: the base job template of the work pool.
        deployment: the ``job_variables`` of the deployment.
        run: the ``job_variables`` of the flow run.
        names: the names of the flow and of the deployment.
    """

    template: Mapping[str, Any] = field(repr=False)
    deployment: Mapping[str, Any] = field(repr=False)
    run: Mapping[str, Any] = field(repr=False)
    names: Tuple[str, str] = ("flow", "deployment")


def worker_class(worker: str) -> Any:
    """Return the class of a worker.

    Args:
        worker: one of ``WORKERS``.

    Raises:
        RouteUnavailable: its package is not installed, or does not fit the installed Prefect.
    """
    module, name, package = _CLASSES[worker]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Prefect 2.20 has blocks of the same names
            return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.partition(".")[0] == module.partition(".")[0]:
            raise RouteUnavailable(f"the {worker} worker needs {package}: pip install {package}") from None
        reason = f"there is no module {missing}"
    except Exception as error:  # noqa: BLE001 - a package for another Prefect fails in many ways
        reason = type(error).__name__
    raise RouteUnavailable(
        f"the {worker} worker cannot be imported ({reason}): install the {package} that fits the installed Prefect"
    )


def default_template(worker: str) -> Dict[str, Any]:
    """Return the base job template of a new work pool of the installed worker."""
    kind = worker_class(worker)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic issues them for models of Prefect
        template: Dict[str, Any] = kind.get_default_base_job_template()
    return deepcopy(template)  # Prefect 2.20 returns a part of its class


def prepare(worker: str, job: Job) -> Any:
    """Return the job configuration that a worker of the installed Prefect prepares for a flow run.

    Args:
        worker: one of ``WORKERS``.
        job: the templates and variables.
    """
    kind = worker_class(worker)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return in_new_thread(lambda: asyncio.run(_prepare(kind, deepcopy(job))))


class _Client:
    """Prefect's client, which already knows the flow and the deployment. All other requests go to the API.

    The flow and the deployment are not stored, so that the API of the test does not get rows and requests that the test
    has not made.
    """

    def __init__(self, client: Any, flow: Any, deployment: Any) -> None:
        self._client, self._flow, self._deployment = client, flow, deployment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def read_flow(self, _: Any) -> Any:
        """Return the flow."""
        return self._flow

    async def read_deployment(self, _: Any) -> Any:
        """Return the deployment."""
        return self._deployment


async def _prepare(kind: Any, job: Job) -> Any:
    from prefect import flow as _  # noqa: F401 - completes the models of Prefect 3.0 and 3.1
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import objects
    from prefect.client.schemas.responses import DeploymentResponse

    flow = objects.Flow(id=uuid4(), name=job.names[0])
    deployment = DeploymentResponse(id=uuid4(), name=job.names[1], flow_id=flow.id, job_variables=job.deployment)
    flow_run = objects.FlowRun(
        id=uuid4(), name="flow-run", flow_id=flow.id, deployment_id=deployment.id, job_variables=job.run
    )
    pool = objects.WorkPool(
        id=uuid4(), name="work-pool", type=kind.type, base_job_template=job.template, default_queue_id=uuid4()
    )
    async with get_client() as own_client:
        client = _Client(own_client, flow, deployment)
        if hasattr(kind.job_configuration, "resolve_for_flow_run"):
            return await kind.job_configuration.resolve_for_flow_run(
                flow_run, client=client, work_pool=pool, worker_name="worker", deployment=deployment
            )
        worker = kind(work_pool_name=pool.name, name="worker")
        worker._client, worker._work_pool = client, pool  # noqa: SLF001 - `setup` would register it
        return await worker._get_configuration(flow_run)  # noqa: SLF001 - what `run` is called with


@dataclass(frozen=True)
class StoredDeployment:
    """A deployment in the API.

    Attributes:
        worker: the type of its work pool.
        template: the base job template of its work pool.
        job_variables: its own.
    """

    worker: str
    template: Dict[str, Any] = field(repr=False)
    job_variables: Dict[str, Any] = field(repr=False)


def read_deployment(name: str) -> StoredDeployment:
    """Return a deployment from the API that Prefect uses now.

    Args:
        name: ``flow/deployment``.

    Raises:
        UsageError: there is no such deployment, or it has no work pool.
    """
    deployment, pool = in_new_thread(lambda: asyncio.run(_read_deployment(name)))
    if deployment is None:
        raise UsageError(f"there is no deployment {name!r}: write flow/deployment, as `prefect deployment ls` shows it")
    if pool is None:
        raise UsageError(f"the deployment {name!r} has no work pool, so no worker runs it: pass job_variables instead")
    return StoredDeployment(pool.type, pool.base_job_template, dict(deployment.job_variables or {}))


async def _read_deployment(name: str) -> Tuple[Optional[Any], Optional[Any]]:
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    async with get_client() as client:
        try:
            deployment = await client.read_deployment_by_name(name)
        except (ObjectNotFound, ValueError):  # ValueError: a name without a slash
            return None, None
        pool = deployment.work_pool_name
        return deployment, await client.read_work_pool(pool) if pool else None


def resolve_environment(template: Dict[str, Any]) -> Dict[str, Any]:
    """Return a template in which ``{{ $NAME }}`` is replaced from ``os.environ``, as ``prefect deploy`` does."""
    import os

    from prefect.utilities.templating import apply_values

    resolved: Dict[str, Any] = apply_values(template, dict(os.environ), remove_notset=False)
    return resolved


def run_pull_steps(steps: List[Dict[str, Any]]) -> None:
    """Run the pull steps of a deployment in this process, as a flow run does before it loads the flow.

    Raises:
        UsageError: a step fails. The message holds no output of the step.
    """
    from prefect.deployments.steps.core import run_steps

    try:
        in_new_thread(lambda: asyncio.run(run_steps(steps, print_function=lambda *_, **__: None)))
    except Exception as error:  # noqa: BLE001 - of many types, with the output of the step in the text
        cause = type(error.__cause__ or error).__name__
    else:
        return
    raise UsageError(f"a pull step fails ({cause}): run the steps by hand to see their output")
