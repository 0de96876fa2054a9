"""What became of a real flow run, read out of the API when its process has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.environment import FlowEnvironment
    from pytest_flowsecrets.backend.runs.api import Api


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


class Watch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.timings: Dict[str, float] = {}
        self._began = self._last = time.perf_counter()

    def step(self, name: str) -> None:
        """This one has ended."""
        now = time.perf_counter()
        self.timings.update({name: now - self._last, "total": now - self._began})
        self._last = now


def told(api: Api, run_id: str, status: Optional[int], environment: Optional[FlowEnvironment], watch: Watch) -> FlowRun:
    """What is known of a flow run by now.

    Args:
        api: which has run it.
        run_id: the flow run.
        status: the exit status of its process.
        environment: what it was given.
        watch: its timings.
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
    return FlowRun(run_id, state, states, logs, status, environment, row["agent_id"], watch.timings)


def _slug(store: Any, row: Mapping[str, Any]) -> str:
    slug = store.get("task", row["task_id"])["slug"]
    return slug if row["map_index"] in (None, -1) else f"{slug}[{row['map_index']}]"
