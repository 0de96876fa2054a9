"""Tenants and projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.messages import ApiError
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import RequestContext

TAKEN = "Uniqueness violation."  # `Client.create_project` recognizes this text and uses the existing project


@mutation
def create_tenant(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create a tenant; only Server has this mutation."""
    tenant = context.store.add_tenant(inputs["name"], inputs.get("slug"))
    if sum(row["slug"] == tenant["slug"] for row in context.store.all("tenant")) > 1:
        raise ApiError(TAKEN)
    return tenant


@mutation
def create_project(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create a project. Its name is unique in its tenant, by default the caller's (clients up to 0.9 send none)."""
    tenant_id = context.tenant_of(inputs.get("tenant_id"))
    _require_free(context, tenant_id, inputs["name"])
    return context.store.add("project", tenant_id=tenant_id, name=inputs["name"], description=inputs.get("description"))


@mutation
def delete_project(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete a project with its flows and everything that belongs to them."""
    context.store.remove("project", context.get_or_error("project", inputs["project_id"])["id"])
    return SUCCESS


@mutation
def set_project_name(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Rename a project, unless another one has the name."""
    project = context.get_or_error("project", inputs["project_id"])
    if project["name"] != inputs["name"]:
        _require_free(context, project["tenant_id"], inputs["name"])
    return context.store.change("project", project["id"], name=inputs["name"])


@mutation
def set_project_description(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Set or clear the description of a project."""
    project = context.get_or_error("project", inputs["project_id"])
    return context.store.change("project", project["id"], description=inputs.get("description"))


def _require_free(context: RequestContext, tenant_id: str, name: str) -> None:
    if any(row["name"] == name for row in context.store.linked("project", "tenant_id", tenant_id)):
        raise ApiError(TAKEN)
