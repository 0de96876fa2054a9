"""The second part of the pytest plugin: its hooks against leaks. ``plugin`` registers it.

Texts are masked as early as they can be: names of tests when they are collected, reports when they are made and again
before anybody hears of them (an xdist worker masks before it sends), warnings when they are recorded, what goes to the
terminal and to log files when it is written. At the end the files that the run has written are looked through.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Iterator, List

import pytest

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.leaks.mask import pytest_items as tests
from pytest_flowsecrets.leaks.registry import known
from pytest_flowsecrets.leaks.session import Run
from pytest_flowsecrets.options import resolve

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.secret_leaks import SecretLeaks

RUN = pytest.StashKey[Run]()
SESSION = pytest.StashKey[pytest.Session]()


def run_of(config: pytest.Config) -> Run:
    """Return the watch over a run; it begins when it is first asked for."""
    if RUN not in config.stash:
        option = getattr(config.known_args_namespace, "flowsecrets_leaks", None)
        try:
            mode = resolve("leaks", command_line=option, ini=config.getini("flowsecrets_leaks") or None).value
        except UsageError:
            mode = "off"  # the run ends with this error
        config.stash[RUN] = Run(mode or "off", config.getini("flowsecrets_known"))
        config.stash[RUN].begin()
        config.pluginmanager.register(LastLook(config.stash[RUN]), "flowsecrets-last-look")
        config.add_cleanup(lambda: _end(config))
    return config.stash[RUN]


def _end(config: pytest.Config) -> None:
    """End the watch; pytest has ended, but for its exit status. A pending error is still to be printed, masked."""
    run = config.stash[RUN]
    run.look_through_files(finally_=True)
    _fail_session(config)
    if run.findings:  # some in files, after the session has ended
        _write_report(config)
    lines = [*run.fresh_lines(), *run.faults.fresh_lines()]
    if sys.exc_info()[1] is None:
        run.end()
    if lines and not run.in_worker:  # streams are as they were: a fault may have withheld everything before
        sys.stderr.write("\n".join(["flowsecrets: found at the end of the run:", *lines, *_verdict(run), ""]))


def _verdict(run: Run) -> List[str]:
    return ["The run fails: flowsecrets_leaks is fail."] if run.has_failed else []


def _fail_session(config: pytest.Config) -> None:
    """In the mode ``fail``, end a run that leaked with an exit status that is not 0."""
    session = config.stash.get(SESSION, None)
    if session is not None and config.stash[RUN].has_failed and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _write_report(config: pytest.Config) -> None:
    """Write the file of findings if one is asked for; workers of xdist leave it to the run that started them."""
    path = config.getoption("--flowsecrets-report", None)
    if path and not config.stash[RUN].in_worker:
        config.stash[RUN].write_report(path)


# -- the beginning and the end of a run --------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini key that has no option."""
    told = "names of environment variables, or globs, whose values are secrets"
    parser.addini("flowsecrets_known", told, type="args", default=[])


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks by which users add encoders and formats."""
    from pytest_flowsecrets.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Wrap the standard streams before pytest begins to capture them."""
    run_of(early_config)
    yield
    run_of(early_config).learn_environment()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; learn what plugins have declared since."""
    config.addinivalue_line(
        "markers", "allow_leaks(*names, where=()): these secrets may leak in this test, at these places or anywhere"
    )
    run = run_of(config)
    run.in_worker = hasattr(config, "workerinput")
    run.learn_environment()
    _extend(run, config)
    if run.descriptors is not None:
        with run.faults:
            from pytest_flowsecrets.plugin.descriptors import register

            register(config, run.descriptors)
    # Later than pytest's capture, and so asked before it.
    config.pluginmanager.register(CapturedRest(run, config), "flowsecrets-captured-rest")


def _extend(run: Run, config: pytest.Config) -> None:
    """Learn the encoders and formats of users."""
    encoders = config.hook.pytest_flowsecrets_encoders(config=config)
    formats = config.hook.pytest_flowsecrets_formats(config=config)
    try:
        if encoders or formats:
            run.extend(encoders, formats)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Mask what goes to a log file, and remember which files the run will write."""
    session.config.stash[SESSION] = session
    run_of(session.config).watch_files(session.config)


