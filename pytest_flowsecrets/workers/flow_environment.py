"""The public ``flow_environment``: by an agent of Prefect 0.5.5 to 1.4.1, or by a worker of Prefect 2.20 and 3."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any, Mapping, Optional, overload

from pytest_flowsecrets import versions
from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.manifests import Template
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment

_INSTEAD = {
    "agent": "worker",
    "run_config": "run_job_variables",
    "agent_env": "job_variables",
    "task_definition": "job_template",
    "host_files": "host_env",
    "worker": "agent",
    "deployment": "run_config",
    "job_variables": "run_config",
    "run_job_variables": "run_config",
    "image_env": "run_config",
}


@overload
def flow_environment(
    agent: str = "local",
    *,
    run_config: Any = None,
    agent_env: Optional[Mapping[str, str]] = None,
    job_template: Optional[Template] = None,
    task_definition: Optional[Template] = None,
    cluster_secrets: Optional[ClusterSecrets] = None,
    host_env: Optional[Mapping[str, str]] = None,
    prefect_version: Optional[str] = None,
    host_files: Optional[Mapping[str, str]] = None,
) -> FlowEnvironment: ...


@overload
def flow_environment(
    worker: str = "process",
    *,
    deployment: Optional[str] = None,
    job_variables: Optional[Mapping[str, Any]] = None,
    run_job_variables: Optional[Mapping[str, Any]] = None,
    job_template: Optional[Template] = None,
    host_env: Optional[Mapping[str, str]] = None,
    image_env: Optional[Mapping[str, str]] = None,
    cluster_secrets: Optional[ClusterSecrets] = None,
) -> FlowEnvironment: ...


def flow_environment(*positional: Any, **arguments: Any) -> FlowEnvironment:  # noqa: D417 - see the overloads
    """Return the environment that a flow run gets, each variable with its origin.

    On Prefect 0.5.5 to 1.4.1, the agent of the installed Prefect creates it. Without Prefect, or for another version of
    this line, the model does. On Prefect 2.20 and 3, the worker of the installed Prefect prepares it, and reads blocks
    and variables from the API of the test. Outside of an isolated test it is created in a new isolation, so settings of
    the developer have no effect.

    Args:
        agent: ``local``, ``docker``, ``kubernetes`` or ``ecs``.
        run_config: a run config of Prefect, or a mapping of variables, which stands for ``UniversalRun(env=…)``.
        agent_env: the variables of ``prefect agent … start --env NAME=value``.
        job_template: the template of a Kubernetes job, or the base job template of a work pool, as a mapping or the
            path of a YAML or JSON file. The default for a worker is the template of the installed worker.
        task_definition: the definition of an ECS task, as a mapping or the path of a YAML file.
        cluster_secrets: the objects for ``secretKeyRef`` and ``envFrom``. Without them, references are ``unresolved``.
        host_env: the environment of the agent or worker itself, whose variables configure it. The default is the
            environment of this process.
        prefect_version: a release up to 1.4.1. The default is the installed one, else 1.4.1.
        host_files: the paths of the agent's own ``config.toml`` (``user``) and ``backend.toml`` (``backend``). The
            default is the files that Prefect reads here.
        worker: ``process``, ``kubernetes`` or ``docker``.
        deployment: the name of a deployment in the API of the test, as ``flow/deployment``.
        job_variables: the ``job_variables`` of a deployment.
        run_job_variables: the ``job_variables`` of the flow run.
        image_env: the variables of the image in which the Kubernetes or Docker worker runs the flow.

    Raises:
        UsageError: an argument is not valid, or belongs to the other line of Prefect. The message contains names, never
            values.
        RouteUnavailable: the agent or the worker cannot run here.
        CreateContainerConfigError: the pod needs a Secret or a key that ``cluster_secrets`` does not have.
    """
    function = _function(arguments)
    known = signature(function).parameters
    for name in arguments:
        if name not in known:
            raise _unknown(name)
    environment: FlowEnvironment = function(*positional, **arguments)
    return environment


def _function(arguments: Mapping[str, Any]) -> Any:
    if versions.uses_rest_api() and arguments.get("prefect_version") is None:
        from pytest_flowsecrets.workers.worker_environment import worker_environment

        return worker_environment
    from pytest_flowsecrets.agents.agent_environment import agent_environment

    return agent_environment


def _unknown(name: str) -> Exception:
    if name not in _INSTEAD:
        return TypeError(f"flow_environment() got an unexpected keyword argument {name!r}")
    line = "Prefect 0.5.5 to 1.4.1" if versions.uses_rest_api() else "Prefect 2.20 and 3"
    return UsageError(f"flow_environment: {name} is for {line}: use {_INSTEAD[name]} with the installed Prefect")
