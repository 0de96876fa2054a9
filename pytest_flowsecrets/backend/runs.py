"""Real flow runs against a fake API: ``prefect_server.run(flow)``, ``prefect_cloud.run(flow)``.

The real client registers the flow and creates the run, the real agent deploys it, and a real process of ``prefect
execute flow-run`` runs it; what comes back is read when that process has ended, for its last logs arrive after its last
state. With ``in_process=True`` the real CloudFlowRunner runs the flow in this process instead, which takes a tenth of
the time and lets a test look inside.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.backend import deploying
from pytest_flowsecrets.backend.deploying import Deployment
from pytest_flowsecrets.errors import FlowRunTimeout, UsageError
from pytest_flowsecrets.routes import agents, kubernetes, manifests, shapes
from pytest_flowsecrets.routes.request import texts_of

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.fake_api import FakeApi
    from pytest_flowsecrets.routes.cluster import ClusterSecrets
    from pytest_flowsecrets.routes.environment import FlowEnvironment

PROJECT = "pytest-flowsecrets"


class Log(NamedTuple):
    """One line that a flow run or its agent has logged."""

    level: str
    name: str
    message: str


@dataclass(frozen=True, repr=False)
class FlowRun:
    """What became of a flow run.

    Attributes:
        id: of the run.
        state: the final state, as Prefect's own class.
        task_states: the final state of each task run by its slug, ``read-1``; of mapped ones ``read-1[0]``, ….
        logs: all of them, in order.
        exit_status: of its process; None where there was none.
        environment: the variables that it was given, with origins; a repr shows names only.
        agent_id: of the agent that deployed it; None where there was none.
        timings: seconds by step: ``register``, ``deploy``, ``process``, ``total``.
    """

    id: str
    state: Any
    task_states: Dict[str, Any]
    logs: Tuple[Log, ...]
    exit_status: Optional[int]
    environment: Optional[FlowEnvironment]
    agent_id: Optional[str]
    timings: Dict[str, float]

    def __repr__(self) -> str:
        states = {slug: type(state).__name__ for slug, state in self.task_states.items()}
        return f"<FlowRun {type(self.state).__name__} {states}, exit status {self.exit_status}>"


@dataclass(frozen=True)
class Order:
    """What is asked for by ``run()``; see there."""

    parameters: Optional[Mapping[str, Any]] = field(default=None, repr=False)
    run_config: Any = None
    context: Optional[Mapping[str, Any]] = field(default=None, repr=False)
    agent: str = "local"
    agent_env: Optional[Mapping[str, str]] = field(default=None, repr=False)
    job_template: Any = field(default=None, repr=False)
    cluster_secrets: Optional[ClusterSecrets] = None
    in_process: bool = False
    timeout: float = 60.0


class _Watch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.timings: Dict[str, float] = {}
        self._began = self._last = time.perf_counter()

    def step(self, name: str) -> None:
        now = time.perf_counter()
        self.timings.update({name: now - self._last, "total": now - self._began})
        self._last = now


def carry_out(api: FakeApi, flow: Any, order: Order) -> FlowRun:
    """Register a flow, run it, and tell what became of it.

    Raises:
        FlowSecretsError: see ``FakeApi.run``.
    """
    version = api.isolation.require_prefect(f"{type(api).__name__}.run()").version
    if not order.in_process:
        deploying.require(order.agent, version)
    from prefect import Flow

    if not isinstance(flow, Flow):
        raise UsageError(f"run() takes a flow of Prefect's, not a {type(flow).__name__}")
    _require_plain(order)
    watch = _Watch()
    run_config = _run_config(order, version)
    run = _created(api, flow, order, run_config)
    watch.step("register")
    if order.in_process:
        environment = _run_here(api, flow, order, run)
        watch.step("process")
        return _told(api, run.id, None, environment, watch)
    environment = _deployed(api, order, run)
    watch.step("deploy")
    try:
        status = api.processes.wait(run.id, order.timeout)
    except subprocess.TimeoutExpired:
        watch.step("process")
        so_far = _told(api, run.id, None, environment, watch)
        tasks = [f"{slug} {type(state).__name__}" for slug, state in so_far.task_states.items()]
        error = FlowRunTimeout(order.timeout, type(so_far.state).__name__, tasks)
        error.run = so_far
        raise error from None
    watch.step("process")
    return _told(api, run.id, status, environment, watch)


def _require_plain(order: Order) -> None:
    """Check what else the API, a process and a clock would refuse, each in its own words."""
    if order.in_process and order.agent != "local":
        raise UsageError(f"a run in_process has no {order.agent} agent: leave out one of both")
    texts_of("agent_env", order.agent_env)
    if not isinstance(order.timeout, (int, float)):
        raise UsageError(f"timeout is a number of seconds, not a {type(order.timeout).__name__}")
    for what, given in (("parameters", order.parameters), ("context", order.context)):
        if not isinstance(given, (Mapping, type(None))):
            raise UsageError(f"{what} is a mapping of names to values, not a {type(given).__name__}")
        shapes.require_json(dict(given or {}), what)


# -- registration ------------------------------------------------------------------------------------------------------


def _run_config(order: Order, version: str) -> Any:
    given = order.run_config
    if order.job_template is not None:
        if order.agent != "kubernetes":
            raise UsageError(f"a job template is for the kubernetes agent, not for the {order.agent} agent")
        template = kubernetes.accepted(manifests.load_one(order.job_template, "job template"))
        if not isinstance(given, (Mapping, type(None))):
            return agents.with_template("kubernetes", given, template, version=version)
        return agents.run_config_of("kubernetes", texts_of("run_config", given), template, version=version)
    if isinstance(given, Mapping):
        return agents.run_config_of(order.agent, texts_of("run_config", given), {}, version=version)
    if given is not None:
        agents.require_run_config(order.agent, given)
    return given


def _created(api: FakeApi, flow: Any, order: Order, run_config: Any) -> Any:
    """A flow run that waits in the API, as agents see it."""
    from prefect.utilities.graphql import GraphQLResult

    client = api.client
    client.create_project(PROJECT)
    registered = flow.copy()
    if registered.run_config is None:
        registered.run_config = agents.run_config_of(order.agent, {}, {}, version=api.isolation.version)
    registered.storage = flow.storage or _storage(api)
    with _picklable(flow):
        flow_id = client.register(registered, project_name=PROJECT, no_url=True, set_schedule_active=False)
    run_id = client.create_flow_run(
        flow_id=flow_id, parameters=dict(order.parameters or {}), context=_plain(order.context), run_config=run_config
    )
    counts = run_config or registered.run_config
    labels = {*registered.storage.labels, *counts.labels}
    return GraphQLResult({"id": run_id, "flow": {"id": flow_id}, "labels": sorted(labels), "run_config": counts})


def _plain(context: Optional[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
    return None if context is None else dict(context)


def _storage(api: FakeApi) -> Any:
    from prefect.storage import Local

    return Local(directory=str(api.isolation.home.path / "flows"), add_default_labels=False)


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


def _deployed(api: FakeApi, order: Order, run: Any) -> FlowEnvironment:
    template = getattr(run.run_config, "job_template", None) or {}
    env = dict(order.agent_env or {})
    deployment = Deployment(api.isolation.version, order.agent, env, run.labels, order.cluster_secrets, template)
    with api.isolation.covered(api.agent_variables()):
        return deploying.deploy(deployment, run, api.agents, api.processes)


def _run_here(api: FakeApi, flow: Any, order: Order, run: Any) -> FlowEnvironment:
    """The real CloudFlowRunner in the environment that a LocalAgent gives to a flow run, its logs sent at the end."""
    import prefect
    from prefect.engine.cloud import CloudFlowRunner
    from prefect.utilities.logging import LOG_MANAGER

    from pytest_flowsecrets.routes.request import flow_environment

    with api.isolation.covered(api.agent_variables()):
        env = flow_environment("local", run_config=run.run_config, agent_env=order.agent_env)
        ids = {"PREFECT__CONTEXT__FLOW_RUN_ID": run.id, "PREFECT__CONTEXT__FLOW_ID": run.flow.id}
        with api.isolation.covered({**env, **ids}):
            try:
                with prefect.context(running_with_backend=True):
                    CloudFlowRunner(flow=flow).run()
            finally:
                LOG_MANAGER.stop()
                LOG_MANAGER._stopped.clear()  # noqa: SLF001 - or it would never again send anything by itself
    return env


# -- what became of it -------------------------------------------------------------------------------------------------


def _told(
    api: FakeApi, run_id: str, status: Optional[int], environment: Optional[FlowEnvironment], watch: _Watch
) -> FlowRun:
    from prefect.serialization.state import StateSchema

    store, load = api.world.store, StateSchema().load
    with store.lock:
        row = store.get("flow_run", run_id) or {}
        tasks = store.linked("task_run", "flow_run_id", run_id)
        rows = [(_slug(store, each), each["serialized_state"]) for each in tasks]
        lines = sorted(store.linked("log", "flow_run_id", run_id), key=lambda line: line["timestamp"])
        logs = tuple(Log(line["level"], line["name"], line["message"]) for line in lines)
    states = {slug: load(state) for slug, state in rows}
    state = load(row["serialized_state"])
    return FlowRun(run_id, state, states, logs, status, environment, row["agent_id"], watch.timings)


def _slug(store: Any, row: Mapping[str, Any]) -> str:
    slug = store.get("task", row["task_id"])["slug"]
    return slug if row["map_index"] in (None, -1) else f"{slug}[{row['map_index']}]"
