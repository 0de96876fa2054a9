"""Real flow runs against a fake API: ``prefect_server.run(flow)``, ``prefect_cloud.run(flow)``.

The real client registers the flow and creates the run, the real agent deploys it, and a real process of ``prefect
execute flow-run`` runs it; what comes back is read when that process has ended, for its last logs arrive after its last
state. With ``in_process=True`` the real CloudFlowRunner runs the flow in this process instead, which takes a tenth of
the time and lets a test look inside.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, field
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Optional, Tuple, Union

from pytest_flowsecrets.agents import agent_errors, kubernetes, manifests, real_agents, validation
from pytest_flowsecrets.agents.cluster import ClusterSecrets
from pytest_flowsecrets.agents.flow_environment import texts_of
from pytest_flowsecrets.agents.model import Written
from pytest_flowsecrets.backend.runs import deployment as deploying
from pytest_flowsecrets.backend.runs.agent_process import AgentProcess
from pytest_flowsecrets.backend.runs.flow_run import FlowRun, Watch, told
from pytest_flowsecrets.backend.runs.storages import OFFLINE, storage_of
from pytest_flowsecrets.backend.runs.warm_agents import Deployment
from pytest_flowsecrets.errors import FlowRunTimeout, UsageError
from pytest_flowsecrets.names import FLOW_ID, FLOW_RUN_ID, PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.environment import FlowEnvironment
    from pytest_flowsecrets.backend.runs.api import Api
    from pytest_flowsecrets.backend.runs.process_tree import Processes

PROJECT = "pytest-flowsecrets"
# In this process a heartbeat is a thread, so that it ends with the process: a child would outlive one that is killed.
_HEARTBEAT = {f"{PREFIX}CLOUD__HEARTBEAT_MODE": "thread"}


@dataclass(frozen=True)
class Order:
    """What is asked for by ``run()``; see there."""

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
        """Of the agent."""
        return "local" if isinstance(self.agent, AgentProcess) else self.agent


def carry_out(api: Api, flow: Any, order: Order) -> FlowRun:
    """Register a flow, run it, and tell what became of it.

    Raises:
        FlowSecretsError: see ``FakeApi.run``.
    """
    version = api.isolation.require_prefect(f"{type(api).__name__}.run()").version
    if not order.in_process:
        deploying.require(order.kind, version)
    from prefect import Flow

    if not isinstance(flow, Flow):
        raise UsageError(f"run() takes a flow of Prefect's, not a {type(flow).__name__}")
    _require_plain(order)
    watch = Watch()
    run_config = _run_config(order, flow, version)
    run = _created(api, flow, order, run_config)
    watch.step("register")
    if order.in_process:
        environment = _run_here(api, flow, order, run)
        watch.step("process")
        return told(api, run.id, None, environment, watch)
    environment, started = _deployed(api, order, run)
    watch.step("deploy")
    try:
        status = started.wait(run.id, order.timeout)
    except subprocess.TimeoutExpired:
        watch.step("process")
        so_far = told(api, run.id, None, environment, watch)
        tasks = [f"{slug} {type(state).__name__}" for slug, state in so_far.task_states.items()]
        error = FlowRunTimeout(order.timeout, type(so_far.state).__name__, tasks)
        error.run = so_far
        raise error from None
    watch.step("process")
    return told(api, run.id, status, environment, watch)


def _require_plain(order: Order) -> None:
    """Check what else the API, a process and a clock would refuse, each in its own words."""
    if isinstance(order.agent, AgentProcess) and (order.agent_env is not None or order.in_process):
        raise UsageError("an agent that runs already has its agent_env, and starts processes: leave out one of both")
    if order.in_process and order.kind != "local":
        raise UsageError(f"a run in_process has no {order.kind} agent: leave out one of both")
    texts_of("agent_env", order.agent_env)
    if not isinstance(order.timeout, (int, float)):
        raise UsageError(f"timeout is a number of seconds, not a {type(order.timeout).__name__}")
    if not 0 < order.timeout <= TIMEOUT_MAX:
        raise UsageError(f"timeout is a number of seconds from 0 to {TIMEOUT_MAX:.0f}")
    if not isinstance(order.cluster_secrets, (ClusterSecrets, type(None))):
        raise UsageError(f"cluster_secrets is a ClusterSecrets, not a {type(order.cluster_secrets).__name__}")
    for what, given in (("parameters", order.parameters), ("context", order.context)):
        if not isinstance(given, (Mapping, type(None))):
            raise UsageError(f"{what} is a mapping of names to values, not a {type(given).__name__}")
        validation.require_json(dict(given or {}), what)


# -- registration ------------------------------------------------------------------------------------------------------


def _run_config(order: Order, flow: Any, version: str) -> Any:
    given = order.run_config
    _require_in_process(order, flow)
    if order.job_template is not None:
        if order.kind != "kubernetes":
            raise UsageError(f"a job template is for the kubernetes agent, not for the {order.kind} agent")
        template = kubernetes.accepted(manifests.load_one(order.job_template, "job template"))
        if not isinstance(given, (Mapping, type(None))):
            return real_agents.with_template("kubernetes", given, template, version=version)
        return real_agents.run_config_of("kubernetes", texts_of("run_config", given), template, version=version)
    if isinstance(given, Mapping):
        return real_agents.run_config_of(order.kind, texts_of("run_config", given), {}, version=version)
    counts = given if given is not None else flow.run_config
    if counts is not None:
        real_agents.require_run_config(order.kind, counts)
        wrong = agent_errors.not_text(Written(run_env=counts.env or {}))
        if wrong:
            raise UsageError(f"the {order.kind} agent cannot deploy the flow run: {wrong}")
    return given


def _require_in_process(order: Order, flow: Any) -> None:
    """Check that a run in this process is not asked to be a container's."""
    from prefect.run_configs import RunConfig

    counts = flow.run_config if order.run_config is None else order.run_config
    kind = type(counts).__name__
    if order.in_process and isinstance(counts, RunConfig) and kind not in ("LocalRun", "UniversalRun"):
        raise UsageError(
            f"in_process=True runs the flow as a LocalAgent does, which takes no {kind}: pass run_config={{...}} with "
            f"its variables, or leave out in_process{_agent_for(kind)}"
        )


