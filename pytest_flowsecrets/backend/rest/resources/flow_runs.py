"""Flow runs, their states and inputs."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, List

from pytest_flowsecrets.backend.rest.call import Reply, Route, page
from pytest_flowsecrets.backend.rest.errors import CONFLICT, ApiError, NotFoundError, canonical_id
from pytest_flowsecrets.backend.rest.rules import filters, orchestration, pauses
from pytest_flowsecrets.backend.rest.rules.filters import sort_rows
from pytest_flowsecrets.backend.rest.rules.orchestration import answer_proposal
from pytest_flowsecrets.backend.rest.rules.schemas import InvalidValueError
from pytest_flowsecrets.backend.rest.rules.states import ABORT, ACCEPT, REJECT, Verdict, present_state, present_times

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

_CREATED = (
    "name",
    "flow_id",
    "flow_version",
    "deployment_id",
    "parameters",
    "context",
    "parent_task_run_id",
    "empirical_policy",
    "tags",
    "labels",
    "idempotency_key",
    "work_queue_name",
    "job_variables",
    "infrastructure_document_id",
)
_UPDATED = ("name", "flow_version", "parameters", "empirical_policy", "tags", "infrastructure_pid", "job_variables")
# Names of two words, as Prefect chooses them.
_ADJECTIVES = ("agile", "bold", "clever", "deft", "early", "frank", "glad", "humble", "lively", "neat", "swift")
_ANIMALS = ("bison", "cricket", "dingo", "egret", "ferret", "gopher", "hare", "lynx", "mole", "puffin", "seal", "wren")
_random = random.Random()  # noqa: S311 - not a secret; separate, so it neither uses nor advances a test's seed


def create(call: Call) -> Reply:
    """Create a flow run, or return the one with the same flow and idempotency key."""
    view, fields = call.view, {key: value for key, value in call.sent(*_CREATED).items() if value is not None}
    fields.update({key: canonical_id(fields[key]) for key in ("flow_id", "deployment_id") if key in fields})
    if view.flows.get(fields["flow_id"]) is None:
        raise ApiError(409, CONFLICT)
    key = fields.get("idempotency_key")
    known = view.flow_runs.first(idempotency_key=key, flow_id=fields["flow_id"]) if key is not None else None
    if known is not None:
        return Reply(200, present(view, known))
    if key is not None:
        fields.setdefault("job_variables", None)
    return Reply(201, present(view, insert(view, fields, call.fields.get("state") or {"type": "PENDING"})))


def insert(view: View, fields: Row, state: Row) -> Row:
    """Add a flow run with its first state, which no rule checks.

    Raises:
        ApiError: 409, the task run that represents it in its parent does not exist.
    """
    if fields.get("parent_task_run_id") is not None:
        fields = {**fields, "parent_task_run_id": canonical_id(fields["parent_task_run_id"])}
        if view.task_runs.get(fields["parent_task_run_id"]) is None:
            raise ApiError(409, CONFLICT)
    row: Row = {
        "name": f"{_random.choice(_ADJECTIVES)}-{_random.choice(_ANIMALS)}",
        "parameters": {},
        "context": {},
        "tags": [],
        "run_count": 0,
        "auto_scheduled": False,
        "total_run_time": 0.0,
        "job_variables": {},
        **fields,
        "empirical_policy": _policy(fields.get("empirical_policy") or {}),
        "labels": {
            **(view.flows.require(fields["flow_id"]).get("labels") or {}),
            "prefect.flow.id": fields["flow_id"],
            **_deployment_label(fields),
            **(fields.get("labels") or {}),
        },
    }
    run = view.flow_runs.insert(row)
    orchestration.set_state(view, "flow_run", run, state)
    return run


def _deployment_label(fields: Row) -> Row:
    return {"prefect.deployment.id": fields["deployment_id"]} if fields.get("deployment_id") else {}


def _policy(fields: Row) -> Row:
    retries = fields.get("retries")
    retries = fields.get("max_retries") if retries is None else retries
    delay = fields.get("retry_delay")
    delay = fields.get("retry_delay_seconds") if delay is None else delay
    return {"pause_keys": [], "resuming": False, **fields, "retries": retries, "retry_delay": delay}


def present(view: View, run: Row) -> Row:
    """Return a flow run as the API shows it: without empty fields, with its estimates and its work pool."""
    shown: Row = {"work_pool_id": None}  # clients of 3.0 want the key
    shown.update((key, value) for key, value in run.items() if value is not None)
    if not view.has_labels:
        shown.pop("labels", None)
    queue = view.work_queues.get(run.get("work_queue_id"))
    if queue is not None:
        pool = view.work_pools.require(queue["work_pool_id"])
        shown.update(work_queue_name=queue["name"], work_pool_id=pool["id"], work_pool_name=pool["name"])
    return {**shown, **present_times(run, view)}


def read(call: Call) -> Row:
    """Return a flow run."""
    return present(call.view, call.view.flow_runs.require(call.id))


def update(call: Call) -> None:
    """Change fields of a flow run."""
    row = call.view.flow_runs.require(call.id)
    changes = {key: value for key, value in call.sent(*_UPDATED).items() if value is not None}
    if "empirical_policy" in changes:
        changes["empirical_policy"] = _policy(changes["empirical_policy"])
    call.view.flow_runs.update(row, changes)


def update_labels(call: Call) -> None:
    """Merge labels into those of a flow run."""
    row = call.view.flow_runs.require(call.id)
    call.view.flow_runs.update(row, {"labels": {**row.get("labels", {}), **call.fields}})


def delete(call: Call) -> None:
    """Remove a flow run."""
    remove(call.view, call.view.flow_runs.require(call.id))


def remove(view: View, run: Row) -> None:
    """Remove a flow run with its states, inputs, task runs and logs."""
    view.flow_runs.delete(run["id"])
    for table, owner in (
        (view.flow_run_states, "run_id"),
        (view.flow_run_inputs, "flow_run_id"),
        (view.task_runs, "flow_run_id"),
        (view.logs, "flow_run_id"),
    ):
        for row in table.where(**{owner: run["id"]}):
            table.delete(row["id"])


def select(call: Call) -> List[Row]:
    """Return the flow runs that fit."""
    rows = sort_rows(filters.select(call, "flow_runs"), call.fields.get("sort"))
    return [present(call.view, row) for row in page(call, rows)]


def count(call: Call) -> int:
    """Return how many flow runs fit."""
    return len(filters.select(call, "flow_runs"))


# -- states ------------------------------------------------------------------------------------------------------------


def set_state(call: Call) -> Reply:
    """Propose a state."""
    return answer_proposal(call, "flow_run", call.view.flow_runs)


def resume(call: Call) -> Reply:
    """Let a paused run go on, with the input that it asked for."""
    view = call.view
    run = view.flow_runs.require(call.id)
    state: Row = run.get("state") or {}
    if state.get("type") != "PAUSED":
        abort = Verdict(ABORT, "Cannot resume a flow run that is not paused.")
        return Reply(200, {**orchestration.result(run, abort), "state": None})
    details = state["state_details"]
    keyset = details.get("run_input_keyset")
    try:
        answer = pauses.checked_input(view, run, keyset, call.fields.get("run_input")) if keyset else None
    except InvalidValueError as error:
        details = {"type": "abort_details", "reason": str(error)}
        return Reply(200, {"state": state, "status": REJECT, "details": details})
    proposed = {"type": "SCHEDULED", "name": "Resuming"} if details.get("pause_reschedule") else {"type": "RUNNING"}
    verdict = orchestration.propose(view, "flow_run", run, proposed)
    if answer and verdict.status == ACCEPT:
        text = json.dumps(answer, separators=(",", ":"), ensure_ascii=False)
        row = {"flow_run_id": run["id"], "key": keyset["response"], "value": text, "sender": None}
        view.flow_run_inputs.insert(row)
    return Reply(200 if run["state"] is state else 201, orchestration.result(run, verdict))


def read_state(call: Call) -> Row:
    """Return a state by its id."""
    return present_state(call.view.flow_run_states.require(call.id))


def read_states(call: Call) -> List[Row]:
    """Return the states that a flow run had, oldest first."""
    rows = call.view.flow_run_states.where(run_id=canonical_id(call.query.get("flow_run_id", "")))
    return [present_state(row) for row in rows]


# -- inputs ------------------------------------------------------------------------------------------------------------


def create_input(call: Call) -> None:
    """Store an input under a key."""
    run = call.view.flow_runs.get(call.id)
    if run is None:
        raise NotFoundError("Flow run not found")
    fields = {"sender": None, **call.sent("key", "value", "sender"), "flow_run_id": run["id"]}
    if call.view.flow_run_inputs.first(flow_run_id=run["id"], key=fields["key"]):
        raise ApiError(409, "A flow run input with this key already exists.")
    call.view.flow_run_inputs.insert(fields)


def read_input(call: Call) -> Any:
    """Return the value of an input: the text as it was stored."""
    return _input(call)["value"].encode()


def delete_input(call: Call) -> None:
    """Remove an input."""
    call.view.flow_run_inputs.delete(_input(call)["id"])


def select_inputs(call: Call) -> List[Row]:
    """Return the inputs whose keys begin with a prefix."""
    excluded = set(call.fields.get("exclude_keys") or ())
    rows = [
        row
        for row in call.view.flow_run_inputs.where(flow_run_id=call.id)
        if row["key"].startswith(call.fields["prefix"]) and row["key"] not in excluded
    ]
    return rows[: call.fields.get("limit") or 1]


def _input(call: Call) -> Row:
    row = call.view.flow_run_inputs.first(flow_run_id=call.id, key=call.path["key"])
    if row is None:
        raise NotFoundError("Flow run input not found")
    return row


ROUTES = (
    Route("POST", "/flow_runs/", create, 201),
    Route("POST", "/flow_runs/filter", select),
    Route("POST", "/flow_runs/count", count),
    Route("GET", "/flow_runs/{id}", read),
    Route("PATCH", "/flow_runs/{id}", update, 204),
    Route("DELETE", "/flow_runs/{id}", delete, 204),
    Route("PATCH", "/flow_runs/{id}/labels", update_labels, 204),
    Route("POST", "/flow_runs/{id}/set_state", set_state, 201),
    Route("POST", "/flow_runs/{id}/resume", resume, 201),
    Route("POST", "/flow_runs/{id}/input", create_input, 201),
    Route("POST", "/flow_runs/{id}/input/filter", select_inputs),
    Route("GET", "/flow_runs/{id}/input/{key}", read_input),
    Route("DELETE", "/flow_runs/{id}/input/{key}", delete_input, 204),
    Route("GET", "/flow_run_states/", read_states),
    Route("GET", "/flow_run_states/{id}", read_state),
)
