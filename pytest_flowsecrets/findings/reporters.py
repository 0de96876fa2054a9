"""Findings as text, JSON, GitHub annotations and SARIF."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List

from pytest_flowsecrets.findings.sarif import location, log, result
from pytest_flowsecrets.resolution.display import one_line

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding

_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def write(found: List[Finding], form: str) -> None:
    """Print findings.

    Args:
        found: the findings.
        form: ``text``, ``json``, ``github`` or ``sarif``.
    """
    if form == "json":
        print(json.dumps([as_dict(finding) for finding in found], indent=2))
    elif form == "sarif":
        print(json.dumps(sarif(found), indent=2))
    else:
        for finding in found:
            print(_github(finding) if form == "github" else text(finding))


def with_line(finding: Finding) -> Finding:
    """Return a finding whose advice holds the line to write, and so the value.

    Args:
        finding: the finding.
    """
    return finding if finding.line is None else replace(finding, advice=f"for the text as it stands: {finding.line}")


def text(finding: Finding) -> str:
    """Write a finding as linters do.

    Args:
        finding: the finding.
    """
    return one_line(f"{finding.origin}: {finding.id} {_told(finding)}")


def _told(finding: Finding) -> str:
    name = f"{finding.name}: " if finding.name else ""
    versions = f" (Prefect {finding.versions})" if finding.versions else ""
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{name}{finding.message}{versions}{advice}"


def as_dict(finding: Finding) -> Dict[str, Any]:
    """Give a finding as plain data.

    Args:
        finding: the finding.
    """
    return {
        "id": finding.id,
        "severity": finding.severity,
        "name": finding.name,
        "file": finding.origin.place,
        "line": finding.origin.line,
        "column": finding.origin.column,
        "message": finding.message,
        "versions": finding.versions,
        "advice": finding.advice,
    }


def sarif(found: List[Finding]) -> Dict[str, Any]:
    """Give findings as a SARIF 2.1.0 log.

    Args:
        found: the findings.
    """
    rules = [{"id": rule} for rule in sorted({finding.id for finding in found})]
    return log("flowsecrets", rules, [_sarif_result(finding) for finding in found])


def _sarif_result(finding: Finding) -> Dict[str, Any]:
    origin = finding.origin
    place = location(origin.place, origin.line, origin.column)
    return result(finding.id, finding.severity, _told(finding), place)


def _github(finding: Finding) -> str:
    place = f"file={_escaped(finding.origin.place, ':,')}"
    if finding.origin.line is not None:
        place += f",line={finding.origin.line},col={finding.origin.column or 1}"
    return f"::{_LEVELS[finding.severity]} {place},title={finding.id}::{_escaped(_told(finding))}"


def _escaped(text: str, more: str = "") -> str:
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text
