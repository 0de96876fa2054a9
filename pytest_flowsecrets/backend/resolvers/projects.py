"""Tenants and projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.client_errors import ApiError
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Call

TAKEN = "Uniqueness violation."  # `Client.create_project` looks for it and takes the project that is there


@mutation
def create_tenant(call: Call, given: Mapping[str, Any]) -> Any:
    """Server's only way to get one."""
    tenant = call.store.add_tenant(given["name"], given.get("slug"))
    if sum(row["slug"] == tenant["slug"] for row in call.store.all("tenant")) > 1:
        raise ApiError(TAKEN)
    return tenant


@mutation
def create_project(call: Call, given: Mapping[str, Any]) -> Any:
    """A name is unique in its tenant. Clients up to 0.9 send no tenant: it is the caller's."""
    tenant_id = call.tenant_of(given.get("tenant_id"))
    _require_free(call, tenant_id, given["name"])
    return call.store.add("project", tenant_id=tenant_id, name=given["name"], description=given.get("description"))


@mutation
def delete_project(call: Call, given: Mapping[str, Any]) -> Any:
    """With its flows and all that is theirs."""
    call.store.remove("project", call.must("project", given["project_id"])["id"])
    return SUCCESS


@mutation
def set_project_name(call: Call, given: Mapping[str, Any]) -> Any:
    """To one that is free."""
    project = call.must("project", given["project_id"])
    if project["name"] != given["name"]:
        _require_free(call, project["tenant_id"], given["name"])
    return call.store.change("project", project["id"], name=given["name"])


@mutation
def set_project_description(call: Call, given: Mapping[str, Any]) -> Any:
    """Or none."""
    project = call.must("project", given["project_id"])
    return call.store.change("project", project["id"], description=given.get("description"))


def _require_free(call: Call, tenant_id: str, name: str) -> None:
    if any(row["name"] == name for row in call.store.linked("project", "tenant_id", tenant_id)):
        raise ApiError(TAKEN)
