"""The beginning and the end of the search for leaks in a run, what a run reports about them, and its late reports.

``masking`` has the hooks that mask tests and the reports about them.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Any, Iterator, List

import pytest

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.leaks.session import LeakSession
from pytest_flowsecrets.options import LISTS, by_either_name, resolve
from pytest_flowsecrets.plugin.options import SETTINGS, renaming_warner

RUN = pytest.StashKey[LeakSession]()
SESSION = pytest.StashKey[pytest.Session]()
_VARIABLES = LISTS["secret-env-vars"]


def run_of(config: pytest.Config) -> LeakSession:
    """Return the leak session of a run. The first call starts it."""
    if RUN not in config.stash:
        option = getattr(config.known_args_namespace, "flowsecrets_leaks", None)
        try:
            mode = resolve("leaks", command_line=option, ini=config.getini("flowsecrets_leaks") or None).value
        except UsageError:
            mode = "off"  # the run ends with this error
        variables = [*config.getini(_VARIABLES.ini), *config.getini(_VARIABLES.old_ini)]
        config.stash[RUN] = LeakSession(mode or "off", variables)
        config.stash[RUN].begin()
        config.pluginmanager.register(LateReportHooks(config.stash[RUN]), "flowsecrets-late-reports")
        config.add_cleanup(lambda: _end(config))
    return config.stash[RUN]


def _end(config: pytest.Config) -> None:
    """End the leak session.

    Only the exit status of pytest is still open. If an error is pending, it is printed later: the streams stay masked.
    """
    run = config.stash[RUN]
    run.mask_files(finally_=True)
    announce_leaks(config)
    _fail_session(config)
    if run.findings:  # files can add findings after the session has ended
        _write_report(config)
    lines = [*run.unreported_lines(), *run.faults.unreported_lines()]
    if sys.exc_info()[1] is None:
        run.end()
    if lines and not run.in_worker:  # the streams are restored: a fault may have withheld earlier output
        sys.stderr.write("\n".join(["flowsecrets: found at the end of the run:", *lines, *_failure_lines(run), ""]))


def _failure_lines(run: LeakSession) -> List[str]:
    return ["The run fails: flowsecrets_leaks is fail."] if run.has_failed else []


def _fail_session(config: pytest.Config) -> None:
    """In mode ``fail``, set the exit status of a run that leaked something to 1 if it is 0."""
    session = config.stash.get(SESSION, None)
    if session is not None and config.stash[RUN].has_failed and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _write_report(config: pytest.Config) -> None:
    """Write the report files that settings ask for. In an xdist worker, do nothing: the controller writes them."""
    run, settings = config.stash[RUN], config.stash.get(SETTINGS, None)
    if run.in_worker or settings is None:  # without settings, the run ends with a usage error
        return
    path = settings["leak-report"].value
    if path:
        run.write_report(path)
    for write in run.report_writers:
        write()


def announce_leaks(config: pytest.Config) -> None:
    """Call the hook for new leaks. An xdist worker leaves that to the controller."""
    run = run_of(config)
    if run.reports_leaks and not run.in_worker:
        for leak in run.record.unannounced():
            with run.faults, _without_outcomes(run):
                config.hook.pytest_flowsecrets_leak(config=config, leak=leak)


@contextmanager
def _without_outcomes(run: LeakSession) -> Iterator[None]:
    """Note a ``pytest.fail`` or ``pytest.skip`` where no test is running."""
    try:
        yield
    except (pytest.fail.Exception, pytest.skip.Exception):
        run.faults.note("pytest_flowsecrets_leak: a hook cannot fail or skip a test: use the mode fail")


# -- the beginning and the end of a run --------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option that has no command-line option."""
    parser.addini(_VARIABLES.ini, _VARIABLES.help, type="args", default=[])
    parser.addini(_VARIABLES.old_ini, f"Deprecated: use {_VARIABLES.ini}", type="args", default=[])


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks of ``hookspecs``."""
    from pytest_flowsecrets.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Wrap the standard streams before pytest starts to capture them."""
    run_of(early_config)
    yield
    run_of(early_config).learn_environment()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and the late hooks, and register the secrets that plugins have set."""
    _check_names(config)
    config.addinivalue_line(
        "markers",
        "allow_leaks(*names, where=()): allow leaks of these secrets in this test, at these places or anywhere",
    )
    run = run_of(config)
    run.in_worker = hasattr(config, "workerinput")
    run.learn_environment()
    _extend(run, config)
    # Registered after pytest's capture plugin, so that its hooks run before those of capture.
    config.pluginmanager.register(CapturedOutputHooks(run, config), "flowsecrets-captured-output")


def _check_names(config: pytest.Config) -> None:
    """Warn if the ini file uses the previous name of the key."""
    try:
        by_either_name(config.getini, _VARIABLES.ini, _VARIABLES.old_ini, renaming_warner(config))
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def _extend(run: LeakSession, config: pytest.Config) -> None:
    """Use the encoders and formats that hooks return."""
    encoders = config.hook.pytest_flowsecrets_encoders(config=config)
    formats = config.hook.pytest_flowsecrets_formats(config=config)
    try:
        if encoders or formats:
            run.extend(encoders, formats)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Mask the log file, and note the start of the run for the other files."""
    session.config.stash[SESSION] = session
    run_of(session.config).watch_files(session.config)


