"""Masks the objects of pytest before it shows or stores them: reports, warnings, captured output."""

from __future__ import annotations

import sys
from typing import Any

from pytest_flowsecrets.leaks.mask.masker import WITHHELD, Masker
from pytest_flowsecrets.leaks.mask.pytest_items import without_parameters

# Attributes of a report that contain only names, times and captured output.
_SIMPLE_ATTRIBUTES = frozenset(
    ["nodeid", "_id", "location", "keywords", "outcome", "longrepr", "when", "user_properties", "sections", "duration"]
).union(["start", "stop", "result", "call", "node", "worker_id", "testrun_uid", "item_index"])
SEPARATOR = "\0"  # joins texts for one search; no value continues across it


class ObjectMasker(Masker):
    """Masks objects in place. What cannot be masked is withheld.

    Attributes:
        in_worker: whether this process is a worker of pytest-xdist.
    """

    def __init__(self) -> None:
        super().__init__()
        self.in_worker = False

    def has_unseen_text(self, report: Any) -> bool:
        """Return whether a report contains a text that was not searched yet."""
        with self.faults:
            return report.longrepr is not None or not all(
                content in self._clean_texts for _, content in report.sections
            )
        return True

    def mask_report(self, report: Any) -> None:
        """Mask a report. If that fails, withhold everything in it that can contain a secret."""
        with self.faults:
            if self.redactor is not None and not self._is_clean_report(report):
                self._mask_report(report)
            return
        from pytest_flowsecrets.leaks.mask.reports import withhold_report

        withhold_report(report, WITHHELD)

    def _mask_report(self, report: Any) -> None:
        from pytest_flowsecrets.leaks.mask.pytest_items import set_nodeid
        from pytest_flowsecrets.leaks.mask.reports import mask_report

        nodeid = report.nodeid if isinstance(report.nodeid, str) else ""
        test = self.ids.collected_id(nodeid)
        if getattr(report, "when", "") == "collect" and "::" not in nodeid and self.redactor is not None:
            self.ids.keep_path(nodeid, self.redactor.find(nodeid))
        shown = self.clean(test, "id", test)
        if shown == WITHHELD:
            shown = without_parameters(test, WITHHELD)
        if self.in_worker:  # the controller knows the test by its id from collection
            shown = test
        if shown != nodeid:
            self.ids.remember(test, shown)
            set_nodeid(report, shown)
        mask_report(report, lambda text, place: self.clean(text, place, test), WITHHELD)

    def mask_id(self, data: Any) -> None:
        """Mask the test id in a report that is about to be sent or written."""
        with self.faults:
            if self.redactor is not None and isinstance(data, dict) and isinstance(data.get("nodeid"), str):
                data["nodeid"] = self.clean(data["nodeid"], "id", data["nodeid"])

    def _is_clean_report(self, report: Any) -> bool:
        """Return whether a quick check shows that a report contains no secret.

        The check covers the names and captured output of passed tests only.
        """
        if (
            report.longrepr is not None
            or not vars(report).keys() <= _SIMPLE_ATTRIBUTES
            or getattr(report, "user_properties", None)
        ):
            return False
        names = {report.nodeid, *getattr(report, "keywords", ())}
        if not names <= self._names:
            names -= self._names
            if not self._is_clean(SEPARATOR.join(map(str, names))):
                return False
            self._names |= names
        return all(self._is_clean(content) for _, content in report.sections)

    def mask_object(self, thing: Any, place: str) -> None:
        """Mask the attributes of an object that pytest created, in place."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.mask.reports import mask_in_place

                mask_in_place(thing, lambda text: self.clean(text, place))
            return
        from pytest_flowsecrets.leaks.mask.reports import withhold_object

        withhold_object(thing, WITHHELD)

    def mask_warning(self, recorded: Any, test: str) -> None:
        """Mask a recorded warning in place."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.mask.reports import mask_warning

                mask_warning(recorded, lambda text: self.clean(text, "warning", test))
            return
        recorded.message, recorded.line = UserWarning(WITHHELD), ""

    def mask_captured(self, config: Any) -> None:
        """Mask captured output that pytest is about to write to the terminal itself."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.mask.masked_stream import take_captured

                for stream, text in take_captured(config):
                    stream.write(self.clean(text, f"captured {'stdout' if stream is sys.stdout else 'stderr'}"))
