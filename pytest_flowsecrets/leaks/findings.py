"""What leaked: the findings of a run, as data, in words, as JSON and as SARIF. Nothing in them is a value."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence

_ADVICE = {
    "captured": "do not print or log it; log the secret's name",
    "live": "do not print or log it; log the secret's name",
    "log": "do not print or log it; log the secret's name",
    "failure": "compare names, lengths or hashes in assertions, and keep the value out of exceptions' texts",
    "reason": "keep the value out of reasons and messages",
    "warning": "keep the value out of warnings",
    "id": "give the parameter an id: pytest.param(value, id='token')",
    "property": "record the secret's name, not its value",
    "file": "do not write it to files, or remove them",
    "run": "leave the env of run configs free of values: Prefect stores it readable; let the flow ask for the secret",
    "environment": "a LocalAgent hands all of its environment on: start it with one that holds no secret",
    "api": "send the secret's name, and let the flow read the value where it runs",
    "searched": "keep the value out of what leaves the flow",
}


class Finding(NamedTuple):
    """A known secret at a place where it does not belong.

    Attributes:
        name: the secret.
        form: the form in which it stood there, such as ``base64`` or ``raw, cut``.
        place: where: ``captured stdout``, ``failure``, ``id``, ``file report.xml``, …
        test: node id of the test, empty where none ran.
        excerpt: the text around it, masked.
        names: all names that the value has.
    """

    name: str
    form: str
    place: str
    test: str
    excerpt: str
    names: Sequence[str] = ()

    @property
    def advice(self) -> str:
        """How to prevent it."""
        return _ADVICE.get(self.place.split(" ", 1)[0], _ADVICE["reason"])

    def __str__(self) -> str:
        return f"{self.name} ({self.form}) in {self.place}: {self.excerpt}"


def section(findings: Sequence[Finding]) -> str:
    """What a leaking test is told."""
    lines = [f"{len(findings)} leak{'s' if len(findings) > 1 else ''} of secrets:"]
    for finding in findings:
        lines += [f"secret {finding.name}, {finding.form}, in {finding.place}:", f"    {finding.excerpt}"]
        lines.append(f"    to prevent it: {finding.advice}")
    return "\n".join(lines)


def summary(findings: Iterable[Finding]) -> List[str]:
    """One line for each secret and place, with a count."""
    counts = Counter((finding.name, finding.place) for finding in findings)
    return [f"{name} in {place}: {count}" for (name, place), count in sorted(counts.items())]


def as_json(findings: Sequence[Finding]) -> List[Dict[str, str]]:
    """The findings as plain data."""
    fields = "name", "form", "place", "test", "excerpt", "advice"
    return [{field: getattr(finding, field) for field in fields} for finding in findings]


def as_sarif(findings: Sequence[Finding]) -> Dict[str, Any]:
    """The findings as a SARIF 2.1.0 log, with the plain data beside them in its properties."""
    rule = {"id": "secret-leak", "shortDescription": {"text": "A known secret at a place where it does not belong"}}
    driver = {"name": "pytest-flowsecrets", "rules": [rule]}
    run = {
        "tool": {"driver": driver},
        "results": [_result(finding) for finding in findings],
        "properties": {"findings": as_json(findings)},
    }
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def _result(finding: Finding) -> Dict[str, Any]:
    from urllib.parse import quote

    told = f"Secret {finding.name} ({finding.form}) in {finding.place}. To prevent it: {finding.advice}."
    path, _, name = finding.test.partition("::")
    result: Dict[str, Any] = {"ruleId": "secret-leak", "level": "error", "message": {"text": told}}
    if path:
        place: Dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": quote(path)}}}
        if name:
            place["logicalLocations"] = [{"fullyQualifiedName": finding.test}]
        result["locations"] = [place]
    return result


def write_report(path: str, findings: Sequence[Finding]) -> None:
    """Write SARIF to ``path`` and plain JSON beside it; a path that ends in ``.json`` is that of the latter."""
    import json
    from pathlib import Path

    sarif = Path(path).with_suffix(".sarif") if path.endswith(".json") else Path(path)
    sarif.parent.mkdir(parents=True, exist_ok=True)
    for target, content in ((sarif, as_sarif(findings)), (sarif.with_suffix(".json"), as_json(findings))):
        target.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
