"""Reader of TOML texts: from the text of a file to a :class:`~.layers.Layer` with lines and columns.

There are three parsers. All releases of Prefect in the supported range use ``toml`` 0.10.2, so its result, including
its errors, is what a flow gets. ``tomli`` checks whether a text is valid TOML 1.0, and finds the place of a fault.
``tomlkit`` is used only for positions. A difference between the first two is a finding (:func:`differences`).
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, Callable, Dict, Iterator, List, Mapping, Match, NamedTuple, Optional, Tuple, Union

from pytest_flowsecrets.resolution.layers import Failure, Layer
from pytest_flowsecrets.resolution.shown_names import Doubt, StandardReading, mask_names, position_of
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
    """The reason and the place where a parser rejects a text."""

    line: Optional[int]
    column: Optional[int]
    reason: str


class Difference(NamedTuple):
    """A key of TOML 1.0 that Prefect's parser does not read, or reads with another value."""

    key: Key
    missing: bool


def read_layer(source: Union[str, bytes], kind: str = "user", place: str = "") -> Layer:
    """Read the text of a file as Prefect does.

    Args:
        source: the bytes or the text of the file.
        kind: ``user``, ``backend`` or ``defaults``.
        place: the name of the file, for messages.

    Returns:
        A layer. If Prefect's parser fails, its ``failure`` is the error and its data is empty. Names that may contain
        a value are masked, see :mod:`~pytest_flowsecrets.resolution.shown_names`.
    """
    try:
        text = decode(source)
    except UnicodeDecodeError as error:
        return Layer(kind, {}, place, Failure("UnicodeDecodeError", str(error), place))
    try:
        data = loads(text)
    except Exception as error:  # noqa: BLE001 (toml 0.10.2 also raises IndexError, TypeError and others)
        fault = syntax_fault(text) or _fault_of(error)
        where = ":".join(str(part) for part in (place, fault.line, fault.column) if part is not None)
        return Layer(kind, {}, place, Failure(type(error).__name__, str(error), where, reveals=True))
    standard = standard_reading(text)
    names, doubts = mask_names(data, text, standard)
    find = lru_cache(maxsize=None)(_finder(standard.text, doubts))
    return Layer(kind, names, place, find=find, doubts=doubts)


def loads(text: str) -> Dict[str, Any]:
    """Read a text with Prefect's parser, ``toml`` 0.10.2.

    Args:
        text: the text of the file, as returned by :func:`decode`.

    Raises:
        Exception: ``TomlDecodeError``, or another error that this parser does not catch; RecursionError if brackets are
            nested too deeply.
    """
    import toml

    refuse_deep(text)
    data: Dict[str, Any] = toml.loads(text)
    return data


def decode(source: Union[str, bytes]) -> str:
    """Decode the bytes of a file as Prefect does: as UTF-8, with normalized line endings.

    Args:
        source: bytes, or text, in which only the line endings are normalized.

    Raises:
        UnicodeDecodeError: the bytes are not UTF-8.
    """
    text = source if isinstance(source, str) else source.decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def syntax_fault(text: str) -> Optional[SyntaxFault]:
    """Check whether a text is valid TOML 1.0.

    Args:
        text: the text of the file.

    Returns:
        The first fault, or None. The reason never contains part of the text.
    """
    try:
        _loads_standard(text)
    except RecursionError:
        line, column = deep_place(text) or (None, None)
        return SyntaxFault(line, column, "nested too deeply")
    except ValueError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        reason = _without_values(str(error))
        return SyntaxFault(int(place.group(1)), int(place.group(2)), reason) if place else _at_end(text, reason)
    return None


def remedy(text: str, fault: SyntaxFault) -> str:
    """Return advice about a fault.

    Args:
        text: the text of the file.
        fault: its first fault.
    """
    if fault.line is None or not fault.reason.startswith(
        ("Invalid value", "Expected newline or end of document after")
    ):
        return CORRECT_IT
    lines = text.split("\n")
    unquoted = _UNQUOTED.match(lines[fault.line - 1])
    if unquoted is None or (fault.column or 0) < unquoted.end() or syntax_fault("\n".join(lines[: fault.line - 1])):
        return CORRECT_IT
    return f"put the value in quotes: {unquoted.group(1) or 'NAME'} = '...'"


def legacy_fault(text: str) -> Optional[SyntaxFault]:
    """Check whether Prefect's parser rejects a text.

    Args:
        text: the text of the file.

    Returns:
        The fault, with its place if the parser reports one; None if the parser reads the text.
    """
    try:
        loads(text)
    except Exception as error:  # noqa: BLE001 (toml 0.10.2 also raises IndexError, TypeError and others)
        return _fault_of(error)
    return None


