"""All rules, applied to a resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from pytest_flowsecrets.findings.config_rules import whole_findings
from pytest_flowsecrets.findings.name_rules import shape_findings
from pytest_flowsecrets.findings.readings import readings
from pytest_flowsecrets.findings.value_rules import value_findings

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.resolve import Resolution


def findings(resolution: Resolution) -> List[Finding]:
    """Apply all rules to a resolution.

    Args:
        resolution: a resolution, whether it failed or not.

    Returns:
        The findings: those about names and structure first, then those about values, each in the order of the
        configuration.
    """
    results = list(shape_findings(resolution))
    for reading in readings(resolution):
        results += value_findings(reading)
    explained = any(finding.severity == "error" for finding in results)
    return results if explained else [*results, *whole_findings(resolution)]
