"""Secrets: set, list and delete them, and read them in flow runs. The vault checks who may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from pytest_flowsecrets.backend.messages import BadInput
from pytest_flowsecrets.backend.resolvers import mutation, query
from pytest_flowsecrets.report import api_events

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import RequestContext


@mutation
def set_secret(context: RequestContext, inputs: Mapping[str, Any]) -> Dict[str, Any]:
    """Set or overwrite a secret."""
    context.caller.require_user()
    if "value" not in inputs:
        raise BadInput("set_secret requires a value, which may be null")
    context.world.vault.put(context.tenant_id, inputs["name"], inputs["value"])
    return {"success": True}


@mutation
def delete_secret(context: RequestContext, inputs: Mapping[str, Any]) -> Dict[str, Any]:
    """Delete a secret."""
    context.caller.require_user()
    deleted = context.world.vault.delete(context.tenant_id, inputs["name"])
    return {"success": deleted, "error": None if deleted else "There is no secret of that name"}


@query
def secret_names(context: RequestContext) -> List[str]:
    """List the names of the tenant's secrets; ``Secret.exists`` queries this."""
    return context.world.vault.names(context.tenant_id)


@query
def secret_value(context: RequestContext, *, name: str) -> Any:
    """Return the value of a secret; ``Secret.get`` in a flow run queries this."""
    value = context.world.vault.read(context.tenant_id, name, context.caller)
    if api_events.listeners:
        api_events.emit("read", name, run=context.world.describe_active_runs(context.tenant_id))
    return value