def _agent_for(kind: str) -> str:
    return ' and pass agent="kubernetes"' if kind == "KubernetesRun" else f" and use flow_environment for a {kind}"


def _created(api: Api, flow: Any, order: Order, run_config: Any) -> Any:
    """A flow run that waits in the API, as agents see it."""
    from prefect.utilities.graphql import GraphQLResult

    storage = storage_of(api, flow, OFFLINE if order.in_process else order.storage)
    client = api.client
    client.create_project(PROJECT)
    registered = flow.copy()
    if registered.run_config is None:
        registered.run_config = real_agents.run_config_of(order.kind, {}, {}, version=api.isolation.version)
    registered.run_config = copy(registered.run_config)
    registered.run_config.labels = {*registered.run_config.labels, *storage.labels}  # as `flow.register()` does
    registered.storage = storage
    with _picklable(flow):  # in this process no storage is used, so none is written
        flow_id = client.register(
            registered, project_name=PROJECT, build=not order.in_process, no_url=True, set_schedule_active=False
        )
    run_id = client.create_flow_run(
        flow_id=flow_id, parameters=dict(order.parameters or {}), context=_plain(order.context), run_config=run_config
    )
    counts = run_config or registered.run_config
    labels = sorted(counts.labels)
    return GraphQLResult({"id": run_id, "flow": {"id": flow_id}, "labels": labels, "run_config": counts})


def _plain(context: Optional[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
    return None if context is None else dict(context)


@contextmanager
def _picklable(flow: Any) -> Iterator[None]:
    """Let a flow's modules go into its pickle where the flow run could not import them (tests in importlib mode)."""
    import cloudpickle

    names = {type(task).__module__ for task in flow.tasks}
    names |= {getattr(getattr(task, "run", None), "__module__", "") for task in flow.tasks}
    by_value = [sys.modules[name] for name in names if name in sys.modules and not _importable(name)]
    with ExitStack() as stack:
        for module in by_value:
            cloudpickle.register_pickle_by_value(module)
            stack.callback(cloudpickle.unregister_pickle_by_value, module)
        yield


def _importable(name: str) -> bool:
    from importlib.machinery import PathFinder

    return name == "__main__" or PathFinder.find_spec(name.partition(".")[0], sys.path) is not None


# -- running -----------------------------------------------------------------------------------------------------------


def _deployed(api: Api, order: Order, run: Any) -> Tuple[FlowEnvironment, Union[AgentProcess, Processes]]:
    """The environment of the flow run, and who knows its process."""
    if isinstance(order.agent, AgentProcess):
        return deploying.deploy_by(order.agent, api, run, order.timeout), order.agent
    template = getattr(run.run_config, "job_template", None) or {}
    env = dict(order.agent_env or {})
    deployment = Deployment(api.isolation.version, order.agent, env, run.labels, order.cluster_secrets, template)
    with api.isolation.overlay(api.agent_variables()):
        return deploying.deploy(deployment, run, api.agents, api.processes), api.processes


def _run_here(api: Api, flow: Any, order: Order, run: Any) -> FlowEnvironment:
    """The real CloudFlowRunner in the environment that a LocalAgent gives to a flow run, its logs sent at the end."""
    import prefect
    from prefect.engine.cloud import CloudFlowRunner
    from prefect.utilities.logging import LOG_MANAGER

    from pytest_flowsecrets.agents.flow_environment import flow_environment

    with api.isolation.overlay(api.agent_variables()):
        env = flow_environment("local", run_config=run.run_config, agent_env=order.agent_env)
        ids = {FLOW_RUN_ID: run.id, FLOW_ID: run.flow.id}
        with api.isolation.overlay({**_HEARTBEAT, **env, **ids}):
            try:
                with prefect.context(running_with_backend=True):
                    CloudFlowRunner(flow=flow).run()
            finally:
                LOG_MANAGER.stop()
                LOG_MANAGER._stopped.clear()  # noqa: SLF001 - or it would never again send anything by itself
    return env