def pytest_report_collectionfinish(config: pytest.Config) -> List[str]:
    """Report how many secrets are registered, without names."""
    count = len(registry) if run_of(config).watching else 0
    return [f"flowsecrets: {count} secret{'s'[: count != 1]} known"] if count else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Mask the reasons for stopping the run before reporters show them."""
    run = run_of(session.config)
    for name in ("shouldstop", "shouldfail"):
        reason = getattr(session, name)
        if isinstance(reason, str):
            setattr(session, name, run.clean(reason, "reason"))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the findings of an xdist worker."""
    run_of(node.config).merge(getattr(node, "workeroutput", {}).get("flowsecrets", {}))
    announce_leaks(node.config)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show a count for each secret and place."""
    run = run_of(config)
    run.mask_files()  # most reporters have written their files
    announce_leaks(config)
    lines = run.unreported_lines()
    if lines:
        terminalreporter.section("leaked secrets")
        for line in [*lines, *_failure_lines(run)]:
            terminalreporter.write_line(line)


# -- reports and captured output ---------------------------------------------------------------------------------------


class LateReportHooks:
    """Hooks without a ``config`` argument. They mask what is reported before other plugins see it."""

    def __init__(self, run: LeakSession) -> None:
        self._run = run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Mask reports of subtests, and what plugins have added since a report was created."""
        self._run.mask_report(report)
        self._run.fail_leaking_test(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Mask what plugins have added to the report of a collector."""
        self._run.mask_report(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        """Mask a warning and the source line that the summary shows."""
        self._run.mask_warning(warning_message, nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any) -> None:
        """Mask the traceback of an internal error. An xdist worker sends it as text."""
        self._run.mask_object(excrepr, "failure")


class CapturedOutputHooks:
    """Hooks for captured output that belongs to no report, which pytest shows at the end of a session."""

    def __init__(self, run: LeakSession, config: pytest.Config) -> None:
        self._run, self._config = run, config

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Mask the output of an interrupted test before pytest writes it to the terminal."""
        self._run.mask_captured(self._config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self) -> None:
        """Mask captured output before pytest writes it to the terminal."""
        self._run.mask_captured(self._config)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Write the report file. In an xdist worker, send the findings instead, as late as possible."""
        yield
        run = self._run
        if hasattr(session.config, "workeroutput"):
            run.mask_files()  # now, because xdist waits at most ten seconds for a finished worker
            run.search_appended()
            session.config.workeroutput["flowsecrets"] = run.export()
        _fail_session(session.config)
        _write_report(session.config)
