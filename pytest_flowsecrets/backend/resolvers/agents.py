"""Agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Call


@mutation
def register_agent(call: Call, given: Mapping[str, Any]) -> Any:
    """A new one, or the one of the same type, name and labels, which has been started again."""
    tenant_id = call.tenant_of(given.get("tenant_id"))
    values = {"type": given.get("type"), "name": given.get("name"), "labels": sorted(given.get("labels") or [])}
    for agent in call.store.linked("agent", "tenant_id", tenant_id):
        if all(agent[name] == value for name, value in values.items()):
            return call.store.change("agent", agent["id"], agent_config_id=given.get("agent_config_id"))
    return call.store.add("agent", tenant_id=tenant_id, agent_config_id=given.get("agent_config_id"), **values)


@mutation
def delete_agent(call: Call, given: Mapping[str, Any]) -> Any:
    """Its runs stay."""
    agent = call.must("agent", given["agent_id"])
    for run in call.store.linked("flow_run", "agent_id", agent["id"]):
        call.store.change("flow_run", run["id"], agent_id=None)
    call.store.remove("agent", agent["id"])
    return SUCCESS
