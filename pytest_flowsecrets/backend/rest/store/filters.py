"""The filters and sort orders of Prefect's ``/filter`` routes, over rows.

A filter is a JSON object: its keys name a property of the row, the values hold operators such as ``any_`` or ``like_``.
One table of operators serves every kind of row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional

from pytest_flowsecrets.backend.rest.store.table import parse_time

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row

Predicate = Callable[[Any, Any], bool]
Properties = Mapping[str, Callable[["Row"], Any]]


def _texts(values: Iterable[Any]) -> List[str]:
    return [str(value) for value in values]


def _is_in(value: Any, options: List[Any]) -> bool:
    if isinstance(value, list):
        return any(item in options for item in value)
    return value is not None and str(value) in _texts(options)


def _orders(compare: Callable[[Any, Any], bool]) -> Predicate:
    def check(value: Any, bound: Any) -> bool:
        if value is None:
            return False
        if isinstance(bound, str):
            return compare(parse_time(value), parse_time(bound))
        return compare(value, bound)

    return check


_OPERATORS: Dict[str, Predicate] = {
    "any_": _is_in,
    "not_any_": lambda value, options: not _is_in(value, options),
    "all_": lambda value, options: set(options) <= set(value or ()),
    "eq_": lambda value, other: value == other,
    "ne_": lambda value, other: value != other,
    "like_": lambda value, text: text.lower() in str(value or "").lower(),
    "startswith_": lambda value, options: str(value or "").startswith(
        tuple([options] if isinstance(options, str) else options)
    ),
    "is_null_": lambda value, wanted: (not value) == wanted,
    "exists_": lambda value, wanted: (value is not None) == wanted,
    "before_": _orders(lambda value, bound: value <= bound),
    "after_": _orders(lambda value, bound: value >= bound),
    "ge_": _orders(lambda value, bound: value >= bound),
    "gt_": _orders(lambda value, bound: value > bound),
    "le_": _orders(lambda value, bound: value <= bound),
    "lt_": _orders(lambda value, bound: value < bound),
}

# Properties whose name in a filter differs from the row's key, or that lead into the row.
_PROPERTIES: Dict[str, Callable[[Row], Any]] = {
    "state": lambda row: row.get("state") or {},
    "block_type_slug": lambda row: row.get("slug"),
    "block_capabilities": lambda row: row.get("capabilities"),
}


def matches(row: Row, condition: Optional[Mapping[str, Any]], properties: Optional[Properties] = None) -> bool:
    """Return whether a row fits a filter; None fits every row.

    Args:
        row: of any kind.
        condition: such as ``{"name": {"any_": ["a"]}}``.
        properties: more properties that a filter may name.
    """
    if not condition:
        return True
    results = []
    for name, part in condition.items():
        if name == "operator" or part is None:
            continue
        if name in ("and_", "or_", "not_"):
            nested = [matches(row, each, properties) for each in part]
            results.append(all(nested) if name == "and_" else any(nested) == (name == "or_"))
        else:
            results.append(_property_matches(row, name, part, properties))
    return any(results) if condition.get("operator") == "or_" and results else all(results)


def _property_matches(row: Row, name: str, part: Mapping[str, Any], properties: Optional[Properties]) -> bool:
    read = (properties or {}).get(name) or _PROPERTIES.get(name)
    value = read(row) if read else row.get(name)
    if isinstance(value, dict) and not any(key in _OPERATORS for key in part):
        return matches(value, part)
    checks = [
        _OPERATORS[key](value, option) for key, option in part.items() if option is not None and key in _OPERATORS
    ]
    return any(checks) if part.get("operator") == "or_" and checks else all(checks)


def sort_rows(rows: List[Row], order: Optional[str], default: str = "ID_DESC") -> List[Row]:
    """Return rows in an order such as ``START_TIME_DESC``; rows without the value come last.

    Equal rows keep the order of their creation.
    """
    field, _, direction = (order or default).lower().rpartition("_")
    present = [row for row in rows if row.get(field) is not None]
    missing = [row for row in rows if row.get(field) is None]
    return sorted(present, key=lambda row: row[field], reverse=direction == "desc") + missing
