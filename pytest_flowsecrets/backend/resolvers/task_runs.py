"""Task runs: found or created, states, heartbeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.client_errors import BadInput
from pytest_flowsecrets.backend.records import states
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation, query

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import Call


@query
def get_task_run_info(call: Call, *, task_run_id: str) -> Any:
    """What a task runner asks for when another one has been faster."""
    return call.must("task_run", task_run_id)


@mutation
def get_or_create_task_run(call: Call, given: Mapping[str, Any]) -> Any:
    """The run of a task, or of one of its mapped children, as clients up to 0.12 ask for it."""
    run = _found(call, given)
    return {"id": run["id"], "task_run": run}


@mutation
def get_or_create_task_run_info(call: Call, given: Mapping[str, Any]) -> Any:
    """The same, without the task."""
    return _found(call, given)


@mutation
def set_task_run_name(call: Call, given: Mapping[str, Any]) -> Any:
    """From ``task_run_name=``."""
    call.store.change("task_run", call.must("task_run", given["task_run_id"])["id"], name=given["name"])
    return SUCCESS


@mutation
def set_task_run_states(call: Call, given: Mapping[str, Any]) -> Any:
    """All of them, or none."""
    return {"states": [set_task_run_state(call, entry) for entry in given["states"]]}


@mutation
def set_task_run_state(call: Call, given: Mapping[str, Any]) -> Any:
    """One, as clients up to 0.5 send it."""
    run = call.must("task_run", given["task_run_id"])
    run = states.set_state(call.store, "task_run", run, given["state"], given.get("version"))
    return {"id": run["id"], "status": "SUCCESS", "message": None}


@mutation
def update_task_run_heartbeat(call: Call, given: Mapping[str, Any]) -> Any:
    """It is alive; clients up to 0.13 say so for each task."""
    call.store.change("task_run", call.must("task_run", given["task_run_id"])["id"], heartbeat=call.now)
    return SUCCESS


def _found(call: Call, given: Mapping[str, Any]) -> Row:
    flow_run, task = call.must("flow_run", given["flow_run_id"]), call.must("task", given["task_id"])
    if task["flow_id"] != flow_run["flow_id"]:
        raise BadInput("the task belongs to another flow")
    index = -1 if given.get("map_index") is None else given["map_index"]
    slot = states.slot(flow_run["id"], task["id"], index)
    for run in call.store.linked("task_run", "slot", slot):
        return run
    return states.add_task_run(call.store, flow_run, task, index)
