"""API keys and their owners: the ``prefect auth`` commands, and the API tokens of clients up to 0.15.13."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from pytest_flowsecrets.backend.messages import ApiError, BadInput, Unauthenticated
from pytest_flowsecrets.backend.records.keys import RUNNER, USER
from pytest_flowsecrets.backend.resolvers import mutation, query

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import RequestContext

ACCESS_TOKEN_LIFETIME = timedelta(minutes=10)


@query
def auth_info(context: RequestContext) -> Dict[str, Any]:
    """Return the owner and the scope of the caller's key; agents up to 0.15.13 require RUNNER."""
    caller = context.caller
    return {"tenant_id": context.tenant_id, "user_id": caller.user_id, "api_token_scope": caller.scope}


@query
def auth_api_key(context: RequestContext) -> List[Dict[str, Any]]:
    """List the keys of the tenant, without their texts."""
    return context.world.keyring.rows(context.tenant_id)


@mutation
def create_api_key(context: RequestContext, inputs: Mapping[str, Any]) -> Dict[str, Any]:
    """Create another USER key of the same user. Only this answer contains its text."""
    context.caller.require_user()
    if inputs["user_id"] != context.caller.user_id:
        raise Unauthenticated("AuthenticationError: Forbidden: this is not your user id")
    return context.world.keyring.issue(
        context.caller.tenant_ids,
        USER,
        user_id=inputs["user_id"],
        name=inputs["name"],
        expires_at=inputs.get("expires_at"),
    )._asdict()


@mutation
def delete_api_key(context: RequestContext, inputs: Mapping[str, Any]) -> Dict[str, Any]:
    """Revoke a key of the tenant."""
    context.caller.require_user()
    key_id = inputs["key_id"]
    if not any(row["id"] == key_id for row in context.world.keyring.rows(context.tenant_id)):
        raise ApiError("Key not found")
    return {"success": context.world.keyring.revoke(key_id)}


@mutation
def create_api_token(context: RequestContext, inputs: Mapping[str, Any]) -> Dict[str, Any]:
    """Create an API token (up to 0.15.13): a key of one tenant. Up to 0.9, clients call its scope ``role``."""
    context.caller.require_user()
    name, scope = inputs["name"], inputs.get("scope") or inputs.get("role")
    if scope not in (USER, RUNNER):
        raise BadInput(f"the scope of a token must be {USER} or {RUNNER}")
    issued = context.world.keyring.issue((context.tenant_id,), scope, user_id=context.caller.user_id or "", name=name)
    context.store.add("api_token", id=issued.id, tenant_id=context.tenant_id, name=name, scope=scope)
    return {"id": issued.id, "token": issued.key}


@mutation
def delete_api_token(context: RequestContext, inputs: Mapping[str, Any]) -> Dict[str, Any]:
    """Revoke a token of the tenant."""
    context.caller.require_user()
    token = context.get_or_error("api_token", inputs["token_id"])
    context.store.remove("api_token", token["id"])
    return {"success": context.world.keyring.revoke(token["id"])}


@mutation
def switch_tenant(context: RequestContext, inputs: Mapping[str, Any]) -> Dict[str, Any]:
    """Create a short-lived token for one of the caller's tenants; ``Client.login_to_tenant`` uses it."""
    if inputs["tenant_id"] not in context.caller.tenant_ids:
        raise Unauthenticated
    return _access(context, inputs["tenant_id"])


@mutation
def refresh_token(context: RequestContext, _: Mapping[str, Any]) -> Dict[str, Any]:
    """Create another short-lived token; the client sends the refresh token instead of its key."""
    return _access(context, context.tenant_id)


def _access(context: RequestContext, tenant_id: str) -> Dict[str, Any]:
    """Create an access token and a refresh token."""
    expires_at = context.now + ACCESS_TOKEN_LIFETIME
    caller = context.caller
    access, refresh = (
        context.world.keyring.issue(
            (tenant_id,), caller.scope or USER, user_id=caller.user_id or "", expires_at=end, parent_id=caller.key_id
        ).key
        for end in (expires_at, None)
    )
    return {"access_token": access, "refresh_token": refresh, "expires_at": expires_at}
