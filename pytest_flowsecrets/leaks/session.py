"""The search for leaks in one pytest run: which values are secret, which objects and places are searched, what leaked.

While no secret is registered, this module imports nothing expensive.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence

from pytest_flowsecrets.leaks.mask.masker import WITHHELD, Masker
from pytest_flowsecrets.leaks.mask.pytest_items import allowed_by, learn_marks, names_of, without_parameters
from pytest_flowsecrets.leaks.registry import Search, TextSource, registry
from pytest_flowsecrets.leaks.scan.secret_sources import (
    EnvironmentSecrets,
    PrefectSecrets,
    learn_config_file,
    learn_profiles,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.leaks.findings import Leak
    from pytest_flowsecrets.leaks.mask.descriptors import Descriptors
    from pytest_flowsecrets.leaks.mask.redactor import Redactor
    from pytest_flowsecrets.leaks.mask.written_files import AppendedFiles, WrittenFiles

# Attributes of a report that contain only names, times and captured output.
_SIMPLE_ATTRIBUTES = frozenset(
    ["nodeid", "_id", "location", "keywords", "outcome", "longrepr", "when", "user_properties", "sections", "duration"]
).union(["start", "stop", "result", "call", "node", "worker_id", "testrun_uid", "item_index"])
_SEPARATOR = "\0"  # joins texts for one search; no value continues across it


class LeakSession(Masker):
    """The search for leaks in one run.

    Args:
        mode: ``fail``, ``warn``, ``mask`` or ``off``.
        patterns: names or globs of environment variables whose values are secrets.
    """

    def __init__(self, mode: str, patterns: Iterable[str] = ()) -> None:
        super().__init__()
        self.mode = mode
        self.in_worker = False  # of xdist
        self.watching = mode != "off"
        self._variables, self._prefect = EnvironmentSecrets(patterns), PrefectSecrets(self.faults)
        self.descriptors: Optional[Descriptors] = None
        self._files: Optional[WrittenFiles] = None
        self._appended: Optional[AppendedFiles] = None
        self._undo: List[Callable[[], None]] = []
        self.report_writers: List[Callable[[], object]] = []  # called when the findings are complete

    @property
    def redactor(self) -> Optional[Redactor]:
        """The redactor for all registered secrets, or None if there are none or the mode is ``off``."""
        return super().redactor if self.watching else None

    @property
    def reports_leaks(self) -> bool:
        """Whether leaks are reported in addition to being masked."""
        return self.mode in ("fail", "warn")

    @property
    def has_failed(self) -> bool:
        """Whether the run fails because of a leak, or because something could not be searched."""
        return self.mode == "fail" and bool(self.record.findings or len(self.faults))

    def begin(self) -> None:
        """Register the secrets in the environment, and start to mask the standard streams."""
        if not self.watching:
            return
        registry.listen()
        self._undo = [registry.forget]
        self._add_callback(registry.on_error, self.faults.add)
        with self.faults:
            from pytest_flowsecrets.leaks.mask.descriptors import Descriptors
            from pytest_flowsecrets.leaks.mask.masked_stream import wrap_standard_streams

            self.descriptors = Descriptors(self._clean_written, lambda: self.redactor is not None, self.faults)
            self._undo.append(self.descriptors.end)
            self._undo.append(wrap_standard_streams(self.clean_live, self.descriptors.forward))
            self._add_callback(registry.on_text, self.clean)
            if self.reports_leaks:
                self._add_callback(registry.on_api_close, self.scan_requests)
                self._add_callback(registry.on_source_close, self.scan_source)
                self._add_callback(registry.on_folder_close, self.scan_home)
            self._undo += [self._variables.watch(self.faults), self._prefect.end]
            self._prefect.begin()
        with self.faults:
            from pytest_flowsecrets.leaks.mask.written_files import AppendedFiles

            self._appended = AppendedFiles()
            self._undo.append(self._appended.watch_handlers())
        with self.faults:
            learn_config_file()
            learn_profiles()
        self.learn_environment()

    def _add_callback(self, callbacks: List[Any], function: Callable[..., Any]) -> None:
        callbacks.append(function)
        self._undo.append(lambda: callbacks.remove(function))

    def end(self) -> None:
        """Clear the registry and restore the streams."""
        while self._undo:
            with self.faults:
                self._undo.pop()()
        self.forget_values()
        self.watching = False

    def extend(self, encoders: Sequence[Any], formats: Sequence[Any]) -> None:
        """Use the encoders and formats that hooks returned, also for the secrets that are already registered."""
        from pytest_flowsecrets.leaks.search.extensions import register

        if self.watching and register(encoders, formats):
            self.forget_values()

    def learn_environment(self) -> None:
        """Register Prefect's secrets and variables, and the variables whose names match a pattern."""
        if self.watching:
            with self.faults:
                self._variables.learn()
                self._prefect.learn()

    def learn_tests(self, items: Iterable[Any]) -> None:
        """Register the secrets in the marks of tests, and mask the names of tests."""
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
            if redactor.find(_SEPARATOR.join(names)):
                self.ids.mask(items, redactor.redact, redactor.find)
            else:
                self._names |= names

    def begin_test(self, item: Any) -> None:
        """Attribute the following findings to a test, and read from its marks what may leak in it."""
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
            if not self._is_clean(_SEPARATOR.join(map(str, names))):
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

    # -- other places -------------------------------------------------------------------------------------------------

    def scan_requests(self, search: Search) -> None:
        """Search the requests that an API received."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.scan.artifacts import scan_requests

                scan_requests(search, self.redactor, self.clean)

    def scan_source(self, source: TextSource) -> None:
        """Search the texts that an API stores."""
        with self.faults:
            self.learn_environment()
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.scan.artifacts import scan_source

                scan_source(source, self.redactor, self.clean)

    def scan_artifacts(self, item: Any) -> None:
        """Search the files that a test has written so far."""
        from pytest_flowsecrets.leaks.scan.artifacts import folders_of, scan_files

        with self.faults:
            for folder, kind in folders_of(item):
                self.learn_environment()
                if self.redactor is not None:
                    scan_files(folder, self.clean, item.nodeid, kind)

    def scan_home(self, home: Path) -> None:
        """Search the home directory of an isolation that ends."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.scan.artifacts import scan_home

                scan_home(home, self.clean, self.test)

    def watch_files(self, config: Any) -> None:
        """Mask the log file as it is written, and note the start of the run for the other files."""
        if self.watching:
            from pytest_flowsecrets.leaks.mask.written_files import WrittenFiles

            with self.faults:
                self._files = WrittenFiles(config, self)

    def mask_files(self, *, finally_: bool = False) -> None:
        """Mask the files of reporters.

        Args:
            finally_: whether to mask files to which the run appended, too.
        """
        self.forward_written()
        if len(registry):
            with self.faults:
                if self._files is not None:
                    self._files.mask()
            with self.faults:
                if finally_ and self._appended is not None:
                    self._appended.mask(self._clean_file)

    def search_appended(self) -> None:
        """Search what was appended to other files so far, but do not mask it.

        An xdist worker reports these findings before its run ends.
        """
        with self.faults:
            if self._appended is not None and len(registry):
                self._appended.search(self._clean_file)

    def _clean_file(self, data: bytes, place: str) -> bytes:
        masked: bytes = self.clean(data, place, "")
        return masked

    def forward_written(self) -> None:
        """Mask and forward what was written to descriptors 1 and 2 since the last call."""
        if self.descriptors is not None:
            self.descriptors.forward()

    def _clean_written(self, data: bytes, place: str) -> bytes:
        """Return bytes from a descriptor, masked."""
        self.learn_environment()  # tests set variables, too
        masked: bytes = self.clean(data, place)
        return masked

    # -- findings -----------------------------------------------------------------------------------------------------

    @property
    def findings(self) -> List[Leak]:
        """All findings so far."""
        return self.record.findings

    def findings_of(self, test: str) -> List[Leak]:
        """Return the findings of a test, given any of its ids."""
        return self.record.findings_of(self.ids.collected_id(test))

    def fail_leaking_test(self, report: Any) -> None:
        """In mode ``fail``, fail the report of a test that leaked something since its previous report."""
        with self.faults:
            if self.mode == "fail" and self.record.findings:
                self.record.fail_leaking_test(report, self.ids.collected_id(report.nodeid))

    def export(self) -> Dict[str, Any]:
        """Return findings and faults as plain data that an xdist worker can send."""
        return {"findings": [leak.as_row() for leak in self.record.findings], "faults": self.faults.pairs()}

    def merge(self, exported: Mapping[str, Any]) -> None:
        """Add the findings and faults of an xdist worker."""
        with self.faults:
            self.record.merge(exported.get("findings", ()))
            self.faults.merge(exported.get("faults", ()))

    def unreported_lines(self) -> List[str]:
        """Return a line for each secret and place that was not reported yet."""
        with self.faults:
            return self.record.unreported_summary() if self.reports_leaks else []
        return []

    def shown_findings(self) -> List[Leak]:
        """Return the findings as reports show them, with masked ids of tests."""
        return [leak.with_test(self.shown_id(leak.test)) for leak in self.record.findings]

    def register_for_reports(self) -> None:
        """Register values in mode ``off``, too, because a report with texts of tests needs them for ``mask_text``."""
        if not self.watching:
            registry.listen()
            self._undo.append(registry.forget)

    def mask_text(self, text: str) -> str:
        """Return a text of a report of this package with masked secrets, in every mode, without a finding."""
        with self.faults:
            redactor = super().redactor
            return redactor.redact(text) if redactor else text
        return WITHHELD

    def write_report(self, path: str) -> None:
        """Write the findings as SARIF and as JSON."""
        with self.faults:
            from pytest_flowsecrets.leaks.findings import write_report

            try:
                write_report(path, self.shown_findings())
            except OSError as error:
                self.faults.note(f"--flowsecrets-report: cannot write the report: {error.strerror}")
