"""where, order_by, distinct_on, limit, offset and aggregates over plain rows, as Hasura 1 means them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.call import Call
    from pytest_flowsecrets.backend.store import Row

Arguments = Dict[str, Any]


def select(call: Call, table: str, rows: Callable[[], List[Row]], given: Arguments) -> List[Row]:
    """The rows that are asked for."""
    return rows()


def aggregate(rows: List[Row]) -> Dict[str, Any]:
    """What an ``_aggregate`` field answers."""
    return {"nodes": rows, "aggregate": {"count": len(rows)}}


def step_into(value: Any, path: str) -> Any:
    """What lies at a path of a JSON value."""
    return value
