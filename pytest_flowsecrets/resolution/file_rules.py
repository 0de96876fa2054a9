"""Rules about the text of a configuration file: what makes Prefect fail at import, or read it in another way."""

from __future__ import annotations

from typing import List, Optional

from pytest_flowsecrets.resolution.advice import Finding
from pytest_flowsecrets.resolution.layers import Origin
from pytest_flowsecrets.resolution.positions import position, positions_of
from pytest_flowsecrets.resolution.toml import Parser, decode, differences, refuse_deep, syntax_fault

_ALL = "0.5.0-1.4.1"
_BOM = "\ufeff"


def file_findings(source: bytes, place: str, legacy: Optional[Parser] = None) -> List[Finding]:
    """Check a file's bytes as such.

    Args:
        source: the bytes.
        place: the file's name.
        legacy: ``toml.loads`` where it is installed; without it, differences between the parsers go unnoticed.
    """
    try:
        text = decode(source)
    except UnicodeDecodeError as error:
        line, column = position(source, error.start)
        return [_finding("FS001", place, line, column, "not UTF-8: import prefect fails", "save it as UTF-8")]
    if text.startswith(_BOM):
        return [
            _finding("FS003", place, 1, 1, "a byte order mark: import prefect fails", "save it as UTF-8 without BOM")
        ]
    fault = syntax_fault(text)
    if fault is not None and legacy is not None and _reads(text, legacy):
        message = f"no valid TOML ({fault.reason}), although Prefect's own parser (toml 0.10.2) takes it"
        return [
            Finding(
                "FS002", "warning", "", Origin("user", place, fault.line, fault.column), message, _ALL, "correct it"
            )
        ]
    if fault is not None:
        return [_fault(place, fault.line, fault.column, fault.reason)]
    return _differences(text, place, legacy) if legacy is not None else []


def _reads(text: str, legacy: Parser) -> bool:
    try:
        refuse_deep(text)
        legacy(text)
    except Exception:  # noqa: BLE001 (toml 0.10.2 also raises IndexError, TypeError and others)
        return False
    return True


def _differences(text: str, place: str, legacy: Parser) -> List[Finding]:
    found = []
    different = differences(text, legacy)
    places = positions_of(text) if different else {}
    for difference in different:
        key = ".".join(difference.key)
        at = places.get(difference.key)
        if not difference.key:
            message, severity = (
                "Prefect's TOML parser (toml 0.10.2) cannot read this file: import prefect fails",
                "error",
            )
        else:
            message, severity = f"Prefect's TOML parser (toml 0.10.2) reads the key {key!r} in another way", "warning"
        origin = Origin("user", place, at.line if at else None, at.column if at else None, difference.key)
        advice = "write plain keys, one line strings, and arrays of one type"
        found.append(Finding("FS002", severity, key, origin, message, _ALL, advice))
    return found


def _fault(place: str, line: Optional[int], column: Optional[int], reason: str) -> Finding:
    twice = "already" in reason or "twice" in reason or "overwrite" in reason or "declare" in reason
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
