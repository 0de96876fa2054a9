"""The text of a ``config.toml``: made from a mapping, and checked before Prefect sees it.

Two parsers look at it. ``tomli`` knows TOML 1.0 and says where a fault is. Prefect reads with ``toml`` 0.10.2, which
takes some things that are no TOML, refuses some that are, and reads a few differently; its reading is what counts.
"""

from __future__ import annotations

import io
import re
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from pytest_flowsecrets.errors import ConfigSyntaxError, TomlDialectWarning, UsageError
from pytest_flowsecrets.isolation.notify import warn_user

Parser = Callable[[str], Dict[str, Any]]
_POSITION = re.compile(r"\s*\((?:at line (\d+), column (\d+)|at end of document)\)$")
_HEADER = re.compile(r"\s*\[\[?\s*[A-Za-z_][\w.-]*\s*\]?\]?\s*$")
_PART = r"(?:[\w-]{1,80}|\"[^\"]{0,80}\"|'[^']{0,80}')"
_KEY = re.compile(rf"\s*{_PART}(?:\s*\.\s*{_PART})*\s*=(?=\s*[^\s=])")
_SYNTAX = frozenset(" \t\"'[]{},#")


def to_text(text_or_mapping: object) -> str:
    """TOML text as it is, or a mapping written as TOML.

    Raises:
        UsageError: neither text nor mapping, or a mapping that TOML cannot say (None, say).
    """
    if isinstance(text_or_mapping, str):
        return text_or_mapping
    if not isinstance(text_or_mapping, Mapping):
        kind = type(text_or_mapping).__name__
        raise UsageError(f"a config file is TOML text or a mapping, not {kind}: write_config('[context.secrets]\\n…')")
    import tomlkit

    try:
        return tomlkit.dumps(text_or_mapping)
    except Exception as error:  # noqa: BLE001 - tomlkit raises many kinds, and their texts may hold values
        raise UsageError(
            f"the mapping cannot be written as TOML ({type(error).__name__}): give tables, text, numbers, booleans, "
            "dates and lists, and None nowhere"
        ) from None


def read(text: str, prefect_parser: Optional[Parser]) -> Dict[str, Any]:
    """Parse as Prefect does; without Prefect, as TOML 1.0 says."""
    if prefect_parser is None:
        import tomli

        return tomli.loads(text)
    return prefect_parser(io.StringIO(text, newline=None).read())  # a file is opened with universal newlines


def check(text: str, path: str, prefect_parser: Optional[Parser] = None) -> Dict[str, Any]:
    """What Prefect reads in a text; refuse one that it could not read, warn of keys that it reads unlike TOML 1.0.

    Raises:
        ConfigSyntaxError: with file, line, column and the lines around it, values masked.
    """
    standard, fault = _standard(text)
    if prefect_parser is None:
        if fault:
            raise ConfigSyntaxError(path, *fault, excerpt=_excerpt(text, fault[0], fault[1])) from None
        return standard
    try:
        found = read(text, prefect_parser)
    except Exception as error:  # noqa: BLE001 - toml raises IndexError and more, and its texts may hold values
        line, column, reason = fault or _position_of(error)
        raise ConfigSyntaxError(path, line, column, reason, excerpt=_excerpt(text, line, column)) from None
    if fault:
        line, column, reason = fault
        key = _key_on(text, line)
        warn_user(
            TomlDialectWarning(
                f"{path}:{line}:{column}: {key} is no TOML 1.0 ({reason}), but Prefect's parser reads it, so it counts"
            )
        )
    for key in sorted(_differences(standard, found)) if not fault else ():
        warn_user(
            TomlDialectWarning(
                f"{path}: Prefect's parser reads the key {key} differently from TOML 1.0; its reading counts"
            )
        )
    return found


def _standard(text: str) -> Tuple[Dict[str, Any], Optional[Tuple[Optional[int], Optional[int], str]]]:
    import tomli

    try:
        return tomli.loads(text), None
    except tomli.TOMLDecodeError as error:
        place = _POSITION.search(str(error))
        reason = _POSITION.sub("", str(error))
        if place and place.group(1):
            return {}, (int(place.group(1)), int(place.group(2)), reason)
        return {}, (text.count("\n") + 1, len(text) - text.rfind("\n"), reason)


def _position_of(error: Exception) -> Tuple[Optional[int], Optional[int], str]:
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    return line, column, "TOML 1.0 allows this, but the parser of Prefect (toml 0.10.2) does not"


def _key_on(text: str, line: Optional[int]) -> str:
    key = _key_of(text.split("\n"), line) if line else None
    return f"the key {key.rstrip('=').strip()}" if key else "this line"


def _excerpt(text: str, line: Optional[int], column: Optional[int]) -> str:
    """The faulty line with its neighbours, without any value: what is no syntax and no key becomes a dot."""
    if line is None:
        return ""
    lines = text.replace("\r\n", "\n").split("\n")
    shown: List[str] = []
    for number in range(max(1, line - 1), min(line + 1, len(lines)) + 1):
        content = lines[number - 1]
        key = _key_of(lines, number) if number <= line else None
        if number == line and (column is None or column <= len(key or "")):
            key = None  # the fault is in what looks like the key
        shown.append(f"{number:>5} | {_mask(content, key or '')}")
        if number == line and column is not None:
            shown.append(f"      | {' ' * (column - 1)}^")
    return "\n".join(shown)


def _key_of(lines: List[str], number: int) -> Optional[str]:
    """The key (or the table's header) with which a line begins, if a statement begins there at all.

    It does if the lines above are whole TOML; inside a text or a list of several lines they are not.
    """
    found = _KEY.match(lines[number - 1]) or _HEADER.match(lines[number - 1])
    return found.group() if found and _standard("\n".join(lines[: number - 1]))[1] is None else None


def _mask(line: str, key: str) -> str:
    return key + "".join(char if char in _SYNTAX else "•" for char in line[len(key) :])


def _differences(one: Any, other: Any, at: str = "") -> Iterator[str]:
    """Dotted keys at which two readings of the same text differ, in type or in value."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            below = f"{at}.{key}" if at else str(key)
            if key in one and key in other:
                yield from _differences(one[key], other[key], below)
            else:
                yield below
    elif not _same(one, other):
        yield at


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(not list(_differences(a, b)) for a, b in zip(one, other))
    if type(one) is not type(other):
        return False
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124 - nan is nan
