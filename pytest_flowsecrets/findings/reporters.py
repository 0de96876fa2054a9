"""Reporters that write findings, also leaks, as text, JSON, GitHub annotations or SARIF."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Sequence

from pytest_flowsecrets.findings.rules import RULES
from pytest_flowsecrets.resolution.display import one_line

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding

_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}  # of GitHub, by severity


def write(findings: Sequence[Finding], output_format: str) -> None:
    """Print findings.

    Args:
        findings: the findings.
        output_format: ``text``, ``json``, ``github`` or ``sarif``.
    """
    if output_format == "json":
        print(json_text(as_json(findings)))
    elif output_format == "sarif":
        print(json_text(as_sarif(findings, "flowsecrets")))
    else:
        for finding in findings:
            print(github(finding) if output_format == "github" else text(finding))


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
    return one_line(f"{finding.origin}: {finding.id} {finding.description}")


def github(finding: Finding) -> str:
    """Return a finding as a workflow command of GitHub that shows it as an annotation.

    Args:
        finding: the finding.
    """
    place = f"file={_escape(finding.origin.place, ':,')}"
    if finding.origin.line is not None:
        place += f",line={finding.origin.line},col={finding.origin.column or 1}"
    return f"::{_LEVELS[finding.severity]} {place},title={finding.id}::{_escape(finding.description)}"


def _escape(text: str, more: str = "") -> str:
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def json_text(data: Any) -> str:
    """Return plain data as JSON in the layout of all files and outputs.

    Args:
        data: the data.
    """
    return json.dumps(data, indent=2)


def as_json(findings: Iterable[Finding]) -> List[Dict[str, Any]]:
    """Return findings as plain data.

    Args:
        findings: the findings.
    """
    return [finding.as_dict() for finding in findings]


def as_sarif(
    findings: Sequence[Finding],
    tool: str,
    rules: Iterable[str] = (),
    properties: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """Return findings as a SARIF 2.1.0 log, the report format of code scanners.

    Args:
        findings: the findings.
        tool: the name of the tool.
        rules: the ids of rules that the log describes even without a finding.
        properties: more data of the run.
    """
    ids = sorted({finding.id for finding in findings}.union(rules))
    descriptions = [{"id": rule, "shortDescription": {"text": RULES[rule].title}} for rule in ids]
    results = [_sarif_result(finding) for finding in findings]
    run: Dict[str, Any] = {"tool": {"driver": {"name": tool, "rules": descriptions}}, "results": results}
    if properties:
        run["properties"] = properties
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def _sarif_result(finding: Finding) -> Dict[str, Any]:
    result = {"ruleId": finding.id, "level": finding.severity, "message": {"text": finding.description}}
    return {**result, "locations": [_sarif_location(finding)]} if finding.origin.place else result


def _sarif_location(finding: Finding) -> Dict[str, Any]:
    from urllib.parse import quote

    origin = finding.origin
    # Bytes of the path that are not UTF-8 are kept.
    place: Dict[str, Any] = {"artifactLocation": {"uri": quote(os.fsencode(origin.place))}}
    if origin.line is not None:
        place["region"] = {"startLine": origin.line, "startColumn": origin.column or 1}
    location: Dict[str, Any] = {"physicalLocation": place}
    if "::" in finding.test:  # names a test, not only a module
        location["logicalLocations"] = [{"fullyQualifiedName": finding.test}]
    return location
