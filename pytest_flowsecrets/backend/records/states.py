"""How the states of flow runs and task runs change, and which runs wait for an agent.

A run's version counts its states. Where version locking is turned on for the flow, a client that sends the version it
knows is refused if the run has moved on since (``VERSION_LOCKING_ERROR``), so that of two agents or processes one goes
on; clients of 0.12 and later send it only where it matters, for Submitted and Running.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Set

from pytest_flowsecrets.backend.client_errors import ApiError, BadInput
from pytest_flowsecrets.backend.records.scalars import read_time

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.records.store import Row, Store

# Each state of Prefect 0.5 to 1.4 with the one that it is a kind of.
KINDS: Mapping[str, str] = {
    "Scheduled": "Pending",
    "Paused": "Scheduled",
    "Resume": "Scheduled",
    "Retrying": "Scheduled",
    "Cancelling": "Running",
    "Looped": "Finished",
    "Success": "Finished",
    "Cached": "Success",
    "Mapped": "Success",
    "Skipped": "Success",
    "Cancelled": "Finished",
    "Failed": "Finished",
    "Aborted": "Failed",
    "TimedOut": "Failed",
    "TriggerFailed": "Failed",
    "ValidationFailed": "Failed",
    **dict.fromkeys(("Pending", "Running", "Finished", "Submitted", "Queued", "ClientFailed"), "State"),
}


def is_a(state: Optional[str], kind: str) -> bool:
    """Whether a state is of a kind, as Prefect's classes derive from each other."""
    while state is not None and state != kind:
        state = KINDS.get(state)
    return state == kind


def new_state(kind: str, message: str, **values: Any) -> Dict[str, Any]:
    """A serialized state that every client can read."""
    return {"type": kind, "message": message, "context": {}, "cached_inputs": {}, **values}


def set_state(store: Store, table: str, run: Row, state: Any, version: Optional[int] = None) -> Row:
    """Give a run its next state.

    Args:
        store: of the run, in a transaction; its clock tells the time of the change.
        table: ``flow_run`` or ``task_run``.
        run: as it is.
        state: serialized by a client.
        version: the one that the client believes the run to have; None does not lock.

    Raises:
        ApiError: the run has another version, or may not come into this state.
        BadInput: this is no state.
    """
    now, kind = store.now, _checked(state)
    if version is not None and version != run["version"] and _locks(store, table, run):
        raise ApiError(f"{_titled(table)} has version {run['version']}, not {version}", "VERSION_LOCKING_ERROR")
    if table == "task_run" and kind == "Running":
        _require_running(store, run)
    start = read_time(state["start_time"]) if isinstance(state.get("start_time"), str) else None
    values = {
        "state": kind,
        "message": _text(state.get("message")),
        "result": state.get("_result", state.get("result")),
        "start_time": start,
        "serialized_state": state,
        "version": run["version"] + 1,
        "timestamp": now,
    }
    row = store.add(f"{table}_state", tenant_id=run["tenant_id"], **{f"{table}_id": run["id"]}, **values)
    return store.change(table, run["id"], **_of_run(run, row, now))


def _of_run(run: Row, state: Row, now: datetime) -> Dict[str, Any]:
    """What a run shows of its newest state."""
    kind = state["state"]
    running, finished = is_a(kind, "Running"), is_a(kind, "Finished")
    start = run["start_time"] or (now if running or finished else None)
    end = now if finished else None
    return {
        "state_id": state["id"],
        "state": kind,
        "state_message": state["message"],
        "state_result": state["result"],
        "state_start_time": state["start_time"],
        "state_timestamp": now,
        "serialized_state": state["serialized_state"],
        "version": state["version"],
        "start_time": start,
        "end_time": end,
        "duration": max(end - start, timedelta(0)) if start and end else None,
        "heartbeat": now if running else run["heartbeat"],
    }


def _checked(state: Any) -> str:
    kind = state.get("type") if isinstance(state, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadInput("a state is a mapping whose type is one of Prefect's states")
    if isinstance(state.get("start_time"), str):
        try:
            read_time(state["start_time"])
        except ValueError as error:
            raise BadInput(f"start_time of a state: {error}") from None
    return kind


def _text(message: Any) -> Optional[str]:
    return None if message is None else str(message)


def _titled(table: str) -> str:
    return table.replace("_", " ").capitalize()


def _locks(store: Store, table: str, run: Row) -> bool:
    """Version locking is turned on in the settings of a flow; Prefect's documentation calls it opt-in."""
    flow_run = run if table == "flow_run" else store.get("flow_run", run["flow_run_id"])
    flow = store.get("flow", flow_run["flow_id"]) if flow_run else None
    return flow is not None and (flow["settings"] or {}).get("version_locking_enabled") is True


def _require_running(store: Store, task_run: Row) -> None:
    flow_run = store.get("flow_run", task_run["flow_run_id"])
    if flow_run is None or not is_a(flow_run["state"], "Running") or flow_run["state"] == "Cancelling":
        raise ApiError("A task run can be set Running only while its flow run is Running")


# -- the queue ---------------------------------------------------------------------------------------------------------


def due(store: Store, flow_runs: Iterable[Row], before: datetime, labels: Iterable[str]) -> List[Row]:
    """The flow runs that an agent with these labels should take, the earliest first.

    A run is taken by an agent that has all of its labels; no labels count as a label, so that an agent that has some
    leaves runs without any to others. A Running run is due if a retry of one of its tasks is.
    """
    own = set(labels)
    starts = ((_start(store, run), run) for run in flow_runs if _fits(set(run["labels"] or ()), own))
    found = [(start, run) for start, run in starts if start is not None and start <= before]
    return [run for _, run in sorted(found, key=lambda pair: pair[0])]


def _fits(wanted: Set[str], own: Set[str]) -> bool:
    return wanted <= own if wanted else not own


def _start(store: Store, run: Row) -> Optional[datetime]:
    """When a run should be taken; None if it should not."""
    if run["state"] in ("Scheduled", "Resume", "Retrying", "Queued"):
        start: Optional[datetime] = run["state_start_time"] or run["scheduled_start_time"]
        return start
    if run["state"] != "Running":
        return None
    retries: List[datetime] = [
        task_run["state_start_time"]
        for task_run in store.linked("task_run", "flow_run_id", run["id"])
        if task_run["state_start_time"] is not None and is_a(task_run["state"], "Scheduled")
    ]
    return min(retries, default=None)


# -- task runs ---------------------------------------------------------------------------------------------------------


def slot(flow_run_id: str, task_id: str, map_index: int) -> str:
    """What there can be one task run of: a task, or one of its mapped children, in a flow run."""
    return f"{flow_run_id}/{task_id}/{map_index}"


def add_task_run(store: Store, flow_run: Row, task: Row, map_index: int) -> Row:
    """A Pending run of a task; ``map_index`` is -1 for the task itself."""
    run = store.add(
        "task_run",
        tenant_id=flow_run["tenant_id"],
        flow_run_id=flow_run["id"],
        task_id=task["id"],
        map_index=map_index,
        slot=slot(flow_run["id"], task["id"], map_index),
        cache_key=task["cache_key"],
        version=0,
        times_resurrected=0,
        run_count=0,
    )
    return set_state(store, "task_run", run, new_state("Pending", "Task run created"))
