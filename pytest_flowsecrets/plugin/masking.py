"""The hooks that mask tests and their reports.

Texts are masked as early as possible: names of tests at collection, reports when they are created and again before
other plugins see them (an xdist worker masks before it sends), warnings when they are recorded, terminal and log
output when it is written. At the end of the run, the files that it wrote are masked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generator, Iterator, List

import pytest

from pytest_flowsecrets.leaks.secret_sources import learn_broken_module
from pytest_flowsecrets.plugin.leaks import announce_leaks, run_of

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.mask.descriptors import Descriptors

Wrapper = Generator[None, Any, Any]  # a hook with wrapper=True, which pluggy calls twice as fast as a hookwrapper
_CAPTURES_STREAMS_ONLY = "sys", "tee-sys"

# -- collection --------------------------------------------------------------------------------------------------------


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Iterator[None]:
    """Register the secrets in the markers of a test, and mask the ids of its parameters before they are used."""
    outcome: Any = yield
    run = run_of(collector.config)
    if run.watching and outcome.excinfo is None:
        result = outcome.get_result()
        run.learn_tests(node for node in _as_list(result) if isinstance(node, pytest.Item))


def _as_list(result: Any) -> List[Any]:
    return result if isinstance(result, list) else [result]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Mask the names of tests that were collected before their secrets were registered.

    ``--deselect`` compares node ids, so this hook deselects renamed tests by their real ids.
    """
    run = run_of(config)
    run.learn_tests(items)
    deselected = run.ids.deselected(items, config.getoption("deselect") or ())
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if item not in deselected]


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Mask the report of a collector, and register the secrets in the markers of a broken module."""
    outcome: Any = yield
    if outcome.excinfo is None:
        report, run = outcome.get_result(), run_of(collector.config)
        call = getattr(report, "call", None)
        if call is not None and call.excinfo is not None and run.watching:
            with run.faults:
                learn_broken_module(call.excinfo.value)
        run.mask_report(report)


# -- running -----------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Wrapper:
    """Attribute the following findings to this test."""
    __tracebackhide__ = True
    run = run_of(item.config)
    run.begin_test(item)
    try:
        return (yield)
    finally:
        run.test = ""
        announce_leaks(item.config)


def _with_real_name(item: pytest.Item) -> Wrapper:
    """Give a test its real name while its own code runs. Plugins around a phase see the masked name."""
    __tracebackhide__ = True
    ids = run_of(item.config).ids
    if not ids:
        return (yield)
    with ids.real(item):
        return (yield)


pytest_runtest_setup = pytest.hookimpl(wrapper=True, trylast=True)(_with_real_name)
pytest_runtest_call = pytest.hookimpl(wrapper=True, trylast=True)(_with_real_name)
pytest_runtest_teardown = pytest.hookimpl(wrapper=True, trylast=True)(_with_real_name)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: Any) -> Wrapper:
    """Give a test its masked name while pytest sets up its own fixtures.

    ``tmp_path`` names a folder after the test, and JUnit fixtures look up its report.
    """
    __tracebackhide__ = True
    ids = run_of(request.config).ids
    if ids and getattr(fixturedef.func, "__module__", "").startswith("_pytest."):
        with ids.masked(request.node):
            return (yield)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Wrapper:
    """Mask a report after all other plugins have changed it. In mode ``fail``, fail a leaking test."""
    report = yield
    run = run_of(item.config)
    if report.when == "call" and run.reports_leaks:
        run.scan_artifacts(item)
    if run.has_unseen_text(report):
        run.learn_environment()  # tests set variables too
    run.mask_report(report)
    run.fail_leaking_test(report)
    return report


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_report_to_serializable(config: pytest.Config) -> Iterator[None]:
    """Mask the id in a report that is about to be sent or written.

    If a secret is registered while its test runs, an xdist worker needs the real id until now.
    """
    outcome: Any = yield
    if outcome.excinfo is None:
        run_of(config).mask_id(outcome.get_result())


# -- descriptors -------------------------------------------------------------------------------------------------------
#
# File descriptors 1 and 2 are masked while pytest does not capture them.


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Redirect the descriptors in the phases in which pytest does not capture them."""
    run = run_of(config)
    if run.descriptors is not None:
        with run.faults:
            _register_descriptors(config, run.descriptors)


def _register_descriptors(config: pytest.Config, descriptors: Descriptors) -> None:
    """Redirect the descriptors if capture is disabled, and with ``--capture=sys`` in every phase of a test."""
    manager = config.pluginmanager.get_plugin("capturemanager")
    if manager is None:
        return
    from pytest_flowsecrets.leaks.mask.descriptors import redirect_in_disabled_capture

    config.add_cleanup(redirect_in_disabled_capture(manager, descriptors))
    config.pluginmanager.register(DebuggerHooks(descriptors), "flowsecrets-debugger")
    if config.getoption("capture") in _CAPTURES_STREAMS_ONLY:
        config.pluginmanager.register(PhaseHooks(descriptors), "flowsecrets-descriptors")


class DebuggerHooks:
    """The hook for debuggers, which need the original descriptors."""

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors

    def pytest_enter_pdb(self) -> None:
        """Undo the redirection."""
        self._descriptors.pause()


class PhaseHooks:
    """The hooks that redirect the descriptors during the phases of a test and the collection of modules.

    They run outside pytest's own capture, because ``capfd`` restores the descriptors from before its own start.
    """

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors

    def _redirect(self) -> Iterator[None]:
        with self._descriptors.redirected():
            yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Iterator[None]:
        """Redirect during the import of test modules."""
        yield from self._redirect()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        """Redirect during the setup of fixtures."""
        yield from self._redirect()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        """Redirect during the test function."""
        yield from self._redirect()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        """Redirect during the teardown of fixtures."""
        yield from self._redirect()
