"""Queries about the API itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_flowsecrets.backend.resolvers import query

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import RequestContext


@query
def hello(context: RequestContext) -> str:  # noqa: ARG001
    """Answer the query with which agents test the connection."""
    return "👋"


@query
def api(context: RequestContext) -> Any:
    """Return the backend: Cloud or Server."""
    return {"backend": context.world.backend.upper(), "mode": "normal", "version": "pytest-flowsecrets"}
