"""State changes of flow runs and task runs, and the queue of runs that wait for an agent.

The version of a run is the number of its states. If version locking is on for the flow, a client that sends an outdated
version gets ``VERSION_LOCKING_ERROR``, so only one of two agents or processes can continue. Clients of 0.12 and later
send the version only for Submitted and Running.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Set

from pytest_flowsecrets.backend.messages import ApiError, BadInput
from pytest_flowsecrets.backend.records.tables import read_time

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.records.store import Row, Store

# Each state of Prefect 0.5 to 1.4, with its base class.
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
    """Return whether a state is of a kind, according to the class hierarchy of Prefect's states."""
    while state is not None and state != kind:
        state = KINDS.get(state)
    return state == kind


def new_state(kind: str, message: str, **values: Any) -> Dict[str, Any]:
    """Return a serialized state that every client can read."""
    return {"type": kind, "message": message, "context": {}, "cached_inputs": {}, **values}


def set_state(store: Store, table: str, run: Row, state: Any, version: Optional[int] = None) -> Row:
    """Set the next state of a run.

    Args:
        store: the store of the run, in a transaction; its clock provides the time of the change.
        table: ``flow_run`` or ``task_run``.
        run: the current row.
        state: the state as a client serialized it.
        version: the version that the client expects, or None for no version locking.

    Returns:
        The new row of the run.

    Raises:
        ApiError: the run has another version, or the state is not allowed now.
        BadInput: the state is not valid.
    """
    now, kind = store.now, _kind_of(state)
    if version is not None and version != run["version"] and _locks(store, table, run):
        title = table.replace("_", " ").capitalize()
        raise ApiError(f"{title} has version {run['version']}, not {version}", "VERSION_LOCKING_ERROR")
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
    return store.change(table, run["id"], **_state_columns(run, row, now))


def _state_columns(run: Row, state: Row, now: datetime) -> Dict[str, Any]:
    """Return the columns of a run that reflect its newest state."""
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


def _kind_of(state: Any) -> str:
    kind = state.get("type") if isinstance(state, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadInput("a state must be a mapping whose type is one of Prefect's states")
    if isinstance(state.get("start_time"), str):
        try:
            read_time(state["start_time"])
        except ValueError as error:
            raise BadInput(f"start_time of a state: {error}") from None
    return kind


def _text(message: Any) -> Optional[str]:
    return None if message is None else str(message)


def _locks(store: Store, table: str, run: Row) -> bool:
    """Return whether version locking is on in the settings of the flow; it is opt-in."""
    flow_run = run if table == "flow_run" else store.get("flow_run", run["flow_run_id"])
    flow = store.get("flow", flow_run["flow_id"]) if flow_run else None
    return flow is not None and (flow["settings"] or {}).get("version_locking_enabled") is True


def _require_running(store: Store, task_run: Row) -> None:
    flow_run = store.get("flow_run", task_run["flow_run_id"])
    if flow_run is None or not is_a(flow_run["state"], "Running") or flow_run["state"] == "Cancelling":
        raise ApiError("A task run can only be set to Running while its flow run is Running")


# -- the queue ---------------------------------------------------------------------------------------------------------


def due(store: Store, flow_runs: Iterable[Row], before: datetime, labels: Iterable[str]) -> List[Row]:
    """Return the flow runs that an agent with these labels should submit, in the order of their start time.

    An agent takes a run if it has all labels of the run. A run without labels is only for agents without labels. A
    Running run is due if the retry of one of its tasks is due.
    """
    agent_labels = set(labels)
    starts = ((_start(store, run), run) for run in flow_runs if _matches(set(run["labels"] or ()), agent_labels))
    due_runs = [(start, run) for start, run in starts if start is not None and start <= before]
    return [run for _, run in sorted(due_runs, key=lambda pair: pair[0])]


def _matches(run_labels: Set[str], agent_labels: Set[str]) -> bool:
    return run_labels <= agent_labels if run_labels else not agent_labels


def _start(store: Store, run: Row) -> Optional[datetime]:
    """Return when a run should start, or None if it should not."""
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
    """Return a key that identifies a task, or one of its mapped children, in a flow run. Each has one task run."""
    return f"{flow_run_id}/{task_id}/{map_index}"


def add_task_run(store: Store, flow_run: Row, task: Row, map_index: int) -> Row:
    """Create a Pending run of a task; ``map_index`` is -1 for the task itself."""
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
