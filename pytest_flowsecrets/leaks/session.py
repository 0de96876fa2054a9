"""A test run that is watched: what is known, which objects and places are looked through, and what leaked.

Light: as long as no secret is known, nothing is imported.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence

from pytest_flowsecrets.leaks.mask.masker import WITHHELD, Masker
from pytest_flowsecrets.leaks.mask.pytest_items import allowed_by, learn_marks, names_of, without_parameters
from pytest_flowsecrets.leaks.registry import Search, known
from pytest_flowsecrets.leaks.scan.environment import Variables
from pytest_flowsecrets.leaks.scan.prefect_values import PrefectValues, learn_config_file

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.leaks.findings import Finding
    from pytest_flowsecrets.leaks.mask.appended_files import AppendedFiles
    from pytest_flowsecrets.leaks.mask.descriptors import Descriptors
    from pytest_flowsecrets.leaks.mask.report_files import WrittenFiles

# Attributes of a report that say nothing but how a test is called and what it has printed.
_USUAL = frozenset(
    ["nodeid", "_id", "location", "keywords", "outcome", "longrepr", "when", "user_properties", "sections", "duration"]
).union(["start", "stop", "result", "call", "node", "worker_id", "testrun_uid", "item_index"])
_APART = "\0"  # between texts that are looked through as one; no value goes on behind it


class Run(Masker):
    """Watches one run.

    Args:
        mode: ``fail``, ``warn``, ``mask`` or ``off``.
        patterns: names of environment variables, or globs, whose values are secrets.
    """

    def __init__(self, mode: str, patterns: Iterable[str] = ()) -> None:
        super().__init__()
        self.mode = mode
        self.in_worker = False  # of xdist
        self.watching = mode != "off"
        self._variables, self._prefect = Variables(patterns), PrefectValues(self.faults)
        self.descriptors: Optional[Descriptors] = None
        self._files: Optional[WrittenFiles] = None
        self._appended: Optional[AppendedFiles] = None
        self._undo: List[Callable[[], None]] = []

    @property
    def reports_leaks(self) -> bool:
        """Whether leaks are reported, and not only masked."""
        return self.mode in ("fail", "warn")

    @property
    def has_failed(self) -> bool:
        """Whether the run fails for what leaked, or for what could not be looked through."""
        return self.mode == "fail" and bool(self.record.findings or len(self.faults))

    def begin(self) -> None:
        """Learn what the environment says, and mask the standard streams from now on."""
        if not self.watching:
            return
        known.listen()
        self._undo = [known.forget]
        self._enlist(known.fault_listeners, self.faults.add)
        with self.faults:
            from pytest_flowsecrets.leaks.mask.descriptors import Descriptors
            from pytest_flowsecrets.leaks.mask.masked_stream import wrap_standard_streams

            self.descriptors = Descriptors(self._clean_written, lambda: self.redactor is not None, self.faults)
            self._undo.append(self.descriptors.end)
            self._undo.append(wrap_standard_streams(self.clean_live, self.descriptors.forward))
            self._enlist(known.readers, self.clean)
            if self.reports_leaks:
                self._enlist(known.watchers, self.look_at_api)
                self._enlist(known.leavers, self.look_at_home)
            self._undo += [self._variables.watch(self.faults), self._prefect.end]
            self._prefect.begin()
        with self.faults:
            from pytest_flowsecrets.leaks.mask.appended_files import AppendedFiles

            self._appended = AppendedFiles()
            self._undo.append(self._appended.watch_handlers())
        with self.faults:
            learn_config_file()
        self.learn_environment()

    def _enlist(self, called: List[Any], function: Callable[..., Any]) -> None:
        called.append(function)
        self._undo.append(lambda: called.remove(function))

    def end(self) -> None:
        """Forget the secrets, leave the streams as they were."""
        while self._undo:
            with self.faults:
                self._undo.pop()()
        self.forget_values()
        self.watching = False

    def extend(self, encoders: Sequence[Any], formats: Sequence[Any]) -> None:
        """Use what the hooks for encoders and formats returned, also for the secrets that are known already."""
        from pytest_flowsecrets.leaks.search.extensions import register

        if self.watching and register(encoders, formats):
            self.forget_values()

    def learn_environment(self) -> None:
        """Learn the secrets of Prefect and its variables, and those of variables whose names match a pattern."""
        if self.watching:
            with self.faults:
                self._variables.learn()
                self._prefect.learn()

    def learn_tests(self, items: Iterable[Any]) -> None:
        """Learn the secrets of tests' marks, and mask the tests' names."""
        if not self.watching:
            return
        items = list(items)
        for item in items:
            with self.faults:
                learn_marks(item)
        with self.faults:
            redactor = self.redactor
            if redactor is None:
                return
            names = {name for item in items for name in names_of(item)} - self._names
            if redactor.find(_APART.join(names)):
                self.ids.mask(items, redactor.redact, redactor.find)
            else:
                self._names |= names

    def begin_test(self, item: Any) -> None:
        """Say whose findings the next ones are, and what may leak in it."""
        self.test = item.nodeid
        if self.watching:
            with self.faults:
                self._prefect.watch()
                allowed = allowed_by(item)
                if allowed:
                    self.record.allowed[item.nodeid] = list(allowed)
                real = self.ids.real_id(item)
                if real != item.nodeid:
                    self.clean(real, "id")

    # -- objects ------------------------------------------------------------------------------------------------------

    def brings_news(self, report: Any) -> bool:
        """Whether there is a text in a report that nobody has looked through, so that what is known now counts."""
        with self.faults:
            return report.longrepr is not None or not all(self._is_clean(content) for _, content in report.sections)
        return True

    def mask_report(self, report: Any) -> None:
        """Replace what holds a secret in a report; if that fails, everything that can hold one."""
        with self.faults:
            if self.redactor is not None and not self._says_nothing(report):
                self._mask_report(report)
            return
        from pytest_flowsecrets.leaks.mask.reports import withhold_report

        withhold_report(report, WITHHELD)

    def _mask_report(self, report: Any) -> None:
        from pytest_flowsecrets.leaks.mask.pytest_items import set_nodeid
        from pytest_flowsecrets.leaks.mask.reports import mask_report

        nodeid = report.nodeid if isinstance(report.nodeid, str) else ""
        test = self.ids.collected_id(nodeid)
        shown = self.clean(test, "id", test)
        if shown == WITHHELD:
            shown = without_parameters(test, WITHHELD)
        if self.in_worker:  # the controller knows the test by the id with which it was collected
            shown = test
        if shown != nodeid:
            self.ids.remember(test, shown)
            set_nodeid(report, shown)
        mask_report(report, lambda text, place: self.clean(text, place, test), WITHHELD)

    def mask_id(self, data: Any) -> None:
        """Mask the id of a test in a report that is about to be sent or written."""
        with self.faults:
            if self.redactor is not None and isinstance(data, dict) and isinstance(data.get("nodeid"), str):
                data["nodeid"] = self.clean(data["nodeid"], "id", data["nodeid"])

    def _says_nothing(self, report: Any) -> bool:
        """Whether it is clean at a glance, to be quick where a test passes: names and captured output only."""
        if report.longrepr is not None or not vars(report).keys() <= _USUAL or getattr(report, "user_properties", None):
            return False
        names = {report.nodeid, *getattr(report, "keywords", ())}
        if not names <= self._names:
            names -= self._names
            if not self._finds_nothing(_APART.join(map(str, names))):
                return False
            self._names |= names
        return all(self._finds_nothing(content) for _, content in report.sections)

    def mask_object(self, thing: Any, place: str) -> None:
        """Mask the parts of an object of pytest's, in place."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.mask.reports import mask_in_place

                mask_in_place(thing, lambda text: self.clean(text, place))
            return
        from pytest_flowsecrets.leaks.mask.reports import withhold_object

        withhold_object(thing, WITHHELD)

    def mask_warning(self, recorded: Any, test: str) -> None:
        """Mask a recorded warning, in place."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.mask.reports import mask_warning

                mask_warning(recorded, lambda text: self.clean(text, "warning", test))
            return
        recorded.message, recorded.line = UserWarning(WITHHELD), ""

    def mask_captured(self, config: Any) -> None:
        """Mask what pytest has captured and is about to write to the terminal by itself."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.mask.captured_output import take_captured

                for stream, text in take_captured(config):
                    stream.write(self.clean(text, f"captured {'stdout' if stream is sys.stdout else 'stderr'}"))

    # -- places that are looked through -------------------------------------------------------------------------------

    def look_at_api(self, search: Search) -> None:
        """Look for secrets in what an API was sent."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.scan.artifacts import look_at_requests

                look_at_requests(search, self.redactor, self.clean)

    def look_at_left(self, item: Any) -> None:
        """Look through the files that a test has left so far."""
        from pytest_flowsecrets.leaks.scan.artifacts import folders_of, look_below

        with self.faults:
            for folder in folders_of(item):
                self.learn_environment()
                if self.redactor is not None:
                    look_below(folder, self.clean, item.nodeid)

    def look_at_home(self, home: Path) -> None:
        """The same for the home of an isolation that ends."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.scan.artifacts import look_at_home

                look_at_home(home, self.clean, self.test)

    def watch_files(self, config: Any) -> None:
        """Mask the log file as it is written, and remember what else the run writes."""
        if self.watching:
            from pytest_flowsecrets.leaks.mask.report_files import WrittenFiles

            with self.faults:
                self._files = WrittenFiles(config, self)

    def look_through_files(self, *, finally_: bool = False) -> None:
        """Mask what reporters have written past the reports, and in the end what was appended to other files."""
        self.forward_written()
        if len(known):
            with self.faults:
                if self._files is not None:
                    self._files.mask()
            with self.faults:
                if finally_ and self._appended is not None:
                    self._appended.mask(self._clean_file)

    def search_appended(self) -> None:
        """Search what was appended to other files so far: an xdist worker reports it before the end of its run."""
        with self.faults:
            if self._appended is not None and len(known):
                self._appended.search(self._clean_file)

    def _clean_file(self, data: bytes, place: str) -> bytes:
        masked: bytes = self.clean(data, place, "")
        return masked

    def forward_written(self) -> None:
        """Forward what was written to descriptors 1 and 2 since, masked."""
        if self.descriptors is not None:
            self.descriptors.forward()

    def _clean_written(self, data: bytes, place: str) -> bytes:
        """Return what was written to a descriptor, masked."""
        self.learn_environment()  # tests set variables too
        masked: bytes = self.clean(data, place)
        return masked

    # -- findings -----------------------------------------------------------------------------------------------------

    @property
    def findings(self) -> List[Finding]:
        """All findings so far."""
        return self.record.findings

    def of_test(self, test: str) -> List[Finding]:
        """Return the findings of one test, by any of its ids."""
        return self.record.of_test(self.ids.collected_id(test))

    def judge(self, report: Any) -> None:
        """In the mode ``fail``: fail a test for what it has leaked since it was last judged."""
        with self.faults:
            if self.mode == "fail" and self.record.findings:
                self.record.judge(report, self.ids.collected_id(report.nodeid))

    def export(self) -> Dict[str, Any]:
        """Return findings and faults as plain data that an xdist worker can send."""
        return {"findings": [list(finding) for finding in self.record.findings], "faults": self.faults.pairs()}

    def merge(self, exported: Mapping[str, Any]) -> None:
        """Take over what an xdist worker has found."""
        with self.faults:
            self.record.merge(exported.get("findings", ()))
            self.faults.merge(exported.get("faults", ()))

    def fresh_lines(self) -> List[str]:
        """Return a line for each secret and place that was not shown before."""
        with self.faults:
            return self.record.fresh_summary() if self.reports_leaks else []
        return []

    def write_report(self, path: str) -> None:
        """Write the findings as SARIF and as JSON."""
        with self.faults:
            from pytest_flowsecrets.leaks.findings import write_report

            findings = [finding._replace(test=self.shown_id(finding.test)) for finding in self.record.findings]
            try:
                write_report(path, findings)
            except OSError as error:
                self.faults.note(f"--flowsecrets-report: {error.strerror}, nothing was written")
