"""The object behind the fixture ``secret_leaks``: the leaks of a test, and an assertion that there are none."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, List

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.leaks.artifacts import scan_files
from pytest_flowsecrets.leaks.mask.masked_stream import take_captured
from pytest_flowsecrets.leaks.registry import registry

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.findings import Leak
    from pytest_flowsecrets.leaks.session import LeakSession


class SecretLeaks:
    """The leaks of one test.

    Raises:
        UsageError: the mode is ``off``.
    """

    def __init__(self, run: LeakSession, item: Any) -> None:
        if not run.watching:
            raise UsageError("secret_leaks is not available with --flowsecrets-leaks=off; use mask, warn or fail")
        self._run, self._item = run, item
        self._watched: List[Path] = []
        self._added = 0

    def __repr__(self) -> str:
        return f"<SecretLeaks of {self._run.shown_id(self._item.nodeid)}>"

    def add(self, value: Any, name: str = "") -> None:
        """Register a secret, even if its value is short or common.

        Args:
            value: text, bytes, or data that contains texts.
            name: the name that masks and findings show; by default ``added 1``, ``added 2`` and so on.
        """
        self._added += 1
        registry.register(name or f"added {self._added}", value, explicit=True)

    def watch(self, path: Any) -> None:
        """Search a file, or all files below a folder, when ``found`` is read and when the test ends."""
        self._watched.append(Path(os.fspath(path)))

    def search(self, thing: Any, place: str = "searched") -> List[Leak]:
        """Search an object: text, bytes, data, a state, a flow, a run config or an environment.

        Returns:
            The findings in this object. ``found`` contains them, too.
        """
        from pytest_flowsecrets.leaks.artifacts import texts_in

        before = len(self._run.findings_of(self._item.nodeid))
        for text, where in texts_in(thing, place):
            self._run.clean(text, where, self._item.nodeid)
        return self._run.findings_of(self._item.nodeid)[before:]

    @property
    def found(self) -> List[Leak]:
        """The leaks so far, in reports, captured output, logs and watched files, and those from ``search``.

        A leak that a marker ``allow_leaks`` allows has ``allowed`` set. It does not fail the test in the mode ``fail``.
        """
        self.scan_watched()
        self._run.forward_written()
        self._run.scan_artifacts(self._item)
        self._scan_captured()
        for search in registry.request_searches:
            self._run.scan_requests(search)
        for source in registry.text_sources:
            self._run.scan_source(source)
        return self._run.findings_of(self._item.nodeid)

    def assert_none(self) -> None:
        """Assert that nothing leaked, except allowed leaks.

        Raises:
            AssertionError: something leaked that is not allowed. The message shows name, form, place and fix of each
                leak, but no value.
        """
        __tracebackhide__ = True
        findings = [leak for leak in self.found if not leak.allowed]
        if findings:
            from pytest_flowsecrets.leaks.findings import report_section

            raise AssertionError(report_section(findings))

    def scan_watched(self) -> None:
        """Search the watched files."""
        for path in self._watched:
            scan_files(path, self._run.clean, self._item.nodeid)

    def _scan_captured(self) -> None:
        """Search what pytest captured in this phase of the test, and leave it captured."""
        for stream, text in take_captured(self._item.config):
            self._run.clean(text, f"captured {'stdout' if stream is sys.stdout else 'stderr'}", self._item.nodeid)
            stream.write(text)
        handler = getattr(self._item.config.pluginmanager.get_plugin("logging-plugin"), "report_handler", None)
        if handler is not None:
            self._run.clean(handler.stream.getvalue(), "captured log", self._item.nodeid)
