"""Flows (registration, versions, schedules, heartbeats, Lazarus, version locking), and their projects and tenants.

The settings belong to a flow group, so all versions of a flow share them. Clients act on the heartbeat setting, and
``states`` implements version locking. There is no Lazarus process here.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from pytest_flowsecrets.backend.messages import ApiError
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation
from pytest_flowsecrets.backend.resolvers.flow_runs import add_scheduled_runs
from pytest_flowsecrets.backend.resolvers.registration import core_version, decompress, register, validate_flow

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import RequestContext

TAKEN = "Uniqueness violation."  # `Client.create_project` recognizes this text and uses the existing project

_DEFAULT_PROJECT = "default"  # the project of flows that are registered without one


@mutation
def create_flow(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create a new version of a flow and archive the older ones.

    If the newest version has the same idempotency key, return it instead.
    """
    serialized = validate_flow(inputs["serialized_flow"])
    project = _project(context, inputs.get("project_id"))
    older = _versions(context, project, serialized["name"], inputs.get("version_group_id"))
    if older and _is_repeated(older[-1], inputs.get("idempotency_key")):
        return older[-1]
    for flow in older:
        _archive(context, flow)
    flow = _add(context, project, serialized, {**inputs, **_next_version(older, inputs.get("version_group_id"))})
    register(context.store, flow, serialized.get("tasks") or [], serialized.get("edges") or [])
    add_scheduled_runs(context, flow)
    return flow


def _is_repeated(newest: Row, key: Optional[str]) -> bool:
    return key is not None and newest["idempotency_key"] == key and not newest["archived"]


def _next_version(older: List[Row], group_id: Optional[str]) -> Dict[str, Any]:
    if not older:
        return {"version": 1, "version_group_id": group_id or str(uuid.uuid4())}
    return {"version": older[-1]["version"] + 1, "version_group_id": group_id or older[-1]["version_group_id"]}


