"""The API itself, and what only Cloud has besides secrets: keys, key-value store, tag limits, agent configs.

The fields for API keys serve the ``prefect auth`` commands; clients up to 0.15.13 use API tokens instead.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from pytest_flowsecrets.backend.messages import ApiError, BadInput, Unauthenticated
from pytest_flowsecrets.backend.records.keys import RUNNER, USER
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation, query

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import RequestContext

ACCESS_TOKEN_LIFETIME = timedelta(minutes=10)


@query
def hello(context: RequestContext) -> str:  # noqa: ARG001
    """Answer the query with which agents test the connection."""
    return "👋"


@query
def api(context: RequestContext) -> Any:
    """Return the backend: Cloud or Server."""
    return {"backend": context.world.backend.upper(), "mode": "normal", "version": "pytest-flowsecrets"}


# -- keys --------------------------------------------------------------------------------------------------------------


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


# -- key-value store, tag limits, agent configs ------------------------------------------------------------------------


@mutation
def set_key_value(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Set or overwrite an entry of the key-value store."""
    return _put(context, "key_value", "key", inputs["key"], value=inputs.get("value"))


@mutation
def delete_key_value(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete an entry of the key-value store by its id."""
    context.store.remove("key_value", context.get_or_error("key_value", inputs["key_value_id"])["id"])
    return SUCCESS


@mutation
def update_task_tag_limit(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Set how many tasks with a tag may run at once. The limit is stored, not enforced."""
    if inputs["limit"] < 0:
        raise BadInput("limit must not be negative")
    return _put(context, "task_tag_limit", "tag", inputs["tag"], limit=inputs["limit"])


@mutation
def delete_task_tag_limit(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete the limit of a tag by its id."""
    context.store.remove("task_tag_limit", context.get_or_error("task_tag_limit", inputs["limit_id"])["id"])
    return SUCCESS


@mutation
def create_agent_config(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create the settings that an agent with this ``agent_config_id`` queries at its start."""
    values = {"name": inputs.get("name"), "settings": inputs["settings"]}
    return context.store.add("agent_config", tenant_id=context.tenant_id, **values)


def _put(context: RequestContext, table: str, column: str, name: str, **values: Any) -> Any:
    for row in context.rows(table):
        if row[column] == name:
            return context.store.change(table, row["id"], **values)
    return context.store.add(table, tenant_id=context.tenant_id, **{column: name}, **values)
