"""Reporters that write findings, also leaks, as text, JSON, GitHub annotations or SARIF."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from pytest_flowsecrets.findings import terminal
from pytest_flowsecrets.findings.rules import DOCUMENTATION, RULES

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding

JSON_VERSION = 1  # of check.schema.json; it changes if a field changes its meaning or goes
_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}  # of GitHub, by severity


def write(findings: Sequence[Finding], output_format: str, output: Output) -> None:
    """Write findings.

    Args:
        findings: the findings.
        output_format: ``concise``, ``full``, ``json``, ``json-array``, ``github`` or ``sarif``.
        output: the stream, and what else the formats show.
    """
    if output_format == "json":
        lines = [json_text(as_document(findings, output))]
    elif output_format == "json-array":
        lines = [json_text(as_document(findings, output)["findings"])]
    elif output_format == "sarif":
        lines = [json_text(as_sarif(findings, "flowsecrets"))]
    elif output_format == "github":
        lines = [github(finding) for finding in findings]
    elif output_format == "concise":
        lines = [terminal.concise(finding, output.style) for finding in findings]
    else:
        lines = [terminal.full(each, output.sources.get(each.origin.place, ()), output.style) for each in findings]
    for line in lines:
        print(line, file=output.stream)


class Output(NamedTuple):
    """Where findings are written, and what else the formats show.

    Attributes:
        stream: the stream.
        style: the style of text.
        sources: the lines of files, by the name of the file.
        errors: messages about files that cannot be checked.
        counts: numbers of files, as for :func:`terminal.summary`.
    """

    stream: Any
    style: terminal.Style
    sources: Mapping[str, Sequence[str]] = MappingProxyType({})
    errors: Sequence[str] = ()
    counts: Mapping[str, int] = MappingProxyType({})


def with_line(finding: Finding) -> Finding:
    """Return a finding whose advice contains the line to write, and therefore the value.

    Args:
        finding: the finding.
    """
    return finding if finding.line is None else replace(finding, advice=f"to get the value as written: {finding.line}")


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


def as_document(findings: Sequence[Finding], output: Output) -> Dict[str, Any]:
    """Return the JSON output of ``flowsecrets check``, which ``check.schema.json`` describes.

    Args:
        findings: the findings.
        output: the errors and counts.
    """
    severities = Counter(finding.severity for finding in findings)
    counts = {"files": output.counts.get("files", 0), **{name: severities[name] for name in _LEVELS}}
    results = [{**finding.as_dict(), "fixable": bool(finding.edits)} for finding in findings]
    return {"version": JSON_VERSION, "findings": results, "errors": list(output.errors), "summary": counts}


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
    results = [_sarif_result(finding) for finding in findings]
    for result, fingerprint in zip(results, _fingerprints(findings)):
        result["partialFingerprints"] = {"flowsecrets/v1": fingerprint}
    driver = {"name": tool, "informationUri": DOCUMENTATION, "rules": [_sarif_rule(rule) for rule in ids]}
    run: Dict[str, Any] = {"tool": {"driver": driver}, "results": results}
    if properties:
        run["properties"] = properties
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def _sarif_rule(name: str) -> Dict[str, Any]:
    rule = RULES[name]
    return {
        "id": name,
        "name": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.explanation},
        "help": {"text": f"{rule.title}. {rule.explanation}"},
        "helpUri": f"{DOCUMENTATION}#{name.lower()}",
        "defaultConfiguration": {"level": rule.severity},
    }


def _fingerprints(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a fingerprint for each finding. It stays the same when lines move, and depends on no value."""
    import hashlib

    numbers: Counter[Tuple[str, ...]] = Counter()
    for finding in findings:
        parts = (finding.id, finding.origin.place, finding.name, finding.test)
        numbers[parts] += 1
        text = "\0".join((*parts, str(numbers[parts])))
        yield hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _sarif_result(finding: Finding) -> Dict[str, Any]:
    message = {"text": finding.description}
    result: Dict[str, Any] = {"ruleId": finding.id, "level": finding.severity, "message": message}
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
