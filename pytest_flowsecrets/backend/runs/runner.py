"""Real flow runs against a fake API: ``prefect_server.run(flow)`` and ``prefect_cloud.run(flow)``.

The real client registers the flow and creates the run, the real agent deploys it, and a real process of ``prefect
execute flow-run`` runs it. The result is read after that process has ended, because its last logs arrive after its last
state. With ``in_process=True``, the flow runs in this process instead (``in_process``). That takes a tenth of the time,
and the test can inspect and patch the flow.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, field
from pickle import PicklingError
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Tuple, Union

from pytest_flowsecrets.agents import agent_errors, kubernetes, manifests, real_agents
from pytest_flowsecrets.agents.cluster import ClusterSecrets
from pytest_flowsecrets.agents.manifests import texts_of
from pytest_flowsecrets.agents.model import AgentInputs
from pytest_flowsecrets.backend.runs import deployment as deploying
from pytest_flowsecrets.backend.runs.agent_process import AgentProcess
from pytest_flowsecrets.backend.runs.flow_run import FlowRun, Stopwatch, read_flow_run
from pytest_flowsecrets.backend.runs.in_process import run_in_process, storage_in_process
from pytest_flowsecrets.backend.runs.storages import storage_of
from pytest_flowsecrets.backend.runs.warm_agents import Deployment
from pytest_flowsecrets.errors import FlowRunTimeout, UsageError, with_article

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment
    from pytest_flowsecrets.backend.runs.flow_run import Api
    from pytest_flowsecrets.backend.runs.process_tree import Processes

PROJECT = "pytest-flowsecrets"


@dataclass(frozen=True)
class RunRequest:
    """The arguments of ``FakeApi.run``."""

    parameters: Optional[Mapping[str, Any]] = field(default=None, repr=False)
    run_config: Any = None
    context: Optional[Mapping[str, Any]] = field(default=None, repr=False)
    agent: Union[str, AgentProcess] = "local"
    agent_env: Optional[Mapping[str, str]] = field(default=None, repr=False)
    job_template: Any = field(default=None, repr=False)
    cluster_secrets: Optional[ClusterSecrets] = None
    in_process: bool = False
    timeout: float = 60.0
    storage: Any = None

    @property
    def kind(self) -> str:
        """The kind of the agent."""
        return "local" if isinstance(self.agent, AgentProcess) else self.agent


def execute_run(api: Api, flow: Any, request: RunRequest) -> FlowRun:
    """Register a flow, run it, and return the result: see ``FakeApi.run``.

    Raises:
        FlowSecretsError: see ``FakeApi.run``.
    """
    version = api.isolation.require_prefect(f"{type(api).__name__}.run()").version
    if not request.in_process:
        deploying.require(request.kind, version)
    from prefect import Flow

    if not isinstance(flow, Flow):
        raise UsageError(f"run() takes a Prefect flow, not {with_article(type(flow).__name__)}")
    _validate(request)
    stopwatch = Stopwatch()
    run_config = _run_config(request, flow, version)
    storage = storage_in_process(flow) if request.in_process else storage_of(api, flow, request.storage)
    run = _create(api, flow, storage, request, run_config)
    stopwatch.end_step("register")
    if request.in_process:
        environment = run_in_process(api, flow, storage, run, request.agent_env)
        stopwatch.end_step("process")
        return read_flow_run(api, run.id, None, environment, stopwatch.timings)
    environment, registry = _deploy(api, request, run)
    stopwatch.end_step("deploy")
    try:
        status = registry.wait(run.id, request.timeout)
    except subprocess.TimeoutExpired:
        stopwatch.end_step("process")
        raise _timeout_error(request, read_flow_run(api, run.id, None, environment, stopwatch.timings)) from None
    stopwatch.end_step("process")
    return read_flow_run(api, run.id, status, environment, stopwatch.timings)


def _timeout_error(request: RunRequest, run: FlowRun) -> FlowRunTimeout:
    tasks = [f"{slug} {type(state).__name__}" for slug, state in run.task_states.items()]
    error = FlowRunTimeout(request.timeout, type(run.state).__name__, tasks)
    error.run = run
    return error


def _validate(request: RunRequest) -> None:
    """Check arguments that the API, the process or the clock would reject with less helpful errors."""
    if isinstance(request.agent, AgentProcess) and (request.agent_env is not None or request.in_process):
        raise UsageError("an agent process has its own agent_env and starts processes: omit agent_env and in_process")
    if request.in_process and request.kind != "local":
        raise UsageError(f"a run in_process does not use the {request.kind} agent: omit one of the two arguments")
    texts_of("agent_env", request.agent_env)
    _validate_timeout(request.timeout)
    if not isinstance(request.cluster_secrets, (ClusterSecrets, type(None))):
        raise UsageError(
            f"cluster_secrets must be a ClusterSecrets, not {with_article(type(request.cluster_secrets).__name__)}"
        )
    _validate_mapping("parameters", request.parameters)
    _validate_mapping("context", request.context)


def _validate_timeout(timeout: Any) -> None:
    if not isinstance(timeout, (int, float)):
        raise UsageError(f"timeout must be a number of seconds, not {with_article(type(timeout).__name__)}")
    if not 0 < timeout <= TIMEOUT_MAX:
        raise UsageError(f"timeout must be a number of seconds from 0 to {TIMEOUT_MAX:.0f}")


def _validate_mapping(what: str, values: Any) -> None:
    if not isinstance(values, (Mapping, type(None))):
        raise UsageError(f"{what} must be a mapping of names to values, not {with_article(type(values).__name__)}")
    manifests.require_json(dict(values or {}), what)


# -- registration ------------------------------------------------------------------------------------------------------


def _run_config(request: RunRequest, flow: Any, version: str) -> Any:
    """Return the run config for the new flow run, or None for that of the flow."""
    run_config = request.run_config
    _validate_in_process(request, flow)
    if request.job_template is not None:
        return _run_config_with_template(request, version)
    if isinstance(run_config, Mapping):
        return real_agents.run_config_of(request.kind, texts_of("run_config", run_config), {}, version=version)
    effective = run_config if run_config is not None else flow.run_config
    if effective is not None:
        real_agents.require_run_config(request.kind, effective)
        reason = agent_errors.type_problem(AgentInputs(run_env=effective.env or {}))
        if reason:
            raise UsageError(f"the {request.kind} agent cannot deploy the flow run: {reason}")
    return run_config


def _run_config_with_template(request: RunRequest, version: str) -> Any:
    if request.kind != "kubernetes":
        raise UsageError(f"job_template requires the kubernetes agent, not the {request.kind} agent")
    template = kubernetes.validate_template(manifests.load_one(request.job_template, "job template"))
    run_config = request.run_config
    if not isinstance(run_config, (Mapping, type(None))):
        return real_agents.with_template("kubernetes", run_config, template, version=version)
    return real_agents.run_config_of("kubernetes", texts_of("run_config", run_config), template, version=version)


def _validate_in_process(request: RunRequest, flow: Any) -> None:
    """Check that the run config of a run in this process is not for containers."""
    from prefect.run_configs import RunConfig

    effective = flow.run_config if request.run_config is None else request.run_config
    kind = type(effective).__name__
    if request.in_process and isinstance(effective, RunConfig) and kind not in ("LocalRun", "UniversalRun"):
        raise UsageError(
            f"in_process=True runs the flow like a LocalAgent, which does not support {kind}: pass run_config={{...}} "
            f"with its variables, or omit in_process{_agent_for(kind)}"
        )


def _agent_for(kind: str) -> str:
    if kind == "KubernetesRun":
        return ' and pass agent="kubernetes"'
    return f" and use flow_environment for {with_article(kind)}"


def _create(api: Api, flow: Any, storage: Any, request: RunRequest, run_config: Any) -> Any:
    """Create a flow run that waits in the API, and return it in the form that agents receive."""
    from prefect.utilities.graphql import GraphQLResult

    client = api.client
    client.create_project(PROJECT)
    registered = flow.copy()
    if registered.run_config is None:
        registered.run_config = real_agents.run_config_of(request.kind, {}, {}, version=api.isolation.version)
    registered.run_config = copy(registered.run_config)
    registered.run_config.labels = {*registered.run_config.labels, *storage.labels}  # like `flow.register()`
    registered.storage = storage
    with _picklable(flow):  # a run in this process does not use the storage, so it is not written
        flow_id = client.register(
            registered, project_name=PROJECT, build=not request.in_process, no_url=True, set_schedule_active=False
        )
    run_id = client.create_flow_run(
        flow_id=flow_id,
        parameters=dict(request.parameters or {}),
        context=None if request.context is None else dict(request.context),
        run_config=run_config,
    )
    effective = run_config or registered.run_config
    labels = sorted(effective.labels)
    return GraphQLResult({"id": run_id, "flow": {"id": flow_id}, "labels": labels, "run_config": effective})


@contextmanager
def _picklable(flow: Any) -> Iterator[None]:
    """Pickle a flow's modules by value if the flow run cannot import them, as with pytest's import mode importlib."""
    import cloudpickle

    names = {type(task).__module__ for task in flow.tasks}
    names |= {getattr(getattr(task, "run", None), "__module__", "") for task in flow.tasks}
    by_value = [sys.modules[name] for name in names if name in sys.modules and not _importable(name)]
    with ExitStack() as stack:
        for module in by_value:
            cloudpickle.register_pickle_by_value(module)
            stack.callback(cloudpickle.unregister_pickle_by_value, module)
        try:
            yield
        except (TypeError, PicklingError) as error:
            reason = _pickling_reason(error)
            if reason is None:
                raise
            raise UsageError(
                f"the flow {flow.name!r} cannot be pickled for its storage: {reason}; create such objects inside a "
                "task, or run it with in_process=True"
            ) from None


def _pickling_reason(error: Exception) -> Optional[str]:
    """Return why cloudpickle has failed, or None if the error comes from elsewhere."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if os.path.basename(frames[-1][0].f_code.co_filename) not in ("cloudpickle.py", "cloudpickle_fast.py"):
        return None
    match = re.match(
        r"(?:cannot|can't) pickle '?[\w.]+'? objects?", str(error)
    )  # names a type; other texts hold values
    return match.group() if match else type(error).__name__


def _importable(name: str) -> bool:
    from importlib.machinery import PathFinder

    return name == "__main__" or PathFinder.find_spec(name.partition(".")[0], sys.path) is not None


# -- running -----------------------------------------------------------------------------------------------------------


def _deploy(api: Api, request: RunRequest, run: Any) -> Tuple[FlowEnvironment, Union[AgentProcess, Processes]]:
    """Deploy a flow run, and return its environment and the registry of its process."""
    if isinstance(request.agent, AgentProcess):
        return deploying.deploy_by(request.agent, api, run, request.timeout), request.agent
    template = getattr(run.run_config, "job_template", None) or {}
    env = dict(request.agent_env or {})
    deployment = Deployment(api.isolation.version, request.agent, env, run.labels, request.cluster_secrets, template)
    with api.isolation.overlay(api.agent_variables()):
        return deploying.deploy(deployment, run, api.agents, api.processes), api.processes
