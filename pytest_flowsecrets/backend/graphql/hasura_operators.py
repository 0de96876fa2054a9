"""The comparison operators of Hasura 1 for Python values. As in SQL, a comparison with null is unknown (None)."""

from __future__ import annotations

import operator
import re
from functools import partial
from typing import Any, Callable, List, Mapping, Optional

Test = Callable[[Any], Optional[bool]]


def listed(value: Any) -> List[Any]:
    """Return a list without nulls. GraphQL accepts a single value in place of a list of one."""
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if entry is not None]


def comparison(name: str, operand: Any) -> Test:
    """Return a function that compares a value with the operand of an operator."""
    if name == "_is_null":
        return lambda value: (value is None) is operand
    if name in ("_in", "_nin") and not operand:  # the result does not depend on the value, not even on null
        return lambda _: name == "_nin"
    test = _OPERATORS[name](operand)
    return lambda value: None if value is None else test(value)


def rank(value: Any) -> Any:
    """Return a sort key. Values of any type compare as jsonb does in PostgreSQL, values of one scalar as usual."""
    if isinstance(value, Mapping):
        return (6, len(value), tuple((rank(key), rank(inner)) for key, inner in sorted(value.items())))
    if isinstance(value, (list, tuple)):
        return (5, len(value), tuple(rank(inner) for inner in value))
    if isinstance(value, bool):
        return (4, value)
    if isinstance(value, (int, float)):
        return (3, value)
    return (1, "") if value is None else (2, value)


def _ordered(accepts: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def make(operand: Any) -> Test:
        limit = rank(operand)
        return lambda value: accepts(rank(value), limit)

    return make


def _among(operand: Any) -> Test:
    ranks = {rank(value) for value in operand}
    return lambda value: rank(value) in ranks


def contains(outer: Any, inner: Any) -> bool:
    """Return whether a JSON value contains another one, as PostgreSQL's ``@>`` defines it."""
    if isinstance(inner, Mapping):
        return isinstance(outer, Mapping) and _contains_items(outer, inner)
    if isinstance(inner, list):
        return isinstance(outer, list) and _contains_entries(outer, inner)
    return rank(inner) == rank(outer) or (isinstance(outer, list) and rank(inner) in map(rank, outer))


def _contains_items(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> bool:
    return all(key in outer and contains(outer[key], value) for key, value in inner.items())


def _contains_entries(outer: List[Any], inner: List[Any]) -> bool:
    return all(any(contains(candidate, entry) for candidate in outer) for entry in inner)


def _has_key(value: Any, key: str) -> bool:
    return key in value if isinstance(value, (Mapping, list)) else value == key


def like(pattern: str, *, fold: bool = False) -> Test:
    """Return a test for SQL's LIKE: ``%`` matches any text, ``_`` any character; a backslash escapes the next one.

    The pieces between the ``%`` are searched one after the other, so every pattern takes linear time.
    """
    pieces = _pieces(pattern)
    flags = re.DOTALL | (re.IGNORECASE if fold else 0)
    first, *middle = [re.compile("".join(piece), flags) for piece in pieces]
    last = middle.pop() if middle else None

    def matches(text: str) -> bool:
        if last is None:
            return first.fullmatch(text) is not None
        match = first.match(text)
        for piece in middle:
            match = match and piece.search(text, match.end())
        start = len(text) - len(pieces[-1])
        return match is not None and match.end() <= start and last.fullmatch(text, start) is not None

    return matches


def _pieces(pattern: str) -> List[List[str]]:
    """Split a pattern at each ``%``. A piece has one regular expression for each character."""
    pieces: List[List[str]] = [[]]
    for letter in re.findall(r"\\.|.|\\", pattern, re.DOTALL):
        if letter == "%":
            pieces.append([])
        else:
            pieces[-1].append("." if letter == "_" else re.escape(letter[-1]))
    return pieces


def _not(make: Callable[[Any], Test]) -> Callable[[Any], Test]:
    def inverse(operand: Any) -> Test:
        test = make(operand)
        return lambda value: not test(value)

    return inverse


def _equal(operand: Any) -> Test:
    expected = rank(operand)
    return lambda value: rank(value) == expected


_OPERATORS: Mapping[str, Callable[[Any], Test]] = {
    "_eq": _equal,
    "_neq": _not(_equal),
    "_gt": _ordered(operator.gt),
    "_gte": _ordered(operator.ge),
    "_lt": _ordered(operator.lt),
    "_lte": _ordered(operator.le),
    "_in": _among,
    "_nin": _not(_among),
    "_like": like,
    "_nlike": _not(like),
    "_ilike": partial(like, fold=True),
    "_nilike": _not(partial(like, fold=True)),
    "_contains": lambda operand: lambda value: contains(value, operand),
    "_contained_in": lambda operand: lambda value: contains(operand, value),
    "_has_key": lambda operand: lambda value: _has_key(value, operand),
    "_has_keys_any": lambda operand: lambda value: any(_has_key(value, key) for key in operand),
    "_has_keys_all": lambda operand: lambda value: all(_has_key(value, key) for key in operand),
}


def step_into(value: Any, path: str) -> Any:
    """Return the part of a JSON value at a path such as ``$.storage[0].type``, or None if there is none."""
    for name, quoted, number in re.findall(r"([^.\[\]$]+)|\[[\"']([^\"']*)[\"']\]|\[(\d+)\]", path):
        if isinstance(value, Mapping):
            value = value.get(name or quoted or number or None)
        elif isinstance(value, list):
            value = _entry(value, number or name)
        else:
            return None
    return value


def _entry(entries: List[Any], index: str) -> Any:
    return entries[int(index)] if index.isdecimal() and int(index) < len(entries) else None
