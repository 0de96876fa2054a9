"""The findings of a run (new ones, allowed ones, those of a test, those already reported) and its faults."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple, Type

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_flowsecrets.leaks.findings import Leak
    from pytest_flowsecrets.leaks.mask.redactor import Masked

Allowed = Tuple[str, Tuple[str, ...]]  # the name of a secret or *, and parts of allowed places; empty means everywhere
OWN_SOURCE = "own source"  # the place of lines of a test's own file, where a value is a literal and not a leak
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
            key = *finding.identity, str(allowed)  # a value that is allowed can share its first name with another
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


def allowed_by(node: Any) -> List[Tuple[str, Tuple[str, ...]]]:
    """Return what the ``allow_leaks`` markers of a test allow.

    Returns:
        Pairs of a name, or ``*`` for every secret, and parts of places; no parts allow every place.
    """
    return [
        _allowed(name, mark.kwargs.get("where", ()))
        for mark in node.iter_markers("allow_leaks")
        for name in mark.args or "*"
    ]


def _allowed(name: str, where: Any) -> Tuple[str, Tuple[str, ...]]:
    return name, (where,) if isinstance(where, str) else tuple(where)


# -- faults ------------------------------------------------------------------------------------------------------------

_PACKAGE = Path(__file__).parents[2]


class Faults:
    """A context manager that suppresses every ``Exception`` and records where it was raised.

    The caller withholds the text that could not be masked. ``KeyboardInterrupt``, ``pytest.exit`` and ``pytest.fail``
    pass through, because they are not subclasses of ``Exception``.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.add(error)
        return True

    def __len__(self) -> int:
        return sum(self._counts.values())

    def __repr__(self) -> str:
        return f"<Faults {len(self)}>"

    def add(self, error: Exception) -> None:
        """Record an error by its type and place. Its text can contain a value and is not recorded."""
        self.note(f"text withheld because it could not be masked: {type(error).__name__} in {_place_of(error)}")

    def note(self, description: str) -> None:
        """Record another fault, described without a value."""
        self._counts[description] += 1

    def merge(self, counts: Any) -> None:
        """Add the faults of an xdist worker, as pairs of a description and a count."""
        for description, count in counts:
            self._counts[description] += count

    def pairs(self) -> List[List[Any]]:
        """Return pairs of a description and a count, as plain data that xdist can send."""
        return [[description, count] for description, count in sorted(self._counts.items())]

    def unreported_lines(self) -> List[str]:
        """Return a line with a count for each kind of fault that was not reported yet."""
        new, self._reported = self._counts - self._reported, self._counts.copy()
        return [f"{description}: {count}" for description, count in sorted(new.items())]


def _place_of(error: BaseException) -> str:
    """Return the last line of this package that the error passed through."""
    place, traceback = "an unknown place", error.__traceback__
    while traceback is not None:
        path = Path(traceback.tb_frame.f_code.co_filename)
        if _PACKAGE in path.parents:
            place = f"{path.relative_to(_PACKAGE.parent).as_posix()}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
