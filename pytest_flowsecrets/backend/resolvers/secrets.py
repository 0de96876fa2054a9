"""Secrets: set, named, deleted, and read by flow runs. The vault sees to who may read; the schema has no other way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from pytest_flowsecrets.backend.client_errors import BadInput
from pytest_flowsecrets.backend.resolvers import mutation, query

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Call


@mutation
def set_secret(call: Call, given: Mapping[str, Any]) -> Dict[str, Any]:
    """Set a secret or overwrite it, which is how Cloud's users change one."""
    call.caller.require_user()
    if "value" not in given:
        raise BadInput("set_secret needs a value, which may be null")
    call.world.vault.put(call.tenant_id, given["name"], given["value"])
    return {"success": True}


@mutation
def delete_secret(call: Call, given: Mapping[str, Any]) -> Dict[str, Any]:
    """Remove a secret."""
    call.caller.require_user()
    gone = call.world.vault.delete(call.tenant_id, given["name"])
    return {"success": gone, "error": None if gone else "There is no secret of that name"}


@query
def secret_names(call: Call) -> List[str]:
    """For ``Secret.exists``."""
    return call.world.vault.names(call.tenant_id)


@query
def secret_value(call: Call, *, name: str) -> Any:
    """For ``Secret.get`` in a flow run."""
    return call.world.vault.read(call.tenant_id, name, call.caller)
