"""The text of a ``config.toml``: made from a mapping, and checked before Prefect sees it.

Two parsers look at it. ``tomli`` knows TOML 1.0 and says where a fault is. Prefect reads with ``toml`` 0.10.2, which
takes some things that are no TOML, refuses some that are, and reads a few differently; its reading is what counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Union

from pytest_flowsecrets.errors import ConfigSyntaxError, TomlDialectWarning, UsageError
from pytest_flowsecrets.isolation.home.unparsed_values import register_raw_values
from pytest_flowsecrets.isolation.safe_errors import warn_user
from pytest_flowsecrets.resolution.toml_reader import (
    CORRECT_IT,
    decode,
    differences,
    legacy_fault,
    loads,
    read_layer,
    remedy,
    syntax_fault,
)

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.toml_reader import SyntaxFault

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


def read(source: Union[str, bytes]) -> Dict[str, Any]:
    """Parse as Prefect does."""
    return loads(decode(source))


def check(text: str, path: str) -> Dict[str, Any]:
    """What Prefect reads in a text; refuse one that it could not read, warn of keys that it reads unlike TOML 1.0.

    Raises:
        ConfigSyntaxError: with file, line, column and the lines around it, values masked.
    """
    text = decode(text)
    fault, refused = syntax_fault(text), legacy_fault(text)
    if refused or fault:
        register_raw_values(text)
    if refused:
        line, column, reason = fault or refused
        if fault and remedy(text, fault) != CORRECT_IT:
            reason = f"{reason}, {remedy(text, fault)}"
        raise ConfigSyntaxError(path, line, column, reason, excerpt=_excerpt(text, line, column)) from None
    for message in _misreadings(text, fault):
        warn_user(TomlDialectWarning(f"{path}{message}"))
    return loads(text)


def register_if_broken(text: str) -> None:
    """Make the values in a text known where its lines do not say what they are, so that reports mask them.

    Args:
        text: a configuration file's text.
    """
    text = decode(text)
    if syntax_fault(text) or legacy_fault(text):
        register_raw_values(text)


def _misreadings(text: str, fault: Optional[SyntaxFault]) -> Iterator[str]:
    """Say where Prefect's parser reads a text unlike TOML 1.0; names that may hold a value are masked."""
    different = [] if fault else differences(text)
    doubts = read_layer(text).doubts if fault or different else {}
    for doubt in doubts.values():
        missing = f"there is no key {doubt.name!r}" if doubt.name else "the key that is meant does not exist"
        place = f"{doubt.line}:{doubt.column}"
        yield f":{place}: Prefect's parser takes a part of the value for a part of the name, so {missing}: use quotes"
    for key, _ in different:
        yield f": Prefect's parser reads the key {'.'.join(key)} differently from TOML 1.0; its reading counts"
    if fault and fault.line not in {doubt.line for doubt in doubts.values()}:
        line, column, reason = fault
        key_on = _key_on(text, line)
        yield f":{line}:{column}: {key_on} is no TOML 1.0 ({reason}), but Prefect's parser reads it, so it counts"


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
    return found.group() if found and syntax_fault("\n".join(lines[: number - 1])) is None else None


def _mask(line: str, key: str) -> str:
    return key + "".join(char if char in _SYNTAX else "•" for char in line[len(key) :])
