"""Tenants and projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.errors import ApiError
from pytest_flowsecrets.backend.resolvers import mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.call import Call


@mutation
def create_project(call: Call, given: Mapping[str, Any]) -> Any:
    """A name is unique in its tenant; clients know the error's text. Up to 0.9 no tenant is sent: the caller's it is."""
    tenant_id = call.must("tenant", given.get("tenant_id") or call.tenant_id)["id"]
    if any(row["name"] == given["name"] for row in call.store.linked("project", "tenant_id", tenant_id)):
        raise ApiError("Uniqueness violation.")
    return call.store.add("project", tenant_id=tenant_id, name=given["name"], description=given.get("description"))
