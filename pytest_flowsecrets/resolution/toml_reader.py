"""TOML text -> :class:`~pytest_flowsecrets.resolution.layers.Layer`, with lines and columns.

Three parsers, each for what it is good at. ``toml`` 0.10.2 is the one that every Prefect of this line uses, so its
reading, with its errors, is what a flow gets. ``tomli`` says whether a text is TOML 1.0, and where it is not.
``tomlkit`` is asked for positions only. Where the first two disagree, that is a finding (:func:`differences`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Callable, Dict, Iterator, List, Mapping, Match, NamedTuple, Optional, Tuple, Union

from pytest_flowsecrets.resolution.layers import Failure, Layer
from pytest_flowsecrets.resolution.masked_names import Doubt, StandardReading, mask_names, position_of
from pytest_flowsecrets.resolution.toml_positions import Position, positions_of

Key = Tuple[str, ...]

DEEPEST = 200
CORRECT_IT = "correct it"
_MOST_FAULTS = 50
_UNQUOTED = re.compile(r"[ \t]*(?:([\w-]{1,80})|[^=]+?)[ \t]*=[ \t]*(?![\"'\[{=])", re.ASCII)
_STRINGS = re.compile(
    r"#[^\n]*"
    r"|(\"\"\")(?:[^\"\\]|\\.|\"(?!\"\"))*\"\"\""
    r"|(''')(?:[^']|'(?!''))*'''"
    r"|(\")(?:[^\"\\\n]|\\[^\n])*\""
    r"|(')[^'\n]*'",
    re.DOTALL,
)  # and comments
_BRACKETS = re.compile(r"[\[\]{}]")
_PART = r"(?:[\w-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*\.[ \t]*"
_MANY_PARTS = re.compile(rf"(?:^|[{{,\[])[ \t]*(?:{_PART}){{{DEEPEST}}}", re.MULTILINE)


class SyntaxFault(NamedTuple):
    """Why a parser does not take a text, and where."""

    line: Optional[int]
    column: Optional[int]
    reason: str


class Difference(NamedTuple):
    """A key of TOML 1.0 that Prefect's parser does not have, or has with another value."""

    key: Key
    missing: bool


def read_layer(source: Union[str, bytes], kind: str = "user", place: str = "") -> Layer:
    """Read one file's text the way Prefect would.

    Args:
        source: the file's bytes, or its text.
        kind: ``user``, ``backend`` or ``defaults``.
        place: the file's name, for messages.

    Returns:
        A layer; where Prefect's parser would fail, its ``failure`` says how, and its data is empty. Names that may
        hold a value are masked, see :mod:`~pytest_flowsecrets.resolution.masked_names`.
    """
    try:
        text = decode(source)
    except UnicodeDecodeError as error:
        return Layer(kind, {}, place, Failure("UnicodeDecodeError", str(error), place))
    try:
        data = loads(text)
    except Exception as error:  # noqa: BLE001 (toml 0.10.2 also raises IndexError, TypeError and others)
        fault = syntax_fault(text) or _fault_in(error)
        where = ":".join(str(part) for part in (place, fault.line, fault.column) if part is not None)
        return Layer(kind, {}, place, Failure(type(error).__name__, str(error), where, reveals=True))
    standard = standard_reading(text)
    names, doubts = mask_names(data, text, standard)
    find = lru_cache(maxsize=None)(_finder(standard.text, doubts))
    return Layer(kind, names, place, find=find, doubts=doubts)


def loads(text: str) -> Dict[str, Any]:
    """Read a text with the parser that Prefect reads with, ``toml`` 0.10.2.

    Args:
        text: the file's text, as :func:`decode` gives it.

    Raises:
        Exception: ``TomlDecodeError``, and several others that this parser does not catch; RecursionError where
            brackets are nested beyond any use.
    """
    import toml

    refuse_deep(text)
    data: Dict[str, Any] = toml.loads(text)
    return data


def decode(source: Union[str, bytes]) -> str:
    """Turn a file's bytes into text as Prefect's parser opens it: UTF-8 only, line ends translated.

    Args:
        source: bytes, or text that is kept but for its line ends.

    Raises:
        UnicodeDecodeError: no UTF-8.
    """
    text = source if isinstance(source, str) else source.decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def syntax_fault(text: str) -> Optional[SyntaxFault]:
    """Check a text against TOML 1.0.

    Args:
        text: the file's text.

    Returns:
        The first fault, or None. The reason never holds a part of the text.
    """
    try:
        _standard(text)
    except RecursionError:
        line, column = deep_place(text) or (None, None)
        return SyntaxFault(line, column, "nested too deeply")
    except ValueError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        reason = _without_values(str(error))
        return SyntaxFault(int(found.group(1)), int(found.group(2)), reason) if found else _at_end(text, reason)
    return None


def remedy(text: str, fault: SyntaxFault) -> str:
    """Say what to do about a fault.

    Args:
        text: the file's text.
        fault: its first fault.
    """
    if fault.line is None or not fault.reason.startswith(
        ("Invalid value", "Expected newline or end of document after")
    ):
        return CORRECT_IT
    lines = text.split("\n")
    found = _UNQUOTED.match(lines[fault.line - 1])
    if found is None or (fault.column or 0) < found.end() or syntax_fault("\n".join(lines[: fault.line - 1])):
        return CORRECT_IT
    return f"put the value in quotes: {found.group(1) or 'NAME'} = '...'"


