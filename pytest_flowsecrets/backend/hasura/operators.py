"""The comparison operators of Hasura 1, over Python values. A null value compares to unknown (None), as in SQL."""

from __future__ import annotations

import operator
import re
from functools import partial
from typing import Any, Callable, List, Mapping, Optional

Test = Callable[[Any], Optional[bool]]


def listed(value: Any) -> List[Any]:
    """A list as it is, one thing as a list of one, which GraphQL takes for a list anywhere; without nulls."""
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if entry is not None]


def comparison(name: str, operand: Any) -> Test:
    """The test of a value that an operator and its operand make."""
    if name == "_is_null":
        return lambda value: (value is None) is operand
    if name in ("_in", "_nin") and not operand:  # which asks nothing of the value, so that null is as good as any
        return lambda _: name == "_nin"
    test = _OPERATORS[name](operand)
    return lambda value: None if value is None else test(value)


def rank(value: Any) -> Any:
    """A sort key, with which values of any kind compare as PostgreSQL compares jsonb; of one scalar, as usual."""
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
    wanted = {rank(value) for value in operand}
    return lambda value: rank(value) in wanted


def contains(outer: Any, inner: Any) -> bool:
    """PostgreSQL's ``@>``: whether a JSON value has all of another one in it."""
    if isinstance(inner, Mapping):
        return isinstance(outer, Mapping) and all(k in outer and contains(outer[k], v) for k, v in inner.items())
    if isinstance(inner, list):
        return isinstance(outer, list) and all(any(contains(one, wanted) for one in outer) for wanted in inner)
    return rank(inner) == rank(outer) or (isinstance(outer, list) and rank(inner) in map(rank, outer))


def _has_key(value: Any, key: str) -> bool:
    return key in value if isinstance(value, (Mapping, list)) else value == key


def like(pattern: str, *, fold: bool = False) -> Test:
    """SQL's LIKE: ``%`` is any text, ``_`` any letter, a backslash takes the next one as it is.

    The pieces between the ``%`` are searched one after the other, so that no pattern takes more than linear time.
    """
    pieces = _pieces(pattern)
    flags = re.DOTALL | (re.IGNORECASE if fold else 0)
    first, *middle = [re.compile("".join(piece), flags) for piece in pieces]
    last = middle.pop() if middle else None

    def matches(text: str) -> bool:
        if last is None:
            return first.fullmatch(text) is not None
        found = first.match(text)
        for piece in middle:
            found = found and piece.search(text, found.end())
        start = len(text) - len(pieces[-1])
        return found is not None and found.end() <= start and last.fullmatch(text, start) is not None

    return matches


def _pieces(pattern: str) -> List[List[str]]:
    """What stands between the ``%``; one regular expression for each letter."""
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
    wanted = rank(operand)
    return lambda value: rank(value) == wanted


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
    """What lies at a path of a JSON value, such as ``$.storage[0].type``; null if nothing does."""
    for name, quoted, number in re.findall(r"([^.\[\]$]+)|\[[\"']([^\"']*)[\"']\]|\[(\d+)\]", path):
        key = name or quoted
        if isinstance(value, Mapping) and (key or number):
            value = value.get(key or number)
        elif isinstance(value, list) and (number or name).isdecimal() and int(number or name) < len(value):
            value = value[int(number or name)]
        else:
            return None
    return value
