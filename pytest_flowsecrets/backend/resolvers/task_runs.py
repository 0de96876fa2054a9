"""Task runs: creation, states, heartbeats, artifacts, and the logs of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.messages import BadInput
from pytest_flowsecrets.backend.records import states
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation, query

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import RequestContext

_ARTIFACTS = "task_run_artifact"


@query
def get_task_run_info(context: RequestContext, *, task_run_id: str) -> Any:
    """Return a task run; a task runner queries this after another one has set the state."""
    return context.get_or_error("task_run", task_run_id)


@mutation
def get_or_create_task_run(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Return the run of a task or of one of its mapped children, as clients up to 0.12 do."""
    run = _get_or_create(context, inputs)
    return {"id": run["id"], "task_run": run}


@mutation
def get_or_create_task_run_info(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Return the run of a task or of one of its mapped children, without the task."""
    return _get_or_create(context, inputs)


@mutation
def set_task_run_name(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Rename a task run; clients send the task's ``task_run_name``."""
    context.store.change("task_run", context.get_or_error("task_run", inputs["task_run_id"])["id"], name=inputs["name"])
    return SUCCESS


@mutation
def set_task_run_states(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Set the states of several task runs: all of them, or none."""
    return {"states": [set_task_run_state(context, entry) for entry in inputs["states"]]}


@mutation
def set_task_run_state(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Set the state of one task run, as clients up to 0.5 do."""
    run = context.get_or_error("task_run", inputs["task_run_id"])
    run = states.set_state(context.store, "task_run", run, inputs["state"], inputs.get("version"))
    return {"id": run["id"], "status": "SUCCESS", "message": None}


@mutation
def update_task_run_heartbeat(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Record a heartbeat of a task run; clients up to 0.13 send one for each task."""
    context.store.change(
        "task_run", context.get_or_error("task_run", inputs["task_run_id"])["id"], heartbeat=context.now
    )
    return SUCCESS


def _get_or_create(context: RequestContext, inputs: Mapping[str, Any]) -> Row:
    flow_run, task = (
        context.get_or_error("flow_run", inputs["flow_run_id"]),
        context.get_or_error("task", inputs["task_id"]),
    )
    if task["flow_id"] != flow_run["flow_id"]:
        raise BadInput("the task belongs to another flow")
    index = -1 if inputs.get("map_index") is None else inputs["map_index"]
    slot = states.slot(flow_run["id"], task["id"], index)
    for run in context.store.linked("task_run", "slot", slot):
        return run
    return states.add_task_run(context.store, flow_run, task, index)


# -- artifacts: links and Markdown -------------------------------------------------------------------------------------


@mutation
def create_task_run_artifact(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create an artifact of an existing task run."""
    run = context.get_or_error("task_run", inputs["task_run_id"])
    values = {"task_run_id": run["id"], "kind": inputs["kind"], "data": inputs["data"]}
    return context.store.add(_ARTIFACTS, tenant_id=run["tenant_id"], **values)


@mutation
def update_task_run_artifact(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Replace the data of an artifact."""
    artifact = context.get_or_error(_ARTIFACTS, inputs["task_run_artifact_id"])
    context.store.change(_ARTIFACTS, artifact["id"], data=inputs["data"])
    return SUCCESS


@mutation
def delete_task_run_artifact(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete an artifact."""
    context.store.remove(_ARTIFACTS, context.get_or_error(_ARTIFACTS, inputs["task_run_artifact_id"])["id"])
    return SUCCESS


# -- logs --------------------------------------------------------------------------------------------------------------


@mutation
def write_run_logs(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Add a batch of logs. Drop logs of runs that the caller cannot see, because the real API accepts them too."""
    for log in inputs["logs"]:
        task_run = context.row("task_run", log.get("task_run_id"))
        flow_run = context.row("flow_run", log.get("flow_run_id") or (task_run["flow_run_id"] if task_run else None))
        if flow_run is not None:
            context.store.add(
                "log",
                tenant_id=flow_run["tenant_id"],
                flow_run_id=flow_run["id"],
                task_run_id=task_run and task_run["id"],
                timestamp=log.get("timestamp") or context.now,
                name=log.get("name"),
                level=log.get("level") or "INFO",
                message=log.get("message"),
                info=log.get("info"),
            )
    return SUCCESS


@mutation
def write_run_log(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Add one log, as clients up to 0.6 do."""
    return write_run_logs(context, {"logs": [inputs]})
