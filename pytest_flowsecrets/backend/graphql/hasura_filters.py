"""where, order_by, distinct_on, limit, offset and aggregates over rows, with the semantics of Hasura 1.

As in SQL, a condition is true, false or unknown (None): a comparison with a null column is unknown. Only rows for which
the condition is true are selected. A comparison with null (``_eq: null``) is ignored, which ``prefect get`` relies on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from pytest_flowsecrets.backend.graphql.hasura_operators import comparison, listed, rank
from pytest_flowsecrets.backend.messages import ApiError
from pytest_flowsecrets.backend.records.tables import TABLES, Link

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import RequestContext

Arguments = Mapping[str, Any]
Condition = Callable[["Row"], Optional[bool]]


def select(context: RequestContext, table: str, rows: List[Row], arguments: Arguments) -> List[Row]:
    """Filter, sort and slice rows.

    Args:
        context: the request, for rows of related tables.
        table: the table of the rows.
        rows: the candidates.
        arguments: the arguments of the field.

    Raises:
        ApiError: limit or offset is negative, or ``order_by`` does not start with the columns of ``distinct_on``.
    """
    where, orders = arguments.get("where"), list(_orders(arguments.get("order_by")))
    if where:
        holds = condition(context, table, where)
        rows = [row for row in rows if holds(row) is True]
    for order in reversed(orders):
        rows = _sorted(context, table, rows, order)
    if arguments.get("distinct_on"):
        rows = _distinct(rows, listed(arguments["distinct_on"]), orders)
    start, limit = _number(arguments, "offset") or 0, _number(arguments, "limit")
    return rows[start : None if limit is None else start + limit]


def _number(arguments: Arguments, name: str) -> Optional[int]:
    number: Optional[int] = arguments.get(name)
    if number is not None and number < 0:
        raise ApiError(f"{name} must not be negative", "validation-failed")
    return number


def candidates(context: RequestContext, table: str, where: Optional[Arguments]) -> List[Row]:
    """Return the rows of a table that a ``where`` can select, looked up by an id or a link if it names one."""
    for column, ids in _ids(where or {}):
        if column == "id":
            return _rows_by_id(context, table, ids)
        if context.indexes(table, column):
            return [row for row_id in dict.fromkeys(ids) for row in context.linked((table, column), row_id)]
    return context.rows(table)


def _rows_by_id(context: RequestContext, table: str, ids: List[str]) -> List[Row]:
    rows = (context.row(table, row_id) for row_id in dict.fromkeys(ids))
    return [row for row in rows if row is not None]


def _ids(where: Arguments) -> Iterator[Tuple[str, List[str]]]:
    for name, value in where.items():
        if name == "_and":
            for inner in listed(value):
                yield from _ids(inner)
        elif isinstance(value, dict) and (value.get("_eq") is not None or value.get("_in") is not None):
            yield name, value["_in"] if value.get("_eq") is None else [value["_eq"]]


# -- where -------------------------------------------------------------------------------------------------------------


def condition(context: RequestContext, table: str, where: Mapping[str, Any]) -> Condition:
    """Convert a ``where`` to a function that tests a row."""
    parts = [_part(context, table, name, value) for name, value in where.items() if value is not None]
    return parts[0] if len(parts) == 1 else _every(parts)


def _part(context: RequestContext, table: str, name: str, value: Any) -> Condition:
    definition = TABLES[table]
    if name in _COMBINATIONS:
        return _COMBINATIONS[name]([condition(context, table, where) for where in listed(value)])
    if name in definition.one:
        return _related(context, definition.one[name], value)
    if name in definition.many:
        return _any_related(context, definition.many[name], value)
    tests = [comparison(operator, operand) for operator, operand in value.items() if operand is not None]
    return _every([lambda row, test=test: test(row[name]) for test in tests])  # type: ignore[misc]


def _every(parts: Sequence[Condition]) -> Condition:
    def holds(row: Row) -> Optional[bool]:
        answers = [part(row) for part in parts]
        return False if False in answers else None if None in answers else True

    return holds


def _some(parts: Sequence[Condition]) -> Condition:
    def holds(row: Row) -> Optional[bool]:
        answers = [part(row) for part in parts]
        return True if True in answers else None if None in answers else False

    return holds


def _inverse(parts: Sequence[Condition]) -> Condition:
    (part,) = parts

    def holds(row: Row) -> Optional[bool]:
        answer = part(row)
        return None if answer is None else not answer

    return holds


_COMBINATIONS: Mapping[str, Callable[[Sequence[Condition]], Condition]] = {
    "_and": _every,
    "_or": _some,
    "_not": _inverse,
}


def _related(context: RequestContext, link: Link, where: Mapping[str, Any]) -> Condition:
    target, column = link
    inner = condition(context, target, where)

    def holds(row: Row) -> bool:
        other = context.row(target, row[column])
        return other is not None and inner(other) is True

    return holds


def _any_related(context: RequestContext, link: Link, where: Mapping[str, Any]) -> Condition:
    inner = condition(context, link[0], where)
    return lambda row: any(inner(other) is True for other in context.linked(link, row["id"]))


# -- order_by ----------------------------------------------------------------------------------------------------------

Order = Tuple[Tuple[str, ...], str]  # the path to the column, and the direction


def _orders(order_by: Any, path: Tuple[str, ...] = ()) -> Iterator[Order]:
    for entry in listed(order_by or []):
        for name, value in entry.items():
            if isinstance(value, Mapping):
                yield from _orders(value, (*path, name))
            elif isinstance(value, str):  # neither null nor a missing variable
                yield (*path, name), value


def _sorted(context: RequestContext, table: str, rows: List[Row], order: Order) -> List[Row]:
    """Sort by one key; the sort is stable. By default, null is greater than any value."""
    path, direction = order
    descending = direction.startswith("desc")
    nulls_high = direction in ("asc", "desc", "asc_nulls_last", "desc_nulls_first")

    def key(row: Row) -> Tuple[Any, ...]:
        value = _at(context, table, row, path)
        return (2 if nulls_high else 0,) if value is None else (1, rank(value))

    return sorted(rows, key=key, reverse=descending)


def _at(context: RequestContext, table: str, row: Optional[Row], path: Sequence[str]) -> Any:
    if row is None:
        return None
    name, *rest = path
    if not rest:
        return row[name]
    if name in TABLES[table].one:
        target, column = TABLES[table].one[name]
        return _at(context, target, context.row(target, row[column]), rest)
    result = aggregate(context.linked(TABLES[table].many[name[: -len("_aggregate")]], row["id"]))["aggregate"]
    return result["count"](None) if rest == ["count"] else result[rest[0]][rest[1]]


def _distinct(rows: List[Row], columns: Sequence[str], orders: Sequence[Order]) -> List[Row]:
    """Return the first row of each combination of values; the rows are sorted."""
    if orders and {path for path, _ in orders[: len(columns)]} != {(column,) for column in columns}:
        raise ApiError('"distinct_on" columns must match initial "order_by" columns', "validation-failed")
    first: Dict[Any, Row] = {}
    for row in rows:
        first.setdefault(tuple(rank(row[column]) for column in columns), row)
    return list(first.values())


# -- aggregates --------------------------------------------------------------------------------------------------------


def aggregate(rows: List[Row]) -> Dict[str, Any]:
    """Return the value of an ``_aggregate`` field; graphql-core reads only the parts that the client selects."""

    def count(_: Any, columns: Optional[Sequence[str]] = None, *, distinct: bool = False) -> int:
        kept = [tuple(rank(row[name]) for name in columns or ("id",)) for row in rows if _filled(row, columns)]
        return len(set(kept)) if distinct else len(kept)

    return {"nodes": rows, "aggregate": {"count": count, "max": Extremes(rows, max), "min": Extremes(rows, min)}}


def _filled(row: Row, columns: Optional[Sequence[str]]) -> bool:
    return columns is None or any(row[name] is not None for name in columns)


class Extremes(Dict[str, Any]):
    """The greatest or the least value of each column, computed on access."""

    def __init__(self, rows: List[Row], extreme: Callable[..., Any]) -> None:
        super().__init__()
        self._rows, self._extreme = rows, extreme

    def __missing__(self, column: str) -> Any:
        values = [row[column] for row in self._rows if row[column] is not None]
        return self._extreme(values, key=rank, default=None)

    def get(self, column: str, default: Any = None) -> Any:  # noqa: ARG002 - graphql-core calls it
        """Return the same as ``[column]``."""
        return self[column]
