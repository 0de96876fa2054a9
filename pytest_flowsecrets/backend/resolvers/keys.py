"""Keys and whose they are: ``prefect auth …``, and what clients up to 0.15.13 do with API tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from pytest_flowsecrets.backend.client_errors import ApiError, BadInput, Unauthenticated
from pytest_flowsecrets.backend.records.keys import RUNNER, USER
from pytest_flowsecrets.backend.resolvers import mutation, query

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Call

ACCESS_LASTS = timedelta(minutes=10)


@query
def auth_info(call: Call) -> Dict[str, Any]:
    """Whose key this is, and what it may do; agents up to 0.15.13 insist on RUNNER."""
    caller = call.caller
    return {"tenant_id": call.tenant_id, "user_id": caller.user_id, "api_token_scope": caller.scope}


@query
def auth_api_key(call: Call) -> List[Dict[str, Any]]:
    """The keys of the tenant, without the keys themselves."""
    return call.world.keyring.rows(call.tenant_id)


@mutation
def create_api_key(call: Call, given: Mapping[str, Any]) -> Dict[str, Any]:
    """A further USER key of the same user; told this once."""
    call.caller.require_user()
    if given["user_id"] != call.caller.user_id:
        raise Unauthenticated("AuthenticationError: Forbidden: this is not your user id")
    return call.world.keyring.issue(
        call.caller.tenant_ids, USER, user_id=given["user_id"], name=given["name"], expires_at=given.get("expires_at")
    )._asdict()


@mutation
def delete_api_key(call: Call, given: Mapping[str, Any]) -> Dict[str, Any]:
    """Revoke a key of the tenant."""
    call.caller.require_user()
    key_id = given["key_id"]
    if not any(row["id"] == key_id for row in call.world.keyring.rows(call.tenant_id)):
        raise ApiError("Key not found")
    return {"success": call.world.keyring.revoke(key_id)}


@mutation
def create_api_token(call: Call, given: Mapping[str, Any]) -> Dict[str, Any]:
    """An API token, which is a key of one tenant (up to 0.15.13); up to 0.9 its scope is called role."""
    call.caller.require_user()
    name, scope = given["name"], given.get("scope") or given.get("role")
    if scope not in (USER, RUNNER):
        raise BadInput(f"the scope of a token is {USER} or {RUNNER}")
    issued = call.world.keyring.issue((call.tenant_id,), scope, user_id=call.caller.user_id or "", name=name)
    call.store.add("api_token", id=issued.id, tenant_id=call.tenant_id, name=name, scope=scope)
    return {"id": issued.id, "token": issued.key}


@mutation
def delete_api_token(call: Call, given: Mapping[str, Any]) -> Dict[str, Any]:
    """Revoke a token of the tenant."""
    call.caller.require_user()
    token = call.must("api_token", given["token_id"])
    call.store.remove("api_token", token["id"])
    return {"success": call.world.keyring.revoke(token["id"])}


@mutation
def switch_tenant(call: Call, given: Mapping[str, Any]) -> Dict[str, Any]:
    """A short-lived token for one of the caller's tenants; how ``Client.login_to_tenant`` works with API tokens."""
    if given["tenant_id"] not in call.caller.tenant_ids:
        raise Unauthenticated
    return _access(call, given["tenant_id"])


@mutation
def refresh_token(call: Call, _: Mapping[str, Any]) -> Dict[str, Any]:
    """The same again; the client sends the refresh token in the place of its key."""
    return _access(call, call.tenant_id)


def _access(call: Call, tenant_id: str) -> Dict[str, Any]:
    """A token for a while, and one to prolong it with."""
    expires_at = call.now + ACCESS_LASTS
    caller = call.caller
    access, refresh = (
        call.world.keyring.issue(
            (tenant_id,), caller.scope or USER, user_id=caller.user_id or "", expires_at=until, made_of=caller.key_id
        ).key
        for until in (expires_at, None)
    )
    return {"access_token": access, "refresh_token": refresh, "expires_at": expires_at}
