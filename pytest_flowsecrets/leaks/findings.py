"""Findings of leaked secrets: as objects, text, JSON and SARIF. They never contain a value."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence

from pytest_flowsecrets.findings import sarif

_ADVICE = {
    "captured": "do not print or log it; log the secret's name",
    "live": "do not print or log it; log the secret's name",
    "log": "do not print or log it; log the secret's name",
    "failure": "compare names, lengths or hashes in assertions, and keep the value out of exception messages",
    "reason": "keep the value out of reasons and messages",
    "warning": "keep the value out of warnings",
    "id": "give the parameter an id: pytest.param(value, id='token')",
    "property": "record the secret's name, not its value",
    "file": "do not write it to files, or remove the files",
    "run": "do not put values into the env of run configs (Prefect stores it readable); read the secret in the flow",
    "environment": "a LocalAgent passes on its whole environment; start it with an environment without secrets",
    "api": "send the secret's name, and let the flow read the value where it runs",
    "searched": "keep the value out of what leaves the flow",
}


class Finding(NamedTuple):
    """A leak of a secret.

    Attributes:
        name: the name of the secret.
        form: the form of the value, such as ``base64`` or ``raw, truncated``.
        place: the place of the leak: ``captured stdout``, ``failure``, ``id``, ``file report.xml``, …
        test: the node id of the test, or an empty string outside of tests.
        excerpt: the text around the value, masked.
        names: all names of the value.
    """

    name: str
    form: str
    place: str
    test: str
    excerpt: str
    names: Sequence[str] = ()

    @property
    def advice(self) -> str:
        """How to fix the leak."""
        return _ADVICE.get(self.place.split(" ", 1)[0], _ADVICE["reason"])

    def __str__(self) -> str:
        return f"{self.name} ({self.form}) in {self.place}: {self.excerpt}"


def report_section(findings: Sequence[Finding]) -> str:
    """Return the section that the report of a leaking test shows."""
    lines = [f"{len(findings)} secret leak{'s' if len(findings) > 1 else ''}:"]
    for finding in findings:
        lines += [f"secret {finding.name}, {finding.form}, in {finding.place}:", f"    {finding.excerpt}"]
        lines.append(f"    fix: {finding.advice}")
    return "\n".join(lines)


def summary(findings: Iterable[Finding]) -> List[str]:
    """Return a line with a count for each secret and place."""
    counts = Counter((finding.name, finding.place) for finding in findings)
    return [f"{name} in {place}: {count}" for (name, place), count in sorted(counts.items())]


def as_json(findings: Sequence[Finding]) -> List[Dict[str, str]]:
    """Return the findings as plain data."""
    fields = "name", "form", "place", "test", "excerpt", "advice"
    return [{field: getattr(finding, field) for field in fields} for finding in findings]


def as_sarif(findings: Sequence[Finding]) -> Dict[str, Any]:
    """Return the findings as a SARIF 2.1.0 log, which has the plain data in its properties."""
    rule = {"id": "secret-leak", "shortDescription": {"text": "A secret leaked"}}
    results = [_result(finding) for finding in findings]
    return sarif.log("pytest-flowsecrets", [rule], results, findings=as_json(findings))


def _result(finding: Finding) -> Dict[str, Any]:
    message = f"Secret {finding.name} ({finding.form}) in {finding.place}. Fix: {finding.advice}."
    path, _, name = finding.test.partition("::")
    location = sarif.location(path) if path else None
    if location is not None and name:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.test}]
    return sarif.result("secret-leak", "error", message, location)


def write_report(path: str, findings: Sequence[Finding]) -> None:
    """Write the findings as SARIF to ``path`` and as JSON next to it, or the other way round for a ``.json`` path."""
    import json
    from pathlib import Path

    main = Path(path).with_suffix(".sarif") if path.endswith(".json") else Path(path)
    main.parent.mkdir(parents=True, exist_ok=True)
    for target, content in ((main, as_sarif(findings)), (main.with_suffix(".json"), as_json(findings))):
        target.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
