"""States: proposals and verdicts, rows, what a new state changes in its run, and the event that announces it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Iterator, NamedTuple, Optional

from pytest_flowsecrets.backend.rest.store.table import parse_time, time_text

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View
    from pytest_flowsecrets.versions import Release

ACCEPT, REJECT, ABORT, WAIT = "ACCEPT", "REJECT", "ABORT", "WAIT"
STARTED_AT_END_SINCE = (3, 6, 0)
FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
_LABELS = ("key", "type", "description")  # of an artifact, which a result names with the prefix artifact_
_TIMES = frozenset({"scheduled_time", "cache_expiration", "pause_timeout"})
# Fields that the real server always sends; clients read them.
_DETAILS: Row = {
    "flow_run_id": None,
    "task_run_id": None,
    "child_flow_run_id": None,
    "scheduled_time": None,
    "cache_key": None,
    "cache_expiration": None,
    "deferred": False,
    "untrackable_result": False,
    "pause_timeout": None,
    "pause_reschedule": False,
    "pause_key": None,
    "run_input_keyset": None,
    "refresh_cache": None,
    "retriable": None,
    "transition_id": None,
    "task_parameters_id": None,
}


# -- proposals and verdicts --------------------------------------------------------------------------------------------


class Verdict(NamedTuple):
    """What the rules decide.

    Attributes:
        status: ``ACCEPT``, ``REJECT``, ``ABORT`` or ``WAIT``.
        reason: for people; empty when the state is accepted.
        state: fields of the state that is set instead; None leaves the run as it is.
        delay: seconds that a client has to wait.
    """

    status: str
    reason: str = ""
    state: Optional[Row] = None
    delay: Optional[int] = None


class Transition(NamedTuple):
    """A run and the state that a client proposes for it.

    Attributes:
        view: whose run it is.
        kind: ``flow_run`` or ``task_run``.
        run: the row.
        proposed: fields of the state.
    """

    view: View
    kind: str
    run: Row
    proposed: Row

    @property
    def initial(self) -> Row:
        """The state of the run; an empty row before its first one."""
        return self.run.get("state") or {}

    @property
    def before(self) -> Optional[str]:
        """Type of the initial state."""
        return self.initial.get("type")

    @property
    def after(self) -> str:
        """Type of the proposed state."""
        return str(self.proposed["type"])

    def detail(self, name: str) -> Any:
        """Return a detail of the proposed state."""
        return (self.proposed.get("state_details") or {}).get(name)


# -- rows --------------------------------------------------------------------------------------------------------------


def new_state(view: View, fields: Row, **details: Any) -> Row:
    """Return the row of a state.

    Args:
        view: whose clock gives the timestamp.
        fields: what the client sent, at least ``type``.
        details: state details that outrank those of the client, such as ``flow_run_id``.
    """
    given = {key: value for key, value in (fields.get("state_details") or {}).items() if value is not None}
    for name in _TIMES.intersection(given):
        if not isinstance(given[name], str):
            given[name] = time_text(parse_time(given[name]))
    state = {
        "id": str(uuid.uuid4()),
        "type": fields["type"],
        "name": fields.get("name") or fields["type"].capitalize(),
        "timestamp": fields.get("timestamp") or time_text(view.now()),
        "message": fields.get("message"),
        "data": fields.get("data"),
        "state_details": {**_DETAILS, **given, **details},
    }
    if view.legacy:
        state["state_details"].pop("deferred")  # came with Prefect 3
    if state["type"] == "SCHEDULED" and state["state_details"]["scheduled_time"] is None:
        state["state_details"]["scheduled_time"] = state["timestamp"]
    return state


def present_state(row: Row) -> Row:
    """Return a state as the API shows it on its own: the times and the owner of its row are not part of it."""
    return {key: value for key, value in row.items() if key not in ("created", "updated", "run_id")}


def scheduled_time(state: Optional[Row]) -> Optional[str]:
    """Return when a scheduled state wants its run to start; None for other states."""
    if state is None or state["type"] != "SCHEDULED":
        return None
    start: Optional[str] = state["state_details"].get("scheduled_time")
    return start


def run_fields(run: Row, state: Row) -> Row:
    """Return the fields of a run that change with a new state: times, counts and the state itself."""
    before: Row = run.get("state") or {}
    changes: Row = {
        "state": state,
        "state_id": state["id"],
        "state_type": state["type"],
        "state_name": state["name"],
        "next_scheduled_start_time": scheduled_time(state),
    }
    if run.get("expected_start_time") is None:
        changes["expected_start_time"] = scheduled_time(state) or state["timestamp"]
    if before.get("type") == "RUNNING":
        ran = parse_time(state["timestamp"]) - parse_time(before["timestamp"])
        changes["total_run_time"] = (run.get("total_run_time") or 0.0) + ran.total_seconds()
    if state["type"] == "RUNNING":
        resumes = (run.get("empirical_policy") or {}).get("resuming")  # a suspended run goes on
        changes["run_count"] = (run.get("run_count") or 0) + (not resumes)
        if run.get("start_time") is None:
            changes["start_time"] = state["timestamp"]
    changes["end_time"] = state["timestamp"] if state["type"] in FINAL else None
    return changes


def store_result(view: View, kind: str, run: Row) -> None:
    """Store the data of a new state as an artifact, as the server does with results, apart from those not persisted.

    Args:
        view: whose run it is.
        kind: ``flow_run`` or ``task_run``.
        run: with its new state.
    """
    state: Row = run["state"]
    data = state["data"]
    if data is None:
        return
    if isinstance(data, dict) and data.get("type") == "unpersisted":
        run["state"] = {**state, "data": None}
        states = view.flow_run_states if kind == "flow_run" else view.task_run_states
        states.update(states.require(state["id"]), {"data": None})
        return
    labels = {name: data.pop(f"artifact_{name}", None) if isinstance(data, dict) else None for name in _LABELS}
    flow_run_id = run["id"] if kind == "flow_run" else run.get("flow_run_id")
    task_run_id = run["id"] if kind == "task_run" else None
    owner = {"flow_run_id": flow_run_id, "task_run_id": task_run_id}
    view.artifacts.insert({**labels, "data": data, "metadata_": None, **owner})


def end_fields(run: Row, state: Row, release: Release) -> Row:
    """Return the times of a run that enters or leaves a final state by a proposal.

    A run that has never started gets no end before 3.6; from then on, it starts when it ends.
    """
    end = state["timestamp"]
    if state["type"] not in FINAL:
        return {"end_time": None}
    if run.get("end_time") is not None:
        return {"end_time": run["end_time"]}
    if run.get("start_time") is not None:
        return {"end_time": end}
    return {"end_time": None} if release < STARTED_AT_END_SINCE else {"start_time": end, "end_time": end}


def present_times(run: Row, view: View) -> Row:
    """Return the estimates that the API adds to a run when it is read."""
    total = run.get("total_run_time") or 0.0
    state = run.get("state") or {}
    now = view.now()
    running = state.get("type") == "RUNNING"
    estimate = total + (now - parse_time(state["timestamp"])).total_seconds() if running else total
    expected, start, delay = run.get("expected_start_time"), run.get("start_time"), 0.0
    if expected and (start or state.get("type") not in FINAL | {"SCHEDULED"}):
        delay = max(0.0, ((parse_time(start) if start else now) - parse_time(expected)).total_seconds())
    return {"total_run_time": total, "estimated_run_time": estimate, "estimated_start_time_delta": delay}


# -- events ------------------------------------------------------------------------------------------------------------


def flow_run_event(view: View, run: Row, before: Optional[Row], state: Row) -> Row:
    """Return the event ``prefect.flow-run.NAME`` of a run's new state."""
    return {
        "id": str(uuid.uuid4()),
        "occurred": state["timestamp"],
        "received": time_text(view.now()),
        "event": f"prefect.flow-run.{state['name']}",
        "resource": {
            "prefect.resource.id": f"prefect.flow-run.{run['id']}",
            "prefect.resource.name": run["name"],
            "prefect.run-count": str(run.get("run_count", 0)),
            "prefect.state-message": state["message"] or "",
            "prefect.state-name": state["name"],
            "prefect.state-timestamp": state["timestamp"],
            "prefect.state-type": state["type"],
        },
        "related": list(_related(view, run)),
        "payload": {
            "intended": {"from": before and before["type"], "to": state["type"]},
            "initial_state": before and _short(before),
            "validated_state": _short(state),
        },
        "follows": None,
    }


def _short(state: Row) -> Row:
    message = {"message": state["message"]} if state["message"] else {}
    return {"type": state["type"], "name": state["name"], **message}


def _related(view: View, run: Row) -> Iterator[Row]:
    flow, deployment = view.flows.get(run.get("flow_id")), view.deployments.get(run.get("deployment_id"))
    queue = view.work_queues.get(run.get("work_queue_id"))
    pool = view.work_pools.get(queue["work_pool_id"]) if queue else None
    parent = view.task_runs.get(run.get("parent_task_run_id"))
    rows = {"flow": flow, "deployment": deployment, "work-queue": queue, "work-pool": pool, "task-run": parent}
    for role, row in rows.items():
        if row is not None:
            named = {"prefect.resource.role": role, "prefect.resource.name": row["name"]}
            yield {"prefect.resource.id": f"prefect.{role}.{row['id']}", **named}
    for tag in run.get("tags") or ():
        yield {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
