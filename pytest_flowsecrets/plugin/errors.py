"""The hooks that shorten the errors of this package, and explain failures.

They explain missing secrets, conflicts with marshmallow, and errors that pytest and Hypothesis raise when a fixture or
a marker of this package is misused: their own messages say what is wrong, but cannot know what this package offers.
"""

from __future__ import annotations

import re
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, Callable, Dict, Generator, Iterator, List, Match, Optional, Tuple

import pytest

from pytest_flowsecrets.plugin import markers
from pytest_flowsecrets.plugin.isolation import isolation_of

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.missing_in_errors import Missing
    from pytest_flowsecrets.isolation.missing_secrets import Case

_SECTION = "flowsecrets"
_failed_fixtures = pytest.StashKey[Dict[str, Tuple[BaseException, str]]]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose marker is wrong, as pytest does if a fixture is unknown. Other and skipped tests go on."""
    message = markers.marker_error(item)
    if message:
        pytest.fail(message, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: Any) -> Generator[None, Any, Any]:
    """Remember the error of a fixture of wider scope. pytest raises it again in other tests, without the fixture."""
    __tracebackhide__ = True
    try:
        return (yield)
    except BaseException as error:
        if fixturedef.scope != "function":
            name = _describe(fixturedef)
            request.config.stash.setdefault(_failed_fixtures, {})[name] = error, name
        raise


def _describe(fixturedef: pytest.FixtureDef[Any]) -> str:
    for method in ("setUpClass", "setUpModule", "setup_class", "setup_module"):
        if method.lower() in fixturedef.argname.lower():  # pytest runs such methods in fixtures
            return method
    return f"the fixture {fixturedef.argname!r} (scope {fixturedef.scope})"


@pytest.hookimpl(specname="pytest_runtest_makereport")
def pytest_flowsecrets_shorten(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Show the errors of this package at the line of the test. In a TestCase, pytest adds the error just before."""
    if call.excinfo is not None and not item.config.getoption("fulltrace"):
        call.excinfo = _without_own_frames(call.excinfo)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Add sections that explain a failure."""
    report = yield
    if call.excinfo is not None and report.failed:
        error, traceback = call.excinfo.value, call.excinfo.tb
        lines = [*_marshmallow_conflict(error), *_missing_secret(item, error, traceback, report)]
        _add_lines(report, [*lines, *_blocked_sockets(item, error)])
        _add_advice(report)
        if item.config.getoption("--flowsecrets-explain"):
            _add_lines(report, _explanations(item), "flowsecrets: secrets of this test")
    return report


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: Any) -> Iterator[None]:
    """Add the next step to errors of pytest about the markers of this package."""
    outcome: Any = yield
    if outcome.excinfo is None and outcome.get_result().failed and _uses_marks(collector):
        _add_advice(outcome.get_result())


def _uses_marks(collector: Any) -> bool:
    try:
        return b"mark.secret" in collector.path.read_bytes()
    except (OSError, AttributeError):
        return False


def _add_advice(report: Any) -> None:
    line = _advice_for(str(report.longrepr))
    _add_lines(report, [line] if line else [])


def _add_lines(report: Any, lines: List[str], title: str = _SECTION) -> None:
    """Add a section to a report that ``--show-capture=no`` does not hide."""
    if lines and hasattr(report.longrepr, "addsection"):
        report.longrepr.addsection(title, "\n".join(lines))
    elif lines:
        report.sections.append((title, "\n".join(lines)))


def _explanations(item: Any) -> List[str]:
    """Return the explanation of every secret of a test, as ``local_secrets.explain`` does."""
    isolation = isolation_of(item)
    if isolation is None or not isolation.active:
        return ["this test is not isolated, or its isolation has ended"]
    try:
        return [isolation.secrets.explain(name) for name in isolation.secrets] or ["this test has no secrets"]
    except Exception as error:  # noqa: BLE001 - an explanation must not replace the failure itself
        return [f"no explanation: {type(error).__name__}"]


def _without_own_frames(excinfo: pytest.ExceptionInfo[BaseException]) -> pytest.ExceptionInfo[BaseException]:
    from pytest_flowsecrets.tracebacks import without_own_frames

    shortened = without_own_frames(excinfo.value, excinfo.tb)
    if shortened is excinfo.tb:
        return excinfo
    return pytest.ExceptionInfo.from_exc_info((excinfo.type, excinfo.value.with_traceback(shortened), shortened))


def _marshmallow_conflict(error: BaseException) -> List[str]:
    if "marshmallow" not in sys.modules:
        return []
    from pytest_flowsecrets.isolation.prefect1.prefect_errors import conflict_of

    conflict = conflict_of(error)
    return [] if conflict is None else [str(conflict)]


def _blocked_sockets(item: Any, error: BaseException) -> List[str]:
    """Return a line if a test has failed because a plugin such as pytest-socket blocks the API of this package."""
    import socket
    import warnings
    from urllib.parse import urlsplit

    api = getattr(isolation_of(item), "api", None)
    connect = getattr(socket.socket, "connect", None)
    is_original = socket.socket.__module__ == "socket" and not isinstance(connect, FunctionType)
    if api is None or is_original:
        return []
    from pytest_flowsecrets.isolation.missing_in_errors import chain_of
    from pytest_flowsecrets.isolation.prefect3.api import ALLOW_SOCKETS

    if not any(
        isinstance(each, (RuntimeError, OSError)) or "Connect" in type(each).__name__ for each in chain_of(error)
    ):
        return []
    url = urlsplit(api.url)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            socket.create_connection((url.hostname or "", url.port or 0), timeout=10).close()
    except RuntimeError:  # pytest-socket and pytest-recording raise it
        return [f"a plugin blocks sockets, and with them the API of this test at {url.hostname}: {ALLOW_SOCKETS}"]
    except OSError:
        pass
    return []


# -- missing secrets ---------------------------------------------------------------------------------------------------


def _missing_secret(item: Any, error: BaseException, traceback: Any, report: Any) -> List[str]:
    """Return the lines that explain the missing secret because of which a test has failed; none for other failures."""
    if "prefect" not in sys.modules and "pytest_flowsecrets.isolation.stack" not in sys.modules:
        return []
    from pytest_flowsecrets.isolation import missing_in_errors, missing_secrets

    try:
        noted = missing_secrets.noted_lines(error)
        if noted:
            return noted
        output = "\n".join(text for title, text in report.sections if title.startswith("Captured"))
        missing = missing_in_errors.missing_in_failure(error, traceback, output)
        return [] if missing is None else missing_secrets.explain_missing(_case(item, missing, error, traceback))
    except Exception:  # noqa: BLE001 - a hint must not replace the failure itself
        return []


def _case(item: Any, missing: Missing, error: BaseException, traceback: Any) -> Case:
    from pytest_flowsecrets.isolation.missing_in_errors import find_cloud
    from pytest_flowsecrets.isolation.missing_secrets import Case, Cloud

    isolation = isolation_of(item)
    isolation = isolation if isolation is not None and isolation.active else None
    variable, cloud = find_cloud(getattr(item, "funcargs", {}), traceback) or ("", None)
    reads = [] if cloud is None else [read.name for read in cloud.secrets.reads]
    of_test = None if cloud is None else Cloud(variable, cloud.secrets.names(), reads)
    fixture = _fixture_of(item, error) or ""
    return Case(missing.name, isolation, list(item.iter_markers()), fixture, of_test, missing.place)


def _fixture_of(item: Any, error: BaseException) -> Optional[str]:
    failed = item.config.stash.get(_failed_fixtures, {})
    return next((name for each, name in failed.values() if each is error), None)


# -- misused fixtures and markers --------------------------------------------------------------------------------------

_FIXTURES = (
    "local_secrets",
    "local_secrets_factory",
    "prefect_cloud",
    "prefect_server",
    "prefect_home",
    "real_prefect",
    "secret_leaks",
    "secret_route",
    "cluster_secrets",
    "flow_environment",
    "flow_clock",
)
_OURS = "|".join(_FIXTURES)
_MARKS = ("secrets", "secret_routes", "variables", "allow_leaks")


def _nearest_mark(match: Match[str]) -> Optional[str]:
    from pytest_flowsecrets.resolution.shown_names import nearest_name

    near = nearest_name(match.group(1), _MARKS)
    return f"fix: write @pytest.mark.{near.name}" if near and match.group(1) not in _MARKS else None


def _nearest_fixture(match: Match[str]) -> Optional[str]:
    from pytest_flowsecrets.resolution.shown_names import nearest_name

    near = nearest_name(match.group(1), _FIXTURES)
    return f"fix: request the fixture {near.name!r}" if near else None


def _scope_advice(match: Match[str]) -> str:
    if match.group(1) == "local_secrets":
        return "fix: use local_secrets_factory in fixtures of wider scope, or make the fixture function-scoped"
    return (
        f"fix: make the fixture function-scoped, because {match.group(1)} belongs to one test, or use "
        "`with isolated_prefect(...):` in it"
    )


_ADVICE: Dict[str, Callable[[Match[str]], Optional[str]]] = {
    r"'(\w+)' not found in `markers` configuration option": _nearest_mark,
    r"Marks cannot be applied to fixtures": lambda _: (
        "fix: put the marker on the test, or set the secret in the fixture with local_secrets"
    ),
    rf"ScopeMismatch: You tried to access the (?:'?function'?) scoped fixture '?({_OURS})\b": _scope_advice,
    rf"FailedHealthCheck: (?s:.*?)[Ff]unction-scoped fixture '({_OURS})'": lambda _: (
        "fix: set secrets with the marker, or with `with isolated_prefect({...}):` in the test, for each example"
    ),
    r"fixture '(\w+)' not found": _nearest_fixture,
}


def _advice_for(text: str) -> Optional[str]:
    """Return the next step for an error, or None if the error is not about this package.

    Args:
        text: the error as pytest shows it.
    """
    for pattern, advise in _ADVICE.items():
        match = re.search(pattern, text)
        advice = advise(match) if match else None
        if advice is not None:
            return advice
    return None
