"""Queries that need no table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_flowsecrets.backend.resolvers import query

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Call


@query
def hello(call: Call) -> str:  # noqa: ARG001
    """The agent's test of the connection."""
    return "👋"


@query
def api(call: Call) -> Any:
    """Which backend this is."""
    return {"backend": call.world.backend.upper(), "mode": "normal", "version": "pytest-flowsecrets"}
