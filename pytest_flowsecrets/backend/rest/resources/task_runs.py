"""Task runs: by REST from Prefect 2, by events from Prefect 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional

from pytest_flowsecrets.backend.rest.call import Reply, Route, page
from pytest_flowsecrets.backend.rest.errors import CONFLICT, ApiError, NotFoundError, canonical_id
from pytest_flowsecrets.backend.rest.rules import filters, orchestration
from pytest_flowsecrets.backend.rest.rules.filters import sort_rows
from pytest_flowsecrets.backend.rest.rules.orchestration import answer_proposal
from pytest_flowsecrets.backend.rest.rules.states import present_state, present_times, run_fields
from pytest_flowsecrets.backend.rest.store.table import parse_time

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

_EVENT = "prefect.task-run."
_CREATED = (
    "id",
    "name",
    "flow_run_id",
    "task_key",
    "dynamic_key",
    "cache_key",
    "cache_expiration",
    "task_version",
    "empirical_policy",
    "tags",
    "labels",
    "task_inputs",
)
_DEFAULTS: Row = {
    "tags": [],
    "labels": {},
    "task_inputs": {},
    "empirical_policy": {},
    "run_count": 0,
    "flow_run_run_count": 0,
    "total_run_time": 0.0,
}


def create(call: Call) -> Reply:
    """Create a task run, or return the one with the same flow run and keys."""
    view, fields = call.view, {key: value for key, value in call.sent(*_CREATED).items() if value is not None}
    fields.update({key: canonical_id(fields[key]) for key in ("id", "flow_run_id") if key in fields})
    if "flow_run_id" in fields and view.flow_runs.get(fields["flow_run_id"]) is None:
        raise ApiError(409, CONFLICT)
    keys = {name: fields.get(name) for name in ("flow_run_id", "task_key", "dynamic_key")}
    known = view.task_runs.first(**keys)
    if known is not None:
        return Reply(200, present(view, known))
    name = f"{fields.get('task_key', 'task').rpartition('.')[2]}-{fields.get('dynamic_key', '')}"
    fields["labels"] = {**_parent_labels(view, fields.get("flow_run_id")), **(fields.get("labels") or {})}
    run = view.task_runs.insert({**_DEFAULTS, "name": name, **fields})
    state = call.fields.get("state") or {"type": "PENDING"}
    orchestration.set_state(view, "task_run", run, state)  # no rule checks the first one
    return Reply(201, present(view, run))


def _parent_labels(view: View, flow_run_id: Optional[str]) -> Row:
    """Return the labels that a task run gets from its flow run."""
    run = view.flow_runs.get(flow_run_id)
    return {**(run.get("labels") or {}), "prefect.flow-run.id": run["id"]} if run else {}


def present(view: View, run: Row) -> Row:
    """Return a task run as the API shows it: without empty fields, with its estimates."""
    shown = {key: value for key, value in run.items() if value is not None}
    if not view.has_labels:
        shown.pop("labels", None)
    return {**shown, **present_times(run, view)}


def read(call: Call) -> Row:
    """Return a task run."""
    return present(call.view, call.view.task_runs.require(call.id))


def update(call: Call) -> None:
    """Rename a task run."""
    run = call.view.task_runs.get(call.id)
    if run is None:
        raise NotFoundError("Task run not found")
    call.view.task_runs.update(run, call.sent("name"))


def delete(call: Call) -> None:
    """Remove a task run."""
    call.view.task_runs.delete(call.id)


def select(call: Call) -> List[Row]:
    """Return the task runs that fit."""
    rows = sort_rows(filters.select(call, "task_runs"), call.fields.get("sort"))
    return [present(call.view, row) for row in page(call, rows)]


def count(call: Call) -> int:
    """Return how many task runs fit."""
    return len(filters.select(call, "task_runs"))


def set_state(call: Call) -> Reply:
    """Propose a state."""
    return answer_proposal(call, "task_run", call.view.task_runs)


def read_state(call: Call) -> Row:
    """Return a state by its id."""
    return present_state(call.view.task_run_states.require(call.id))


def read_states(call: Call) -> List[Row]:
    """Return the states that a task run had, oldest first."""
    rows = call.view.task_run_states.where(run_id=canonical_id(call.query.get("task_run_id", "")))
    return [present_state(row) for row in rows]


# -- events ------------------------------------------------------------------------------------------------------------


def record_event(view: View, event: Row) -> None:
    """Build the rows of a task run from an event of the client, as the real server's recorder does.

    Args:
        view: whose client sent it.
        event: any event; those that are not about a task run are ignored.
    """
    if not event.get("event", "").startswith(_EVENT) or "task_run" not in (event.get("payload") or {}):
        return
    payload = event["payload"]
    run_id = event["resource"]["prefect.resource.id"].rpartition(".")[2]
    run = view.task_runs.get(run_id) or view.task_runs.insert({**_DEFAULTS, "id": run_id})
    state = {**payload["validated_state"], "id": event["id"], "timestamp": event["occurred"]}
    details = state.get("state_details") or {}
    state["state_details"] = {**details, "task_run_id": run_id, "flow_run_id": _flow_run_id(event)}
    if view.task_run_states.get(event["id"]):
        return
    view.task_run_states.insert({**state, "run_id": run_id})
    known = {key: value for key, value in payload["task_run"].items() if value is not None}
    fields: Row = {"flow_run_id": _flow_run_id(event), **known}
    if _is_newer(run, state):
        fields.update({**run_fields(run, state), **known})
    else:
        fields = {key: value for key, value in fields.items() if run.get(key) is None}
    view.task_runs.update(run, fields)


def _flow_run_id(event: Row) -> Optional[str]:
    for related in event.get("related") or ():
        if related.get("prefect.resource.role") == "flow-run":
            return str(related["prefect.resource.id"]).rpartition(".")[2]
    return None


def _is_newer(run: Row, state: Row) -> bool:
    current = run.get("state")
    return current is None or parse_time(current["timestamp"]) <= parse_time(state["timestamp"])


ROUTES = (
    Route("POST", "/task_runs/", create, 201),
    Route("POST", "/task_runs/filter", select),
    Route("POST", "/task_runs/count", count),
    Route("GET", "/task_runs/{id}", read),
    Route("PATCH", "/task_runs/{id}", update, 204),
    Route("DELETE", "/task_runs/{id}", delete, 204),
    Route("POST", "/task_runs/{id}/set_state", set_state, 201),
    Route("GET", "/task_run_states/", read_states),
    Route("GET", "/task_run_states/{id}", read_state),
)
