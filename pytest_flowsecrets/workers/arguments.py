"""The arguments of ``flow_environment`` on Prefect 2.20 and 3, and their checks."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

from pytest_flowsecrets.agents import manifests
from pytest_flowsecrets.errors import UsageError, with_article
from pytest_flowsecrets.workers import real_workers, templates

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.manifests import Template

_CHOICES = f"choose from {', '.join(real_workers.WORKERS)}"


@dataclass(frozen=True)
class Request:
    """The arguments of one call, after checks.

    Attributes:
        worker: the type of the worker.
        job: the templates and variables.
        host_env: the environment of the worker, if it is not that of this process.
        image_env: the variables of the image.
        cluster: the Secrets of the cluster.
    """

    worker: str
    job: real_workers.Job
    host_env: Optional[Mapping[str, str]] = field(repr=False)
    image_env: Mapping[str, str] = field(repr=False)
    cluster: Optional[ClusterSecrets]

    @property
    def places(self) -> Mapping[str, Mapping[str, Any]]:
        """The environment variables by origin, as the operator wrote them."""
        return {
            "run": templates.env_of(self.job.run),
            "deployment": templates.env_of(self.job.deployment),
            "template": templates.env_of_template(self.job.template),
        }


def stored(name: str, job_variables: Any, job_template: Any) -> Tuple[str, Dict[str, Any], Dict[str, Any]]:
    """Return the worker, the base job template and the ``job_variables`` of a deployment in the API.

    Raises:
        UsageError: there is no such deployment, or no supported worker runs it, or there are other arguments.
    """
    if job_variables is not None or job_template is not None:
        raise UsageError("pass deployment, which has its own job_variables and work pool, or job_variables: not both")
    deployment = real_workers.read_deployment(name)
    if deployment.worker not in real_workers.WORKERS:
        raise UsageError(f"{name}: its work pool is for {deployment.worker} workers: {_CHOICES}")
    return deployment.worker, deployment.template, deployment.job_variables


def job(
    worker: Any, job_variables: Any, run_job_variables: Any, job_template: Any, deployment: Optional[str]
) -> real_workers.Job:
    """Return what determines the job of a flow run.

    Raises:
        UsageError: an argument is not valid.
    """
    _require_worker(worker)
    default = real_workers.default_template(worker)
    flow, _, name = (deployment or "flow/deployment").partition("/")
    return real_workers.Job(
        default if job_template is None else _template(job_template),
        _variables("job_variables", job_variables),
        _variables("run_job_variables", run_job_variables),
        (flow, name),
    )


def _require_worker(worker: Any) -> None:
    if worker in real_workers.WORKERS:
        return
    if worker == "local":
        raise UsageError("'local' is an agent of Prefect 0.5.5 to 1.4.1: use the process worker")
    raise UsageError(f"{worker!r} is not a supported worker: {_CHOICES}")


def _template(source: Template) -> Dict[str, Any]:
    template = deepcopy(manifests.load_one(source, "base job template"))
    what = "the base job template"
    manifests.require(template, {"job_configuration!": {}, "variables!": {}}, what)
    manifests.require_json(template, what)
    return template


def _variables(what: str, variables: Any) -> Dict[str, Any]:
    if variables is not None and not isinstance(variables, Mapping):
        raise UsageError(f"{what} must be a mapping, not {with_article(type(variables).__name__)}")
    checked = deepcopy(dict(variables or {}))
    if not all(isinstance(key, str) for key in checked):
        raise UsageError(f"{what}: every key must be a string")
    manifests.require_json(checked, what)
    if not isinstance(checked.get("env", {}), (dict, list)):
        raise UsageError(f"{what}: env must be a table of names and values, not {type(checked['env']).__name__}")
    return checked


def image_variables(worker: str, image_env: Any) -> Mapping[str, str]:
    """Return the variables of the image.

    Raises:
        UsageError: they are not valid, or the worker starts no image.
    """
    if image_env and worker == "process":
        raise UsageError("image_env is for workers that start an image: the process worker does not; use host_env")
    return manifests.texts_of("image_env", image_env)
