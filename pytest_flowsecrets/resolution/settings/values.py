"""Conversion of a written value to the type of its setting, as pydantic does it for Prefect.

Texts come from variables and ``.env``. TOML files have values with types. Prefect 2 uses pydantic 1.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.settings.catalogue import Setting

_TRUE, _FALSE = ("1", "on", "t", "true", "y", "yes"), ("0", "off", "f", "false", "n", "no")
_INTEGER = re.compile(r"\s*([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0*)?\s*")
_FLOAT = re.compile(r"\s*[+-]?(?:[0-9]+(?:_[0-9]+)*\.?[0-9]*|\.[0-9]+|)(?:e[+-]?[0-9]+)?\s*", re.IGNORECASE)
_NOT_NUMBERS = re.compile(r"\s*[+-]?(?:inf|infinity|nan)\s*", re.IGNORECASE)
_COMPARISONS: Dict[str, Callable[[Any, Any], bool]] = {
    "ge": lambda value, bound: value >= bound,
    "gt": lambda value, bound: value > bound,
    "le": lambda value, bound: value <= bound,
    "lt": lambda value, bound: value < bound,
}
_LONGEST_INTEGER = 4300  # digits that Python converts


class Converted(NamedTuple):
    """The result of a conversion.

    Attributes:
        value: the value.
        failure: why Prefect rejects the written value, without the value; ``""`` if it accepts it.
        is_exact: whether the value is that of Prefect. Otherwise it is the written one, and Prefect may reject it.
    """

    value: Any
    failure: str = ""
    is_exact: bool = True


class _Rejected(Exception):  # noqa: N818
    """The text says what Prefect expects."""


def convert(setting: Setting, written: Any, *, is_old: bool) -> Converted:
    """Return the value of a setting for what is written.

    Args:
        setting: the setting.
        written: a text, or a value of TOML.
        is_old: whether pydantic 1 converts it, as for Prefect 2.
    """
    converters = _OLD if is_old else _NEW
    converter = converters.get(setting.kind)
    if converter is None:
        return Converted(written, is_exact=False)
    try:
        value = converter(written)
    except _Rejected as error:
        return Converted(None, f"must be {error}")
    if setting.kind == "level":
        value = str(value).upper()
    if setting.choices and value not in setting.choices:
        return Converted(None, f"must be one of {', '.join(setting.choices)}")
    for name, bound in setting.bounds.items():
        if not _COMPARISONS[name](value, bound):
            return Converted(None, f"must be {_SIGNS[name]} {bound}")
    return Converted(value)


_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def _text(written: Any) -> str:
    if not isinstance(written, str):
        raise _Rejected("text: put it in quotes")
    return written


def _old_text(written: Any) -> str:
    if isinstance(written, (str, int, float)):
        return str(written)
    raise _Rejected("text: put it in quotes")


def _bool(written: Any) -> bool:
    if isinstance(written, str):
        lowered = written.lower()
        if lowered in _TRUE or lowered in _FALSE:
            return lowered in _TRUE
    elif isinstance(written, (bool, int, float)) and written in (0, 1):
        return bool(written)
    raise _Rejected("true or false")


def _int(written: Any) -> int:
    if isinstance(written, str):
        match = _INTEGER.fullmatch(written)
        if match and len(match.group(1)) <= _LONGEST_INTEGER:
            return int(match.group(1))
    elif isinstance(written, (int, float)) and math.isfinite(written) and written == int(written):
        return int(written)
    raise _Rejected("an integer")


def _old_int(written: Any) -> int:
    if isinstance(written, (str, int, float)):
        try:
            return int(written)
        except (ValueError, OverflowError):
            pass
    raise _Rejected("an integer")


def _float(written: Any) -> float:
    if isinstance(written, str) and not (_NOT_NUMBERS.fullmatch(written) or _FLOAT.fullmatch(written)):
        raise _Rejected("a number")
    return _old_float(written)


def _old_float(written: Any) -> float:
    if isinstance(written, (str, int, float)):
        try:
            return float(written)
        except (ValueError, OverflowError):
            pass
    raise _Rejected("a number")


def _json(written: Any) -> Any:
    """Return the value of a setting that Prefect reads as JSON from texts."""
    if not isinstance(written, str):
        return written
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        raise _Rejected("JSON") from None


def decode_json(text: str) -> Converted:
    """Return the value of a text that Prefect reads as JSON.

    Args:
        text: the text.
    """
    try:
        return Converted(_json(text))
    except _Rejected as error:
        return Converted(None, f"must be {error}")


_NEW: Dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "secret": _text,
    "bool": _bool,
    "int": _int,
    "float": _float,
    "path": _text,
    "level": _text,
    "choice": _text,
}
_OLD = {**_NEW, "text": _old_text, "secret": _old_text, "int": _old_int, "float": _old_float, "level": _old_text}
