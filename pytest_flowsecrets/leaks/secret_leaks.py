"""``secret_leaks``: what leaked in a test, and an assertion that nothing did."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, List

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.leaks.mask.captured_output import take_captured
from pytest_flowsecrets.leaks.registry import known
from pytest_flowsecrets.leaks.scan.artifacts import look_below

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.findings import Finding
    from pytest_flowsecrets.leaks.session import Run


class SecretLeaks:
    """The leaks of one test.

    Raises:
        UsageError: the mode is ``off``.
    """

    def __init__(self, run: Run, item: Any) -> None:
        if not run.watching:
            raise UsageError(
                "secret_leaks needs --flowsecrets-leaks=mask, warn or fail; in the mode off nothing is known"
            )
        self._run, self._item = run, item
        self._watched: List[Path] = []
        self._added = 0

    def __repr__(self) -> str:
        return f"<SecretLeaks of {self._run.shown_id(self._item.nodeid)}>"

    def add(self, value: Any, name: str = "") -> None:
        """Make a value known as a secret, even a short or common one.

        Args:
            value: text, bytes, or data with texts in it.
            name: what masks and findings call it; ``added 1`` and so on without one.
        """
        self._added += 1
        known.register(name or f"added {self._added}", value, told=True)

    def watch(self, path: Any) -> None:
        """Look through a file, or all files below a folder, when findings are asked for and when the test is over."""
        self._watched.append(Path(os.fspath(path)))

    def search(self, thing: Any, place: str = "searched") -> List[Finding]:
        """Look for secrets in a thing: text, bytes, data, a state, a flow, a run config, an environment.

        Returns:
            The findings in it, which ``found`` has too.
        """
        from pytest_flowsecrets.leaks.scan.extract import texts_in

        before = len(self._run.findings)
        for text, where in texts_in(thing, place):
            self._run.clean(text, where, self._item.nodeid)
        return self._run.findings[before:]

    @property
    def found(self) -> List[Finding]:
        """The leaks so far, in reports, captured output, log, watched files, and where one has searched."""
        self.look_at_watched()
        self._run.forward_written()
        self._run.look_at_left(self._item)
        self._look_at_capture()
        for search in known.outlets:
            self._run.look_at_api(search)
        return self._run.of_test(self._item.nodeid)

    def assert_none(self) -> None:
        """Assert that nothing leaked.

        Raises:
            AssertionError: it says what leaked, in which form, where, and how to prevent it; it shows no value.
        """
        __tracebackhide__ = True
        found = self.found
        if found:
            from pytest_flowsecrets.leaks.findings import section

            raise AssertionError(section(found))

    def look_at_watched(self) -> None:
        """Look through the watched files as they are now."""
        for path in self._watched:
            look_below(path, self._run.clean, self._item.nodeid)

    def _look_at_capture(self) -> None:
        """What pytest has captured since this phase of the test began, left as it is."""
        for stream, text in take_captured(self._item.config):
            self._run.clean(text, f"captured {'stdout' if stream is sys.stdout else 'stderr'}", self._item.nodeid)
            stream.write(text)
        handler = getattr(self._item.config.pluginmanager.get_plugin("logging-plugin"), "report_handler", None)
        if handler is not None:
            self._run.clean(handler.stream.getvalue(), "captured log", self._item.nodeid)
