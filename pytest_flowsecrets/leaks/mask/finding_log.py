"""The findings of a run: which are new, which are allowed, which belong to a test, which were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Sequence, Set, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.findings import Finding
    from pytest_flowsecrets.leaks.mask.redactor import Masked

Allowed = Tuple[str, Tuple[str, ...]]  # a secret's name, or *, and the places where it may be; none means everywhere
_AROUND = 40  # characters of an excerpt on either side of the mask


class Record:
    """What leaked in a run.

    Attributes:
        findings: all of them, the oldest first.
        allowed: for each test id, what may leak in that test.
    """

    def __init__(self) -> None:
        self.findings: List[Finding] = []
        self.allowed: Dict[str, List[Allowed]] = {}
        self._of_test: Dict[str, List[Finding]] = {}
        self._known: Set[Tuple[str, ...]] = set()
        self._judged: Set[Tuple[str, ...]] = set()
        self._shown = 0

    def __repr__(self) -> str:
        return f"<Record {len(self.findings)} findings>"

    def add(self, masked: Iterable[Masked], text: str, place: str, test: str, shown: str) -> None:
        """Add findings, each secret, form, place and test once, but those that are allowed.

        Args:
            masked: what was masked.
            text: the masked text, of which an excerpt is kept.
            place: where it stood.
            test: the id of the test as it was collected, empty for none.
            shown: the same id, masked.
        """
        from pytest_flowsecrets.leaks.findings import Finding

        for each in masked:
            if self._is_allowed(each.names, place, test):
                continue
            around = text[max(0, each.start - _AROUND) : each.start + 2 * _AROUND]
            finding = Finding(each.names[0], each.form, place, shown, " ".join(around.split()), each.names)
            if finding[:4] not in self._known:
                self._known.add(finding[:4])
                self.findings.append(finding)
                self._of_test.setdefault(test, []).append(finding)

    def _is_allowed(self, names: Iterable[str], place: str, test: str) -> bool:
        return any(
            (name == "*" or name in names) and (not places or any(part in place for part in places))
            for name, places in self.allowed.get(test, ())
        )

    def merge(self, findings: Iterable[Sequence[Any]]) -> None:
        """Add the findings of an xdist worker."""
        from pytest_flowsecrets.leaks.findings import Finding

        for finding in map(Finding._make, findings):
            if finding[:4] not in self._known:  # several workers see the same file
                self._known.add(finding[:4])
                self.findings.append(finding)

    def of_test(self, test: str) -> List[Finding]:
        """Return the findings of one test, by its id as it was collected."""
        return list(self._of_test.get(test, ()))

    def judge(self, report: Any, test: str) -> None:
        """Fail the report of a test for what the test has leaked since it was last judged.

        A setup that passed is not failed: the test's body would not run. Its leaks fail the phase that follows.
        """
        if getattr(report, "when", None) == "setup" and report.outcome == "passed":
            return
        fresh = [finding for finding in self.of_test(test) if finding[:4] not in self._judged]
        self._judged.update(finding[:4] for finding in fresh)
        if fresh:
            from pytest_flowsecrets.leaks.findings import section

            if report.outcome == "failed":
                report.sections = [*report.sections, ("Leaked secrets", section(fresh))]
            else:
                report.outcome, report.longrepr = "failed", section(fresh)
                vars(report).pop("wasxfail", None)

    def fresh_summary(self) -> List[str]:
        """Return one line for each secret and place that was not shown yet, with a count."""
        from pytest_flowsecrets.leaks.findings import summary

        fresh, self._shown = self.findings[self._shown :], len(self.findings)
        return summary(fresh)
