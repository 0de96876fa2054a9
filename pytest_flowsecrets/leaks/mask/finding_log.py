"""The findings of a run: new ones, allowed ones, those of a test, and those already reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Sequence, Set, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.findings import Leak
    from pytest_flowsecrets.leaks.mask.redactor import Masked

Allowed = Tuple[str, Tuple[str, ...]]  # the name of a secret or *, and parts of allowed places; empty means everywhere
_CONTEXT = 40  # characters of an excerpt on either side of the mask


class Record:
    """The findings of a run.

    Attributes:
        findings: all findings that are not allowed, the oldest first.
        allowed: what may leak in a test, by its id.
    """

    def __init__(self) -> None:
        self.findings: List[Leak] = []
        self.allowed: Dict[str, List[Allowed]] = {}
        self._of_test: Dict[str, List[Leak]] = {}
        self._unique: Set[Tuple[str, ...]] = set()
        self._failed: Set[Tuple[str, ...]] = set()
        self._reported = self._announced = 0

    def __repr__(self) -> str:
        return f"<Record {len(self.findings)} findings>"

    def add(self, masked: Iterable[Masked], text: str, place: str, test: str, shown: str) -> None:
        """Add findings, one for each combination of secret, form, place and test.

        Args:
            masked: what was masked.
            text: the masked text, from which the excerpts are taken.
            place: the place of the text.
            test: the id of the test from collection, or an empty string.
            shown: the same id, masked.
        """
        from pytest_flowsecrets.leaks.findings import Leak

        for each in masked:
            context = text[max(0, each.start - _CONTEXT) : each.start + 2 * _CONTEXT]
            allowed = self._is_allowed(each.names, place, test)
            excerpt = " ".join(context.split())
            finding = Leak(each.names[0], each.form, place, shown, excerpt, each.names, allowed=allowed)
            key = (
                *finding.identity,
                str(allowed),
            )  # a value that is not allowed can have the first name of one that is
            if key not in self._unique:
                self._unique.add(key)
                self._of_test.setdefault(test, []).append(finding)
                if not allowed:
                    self.findings.append(finding)

    def _is_allowed(self, names: Iterable[str], place: str, test: str) -> bool:
        return any(
            (name == "*" or name in names) and (not places or any(part in place for part in places))
            for name, places in self.allowed.get(test, ())
        )

    def merge(self, findings: Iterable[Sequence[Any]]) -> None:
        """Add the findings of an xdist worker."""
        from pytest_flowsecrets.leaks.findings import Leak

        for finding in (Leak(*row) for row in findings):
            key = (*finding.identity, str(False))
            if key not in self._unique:  # several workers see the same file
                self._unique.add(key)
                self.findings.append(finding)

    def findings_of(self, test: str) -> List[Leak]:
        """Return the findings of a test, including allowed ones, given its id from collection."""
        return list(self._of_test.get(test, ()))

    def fail_leaking_test(self, report: Any, test: str) -> None:
        """Fail the report of a test that leaked something since its previous report.

        A passed setup does not fail, because the test's body would not run. Its leaks fail the next phase.
        """
        if getattr(report, "when", None) == "setup" and report.outcome == "passed":
            return
        leaks = (finding for finding in self.findings_of(test) if not finding.allowed)
        new = [finding for finding in leaks if finding.identity not in self._failed]
        self._failed.update(finding.identity for finding in new)
        if new:
            from pytest_flowsecrets.leaks.findings import report_section

            if report.outcome == "failed":
                report.sections = [*report.sections, ("Leaked secrets", report_section(new))]
            else:
                report.outcome, report.longrepr = "failed", report_section(new)
                vars(report).pop("wasxfail", None)

    def unannounced(self) -> List[Leak]:
        """Return the findings that no earlier call has returned."""
        new, self._announced = self.findings[self._announced :], len(self.findings)
        return new

    def unreported_summary(self) -> List[str]:
        """Return a line with a count for each secret and place that was not reported yet."""
        from pytest_flowsecrets.leaks.findings import summary

        new, self._reported = self.findings[self._reported :], len(self.findings)
        return summary(new)
