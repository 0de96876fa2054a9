"""Flows: registration, versions, schedules on and off."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, List, Mapping, Optional

from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation
from pytest_flowsecrets.backend.resolvers.flow_settings import DEFAULTS
from pytest_flowsecrets.backend.resolvers.registration import checked_flow, core_version, register, unpacked
from pytest_flowsecrets.backend.resolvers.scheduling import add_scheduled_runs

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import Call

_SERVERS = "default"  # the project of flows that are registered without one


@mutation
def create_flow(call: Call, given: Mapping[str, Any]) -> Any:
    """A new version of a flow, which archives the older ones; the version that there is, if the key is the same."""
    serialized = checked_flow(given["serialized_flow"])
    project = _project(call, given.get("project_id"))
    older = _versions(call, project, serialized["name"], given.get("version_group_id"))
    newest = older[-1] if older else None
    key = given.get("idempotency_key")
    if newest and key is not None and newest["idempotency_key"] == key and not newest["archived"]:
        return newest
    for flow in older:
        _archive(call, flow)
    group_id = given.get("version_group_id") or (newest["version_group_id"] if newest else str(uuid.uuid4()))
    flow = _add(call, project, group_id, serialized, {**given, "version": newest["version"] + 1 if newest else 1})
    register(call.store, flow, serialized.get("tasks") or [], serialized.get("edges") or [])
    add_scheduled_runs(call, flow)
    return flow


@mutation
def create_flow_from_compressed_string(call: Call, given: Mapping[str, Any]) -> Any:
    """As Prefect packs it: JSON, zipped, in base 64."""
    return create_flow(call, {**given, "serialized_flow": unpacked(given["serialized_flow"])})


@mutation
def register_tasks(call: Call, given: Mapping[str, Any]) -> Any:
    """A part of a flow's tasks; from 1.0 on they do not come with the flow."""
    register(call.store, call.must("flow", given["flow_id"]), given["serialized_tasks"], [])
    return SUCCESS


@mutation
def register_edges(call: Call, given: Mapping[str, Any]) -> Any:
    """A part of a flow's edges, after its tasks."""
    register(call.store, call.must("flow", given["flow_id"]), [], given["serialized_edges"])
    return SUCCESS


@mutation
def delete_flow(call: Call, given: Mapping[str, Any]) -> Any:
    """With its tasks and runs; with its group, if this was the last version."""
    flow = call.must("flow", given["flow_id"])
    call.store.remove("flow", flow["id"])
    if not call.store.linked("flow", "flow_group_id", flow["flow_group_id"]):
        call.store.remove("flow_group", flow["flow_group_id"])
    return SUCCESS


@mutation
def archive_flow(call: Call, given: Mapping[str, Any]) -> Any:
    """It stays, but does not run any more."""
    _archive(call, call.must("flow", given["flow_id"]))
    return SUCCESS


@mutation
def set_schedule_active(call: Call, given: Mapping[str, Any]) -> Any:
    """On; for a flow without a schedule too, which every registration asks for."""
    return _switch(call, given["flow_id"], on=True)


@mutation
def set_schedule_inactive(call: Call, given: Mapping[str, Any]) -> Any:
    """Off; what it has scheduled and is not begun goes."""
    return _switch(call, given["flow_id"], on=False)


@mutation
def set_flow_schedule_state(call: Call, given: Mapping[str, Any]) -> Any:
    """On or off, as 0.5 asks for it."""
    return _switch(call, given["flow_id"], on=given["set_active"])


def _project(call: Call, project_id: Optional[str]) -> Row:
    """The one that is named. Server had no projects up to 0.12: there it is one that holds all flows."""
    if project_id is not None or call.world.backend == "cloud":
        return call.must("project", project_id)
    found = [row for row in call.rows("project") if row["name"] == _SERVERS]
    return found[0] if found else call.store.add("project", tenant_id=call.tenant_id, name=_SERVERS)


def _switch(call: Call, flow_id: str, *, on: bool) -> Any:
    flow = call.must("flow", flow_id)
    flow = call.store.change("flow", flow["id"], is_schedule_active=on, schedule_is_active=on)
    if on:
        add_scheduled_runs(call, flow)
    else:
        _unschedule(call, flow)
    return SUCCESS


def _archive(call: Call, flow: Row) -> None:
    call.store.change("flow", flow["id"], archived=True, is_schedule_active=False, schedule_is_active=False)
    _unschedule(call, flow)


def _unschedule(call: Call, flow: Row) -> None:
    for run in call.store.linked("flow_run", "flow_id", flow["id"]):
        if run["auto_scheduled"] and run["state"] == "Scheduled":
            call.store.remove("flow_run", run["id"])


def _versions(call: Call, project: Row, name: str, group_id: Optional[str]) -> List[Row]:
    """The versions so far: of the group that is asked for, else of the flow of this name in the project."""
    if group_id is None:
        found = [flow for flow in call.store.linked("flow", "project_id", project["id"]) if flow["name"] == name]
    else:
        every = call.store.linked("flow", "tenant_id", project["tenant_id"])
        found = [flow for flow in every if flow["version_group_id"] == group_id]
    return sorted(found, key=lambda flow: int(flow["version"]))


def _add(call: Call, project: Row, group_id: str, serialized: Mapping[str, Any], given: Mapping[str, Any]) -> Row:
    tenant_id = project["tenant_id"]
    groups = call.store.linked("flow_group", "tenant_id", tenant_id)
    group = next((row for row in groups if row["name"] == group_id), None)
    if group is None:
        group = call.store.add("flow_group", tenant_id=tenant_id, name=group_id, settings=DEFAULTS)
    on = bool(given.get("set_schedule_active")) and serialized.get("schedule") is not None
    return call.store.add(
        "flow",
        tenant_id=tenant_id,
        project_id=project["id"],
        flow_group_id=group["id"],
        version_group_id=group_id,
        version=given["version"],
        idempotency_key=given.get("idempotency_key"),
        name=serialized["name"],
        description=given.get("description"),
        archived=False,
        core_version=core_version(serialized),
        environment=serialized.get("environment"),
        parameters=serialized.get("parameters") or [],
        schedule=serialized.get("schedule"),
        is_schedule_active=on,
        schedule_is_active=on,
        serialized_flow=serialized,
        settings=group["settings"],
        storage=serialized.get("storage"),
        run_config=serialized.get("run_config"),
    )
