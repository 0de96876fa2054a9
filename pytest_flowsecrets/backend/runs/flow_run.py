"""The result of a real flow run, and the interface of the API from which it is read after its process has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional, Protocol, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment
    from pytest_flowsecrets.backend.request_context import Service
    from pytest_flowsecrets.backend.runs.process_tree import Processes
    from pytest_flowsecrets.backend.runs.warm_agents import Agents
    from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation, Variables


class Log(NamedTuple):
    """A log entry of a flow run or its agent."""

    level: str
    name: str
    message: str


@dataclass(frozen=True, repr=False)
class FlowRun:
    """The result of a flow run.

    Attributes:
        id: the id of the run.
        state: the final state, an instance of Prefect's class.
        task_states: the final state of each task run by slug, such as ``read-1``, or ``read-1[0]`` for mapped tasks.
        logs: all log entries, in order.
        exit_status: the exit status of the process; None if there was none.
        environment: the variables of the run, with origins; the repr shows names only.
        agent_id: the id of the agent that deployed the run; None if there was none.
        timings: the seconds of each step: ``register``, ``deploy``, ``process``, ``total``.
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


class Stopwatch:
    """Measures the seconds of steps."""

    def __init__(self) -> None:
        self.timings: Dict[str, float] = {}
        self._start = self._last = time.perf_counter()

    def end_step(self, name: str) -> None:
        """Record the time since the previous step."""
        now = time.perf_counter()
        self.timings.update({name: now - self._last, "total": now - self._start})
        self._last = now


def read_flow_run(
    api: Api, run_id: str, status: Optional[int], environment: Optional[FlowEnvironment], timings: Dict[str, float]
) -> FlowRun:
    """Read the current state of a flow run from its API.

    Args:
        api: the API of the run.
        run_id: the id of the run.
        status: the exit status of its process.
        environment: the variables of the run.
        timings: the seconds of each step.
    """
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
    return FlowRun(run_id, state, states, logs, status, environment, row["agent_id"], timings)


def _slug(store: Any, row: Mapping[str, Any]) -> str:
    slug = store.get("task", row["task_id"])["slug"]
    return slug if row["map_index"] in (None, -1) else f"{slug}[{row['map_index']}]"


class Api(Protocol):
    """A fake API that real clients, agents and flow runs use; ``FakeApi`` implements it."""

    agents: Agents
    processes: Processes

    @property
    def world(self) -> Service:
        """The rows, keys and secrets of the API."""

    @property
    def isolation(self) -> LegacyIsolation:
        """The isolation in which the API is entered."""

    @property
    def client(self) -> Any:
        """A new ``prefect.Client``."""

    def agent_variables(self) -> Variables:
        """Return the variables that configure an agent for the API."""
