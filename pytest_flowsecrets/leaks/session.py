"""The search for leaks in one pytest run: which values are secret, which objects and places are searched, what leaked.

While no secret is registered, this module imports nothing expensive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from pytest_flowsecrets.leaks.mask.finding_log import allowed_by
from pytest_flowsecrets.leaks.mask.masker import SEPARATOR, WITHHELD, Masker
from pytest_flowsecrets.leaks.registry import Search, TextSource, registry
from pytest_flowsecrets.leaks.secret_sources import (
    EnvironmentSecrets,
    PrefectSecrets,
    learn_config_file,
    learn_marks,
    learn_profiles,
    names_in_marks,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.leaks.findings import Leak
    from pytest_flowsecrets.leaks.mask.descriptors import Descriptors
    from pytest_flowsecrets.leaks.mask.written_files import AppendedFiles, WrittenFiles


class LeakSession(Masker):
    """The search for leaks in one run.

    Args:
        mode: ``fail``, ``warn``, ``mask`` or ``off``.
        patterns: names or globs of environment variables whose values are secrets.
    """

    def __init__(self, mode: str, patterns: Iterable[str] = ()) -> None:
        super().__init__()
        self.mode, self.watching = mode, mode != "off"
        self._variables, self._prefect = EnvironmentSecrets(patterns), PrefectSecrets(self.faults)
        self.descriptors: Optional[Descriptors] = None
        self._files: Optional[WrittenFiles] = None
        self._appended: Optional[AppendedFiles] = None
        self._undo: List[Callable[[], None]] = []
        self.report_writers: List[Callable[[], object]] = []  # called when the findings are complete

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
        """Register the secrets in the markers of tests, and mask the names of tests."""
        if not self.watching:
            return
        items = list(items)
        for item in items:
            with self.faults:
                learn_marks(item)
        with self.faults:
            known = self._known()
            redactor = known.redactor
            if redactor is None:
                return
            names = {name for item in items for name in _names_of(item)} - known.names
            if redactor.find(SEPARATOR.join(names)):
                self.ids.mask(items, redactor.redact, redactor.find, names_in_marks)
            else:
                known.names.update(names)

    def begin_test(self, item: Any) -> None:
        """Attribute the following findings to a test, and read from its markers what may leak in it."""
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

    # -- other places -------------------------------------------------------------------------------------------------

    def scan_requests(self, search: Search) -> None:
        """Search the requests that an API received."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.artifacts import scan_requests

                scan_requests(search, self.redactor, self.clean)

    def scan_source(self, source: TextSource) -> None:
        """Search the texts that an API stores."""
        with self.faults:
            self.learn_environment()
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.artifacts import scan_source

                scan_source(source, self.redactor, self.clean)

    def scan_artifacts(self, item: Any) -> None:
        """Search the files that a test has written so far."""
        from pytest_flowsecrets.leaks.artifacts import folders_of, scan_files

        with self.faults:
            for folder, kind in folders_of(item):
                self.learn_environment()
                if self.redactor is not None:
                    scan_files(folder, self.clean, item.nodeid, kind)

    def scan_home(self, home: Path) -> None:
        """Search the home directory of an isolation that ends."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.artifacts import scan_home

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
        """All findings so far that are not allowed."""
        return self.record.findings

    def findings_of(self, test: str) -> List[Leak]:
        """Return the findings of a test, including allowed ones, given any of its ids."""
        return self.record.findings_of(self.ids.collected_id(test))

    def fail_leaking_test(self, report: Any) -> None:
        """In mode ``fail``, fail the report of a test that leaked something since its previous report."""
        if self.mode == "fail" and self.record.findings:
            with self.faults:
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
            redactor = self._known().redactor
            return redactor.redact(text) if redactor else text
        return WITHHELD

    def write_report(self, path: str) -> None:
        """Write the findings as SARIF and as JSON."""
        with self.faults:
            from pytest_flowsecrets.leaks.findings import write_report

            try:
                write_report(path, self.shown_findings())
            except OSError as error:
                self.faults.note(f"--flowsecrets-leak-report: cannot write the report: {error.strerror}")


def _names_of(item: Any) -> Tuple[str, str, str]:
    """Return the names in a test's reports: its node id, its name and the id of its parameters."""
    return item.nodeid, item.name, getattr(getattr(item, "callspec", None), "id", "")
