"""Deployments and their schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional

from pytest_flowsecrets.backend.rest.call import Reply, Route, page
from pytest_flowsecrets.backend.rest.errors import CONFLICT, ApiError, NotFoundError, ValidationError, canonical_id
from pytest_flowsecrets.backend.rest.resources import flow_runs, work_pools
from pytest_flowsecrets.backend.rest.rules import filters, slots
from pytest_flowsecrets.backend.rest.rules.filters import due_runs, sort_rows
from pytest_flowsecrets.backend.rest.rules.schemas import InvalidValueError, rendered, schema_problem
from pytest_flowsecrets.backend.rest.store.table import parse_time

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

_FIELDS = (
    "name",
    "version",
    "description",
    "flow_id",
    "paused",
    "concurrency_options",
    "job_variables",
    "infra_overrides",
    "parameters",
    "tags",
    "labels",
    "parameter_openapi_schema",
    "path",
    "pull_steps",
    "entrypoint",
    "manifest_path",
    "storage_document_id",
    "infrastructure_document_id",
    "enforce_parameter_schema",
    "work_queue_name",
    "work_pool_name",
)
NO_NULL_SCHEMA_SINCE = (3, 4, 0)  # a deployment without a schema of its parameters has an empty one
_HIDDEN = frozenset({"work_pool_name", "work_queue_name", "concurrency_limit_id", "infra_overrides"})
_SCHEDULE_FIELDS = (
    "schedule",
    "active",
    "max_active_runs",
    "max_scheduled_runs",
    "catchup",
    "parameters",
    "slug",
    "replaces",
)


def create(call: Call) -> Reply:
    """Create a deployment, or replace the one of the same flow and name."""
    view, fields = call.view, call.sent(*_FIELDS)
    problem = _parameters_problem({"enforce_parameter_schema": not view.legacy, **fields}, fields.get("parameters"))
    if problem is not None:
        raise ValidationError("value_error", ("body",), f"Value error, {problem}")
    fields["flow_id"] = canonical_id(fields["flow_id"])
    if view.flows.get(fields["flow_id"]) is None:
        raise ApiError(409, CONFLICT)
    _normalize(call, fields)
    row = view.deployments.first(flow_id=fields["flow_id"], name=fields["name"])
    status = 201 if row is None else 200
    defaults: Row = {
        "paused": False,
        "job_variables": {},
        "parameters": {},
        "tags": [],
        "parameter_openapi_schema": {} if view.release >= NO_NULL_SCHEMA_SINCE else None,
        "pull_steps": None if view.legacy else [],
        "enforce_parameter_schema": not view.legacy,
        "status": "NOT_READY",
    }
    unset = dict.fromkeys(name for name in _FIELDS if name not in _HIDDEN)  # replacing resets what is not sent
    fields = {**unset, **defaults, **{key: value for key, value in fields.items() if value is not None}}
    parent = view.flows.require(fields["flow_id"])
    fields["labels"] = {
        **(parent.get("labels") or {}),
        "prefect.flow.id": parent["id"],
        **(fields.get("labels") or {}),
    }
    if row is None:
        row = view.deployments.insert(fields)
    else:
        view.deployments.update(row, fields)
        for schedule in view.schedules.where(deployment_id=row["id"]):
            view.schedules.delete(schedule["id"])
    _set_limit(call, row)
    _add_schedules(view, row, call.fields.get("schedules") or ())
    return Reply(status, present(view, row))


def _normalize(call: Call, fields: Row) -> None:
    if fields.get("infra_overrides") is not None:
        fields["job_variables"] = fields.pop("infra_overrides")
    fields.pop("infra_overrides", None)
    pool, queue = fields.pop("work_pool_name", None), fields.pop("work_queue_name", None)
    if pool is not None:
        fields["work_queue_id"] = work_pools.queue_for(call.view, pool, queue)["id"]
    elif queue is not None:
        fields["work_queue_id"] = work_pools.queue_for(call.view, work_pools.DEFAULT_POOL, queue)["id"]


def _set_limit(call: Call, row: Row) -> None:
    if "concurrency_limit" not in call.fields:
        return
    view, limit = call.view, call.fields["concurrency_limit"]
    known = view.limits.get(row.get("concurrency_limit_id"))
    if known is not None:
        view.limits.delete(known["id"])
        row["concurrency_limit_id"] = None
    if limit is not None:
        fields = {"name": f"deployment:{row['id']}", "limit": limit, "active": True, "active_slots": 0}
        created = view.limits.insert(
            {**fields, "slot_decay_per_second": 0.0, "holders": known["holders"] if known else []}
        )
        row["concurrency_limit_id"] = created["id"]


def present(view: View, row: Row) -> Row:
    """Return a deployment as the API shows it: without empty fields, with schedules, pool, queue and limit."""
    shown = {key: value for key, value in row.items() if value is not None and key not in _HIDDEN}
    shown["schedules"] = _schedules(view, row)
    if view.legacy:
        shown["infra_overrides"] = shown.pop("job_variables", {})
        shown["schedule"] = shown["schedules"][0]["schedule"] if shown["schedules"] else None
    queue = view.work_queues.get(row.get("work_queue_id"))
    if queue is not None:
        pool = view.work_pools.require(queue["work_pool_id"])
        shown.update(work_queue_name=queue["name"], work_pool_name=pool["name"])
    limit = view.limits.get(row.get("concurrency_limit_id"))
    if limit is not None:
        shown["global_concurrency_limit"] = slots.present(view, limit)
    return shown


def read(call: Call) -> Row:
    """Return a deployment by its id."""
    return present(call.view, call.view.deployments.require(call.id))


def read_by_name(call: Call) -> Row:
    """Return a deployment by the names of its flow and its own."""
    flow = call.view.flows.first(name=call.path["flow_name"])
    row = call.view.deployments.first(flow_id=flow["id"], name=call.path["deployment_name"]) if flow else None
    if row is None:
        raise NotFoundError("Deployment not found")
    return present(call.view, row)


def update(call: Call) -> None:
    """Change fields of a deployment."""
    row = call.view.deployments.get(call.id)
    if row is None:
        raise NotFoundError("Deployment not found.")
    changes = call.sent(*(name for name in _FIELDS if name not in ("name", "flow_id")))
    problem = None if call.view.legacy else _parameters_problem({**row, **changes}, changes.get("parameters"))
    if problem is not None:
        raise ApiError(409, f"Error updating deployment: {problem}")
    _normalize(call, changes)
    call.view.deployments.update(row, changes)
    _set_limit(call, row)
    if call.fields.get("schedules") is not None:
        for schedule in call.view.schedules.where(deployment_id=row["id"]):
            call.view.schedules.delete(schedule["id"])
        _add_schedules(call.view, row, call.fields["schedules"])


def _parameters_problem(deployment: Row, parameters: Optional[Row]) -> Optional[str]:
    """Return what is wrong with the default parameters of a deployment; it may leave out required ones."""
    schema = deployment.get("parameter_openapi_schema")
    if not (deployment.get("enforce_parameter_schema") and schema and parameters):
        return None
    return schema_problem(schema, parameters, ignore_required=True)


def delete(call: Call) -> None:
    """Remove a deployment."""
    remove(call.view, call.view.deployments.require(call.id))


def remove(view: View, row: Row) -> None:
    """Remove a deployment with its schedules and the runs that wait for their time."""
    view.deployments.delete(row["id"])
    for schedule in view.schedules.where(deployment_id=row["id"]):
        view.schedules.delete(schedule["id"])
    for run in view.flow_runs.where(deployment_id=row["id"]):
        if run.get("state_type") == "SCHEDULED":
            flow_runs.remove(view, run)


def select(call: Call) -> List[Row]:
    """Return the deployments that fit."""
    rows = sort_rows(filters.select(call, "deployments"), call.fields.get("sort"), "NAME_ASC")
    return [present(call.view, row) for row in page(call, rows)]


def count(call: Call) -> int:
    """Return how many deployments fit."""
    return len(filters.select(call, "deployments"))


def pause(call: Call) -> None:
    """Pause a deployment."""
    call.view.deployments.update(call.view.deployments.require(call.id), {"paused": True})


def resume(call: Call) -> None:
    """Let a paused deployment go on."""
    call.view.deployments.update(call.view.deployments.require(call.id), {"paused": False})


# -- runs --------------------------------------------------------------------------------------------------------------


def create_flow_run(call: Call) -> Reply:
    """Create a run of a deployment: its defaults, and what the request says."""
    view, fields = call.view, call.fields
    row = view.deployments.require(call.id)
    try:
        parameters = rendered({**(row.get("parameters") or {}), **(fields.get("parameters") or {})}, view)
    except InvalidValueError as error:
        raise ApiError(400, f"Error hydrating flow run parameters: {error}") from None
    enforced = fields.get("enforce_parameter_schema")
    if row.get("enforce_parameter_schema") if enforced is None else enforced:
        problem = schema_problem(row.get("parameter_openapi_schema") or {}, parameters)
        if problem is not None:
            raise ApiError(409, f"Error creating flow run: {problem}")
    key = fields.get("idempotency_key")
    known = view.flow_runs.first(idempotency_key=key, flow_id=row["flow_id"]) if key is not None else None
    if known is not None:
        return Reply(200, flow_runs.present(view, known))
    run = {
        key: fields[key]
        for key in ("name", "context", "idempotency_key", "parent_task_run_id", "job_variables")
        if fields.get(key) is not None
    }
    run.update(
        flow_id=row["flow_id"],
        deployment_id=row["id"],
        deployment_version=row.get("version"),
        parameters=parameters,
        tags=sorted({*(row.get("tags") or ()), *(fields.get("tags") or ())}),
        work_queue_id=_queue_id(call, row),
        empirical_policy=fields.get("empirical_policy") or {},
        labels={**(row.get("labels") or {}), **(fields.get("labels") or {})},
    )
    state = fields.get("state") or {"type": "SCHEDULED", "name": "Scheduled"}
    return Reply(201, flow_runs.present(view, flow_runs.insert(view, run, state)))


def _queue_id(call: Call, row: Row) -> Optional[str]:
    name = call.fields.get("work_queue_name")
    queue = call.view.work_queues.get(row.get("work_queue_id"))
    if name is not None and queue is not None:
        pool = call.view.work_pools.require(queue["work_pool_id"])
        queue = work_pools.queue_for(call.view, pool["name"], name)
    return queue["id"] if queue else None


def scheduled_flow_runs(call: Call) -> List[Row]:
    """Return the runs of deployments that are due, by their time."""
    ids = {canonical_id(each) for each in call.fields["deployment_ids"]}
    for deployment_id in ids:
        row = call.view.deployments.get(deployment_id)
        if row is not None:
            call.view.deployments.update(row, {"status": "READY", "last_polled": row["updated"]})
    rows = [row for row in call.view.flow_runs if row.get("deployment_id") in ids]
    return [flow_runs.present(call.view, row) for row in page(call, due_runs(call.view, rows, call.fields))]


# -- schedules ---------------------------------------------------------------------------------------------------------


def create_schedules(call: Call) -> List[Row]:
    """Add schedules to a deployment."""
    row = call.view.deployments.require(call.id)
    return [_present_schedule(each) for each in _add_schedules(call.view, row, call.body)]


def read_schedules(call: Call) -> List[Row]:
    """Return the schedules of a deployment."""
    row = call.view.deployments.require(call.id)
    return _schedules(call.view, row)


def _schedules(view: View, deployment: Row) -> List[Row]:
    """Return the schedules of a deployment as the API shows them: the one that changed last comes first."""
    rows = reversed(view.schedules.where(deployment_id=deployment["id"]))
    return [_present_schedule(each) for each in sorted(rows, key=lambda row: parse_time(row["updated"]), reverse=True)]


def update_schedule(call: Call) -> None:
    """Change a schedule of a deployment."""
    call.view.schedules.update(_schedule(call), call.sent(*_SCHEDULE_FIELDS))


def delete_schedule(call: Call) -> None:
    """Remove a schedule of a deployment."""
    call.view.schedules.delete(_schedule(call)["id"])


def _schedule(call: Call) -> Row:
    deployment = call.view.deployments.require(call.id)
    row = call.view.schedules.get(canonical_id(call.path["schedule_id"]))
    if row is None or row["deployment_id"] != deployment["id"]:
        raise NotFoundError("Schedule not found.")
    return row


def _add_schedules(view: View, deployment: Row, schedules: Any) -> List[Row]:
    rows = []
    for fields in schedules:
        known = {key: fields[key] for key in _SCHEDULE_FIELDS if fields.get(key) is not None}
        rows.append(view.schedules.insert({"active": True, **known, "deployment_id": deployment["id"]}))
    return rows


def _present_schedule(row: Row) -> Row:
    shown = {key: value for key, value in row.items() if value is not None}
    if "interval" in shown["schedule"]:
        shown["schedule"] = {**shown["schedule"], "timezone": shown["schedule"].get("timezone") or "UTC"}
    return shown


ROUTES = (
    Route("POST", "/deployments/", create, 201),
    Route("POST", "/deployments/filter", select),
    Route("POST", "/deployments/count", count),
    Route("POST", "/deployments/get_scheduled_flow_runs", scheduled_flow_runs),
    Route("GET", "/deployments/name/{flow_name}/{deployment_name}", read_by_name),
    Route("GET", "/deployments/{id}", read),
    Route("PATCH", "/deployments/{id}", update, 204),
    Route("DELETE", "/deployments/{id}", delete, 204),
    Route("POST", "/deployments/{id}/create_flow_run", create_flow_run, 201),
    Route("POST", "/deployments/{id}/pause_deployment", pause),
    Route("POST", "/deployments/{id}/resume_deployment", resume),
    Route("POST", "/deployments/{id}/set_schedule_active", resume),
    Route("POST", "/deployments/{id}/set_schedule_inactive", pause),
    Route("GET", "/deployments/{id}/schedules", read_schedules),
    Route("POST", "/deployments/{id}/schedules", create_schedules, 201),
    Route("PATCH", "/deployments/{id}/schedules/{schedule_id}", update_schedule, 204),
    Route("DELETE", "/deployments/{id}/schedules/{schedule_id}", delete_schedule, 204),
)
