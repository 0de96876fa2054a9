"""How to store a legacy value so that the flow on Prefect 2 or 3 gets the same value.

What is odd: ``Secret.get`` of Prefect 3 decodes every text that is JSON, so the text ``42`` comes back as a number. The
text ``"42"``, with its quotes, comes back as the text 42. Prefect 2 decodes nothing and stores text only. Values that
JSON does not have (dates, tuples) get the nearest value, and the change is described.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass
from typing import Any, Dict, List

from pytest_flowsecrets.resolution.layers import Table, type_name

_LARGEST_INTEGER = 2**63  # larger ones do not survive every JSON library, so they are stored as text
_LONGEST_VARIABLE = 5000  # characters of JSON; Prefect 3.9.1 `types.MAX_VARIABLE_VALUE_LENGTH`, the same in 2.20
_JSON_TYPES = (str, bool, int, float, type(None))
_DATES = (dt.datetime, dt.date, dt.time)


class NotStorable(Exception):  # noqa: N818
    """A value has no form in which Prefect 2 or 3 can store it. The text says why, without the value."""


class TooLong(NotStorable):
    """A value is too long for a variable; a block can hold it."""


@dataclass(frozen=True, repr=False)
class Stored:
    """A value to store.

    Attributes:
        data: the value to pass to ``Secret(value=...)`` or ``Variable.set``.
        value: the result of reading it.
        changes: how the result differs from the legacy value; empty if it is the same.
    """

    data: Any
    value: Any
    changes: List[str]

    def __repr__(self) -> str:
        return f"<Stored {type_name(self.value)}>"


def secret_to_store(value: Any, target: int) -> Stored:
    """Return the form of a value in which a Secret block stores it.

    Args:
        value: what a legacy flow gets.
        target: the major version of the new Prefect, 2 or 3.

    Raises:
        NotStorable: no form exists.
    """
    changes: Dict[str, None] = {}
    plain = _to_json(value, changes)
    if target == 2:  # noqa: PLR2004 - a version
        return _text_only(plain, changes)
    return Stored(_encode(plain), plain, list(changes))


def variable_to_store(value: Any, target: int) -> Stored:
    """Return the form of a value in which a variable stores it.

    Args:
        value: what a legacy flow gets.
        target: the major version of the new Prefect, 2 or 3.

    Raises:
        NotStorable: no form exists.
        TooLong: the form has more than 5,000 characters.
    """
    changes: Dict[str, None] = {}
    plain = _to_json(value, changes)
    if not _is_portable(plain):
        raise NotStorable("a variable cannot store this value as JSON; store it as text")
    stored = _text_only(plain, changes) if target == 2 else Stored(plain, plain, list(changes))  # noqa: PLR2004
    if len(stored.data if target == 2 else _dump(stored.data)) > _LONGEST_VARIABLE:  # noqa: PLR2004
        raise TooLong(f"a variable holds at most {_LONGEST_VARIABLE} characters")
    return stored


def same(value: Any, other: Any) -> bool:
    """Return whether two values are the same JSON data with the same types: 1, 1.0 and True differ; nan equals nan.

    Args:
        value: a value.
        other: another value.
    """
    if type(value) is not type(other):
        return False
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(same(item, other[key]) for key, item in value.items())
    if isinstance(value, list):
        return len(value) == len(other) and all(map(same, value, other))
    return repr(value) == repr(other) if isinstance(value, float) else bool(value == other)


def _to_json(value: Any, changes: Dict[str, None]) -> Any:
    if isinstance(value, dict):
        if isinstance(value, Table):
            changes["Config becomes dict: write value['key'] instead of value.key"] = None
        if not all(isinstance(key, str) for key in value):
            raise NotStorable("a mapping has keys that are not text")
        return {key: _to_json(item, changes) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if type(value) is not list:
            changes[f"{type_name(value)} becomes list"] = None
        return [_to_json(item, changes) for item in value]
    if isinstance(value, _DATES):
        changes[f"{type_name(value)} becomes text in ISO 8601: use {type_name(value)}.fromisoformat"] = None
        return value.isoformat()
    if type(value) not in _JSON_TYPES:
        raise NotStorable(f"a value of the type {type_name(value)} is not JSON data")
    return value


def _text_only(plain: Any, changes: Dict[str, None]) -> Stored:
    if isinstance(plain, str):
        if not _is_portable(plain):
            raise NotStorable("the text is not valid Unicode")
        return Stored(plain, plain, list(changes))
    changes[f"{type_name(plain)} becomes its JSON text, because Prefect 2 stores text only: use json.loads"] = None
    text = _dump(plain)
    return Stored(text, text, list(changes))


def _encode(plain: Any) -> Any:
    """Return the data from which ``Secret.get`` of Prefect 3 returns a value."""
    data = plain if _is_portable(plain) else _dump(plain)
    return data if same(decode(data), plain) else _dump(plain)


def decode(data: Any) -> Any:
    """Return what ``Secret.get`` of Prefect 3 returns for stored data.

    Args:
        data: the data that a block holds.
    """
    if not isinstance(data, str):
        return data
    try:
        return json.loads(data)
    except ValueError:
        return data


def _dump(plain: Any) -> str:
    try:
        return json.dumps(plain)
    except (ValueError, RecursionError):  # more digits than Python converts, or nested too deeply
        raise NotStorable("the value is too large for JSON") from None


def _is_portable(plain: Any) -> bool:
    """Return whether every JSON library and Prefect's own references leave a value unchanged."""
    if isinstance(plain, dict):
        return "$ref" not in plain and all(_is_portable(key) and _is_portable(item) for key, item in plain.items())
    if isinstance(plain, list):
        return all(map(_is_portable, plain))
    if isinstance(plain, str):
        return not any("\ud800" <= character <= "\udfff" for character in plain)
    if isinstance(plain, float):
        return math.isfinite(plain)
    return not isinstance(plain, int) or -_LARGEST_INTEGER <= plain < _LARGEST_INTEGER
