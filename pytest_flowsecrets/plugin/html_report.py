"""The option ``--flowsecrets-html``. Its hooks are registered only if the option is set."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Dict, Iterator

import pytest

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.plugin import markers
from pytest_flowsecrets.plugin.isolation import isolation_of
from pytest_flowsecrets.plugin.leaks import run_of
from pytest_flowsecrets.plugin.options import SETTINGS


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start to collect for the report if the option asks for one."""
    path = config.stash[SETTINGS]["html"].value
    if path:
        from pytest_flowsecrets.report.page import require_jinja

        try:
            require_jinja()
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        config.pluginmanager.register(HtmlReport(config, path), "flowsecrets-html")


class HtmlReport:
    """The hooks that record the tests of this process. In an xdist worker, they send the records to the controller."""

    def __init__(self, config: pytest.Config, path: str) -> None:
        from pytest_flowsecrets.report.collector import Collector

        self._run, self._path = run_of(config), path
        self._run.register_for_reports()
        self._collector = Collector(self._run.mask_text, {f"{config.rootpath}/": ""})
        self._positions: Dict[str, int] = {}
        self._run.report_writers.append(self._write)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember the order of the tests, which all xdist workers share."""
        self._positions = {item.nodeid: number for number, item in enumerate(session.items)}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Record one test."""
        route = ""
        with suppress(UsageError):  # the test itself reports it
            route = markers.route_of(item) or ""
        self._collector.begin_test(item.nodeid, self._positions.get(item.nodeid, len(self._positions)), route)
        yield
        self._collector.end_test(_without_route(item.nodeid, route))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        """Explain the secrets of a test before its fixtures end."""
        isolation = isolation_of(item)
        if isolation is not None and isolation.active:
            names = {}
            with suppress(UsageError):
                names = markers.secrets_of(item) or {}
            self._collector.explain(isolation, names)
        yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:  # noqa: ARG002 - the hook's argument
        """Record the outcome after all other plugins have changed it."""
        outcome: Any = yield
        if outcome.excinfo is None:
            report = outcome.get_result()
            result = report.outcome
            if hasattr(report, "wasxfail"):
                result = "xfailed" if report.skipped else "xpassed"
            self._collector.set_outcome(result, when=report.when)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add the records of an xdist worker."""
        self._collector.merge(getattr(node, "workeroutput", {}).get("flowsecrets_html", ()))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """In an xdist worker, send the records."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["flowsecrets_html"] = self._collector.export()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name the file."""
        terminalreporter.write_sep("-", f"flowsecrets: HTML report: {self._path}")

    def _write(self) -> None:
        from pytest_flowsecrets.report.page import write_page

        leaks = [leak.as_dict() for leak in self._run.shown_findings()]
        try:
            write_page(self._path, self._collector.export(), self._collector.masked(leaks))
        except OSError as error:
            self._run.faults.note(f"--flowsecrets-html: cannot write the report: {error.strerror}")


def _without_route(nodeid: str, route: str) -> str:
    """Return the id of a test without its route, so that the routes of a test have one row."""
    return nodeid.replace(f"[{route}]", "").replace(f"{route}-", "", 1).replace(f"-{route}", "", 1) if route else nodeid
