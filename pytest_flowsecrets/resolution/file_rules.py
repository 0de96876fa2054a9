"""Rules about the text of a configuration file: what makes Prefect fail at import, or read it in another way."""

from __future__ import annotations

from typing import List, Optional

from pytest_flowsecrets.resolution.advice import Finding
from pytest_flowsecrets.resolution.layers import Origin
from pytest_flowsecrets.resolution.positions import position, positions_of
from pytest_flowsecrets.resolution.toml import SyntaxFault, decode, differences, legacy_fault, syntax_fault

_ALL = "0.5.0-1.4.1"
_BOM = "\ufeff"
_TWICE = ("twice", "overwrite", "declare", "duplicate", "redefine", "immutable")  # what tomli says then


def file_findings(source: bytes, place: str) -> List[Finding]:
    """Check a file's bytes as such.

    Args:
        source: the bytes.
        place: the file's name.
    """
    try:
        text = decode(source)
    except UnicodeDecodeError as error:
        line, column = position(source, error.start)
        return [_finding("FS001", place, line, column, "not UTF-8: import prefect fails", "save it as UTF-8")]
    if text.startswith(_BOM):
        does = "import prefect fails" if legacy_fault(text) else "it becomes a part of the first key"
        return [_finding("FS003", place, 1, 1, f"a byte order mark: {does}", "save it as UTF-8 without BOM")]
    fault, legacy = syntax_fault(text), legacy_fault(text)
    if fault is not None and legacy is not None:
        return [_fault(place, fault)]
    if fault is not None:
        message = f"no valid TOML ({fault.reason}), although Prefect's own parser (toml 0.10.2) takes it"
        return [_read_unlike("warning", Origin("user", place, fault.line, fault.column), message, "correct it")]
    if legacy is not None:
        message = "Prefect's TOML parser (toml 0.10.2) cannot read this file: import prefect fails"
        return [_read_unlike("error", Origin("user", place, legacy.line, legacy.column), message)]
    return _differences(text, place)


def _differences(text: str, place: str) -> List[Finding]:
    found = []
    different = differences(text)
    places = positions_of(text) if different else {}
    for key in different:
        at = places.get(key)
        origin = Origin("user", place, at.line if at else None, at.column if at else None, key)
        name = ".".join(key)
        message = f"Prefect's TOML parser (toml 0.10.2) reads the key {name!r} in another way"
        found.append(_read_unlike("warning", origin, message))
    return found


def _read_unlike(
    severity: str,
    origin: Origin,
    message: str,
    advice: str = "write plain keys, one line strings, and arrays of one type",
) -> Finding:
    return Finding("FS002", severity, ".".join(origin.key), origin, message, _ALL, advice)


def _fault(place: str, fault: SyntaxFault) -> Finding:
    line, column, reason = fault
    twice = any(word in reason.lower() for word in _TWICE)
    message = f"{reason}: import prefect fails"
    if twice:
        return _finding(
            "FS004", place, line, column, f"a key or table that is there already: {message}", "keep one of them"
        )
    return _finding("FS001", place, line, column, f"no valid TOML: {message}", "correct it")


def _finding(  # noqa: PLR0913, PLR0917 (the columns of a finding)
    rule: str, place: str, line: Optional[int], column: Optional[int], message: str, advice: str
) -> Finding:
    return Finding(rule, "error", "", Origin("user", place, line, column), message, _ALL, advice)