def pytest_report_collectionfinish(config: pytest.Config) -> List[str]:
    """How many secrets are known, never which."""
    count = len(known) if run_of(config).watching else 0
    return [f"flowsecrets: {count} secret{'s'[: count != 1]} known"] if count else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Mask the reasons for stopping, before anybody shows them."""
    run = run_of(session.config)
    for name in ("shouldstop", "shouldfail"):
        reason = getattr(session, name)
        if isinstance(reason, str):
            setattr(session, name, run.clean(reason, "reason"))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what an xdist worker has found."""
    run_of(node.config).merge(getattr(node, "workeroutput", {}).get("flowsecrets", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Counts for each secret and place."""
    run = run_of(config)
    run.look_through_files()  # reporters have written most of theirs
    lines = run.fresh_lines()
    if lines:
        terminalreporter.section("leaked secrets")
        for line in [*lines, *_verdict(run)]:
            terminalreporter.write_line(line)


# -- collection --------------------------------------------------------------------------------------------------------


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Iterator[None]:
    """Learn the marks of a test and mask its parameters' ids before anything is made of them."""
    outcome: Any = yield
    run = run_of(collector.config)
    if run.watching and outcome.excinfo is None:
        result = outcome.get_result()
        run.learn_tests(node for node in _listed(result) if isinstance(node, pytest.Item))


def _listed(result: Any) -> List[Any]:
    return result if isinstance(result, list) else [result]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Once all secrets are known, mask the names of tests that were collected before theirs was.

    ``--deselect`` compares node ids, so the real ones are compared here.
    """
    run = run_of(config)
    run.learn_tests(items)
    gone = run.ids.deselected(items, config.getoption("deselect") or ())
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Mask what a broken module says."""
    outcome: Any = yield
    if outcome.excinfo is None:
        report, run = outcome.get_result(), run_of(collector.config)
        call = getattr(report, "call", None)
        if call is not None and call.excinfo is not None and run.watching:
            with run.faults:
                tests.learn_broken_module(call.excinfo.value)
        run.mask_report(report)


# -- running -----------------------------------------------------------------------------------------------------------


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Say whose findings the next ones are."""
    run = run_of(item.config)
    run.begin_test(item)
    yield
    run.test = ""


def _with_real_name(item: pytest.Item) -> Iterator[None]:
    """Give a test its real name; plugins that wrap the phases of a test see the masked one before and after."""
    with run_of(item.config).ids.real(item):
        yield


pytest_runtest_setup = pytest.hookimpl(hookwrapper=True, trylast=True)(_with_real_name)
pytest_runtest_call = pytest.hookimpl(hookwrapper=True, trylast=True)(_with_real_name)
pytest_runtest_teardown = pytest.hookimpl(hookwrapper=True, trylast=True)(_with_real_name)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: Any) -> Iterator[None]:
    """Show pytest's own fixtures the masked name: ``tmp_path`` makes a folder of it, JUnit's look for its report."""
    if getattr(fixturedef.func, "__module__", "").startswith("_pytest."):
        with run_of(request.config).ids.masked(request.node):
            yield
    else:
        yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Mask a report after all other plugins have had their part in it; in the mode ``fail``, fail a leaking test."""
    outcome: Any = yield
    if outcome.excinfo is None:
        run, report = run_of(item.config), outcome.get_result()
        if report.when == "call" and run.reports_leaks:
            run.look_at_left(item)
        if run.brings_news(report):
            run.learn_environment()  # tests set variables too
        run.mask_report(report)
        run.judge(report)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_report_to_serializable(config: pytest.Config) -> Iterator[None]:
    """Mask the name of a test whose secret was learnt only while it ran: an xdist worker needs it until here."""
    outcome: Any = yield
    if outcome.excinfo is None:
        run_of(config).mask_id(outcome.get_result())


class LastLook:
    """The hooks that do not get the ``config``: what is reported is masked before any other plugin sees it."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Subtests' reports too, and what plugins have added since the report was made."""
        self._run.mask_report(report)
        self._run.judge(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """The same for collectors."""
        self._run.mask_report(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        """Mask a warning, and the line of source that the summary shows of it."""
        self._run.mask_warning(warning_message, nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any) -> None:
        """Mask the traceback of a plugin's fault; an xdist worker sends it as text."""
        self._run.mask_object(excrepr, "failure")


class CapturedRest:
    """The end of a session, where pytest shows captured output that belongs to no report."""

    def __init__(self, run: Run, config: pytest.Config) -> None:
        self._run, self._config = run, config

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Mask what an interrupted test has printed: pytest writes it to the terminal's descriptor."""
        self._run.mask_captured(self._config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self) -> None:
        """The same for a fault of a plugin."""
        self._run.mask_captured(self._config)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Write the report file; an xdist worker sends what it has found instead, as late as it can."""
        yield
        run = self._run
        if hasattr(session.config, "workeroutput"):
            run.look_through_files()  # now, as xdist waits ten seconds and no longer for a worker that has finished
            run.search_appended()
            session.config.workeroutput["flowsecrets"] = run.export()
        _fail_session(session.config)
        _write_report(session.config)


# -- the fixture -------------------------------------------------------------------------------------------------------


@pytest.fixture
def secret_leaks(request: pytest.FixtureRequest) -> Iterator[SecretLeaks]:
    """What leaked in this test: ``.found``, ``.assert_none()``, ``.watch()``, ``.search()``, ``.add()``."""
    from pytest_flowsecrets.leaks.secret_leaks import SecretLeaks

    try:
        leaks = SecretLeaks(run_of(request.config), request.node)
    except UsageError as error:
        pytest.fail(str(error), pytrace=False)
    yield leaks
    leaks.look_at_watched()