def legacy_fault(text: str) -> Optional[SyntaxFault]:
    """Tell whether Prefect's parser refuses a text.

    Args:
        text: the file's text.

    Returns:
        Where it stumbles, as far as it says so; None where it reads the text.
    """
    try:
        loads(text)
    except Exception as error:  # noqa: BLE001 (toml 0.10.2 also raises IndexError, TypeError and others)
        return _fault_in(error)
    return None


def _fault_in(error: Exception) -> SyntaxFault:
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    return SyntaxFault(line, column, "TOML 1.0 allows this, but the parser of Prefect (toml 0.10.2) does not")


def differences(text: str) -> List[Difference]:
    """Compare Prefect's reading of a text with TOML 1.0's.

    Args:
        text: valid TOML 1.0 that Prefect's parser takes, too.

    Returns:
        The keys of TOML 1.0 that Prefect's parser does not have, or has with another value. Names that only Prefect's
        parser has are left out: they may hold values (``Layer.doubts``).
    """
    return list(_different(_standard(text), loads(text), ()))


def _standard(text: str) -> Dict[str, Any]:
    import tomli

    refuse_deep(text)
    return tomli.loads(text)


def standard_reading(text: str) -> StandardReading:
    """Read a text as TOML 1.0, without the lines that are not valid.

    Args:
        text: the file's text.

    Returns:
        What is left of it. Where a fault lies in a text of several lines, or there are more than 50, only the lines
        above it count.
    """
    lines = text.split("\n")
    faults: List[int] = []
    for _ in range(_MOST_FAULTS):
        fault = syntax_fault("\n".join(lines))
        if fault is None:
            return StandardReading(_standard("\n".join(lines)), "\n".join(lines), tuple(faults))
        number = fault.line or 1
        line = lines[number - 1]
        if not line.strip() or '"""' in line or "'''" in line:
            break
        lines[number - 1] = ""
        faults.append(number)
    above = _whole(lines[: number - 1])
    return StandardReading(_standard(above), above, tuple(faults))


def _whole(lines: List[str]) -> str:
    """Return as many of the lines as are whole TOML, or ``""`` where the next fault is far above."""
    for length in range(len(lines), max(len(lines) - _MOST_FAULTS, 0), -1):
        text = "\n".join(lines[:length])
        if syntax_fault(text) is None:
            return text
    return ""


def refuse_deep(text: str) -> None:
    """Refuse what would end the process: parsers, Prefect and this model run out of stack.

    Args:
        text: TOML.

    Raises:
        RecursionError: brackets, or the parts of a dotted key, are nested beyond any use.
    """
    if deep_place(text) is not None:
        raise RecursionError("nested too deeply")


def deep_place(text: str) -> Optional[Tuple[int, int]]:
    """Find where a text is nested beyond any use.

    Args:
        text: TOML.

    Returns:
        1-based line and column, or None; cheap where there are few brackets and dots.
    """
    if max(text.count("[") + text.count("{"), text.count(".")) <= DEEPEST:
        return None
    structure = _STRINGS.sub(_without_content, text)
    dotted = _MANY_PARTS.search(structure)
    at = dotted.start() if dotted else _deep_bracket(structure)
    if at is None:
        return None
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def _without_content(string: Match[str]) -> str:
    """Return a string with another content of the same length, or a comment as blanks."""
    quotes = "".join(filter(None, string.groups()))
    content = len(string.group()) - 2 * len(quotes)
    return f"{quotes}{(' _'[bool(quotes)]) * content}{quotes}"


def _deep_bracket(text: str) -> Optional[int]:
    """Return where brackets open for the two hundred and first time in a text without strings."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        bracket = found.group()
        if bracket in "[{":
            depth += 1
        elif bracket in "]}":
            depth -= 1
        if depth > DEEPEST:
            return found.start()
    return None


def _finder(text: str, doubts: Mapping[Key, Doubt]) -> Callable[[Key], Optional[Position]]:
    found: Dict[Key, Position] = {}

    def find(key: Key) -> Optional[Position]:
        doubt = next((doubts[key[:length]] for length in range(len(key), 0, -1) if key[:length] in doubts), None)
        if doubt is not None:
            return position_of(doubt)
        if not found:
            found.update(positions_of(text))
        return found.get(key)

    return find


def _without_values(message: str) -> str:
    message = re.sub(r"\s*\(at .*\)$", "", message, flags=re.DOTALL)
    if message.startswith(("Expected ", "Unescaped ", "Illegal ", "Found ")):  # signs of TOML, and control characters
        return message
    return re.sub(r"\(.*\)|'.*'|\".*\"", "this name", message, flags=re.DOTALL)


def _at_end(text: str, reason: str) -> SyntaxFault:
    lines = text.split("\n")
    return SyntaxFault(len(lines), len(lines[-1]) + 1, reason)


def _different(standard: Any, legacy: Any, key: Key) -> Iterator[Difference]:
    if isinstance(standard, dict) and isinstance(legacy, dict):
        for name, value in standard.items():
            if name in legacy:
                yield from _different(value, legacy[name], (*key, name))
            else:
                yield Difference((*key, name), missing=True)
    elif not _same(standard, legacy):
        yield Difference(key, missing=False)


def _same(one: Any, other: Any) -> bool:
    """Of one type and equal, inside lists too; both may be nan."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    return type(one) is type(other) and (bool(one == other) or (one != one and other != other))  # noqa: PLR0124
