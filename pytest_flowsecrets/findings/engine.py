"""All rules, applied to a resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from pytest_flowsecrets.findings.config_rules import whole_findings
from pytest_flowsecrets.findings.model import Finding, readings
from pytest_flowsecrets.findings.name_rules import shape_findings
from pytest_flowsecrets.findings.value_rules import value_findings

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.resolve import Resolution


def findings(resolution: Resolution) -> List[Finding]:
    """Look for surprises in what was written.

    Args:
        resolution: a resolution, failed or not.

    Returns:
        Findings in the order in which things were written.
    """
    found = list(shape_findings(resolution))
    for reading in readings(resolution):
        found += value_findings(reading)
    explained = any(finding.severity == "error" for finding in found)
    return found if explained else [*found, *whole_findings(resolution)]