@mutation
def create_flow_from_compressed_string(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create a flow from JSON that Prefect compresses with gzip and encodes in base64."""
    return create_flow(context, {**inputs, "serialized_flow": decompress(inputs["serialized_flow"])})


@mutation
def register_tasks(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Register some of a flow's tasks. From 1.0 on, clients send them separately from the flow."""
    register(context.store, context.get_or_error("flow", inputs["flow_id"]), inputs["serialized_tasks"], [])
    return SUCCESS


@mutation
def register_edges(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Register some of a flow's edges. Clients send them after its tasks."""
    register(context.store, context.get_or_error("flow", inputs["flow_id"]), [], inputs["serialized_edges"])
    return SUCCESS


@mutation
def delete_flow(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete a flow with its tasks and runs, and its flow group if no other version is left."""
    flow = context.get_or_error("flow", inputs["flow_id"])
    context.store.remove("flow", flow["id"])
    if not context.store.linked("flow", "flow_group_id", flow["flow_group_id"]):
        context.store.remove("flow_group", flow["flow_group_id"])
    return SUCCESS


@mutation
def archive_flow(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Archive a flow: it is kept, but cannot run."""
    _archive(context, context.get_or_error("flow", inputs["flow_id"]))
    return SUCCESS


@mutation
def set_schedule_active(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Activate the schedule. A flow without a schedule is accepted, because every registration sends this."""
    return _set_schedule(context, inputs["flow_id"], active=True)


@mutation
def set_schedule_inactive(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Deactivate the schedule, and delete the runs that it has created and that have not started."""
    return _set_schedule(context, inputs["flow_id"], active=False)


@mutation
def set_flow_schedule_state(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Activate or deactivate the schedule, as clients of 0.5 do."""
    return _set_schedule(context, inputs["flow_id"], active=inputs["set_active"])


def _project(context: RequestContext, project_id: Optional[str]) -> Row:
    """Return the project with an id. Server up to 0.12 has no projects: there, one project holds all flows."""
    if project_id is not None or context.world.backend == "cloud":
        return context.get_or_error("project", project_id)
    projects = [row for row in context.rows("project") if row["name"] == _DEFAULT_PROJECT]
    return projects[0] if projects else context.store.add("project", tenant_id=context.tenant_id, name=_DEFAULT_PROJECT)


def _set_schedule(context: RequestContext, flow_id: str, *, active: bool) -> Any:
    flow = context.get_or_error("flow", flow_id)
    flow = context.store.change("flow", flow["id"], is_schedule_active=active, schedule_is_active=active)
    if active:
        add_scheduled_runs(context, flow)
    else:
        _unschedule(context, flow)
    return SUCCESS


def _archive(context: RequestContext, flow: Row) -> None:
    context.store.change("flow", flow["id"], archived=True, is_schedule_active=False, schedule_is_active=False)
    _unschedule(context, flow)


def _unschedule(context: RequestContext, flow: Row) -> None:
    for run in context.store.linked("flow_run", "flow_id", flow["id"]):
        if run["auto_scheduled"] and run["state"] == "Scheduled":
            context.store.remove("flow_run", run["id"])


def _versions(context: RequestContext, project: Row, name: str, group_id: Optional[str]) -> List[Row]:
    """Return the existing versions: of the group if it is named, else of the project's flows with this name."""
    if group_id is None:
        versions = [flow for flow in context.store.linked("flow", "project_id", project["id"]) if flow["name"] == name]
    else:
        flows = context.store.linked("flow", "tenant_id", project["tenant_id"])
        versions = [flow for flow in flows if flow["version_group_id"] == group_id]
    return sorted(versions, key=lambda flow: int(flow["version"]))


def _add(context: RequestContext, project: Row, serialized: Mapping[str, Any], inputs: Mapping[str, Any]) -> Row:
    tenant_id, group_id = project["tenant_id"], inputs["version_group_id"]
    groups = context.store.linked("flow_group", "tenant_id", tenant_id)
    group = next((row for row in groups if row["name"] == group_id), None)
    if group is None:
        group = context.store.add("flow_group", tenant_id=tenant_id, name=group_id, settings=DEFAULTS)
    active = bool(inputs.get("set_schedule_active")) and serialized.get("schedule") is not None
    return context.store.add(
        "flow",
        tenant_id=tenant_id,
        project_id=project["id"],
        flow_group_id=group["id"],
        version_group_id=group_id,
        version=inputs["version"],
        idempotency_key=inputs.get("idempotency_key"),
        name=serialized["name"],
        description=inputs.get("description"),
        archived=False,
        core_version=core_version(serialized),
        environment=serialized.get("environment"),
        parameters=serialized.get("parameters") or [],
        schedule=serialized.get("schedule"),
        is_schedule_active=active,
        schedule_is_active=active,
        serialized_flow=serialized,
        settings=group["settings"],
        storage=serialized.get("storage"),
        run_config=serialized.get("run_config"),
    )


# "Prefect Cloud's opt-in version locking mechanism" (documentation of Prefect 0.6 to 1.4).
DEFAULTS: Dict[str, bool] = {"heartbeat_enabled": True, "lazarus_enabled": True, "version_locking_enabled": False}


@mutation
def enable_flow_heartbeat(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Turn heartbeats of flow runs on, which is the default."""
    return _set(context, inputs, heartbeat_enabled=True)


@mutation
def disable_flow_heartbeat(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Turn heartbeats of flow runs off; they still send the first one."""
    return _set(context, inputs, heartbeat_enabled=False)


@mutation
def enable_flow_lazarus_process(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Turn the Lazarus setting on, which has no effect here."""
    return _set(context, inputs, lazarus_enabled=True)


@mutation
def disable_flow_lazarus_process(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Turn the Lazarus setting off, which has no effect here."""
    return _set(context, inputs, lazarus_enabled=False)


@mutation
def enable_flow_version_lock(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Turn version locking on: only a client that sends the current version of a run can change its state."""
    return _set(context, inputs, version_locking_enabled=True)


@mutation
def disable_flow_version_lock(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Turn version locking off: versions are counted, but not checked."""
    return _set(context, inputs, version_locking_enabled=False)


def _set(context: RequestContext, inputs: Mapping[str, Any], **setting: bool) -> Any:
    group_id = context.get_or_error("flow", inputs["flow_id"])["flow_group_id"]
    settings = {**context.get_or_error("flow_group", group_id)["settings"], **setting}
    context.store.change("flow_group", group_id, settings=settings)
    for flow in context.store.linked("flow", "flow_group_id", group_id):
        context.store.change("flow", flow["id"], settings=settings)
    return SUCCESS


# -- tenants and projects ----------------------------------------------------------------------------------------------


@mutation
def create_tenant(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create a tenant; only Server has this mutation."""
    tenant = context.store.add_tenant(inputs["name"], inputs.get("slug"))
    if sum(row["slug"] == tenant["slug"] for row in context.store.all("tenant")) > 1:
        raise ApiError(TAKEN)
    return tenant


@mutation
def create_project(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create a project. Its name is unique in its tenant, by default the caller's (clients up to 0.9 send none)."""
    tenant_id = context.tenant_of(inputs.get("tenant_id"))
    _require_free(context, tenant_id, inputs["name"])
    return context.store.add("project", tenant_id=tenant_id, name=inputs["name"], description=inputs.get("description"))


@mutation
def delete_project(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete a project with its flows and everything that belongs to them."""
    context.store.remove("project", context.get_or_error("project", inputs["project_id"])["id"])
    return SUCCESS


@mutation
def set_project_name(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Rename a project, unless another one has the name."""
    project = context.get_or_error("project", inputs["project_id"])
    if project["name"] != inputs["name"]:
        _require_free(context, project["tenant_id"], inputs["name"])
    return context.store.change("project", project["id"], name=inputs["name"])


@mutation
def set_project_description(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Set or clear the description of a project."""
    project = context.get_or_error("project", inputs["project_id"])
    return context.store.change("project", project["id"], description=inputs.get("description"))


def _require_free(context: RequestContext, tenant_id: str, name: str) -> None:
    if any(row["name"] == name for row in context.store.linked("project", "tenant_id", tenant_id)):
        raise ApiError(TAKEN)
