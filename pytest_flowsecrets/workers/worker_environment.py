"""The environment that a worker of Prefect 2.20 or 3 gives to a flow run, each variable with its origin.

The real worker prepares the job twice: with the values, and with labels in their places. The labels show which place
has set a variable, so the order of the places is that of the installed Prefect, and not a model of it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ContextManager, Iterator, List, Mapping, Optional, Tuple, cast

from pytest_flowsecrets.agents import kubernetes, manifests
from pytest_flowsecrets.agents.cluster import require_cluster
from pytest_flowsecrets.agents.variable_origins import Entry, FlowEnvironment, Lost
from pytest_flowsecrets.errors import FlowSecretsError, UsageError
from pytest_flowsecrets.isolation import stack
from pytest_flowsecrets.isolation.environment import declarations
from pytest_flowsecrets.names import PREFIX, REST_PREFIX
from pytest_flowsecrets.resolution.shown_names import masked_name
from pytest_flowsecrets.workers import arguments, real_workers, templates

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.manifests import Template
    from pytest_flowsecrets.isolation.rest_isolation import RestIsolation

# Settings of the worker that the isolation makes, without which the worker would not use the API of the test.
_PRIVATE = ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_CLOUD_API_URL", "PREFECT_API_AUTH_STRING")


def worker_environment(  # noqa: PLR0913 - one for each place
    worker: str = "process",
    *,
    deployment: Optional[str] = None,
    job_variables: Optional[Mapping[str, Any]] = None,
    run_job_variables: Optional[Mapping[str, Any]] = None,
    job_template: Optional[Template] = None,
    host_env: Optional[Mapping[str, str]] = None,
    image_env: Optional[Mapping[str, str]] = None,
    cluster_secrets: Optional[ClusterSecrets] = None,
) -> FlowEnvironment:
    """Return the environment that a flow run gets from a worker, each variable with its origin.

    The arguments are those of ``flow_environment`` on Prefect 2.20 and 3.

    Raises:
        UsageError: an argument is not valid, or the worker cannot prepare the flow run.
        RouteUnavailable: the package of the worker is not installed.
        CreateContainerConfigError: the pod needs a Secret or a key that ``cluster_secrets`` does not have.
    """
    require_cluster(cluster_secrets)
    with ExitStack() as exits:
        isolation = _isolation(exits)
        if deployment is not None:
            worker, job_template, job_variables = arguments.stored(deployment, job_variables, job_template)
        request = arguments.Request(
            worker=worker,
            job=arguments.job(worker, job_variables, run_job_variables, job_template, deployment),
            host_env=None if host_env is None else manifests.texts_of("host_env", host_env),
            image_env=arguments.image_variables(worker, image_env),
            cluster=cluster_secrets,
        )
        exits.enter_context(_host_environment(isolation, request.host_env))
        return _environment(request, isolation)


def _isolation(exits: ExitStack) -> RestIsolation:
    """Return the current isolation, or enter a new one until the end of the call."""
    isolation = stack.current()
    if isolation is None:
        from pytest_flowsecrets.isolation.context_manager import new_isolation

        isolation = new_isolation()
        exits.callback(isolation.exit)
        isolation.enter({})
    return cast("RestIsolation", isolation)


@contextmanager
def _host_environment(isolation: RestIsolation, host_env: Optional[Mapping[str, str]]) -> Iterator[None]:
    """Make ``host_env`` the environment of this process, besides what the isolation itself needs."""
    if host_env is None:
        yield
        return
    for name in _PRIVATE:
        if name in host_env:
            raise UsageError(f"host_env: {name} is that of the API of this test: leave it out")
    before = dict(os.environ)
    _replace_environ({**host_env, **isolation.variables})
    try:
        isolation.reload()
        yield
    finally:
        _replace_environ(before)
        isolation.reload()


def _replace_environ(variables: Mapping[str, str]) -> None:
    with declarations.recording_paused():
        for name in set(os.environ) - set(variables):
            del os.environ[name]
        os.environ.update(variables)


# -- the environment ---------------------------------------------------------------------------------------------------

_Item = Mapping[str, Any]  # a variable as in a manifest of Kubernetes: name, and value or valueFrom


def _environment(request: arguments.Request, isolation: RestIsolation) -> FlowEnvironment:
    values = templates.Values(isolation.api.secret_values(), dict(isolation.api.variables))
    with _one_line_errors(request, values), _reading_for_a_run(isolation):
        items, env_from = _prepared(request.worker, request.job)
        labels, _ = _prepared(request.worker, _labeled(request.job))
    entries = [_entry(request, item, templates.origin_of(label)) for item, label in zip(items, labels)]
    lost = list(_lost(request, entries))
    notes = [*_notes(request, entries, values), *_unpassed(request, entries)]
    if request.worker == "kubernetes":
        pod = kubernetes.in_pod(isolation.version, entries, lost, env_from, request.cluster, notes=notes)
        return _in_image(request, pod)
    env = FlowEnvironment(request.worker, isolation.version, entries, lost, notes, real=True, runner="worker")
    return env if request.worker == "process" else _in_image(request, env)


def _prepared(worker: str, job: real_workers.Job) -> Tuple[List[_Item], List[Any]]:
    """Return the variables of a prepared job, and the ``envFrom`` of its container."""
    configuration = real_workers.prepare(worker, job)
    if worker != "kubernetes":
        return [{"name": name, "value": value} for name, value in configuration.env.items()], []
    container = kubernetes.container_of(configuration.job_manifest)
    manifests.require(container, manifests.CONTAINER, "the container")
    kubernetes.validate_container(container)
    return container.get("env") or [], container.get("envFrom") or []


def _labeled(job: real_workers.Job) -> real_workers.Job:
    template = deepcopy(dict(job.template))
    templates.label_template(template, "template")
    return replace(
        job,
        template=template,
        deployment=templates.label(job.deployment, "deployment"),
        run=templates.label(job.run, "run"),
    )


def _entry(request: arguments.Request, item: _Item, origin: Optional[str]) -> Entry:
    name = item["name"]
    if origin is None:
        return kubernetes.entry_of(item, _unlabeled_origin(request.worker, name))
    entry = kubernetes.entry_of(item, origin)
    names = templates.placeholders(request.places[origin].get(name))
    resolved = ", ".join(f"{{{{ {each} }}}}" for each in names)
    return replace(entry, detail=resolved) if resolved else entry


def _unlabeled_origin(worker: str, name: str) -> str:
    if name.startswith(PREFIX):
        return "flow_run"
    return "worker" if worker == "process" and not name.startswith(REST_PREFIX) else "settings"


def _lost(request: arguments.Request, entries: List[Entry]) -> Iterator[Lost]:
    winners = {entry.name: entry for entry in entries}
    reached = {(entry.name, entry.origin) for entry in entries}
    own = os.environ if request.worker == "process" else {}
    for origin, env in ({"worker": own, **request.places}).items():
        for name, raw in env.items():
            if raw is not None and name in winners and (name, origin) not in reached and not _is_setting(name, origin):
                yield Lost(_raw_entry(name, raw, origin), winners[name])


def _is_setting(name: str, origin: str) -> bool:
    """Return whether the worker has read a variable of its own environment as a setting, so that it is not lost."""
    return origin == "worker" and name.startswith(REST_PREFIX)


def _raw_entry(name: str, raw: Any, origin: str) -> Entry:
    if isinstance(raw, Mapping) and "valueFrom" in raw:
        return kubernetes.entry_of({**raw, "name": name}, origin)
    return Entry(name, str(raw), origin)


def _notes(request: arguments.Request, entries: List[Entry], values: templates.Values) -> Iterator[str]:
    for entry in entries:
        if entry.origin in request.places:
            raw = request.places[entry.origin].get(entry.name)
            yield from templates.notes_on_value(entry.name, raw, entry.value, values)
    names = {entry.name for entry in entries}
    for origin, env in request.places.items():
        for name, raw in env.items():
            if raw is not None and name not in names:
                yield f"{masked_name(name)} of the {origin} does not reach the flow run: this worker does not read it"
    for variables in (request.job.deployment, request.job.run):
        others = {key: raw for key, raw in variables.items() if key.partition(".")[0] != "env"}
        for key, raw in others.items():
            yield from templates.notes_on_job_variable(key, raw, values)
        yield from templates.unused_job_variables(variables, request.job.template)


def _unpassed(request: arguments.Request, entries: List[Entry]) -> Iterator[str]:
    """Yield a note for each variable in ``host_env`` that a Kubernetes or Docker worker does not pass on."""
    names = {entry.name for entry in entries}
    for name in request.host_env or {}:
        if name not in names and not name.startswith(REST_PREFIX):
            yield (
                f"{masked_name(name)} of the worker's own environment does not reach the flow run: use job_variables, "
                "the base job template or the image"
            )


def _in_image(request: arguments.Request, pod: FlowEnvironment) -> FlowEnvironment:
    """Add the variables of the image, which all others override."""
    image = [Entry(name, value, "image") for name, value in request.image_env.items()]
    own = [entry for entry in image if entry.name not in pod.variables]
    lost = [Lost(entry, pod.variables[entry.name]) for entry in image if entry.name in pod.variables]
    variables = [*own, *pod.variables.values()]
    return FlowEnvironment(
        request.worker, pod.version, variables, [*lost, *pod.lost], pod.notes, real=True, runner="worker"
    )


def _reading_for_a_run(isolation: RestIsolation) -> ContextManager[None]:
    """Allow the worker to read from a write-only API, because it reads for a flow run."""
    api: Any = isolation.api
    if not hasattr(type(api), "flow_run"):  # the real server has no such mode
        return nullcontext()
    return cast("ContextManager[None]", api.flow_run())


@contextmanager
def _one_line_errors(request: arguments.Request, values: templates.Values) -> Iterator[None]:
    """Replace an error of the worker by one line without a value.

    Raises:
        UsageError: the worker raises an error.
    """
    try:
        yield
    except FlowSecretsError:
        raise
    except Exception as error:  # noqa: BLE001 - of many kinds, with values in the texts
        reason = next(templates.block_problems(_sources(request), values), None) or _describe(error)
    else:
        return
    raise UsageError(f"the {request.worker} worker cannot prepare the flow run: {reason}") from None


def _sources(request: arguments.Request) -> Iterator[Tuple[str, Any]]:
    """Yield the data in which there may be templates of blocks, each with a description of its place."""
    for origin, env in request.places.items():
        yield from ((f"{masked_name(name)} of the {origin}", raw) for name, raw in env.items())
    for origin, variables in (("deployment", request.job.deployment), ("run", request.job.run)):
        yield from ((f"{key} of the {origin}", raw) for key, raw in variables.items())
    yield "the base job template", request.job.template


def _describe(error: Exception) -> str:
    fields = sorted({".".join(map(str, each["loc"])) for each in getattr(error, "errors", list)()})
    return f"{type(error).__name__}{': ' + ', '.join(fields) if fields else ''}; check job_variables and job_template"
