"""Create the text of a ``config.toml`` from a mapping, and check a text before Prefect sees it.

Two parsers read the text. ``tomli`` follows TOML 1.0 and reports the position of an error. Prefect uses ``toml``
0.10.2, which accepts some invalid TOML, rejects some valid TOML, and reads a few values differently. Its result counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from pytest_flowsecrets.errors import ConfigSyntaxError, TomlDialectWarning, UsageError
from pytest_flowsecrets.isolation.safe_errors import warn_user
from pytest_flowsecrets.leaks.registry import TOKENS, register
from pytest_flowsecrets.resolution.shown_names import always_names
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
_PATH = re.compile(r"[^\n=\[\]#\"']+\.toml")
_SYNTAX = frozenset(" \t\"'[]{},#")


def to_text(text_or_mapping: object) -> str:
    """Return TOML text unchanged, or a mapping as TOML text.

    Raises:
        UsageError: the argument is neither text nor a mapping, or the mapping holds a value without a TOML type (None).
    """
    if isinstance(text_or_mapping, str):
        if _PATH.fullmatch(text_or_mapping):
            raise UsageError("write_config takes TOML text or a mapping, not a path: pass Path(...).read_text()")
        return text_or_mapping
    if not isinstance(text_or_mapping, Mapping):
        kind = type(text_or_mapping).__name__
        raise UsageError(
            f"a config file must be TOML text or a mapping, not {kind}: write_config('[context.secrets]\\n…')"
        )
    import tomlkit

    try:
        return tomlkit.dumps(text_or_mapping)
    except Exception as error:  # noqa: BLE001 - tomlkit raises many kinds, and their texts may hold values
        raise UsageError(
            f"the mapping cannot be written as TOML ({type(error).__name__}): use only tables, text, numbers, "
            "booleans, dates and lists, not None"
        ) from None


def read(source: Union[str, bytes]) -> Dict[str, Any]:
    """Parse a text as Prefect does."""
    return loads(decode(source))


def check(text: str, path: str) -> Dict[str, Any]:
    """Return the content of a text as Prefect reads it, and warn about keys that Prefect reads unlike TOML 1.0.

    Raises:
        ConfigSyntaxError: Prefect cannot read the text. The error holds file, line, column and the lines around it,
            with values masked.
    """
    text = decode(text)
    fault, prefect_fault = syntax_fault(text), legacy_fault(text)
    if prefect_fault or fault:
        register_raw_values(text)
    if prefect_fault:
        line, column, reason = fault or prefect_fault
        if fault and remedy(text, fault) != CORRECT_IT:
            reason = f"{reason}, {remedy(text, fault)}"
        raise ConfigSyntaxError(path, line, column, reason, excerpt=_excerpt(text, line, column)) from None
    for message in _misreadings(text, fault):
        warn_user(TomlDialectWarning(f"{path}{message}"))
    return loads(text)


def register_if_broken(text: str) -> None:
    """Register the values in a broken text, so that reports mask them.

    Args:
        text: the text of a configuration file.
    """
    text = decode(text)
    if syntax_fault(text) or legacy_fault(text):
        register_raw_values(text)


def _misreadings(text: str, fault: Optional[SyntaxFault]) -> Iterator[str]:
    """Describe where Prefect's parser reads a text unlike TOML 1.0. Names that may hold a value are masked."""
    different = [] if fault else differences(text)
    doubts = list(read_layer(text).doubts.values()) if fault or different else []
    for doubt in doubts:
        yield f":{doubt.line}:{doubt.column}: {_doubt_message(doubt.name)}"
    for key, _ in different:
        yield f": Prefect's parser reads the key {'.'.join(key)} differently from TOML 1.0; its result counts"
    if fault and all(doubt.line != fault.line for doubt in doubts):
        place, key_on = f"{fault.line}:{fault.column}", _key_on(text, fault.line)
        yield f":{place}: {key_on} is not valid TOML 1.0 ({fault.reason}), but Prefect's parser accepts it"


def _doubt_message(name: str) -> str:
    missing = f"there is no key {name!r}" if name else "the intended key does not exist"
    return f"Prefect's parser reads a part of the value as a part of the name, so {missing}: use quotes"


def _key_on(text: str, line: Optional[int]) -> str:
    key = _key_of(text.split("\n"), line) if line else None
    return f"the key {key.rstrip('=').strip()}" if key else "this line"


def _excerpt(text: str, line: Optional[int], column: Optional[int]) -> str:
    """Return the line of the error and the lines next to it, with dots for everything except syntax and keys."""
    if line is None:
        return ""
    lines = text.replace("\r\n", "\n").split("\n")
    excerpt: List[str] = []
    for number in range(max(1, line - 1), min(line + 1, len(lines)) + 1):
        key = _key_of(lines, number) if number <= line else None
        if number == line and not _ends_before(key, column):
            key = None  # the error is in the apparent key
        excerpt.append(f"{number:>5} | {_mask(lines[number - 1], key or '')}")
        if number == line and column is not None:
            excerpt.append(f"      | {' ' * (column - 1)}^")
    return "\n".join(excerpt)


def _ends_before(key: Optional[str], column: Optional[int]) -> bool:
    return column is not None and column > len(key or "")


def _key_of(lines: List[str], number: int) -> Optional[str]:
    """Return the key, or the header of a table, at the start of a line, if a statement begins on that line.

    A statement begins there if the lines above are complete TOML. They are not inside a multi-line text or list.
    """
    match = _KEY.match(lines[number - 1]) or _HEADER.match(lines[number - 1])
    return match.group() if match and syntax_fault("\n".join(lines[: number - 1])) is None else None


def _mask(line: str, key: str) -> str:
    return key + "".join(char if char in _SYNTAX else "•" for char in line[len(key) :])


# -- the values in a broken text ---------------------------------------------------------------------------------------

_ANY_HEADER = re.compile(r"\s*\[[^\]=]*\]?\]?\s*(?:#.*)?$")
_COMMENT = re.compile(r"\s+#.*$")
_QUOTES = " \t,\"'"


def register_raw_values(text: str) -> None:
    """Register the secrets in a broken text, so that reports that show the text mask them.

    Args:
        text: the text of a configuration file that Prefect or TOML 1.0 cannot read.
    """
    for name, value in raw_values(text):
        register(name, value)


def raw_values(text: str) -> Iterator[Tuple[str, str]]:
    """Find texts that look like the value of a secret: the text after the first ``=``, with and without its quotes.

    A line is searched if its table or its key concerns secrets, or if it is at the top level and its key is not a
    setting of Prefect.

    Args:
        text: the text of a configuration file.

    Yields:
        The key, or ``config.toml`` for a line without one, and a value.
    """
    header = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _ANY_HEADER.fullmatch(line):
            header = line.lower()
        else:
            yield from _values_on(line, header)


def _values_on(line: str, header: str) -> Iterator[Tuple[str, str]]:
    """Find values on a line below the header of a table, in lower case, or an empty text at the top level."""
    key, equals, value = line.partition("=")
    name = key.strip().strip("\"'")
    if not _may_be_secret(name, header):
        return
    has_key = bool(equals) and name.isidentifier()
    texts = [value] if has_key else [line, *key.split()[1:], value]
    for text in texts:
        yield from ((name if has_key else "config.toml", each) for each in _with_and_without_quotes(text))


def _may_be_secret(name: str, header: str) -> bool:
    is_unknown = not header and name not in always_names()
    return "secrets" in header + name.lower() or name in TOKENS or is_unknown


def _with_and_without_quotes(text: str) -> Tuple[str, str]:
    return text.strip(), _COMMENT.sub("", text).strip(_QUOTES)
