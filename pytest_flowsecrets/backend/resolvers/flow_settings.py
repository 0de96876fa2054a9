"""The settings of flows, turned on and off as Prefect's documentation tells: heartbeats, Lazarus, version locking.

They belong to a flow's group, so that all its versions have them. Heartbeats the clients see to, version locking
``states`` does; there is no Lazarus here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping

from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Call

# "Prefect Cloud's opt-in version locking mechanism", as the documentation of 0.6 to 1.4 has it.
DEFAULTS: Dict[str, bool] = {"heartbeat_enabled": True, "lazarus_enabled": True, "version_locking_enabled": False}


@mutation
def enable_flow_heartbeat(call: Call, given: Mapping[str, Any]) -> Any:
    """Its runs send heartbeats, as they do unless told otherwise."""
    return _set(call, given, heartbeat_enabled=True)


@mutation
def disable_flow_heartbeat(call: Call, given: Mapping[str, Any]) -> Any:
    """Its runs send none but the first."""
    return _set(call, given, heartbeat_enabled=False)


@mutation
def enable_flow_lazarus_process(call: Call, given: Mapping[str, Any]) -> Any:
    """Kept, without an effect."""
    return _set(call, given, lazarus_enabled=True)


@mutation
def disable_flow_lazarus_process(call: Call, given: Mapping[str, Any]) -> Any:
    """Kept, without an effect."""
    return _set(call, given, lazarus_enabled=False)


@mutation
def enable_flow_version_lock(call: Call, given: Mapping[str, Any]) -> Any:
    """Its runs, and their tasks, go on for the client that knows their version only."""
    return _set(call, given, version_locking_enabled=True)


@mutation
def disable_flow_version_lock(call: Call, given: Mapping[str, Any]) -> Any:
    """Versions are counted, and ignored."""
    return _set(call, given, version_locking_enabled=False)


def _set(call: Call, given: Mapping[str, Any], **setting: bool) -> Any:
    group_id = call.must("flow", given["flow_id"])["flow_group_id"]
    settings = {**call.must("flow_group", group_id)["settings"], **setting}
    call.store.change("flow_group", group_id, settings=settings)
    for flow in call.store.linked("flow", "flow_group_id", group_id):
        call.store.change("flow", flow["id"], settings=settings)
    return SUCCESS
