"""Settings of flows that mutations turn on and off: heartbeats, Lazarus, version locking.

Settings belong to a flow group, so all versions of a flow share them. Clients act on the heartbeat setting, and
``states`` implements version locking. There is no Lazarus process here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping

from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import RequestContext

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
