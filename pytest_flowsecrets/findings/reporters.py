"""Reporters that write findings as text, JSON, GitHub annotations or SARIF."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List

from pytest_flowsecrets.findings.sarif import location, log, result
from pytest_flowsecrets.resolution.display import one_line

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding

_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def write(findings: List[Finding], output_format: str) -> None:
    """Print findings.

    Args:
        findings: the findings.
        output_format: ``text``, ``json``, ``github`` or ``sarif``.
    """
    if output_format == "json":
        print(json.dumps([as_dict(finding) for finding in findings], indent=2))
    elif output_format == "sarif":
        print(json.dumps(sarif(findings), indent=2))
    else:
        for finding in findings:
            print(_github(finding) if output_format == "github" else text(finding))


def with_line(finding: Finding) -> Finding:
    """Return a finding whose advice contains the line to write, and therefore the value.

    Args:
        finding: the finding.
    """
    return finding if finding.line is None else replace(finding, advice=f"to get the value as written: {finding.line}")


def text(finding: Finding) -> str:
    """Return a finding as one line, in the format of linters.

    Args:
        finding: the finding.
    """
    return one_line(f"{finding.origin}: {finding.id} {_describe(finding)}")


def _describe(finding: Finding) -> str:
    name = f"{finding.name}: " if finding.name else ""
    versions = f" (Prefect {finding.versions})" if finding.versions else ""
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{name}{finding.message}{versions}{advice}"


def as_dict(finding: Finding) -> Dict[str, Any]:
    """Return a finding as plain data.

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


def sarif(findings: List[Finding]) -> Dict[str, Any]:
    """Return findings as a SARIF 2.1.0 log.

    Args:
        findings: the findings.
    """
    rules = [{"id": rule} for rule in sorted({finding.id for finding in findings})]
    return log("flowsecrets", rules, [_sarif_result(finding) for finding in findings])


def _sarif_result(finding: Finding) -> Dict[str, Any]:
    origin = finding.origin
    place = location(origin.place, origin.line, origin.column)
    return result(finding.id, finding.severity, _describe(finding), place)


def _github(finding: Finding) -> str:
    place = f"file={_escape(finding.origin.place, ':,')}"
    if finding.origin.line is not None:
        place += f",line={finding.origin.line},col={finding.origin.column or 1}"
    return f"::{_LEVELS[finding.severity]} {place},title={finding.id}::{_escape(_describe(finding))}"


def _escape(text: str, more: str = "") -> str:
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text
