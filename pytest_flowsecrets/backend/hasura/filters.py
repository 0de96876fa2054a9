"""where, order_by, distinct_on, limit, offset and aggregates over plain rows, as Hasura 1 means them.

A condition is true, false or unknown (None), as in SQL: a comparison with a null column is unknown, and only what is
true is selected. Comparing with null (``_eq: null``) filters nothing, which `prefect get` relies on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from pytest_flowsecrets.backend.client_errors import ApiError
from pytest_flowsecrets.backend.hasura.operators import comparison, listed, rank
from pytest_flowsecrets.backend.records.tables import TABLES, Link

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import Call

Arguments = Mapping[str, Any]
Condition = Callable[["Row"], Optional[bool]]


def select(call: Call, table: str, rows: List[Row], given: Arguments) -> List[Row]:
    """Those of the rows that are asked for.

    Args:
        call: for the rows of relations.
        table: of the rows.
        rows: all of them.
        given: the arguments of the field.

    Raises:
        ApiError: a limit or offset below 0, or a ``distinct_on`` that ``order_by`` does not begin with.
    """
    found, where, orders = rows, given.get("where"), list(_orders(given.get("order_by")))
    if where:
        holds = condition(call, table, where)
        found = [row for row in found if holds(row) is True]
    for order in reversed(orders):
        found = _sorted(call, table, found, order)
    if given.get("distinct_on"):
        found = _distinct(found, listed(given["distinct_on"]), orders)
    start, limit = _number(given, "offset") or 0, _number(given, "limit")
    return found[start : None if limit is None else start + limit]


def _number(given: Arguments, name: str) -> Optional[int]:
    number: Optional[int] = given.get(name)
    if number is not None and number < 0:
        raise ApiError(f"{name} must not be negative", "validation-failed")
    return number


def candidates(call: Call, table: str, where: Optional[Arguments]) -> List[Row]:
    """The rows of a table that a ``where`` can select: by an id or a link if it says one, else all of them."""
    for column, ids in _ids(where or {}):
        if column == "id":
            return [row for row in (call.row(table, one) for one in dict.fromkeys(ids)) if row is not None]
        if call.indexes(table, column):
            return [row for one in dict.fromkeys(ids) for row in call.linked((table, column), one)]
    return call.rows(table)


def _ids(where: Arguments) -> Iterator[Tuple[str, List[str]]]:
    for name, value in where.items():
        if name == "_and":
            for inner in listed(value):
                yield from _ids(inner)
        elif isinstance(value, dict) and (value.get("_eq") is not None or value.get("_in") is not None):
            yield name, value["_in"] if value.get("_eq") is None else [value["_eq"]]


# -- where -------------------------------------------------------------------------------------------------------------


def condition(call: Call, table: str, where: Mapping[str, Any]) -> Condition:
    """What a ``where`` asks of a row."""
    parts = [_part(call, table, name, value) for name, value in where.items() if value is not None]
    return parts[0] if len(parts) == 1 else _every(parts)


def _part(call: Call, table: str, name: str, value: Any) -> Condition:
    described = TABLES[table]
    if name == "_and":
        return _every([condition(call, table, where) for where in listed(value)])
    if name == "_or":
        return _some([condition(call, table, where) for where in listed(value)])
    if name == "_not":
        return _inverse(condition(call, table, value))
    if name in described.one:
        return _related(call, described.one[name], value)
    if name in described.many:
        return _any_related(call, described.many[name], value)
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


def _inverse(part: Condition) -> Condition:
    def holds(row: Row) -> Optional[bool]:
        answer = part(row)
        return None if answer is None else not answer

    return holds


def _related(call: Call, link: Link, where: Mapping[str, Any]) -> Condition:
    target, column = link
    inner = condition(call, target, where)

    def holds(row: Row) -> bool:
        other = call.row(target, row[column])
        return other is not None and inner(other) is True

    return holds


def _any_related(call: Call, link: Link, where: Mapping[str, Any]) -> Condition:
    inner = condition(call, link[0], where)
    return lambda row: any(inner(other) is True for other in call.linked(link, row["id"]))


# -- order_by ----------------------------------------------------------------------------------------------------------

Order = Tuple[Tuple[str, ...], str]  # the way to the column, and the direction


def _orders(given: Any, way: Tuple[str, ...] = ()) -> Iterator[Order]:
    for entry in listed(given or []):
        for name, value in entry.items():
            if isinstance(value, Mapping):
                yield from _orders(value, (*way, name))
            elif isinstance(value, str):  # neither null nor a variable that is not given
                yield (*way, name), value


def _sorted(call: Call, table: str, rows: List[Row], order: Order) -> List[Row]:
    """By one key; Python's sort keeps the order of equals. Nulls count as the greatest unless it is said."""
    way, direction = order
    descending = direction.startswith("desc")
    nulls_high = direction in ("asc", "desc", "asc_nulls_last", "desc_nulls_first")

    def key(row: Row) -> Tuple[Any, ...]:
        value = _at(call, table, row, way)
        return (2 if nulls_high else 0,) if value is None else (1, rank(value))

    return sorted(rows, key=key, reverse=descending)


def _at(call: Call, table: str, row: Optional[Row], way: Sequence[str]) -> Any:
    if row is None:
        return None
    name, *rest = way
    if not rest:
        return row[name]
    if name in TABLES[table].one:
        target, column = TABLES[table].one[name]
        return _at(call, target, call.row(target, row[column]), rest)
    found = aggregate(call.linked(TABLES[table].many[name[: -len("_aggregate")]], row["id"]))["aggregate"]
    return found["count"](None) if rest == ["count"] else found[rest[0]][rest[1]]


def _distinct(rows: List[Row], columns: Sequence[str], orders: Sequence[Order]) -> List[Row]:
    """The first row of each combination, of those in order."""
    if orders and {way for way, _ in orders[: len(columns)]} != {(column,) for column in columns}:
        raise ApiError('"distinct_on" columns must match initial "order_by" columns', "validation-failed")
    first: Dict[Any, Row] = {}
    for row in rows:
        first.setdefault(tuple(rank(row[column]) for column in columns), row)
    return list(first.values())


# -- aggregates --------------------------------------------------------------------------------------------------------


def aggregate(rows: List[Row]) -> Dict[str, Any]:
    """What an ``_aggregate`` field answers; graphql-core asks for no more of it than the client does."""

    def count(_: Any, columns: Optional[Sequence[str]] = None, *, distinct: bool = False) -> int:
        kept = [tuple(rank(row[name]) for name in columns or ("id",)) for row in rows if _filled(row, columns)]
        return len(set(kept)) if distinct else len(kept)

    return {"nodes": rows, "aggregate": {"count": count, "max": Extremes(rows, max), "min": Extremes(rows, min)}}


def _filled(row: Row, columns: Optional[Sequence[str]]) -> bool:
    return columns is None or any(row[name] is not None for name in columns)


class Extremes(Dict[str, Any]):
    """The greatest or the least value of each column, found when it is asked for."""

    def __init__(self, rows: List[Row], extreme: Callable[..., Any]) -> None:
        super().__init__()
        self._rows, self._extreme = rows, extreme

    def __missing__(self, column: str) -> Any:
        values = [row[column] for row in self._rows if row[column] is not None]
        return self._extreme(values, key=rank, default=None)

    def get(self, column: str, default: Any = None) -> Any:  # noqa: ARG002 - graphql-core's way to a field
        """As ``[column]``."""
        return self[column]