def _fault_of(error: Exception) -> SyntaxFault:
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    return SyntaxFault(line, column, "TOML 1.0 allows this, but the parser of Prefect (toml 0.10.2) does not")


def differences(text: str) -> List[Difference]:
    """Compare the results of Prefect's parser with TOML 1.0.

    Args:
        text: valid TOML 1.0 that Prefect's parser accepts too.

    Returns:
        The keys of TOML 1.0 that Prefect's parser does not read, or reads with another value. Names that only Prefect's
        parser reads are omitted, because they may contain values (``Layer.doubts``).
    """
    return list(_differences(_loads_standard(text), loads(text), ()))


def _loads_standard(text: str) -> Dict[str, Any]:
    import tomli

    refuse_deep(text)
    return tomli.loads(text)


def standard_reading(text: str) -> StandardReading:
    """Read a text as TOML 1.0, without its invalid lines.

    Args:
        text: the text of the file.

    Returns:
        The result. If a fault is in a multi-line string, or there are more than 50 faults, only the lines above it are
        read.
    """
    lines = text.split("\n")
    faults: List[int] = []
    for _ in range(_MOST_FAULTS):
        fault = syntax_fault("\n".join(lines))
        if fault is None:
            return StandardReading(_loads_standard("\n".join(lines)), "\n".join(lines), tuple(faults))
        number = fault.line or 1
        line = lines[number - 1]
        if not line.strip() or '"""' in line or "'''" in line:
            break
        lines[number - 1] = ""
        faults.append(number)
    above = _valid_start(lines[: number - 1])
    return StandardReading(_loads_standard(above), above, tuple(faults))


def _valid_start(lines: List[str]) -> str:
    """Return as many of the first lines as are valid TOML, or ``""`` if more than 50 have to be removed."""
    for length in range(len(lines), max(len(lines) - _MOST_FAULTS, 0), -1):
        text = "\n".join(lines[:length])
        if syntax_fault(text) is None:
            return text
    return ""


def refuse_deep(text: str) -> None:
    """Reject a text that would exhaust the stack of the parsers, of Prefect and of this model.

    Args:
        text: TOML.

    Raises:
        RecursionError: brackets are nested too deeply, or a dotted key has too many parts.
    """
    if deep_place(text) is not None:
        raise RecursionError("nested too deeply")


def deep_place(text: str) -> Optional[Tuple[int, int]]:
    """Return the place where a text is nested too deeply.

    The check is cheap if there are few brackets and dots.

    Args:
        text: TOML.

    Returns:
        The 1-based line and column, or None.
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
    """Return a string with placeholder content of the same length, or a comment as blanks."""
    quotes = "".join(filter(None, string.groups()))
    content = len(string.group()) - 2 * len(quotes)
    return f"{quotes}{(' _'[bool(quotes)]) * content}{quotes}"


def _deep_bracket(text: str) -> Optional[int]:
    """Return the offset at which brackets in a text without strings are nested more than 200 levels deep."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += 1 if match.group() in "[{" else -1
        if depth > DEEPEST:
            return match.start()
    return None


def _finder(text: str, doubts: Mapping[Key, Doubt]) -> Callable[[Key], Optional[Position]]:
    positions: Dict[Key, Position] = {}

    def find(key: Key) -> Optional[Position]:
        doubt = next((doubts[key[:length]] for length in range(len(key), 0, -1) if key[:length] in doubts), None)
        if doubt is not None:
            return position_of(doubt)
        if not positions:
            positions.update(positions_of(text))
        return positions.get(key)

    return find


def _without_values(message: str) -> str:
    message = re.sub(r"\s*\(at .*\)$", "", message, flags=re.DOTALL)
    if message.startswith(("Expected ", "Unescaped ", "Illegal ", "Found ")):  # only syntax and control characters
        return message
    return re.sub(r"\(.*\)|'.*'|\".*\"", "this name", message, flags=re.DOTALL)


def _at_end(text: str, reason: str) -> SyntaxFault:
    lines = text.split("\n")
    return SyntaxFault(len(lines), len(lines[-1]) + 1, reason)


def _differences(standard: Any, legacy: Any, key: Key) -> Iterator[Difference]:
    if isinstance(standard, dict) and isinstance(legacy, dict):
        for name, value in standard.items():
            if name in legacy:
                yield from _differences(value, legacy[name], (*key, name))
            else:
                yield Difference((*key, name), missing=True)
    elif not _same(standard, legacy):
        yield Difference(key, missing=False)


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are equal and of the same type, inside lists too; nan equals nan."""
    for kind, is_same in ((list, _same_lists), (dict, _same_tables)):
        if isinstance(one, kind) and isinstance(other, kind):
            return is_same(one, other)
    return type(one) is type(other) and (bool(one == other) or (_is_nan(one) and _is_nan(other)))


def _same_lists(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(map(_same, one, other))


def _same_tables(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
