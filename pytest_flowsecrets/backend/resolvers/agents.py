"""Agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import RequestContext


@mutation
def register_agent(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Register an agent, or return the existing agent with the same type, name and labels."""
    tenant_id = context.tenant_of(inputs.get("tenant_id"))
    values = {"type": inputs.get("type"), "name": inputs.get("name"), "labels": sorted(inputs.get("labels") or [])}
    for agent in context.store.linked("agent", "tenant_id", tenant_id):
        if all(agent[name] == value for name, value in values.items()):
            return context.store.change("agent", agent["id"], agent_config_id=inputs.get("agent_config_id"))
    return context.store.add("agent", tenant_id=tenant_id, agent_config_id=inputs.get("agent_config_id"), **values)


@mutation
def delete_agent(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete an agent, but not its flow runs."""
    agent = context.get_or_error("agent", inputs["agent_id"])
    for run in context.store.linked("flow_run", "agent_id", agent["id"]):
        context.store.change("flow_run", run["id"], agent_id=None)
    context.store.remove("agent", agent["id"])
    return SUCCESS
