"""The hooks that isolate the tests that need secrets, at the right moment. ``fixtures`` uses their functions."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Generator, Iterator, List, Optional, Sequence

import pytest

from pytest_flowsecrets.errors import (
    FlowSecretsError,
    RouteUnavailable,
    SecretChangedWarning,
    UnsupportedPrefect,
    UsageError,
)
from pytest_flowsecrets.plugin import markers
from pytest_flowsecrets.plugin.options import SETTINGS, isolation_depth

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.isolation.stack import Isolation

ISOLATION = "flowsecrets_isolation"
CLOCK = "flow_clock"
MARKERS = ("secrets", "variables")  # a test with one of them is isolated
FIXTURES = frozenset(
    {
        ISOLATION,
        "local_secrets",
        "prefect_home",
        "real_prefect",
        "prefect_cloud",
        "prefect_server",
        markers.ROUTE,
        "flow_environment",
    }
)

_needs_isolation = pytest.StashKey[bool]()
_isolation = pytest.StashKey["Isolation"]()
_cluster = pytest.StashKey["ClusterSecrets"]()
_parent_watch = pytest.StashKey[Any]()
_real_server = pytest.StashKey[bool]()


# -- hooks -------------------------------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with a ``secret_routes`` marker once per route."""
    try:
        routes = markers.routes_of(metafunc.definition)
    except UsageError:
        return  # the setup of the test reports it
    if routes:
        metafunc.fixturenames += [] if markers.ROUTE in metafunc.fixturenames else [markers.ROUTE]
        metafunc.parametrize(markers.ROUTE, routes, indirect=True, ids=routes)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Add the isolation to a test whose marker or fixture needs it, or to every test with the option ``all``."""
    names: List[str] = getattr(item, "fixturenames", [])
    everything = item.config.stash[SETTINGS]["isolation"].value == "all"
    if everything or any(map(item.get_closest_marker, MARKERS)) or not FIXTURES.isdisjoint(names):
        item.stash[_needs_isolation] = True
        if hasattr(item, "fixturenames"):  # a new list, because pytest may share the old one between items
            item.fixturenames = [*(name for name in names if name != ISOLATION), ISOLATION]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: Any) -> Generator[None, Any, Any]:
    """Set up the isolation before all other function-scoped fixtures, and fixtures of wider scope outside it.

    Therefore ``monkeypatch`` is undone inside the isolation, and the variables of a session fixture exist when the
    isolation begins. A fixture of wider scope is also set up outside if a running test requests it.
    """
    __tracebackhide__ = True
    if fixturedef.scope != "function":
        with _outside_isolation():
            return (yield)
    if fixturedef.argname != ISOLATION:
        _set_up_before(fixturedef, request)
    return (yield)


@contextmanager
def _outside_isolation() -> Iterator[None]:
    """Suspend the isolation of the current test, if there is one."""
    isolation = None
    if isolation_depth():
        from pytest_flowsecrets.isolation import stack

        isolation = stack.current()
    if isolation is not None and isolation.owner.of_test:
        with isolation.suspended():
            yield
    else:
        yield


def _set_up_before(fixturedef: pytest.FixtureDef[Any], request: Any) -> None:
    """Set up the isolation and the clock of a test, if it needs them, before one of its own fixtures."""
    if request.node.stash.get(_needs_isolation, False):
        try:
            request.getfixturevalue(ISOLATION)
        except BaseException:
            # Newer pytest finishes only fixtures with a result, and would reuse this incomplete one in the next test.
            fixturedef.cached_result = (None, fixturedef.cache_key(request), None)
            raise
    # The clock also comes before `monkeypatch`. `request.fixturenames` is slow, because it builds a new list each time.
    if fixturedef.argname != CLOCK and CLOCK in getattr(request.node, "fixturenames", ()):
        request.getfixturevalue(CLOCK)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Isolate items without fixtures (doctests of older pytest), and reject a marker that was added too late."""
    if _isolation in item.stash:
        return
    if item.stash.get(_needs_isolation, False):
        isolation = enter(item)
        item.addfinalizer(lambda: exit_(item, isolation))
    elif item.get_closest_marker("secrets"):
        pytest.fail(
            f"{item.nodeid}: the secrets marker was added after the setup of this test began: add it during collection",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """After the teardown of all fixtures, remove variables of the isolation that a fixture has restored."""
    __tracebackhide__ = True
    try:
        return (yield)
    finally:
        isolation = item.stash.get(_isolation, None)
        if isolation is not None:
            exit_(item, isolation)
            isolation.sweep()
            del item.stash[_isolation]


def enter(item: Any) -> Isolation:
    """Return the isolation of a test, entered with its secrets. Fail or skip the test if that is not possible."""
    isolation = isolation_for_run(item.config, of_test=True)
    item.stash[_isolation] = isolation
    try:
        _set_secrets(item, isolation)
    except RouteUnavailable as error:
        isolation.exit()
        pytest.skip(str(error))
    except (FlowSecretsError, SecretChangedWarning) as error:
        message = _failure_message(item, error)
    except BaseException:
        isolation.exit()
        raise
    else:
        return isolation
    isolation.exit()
    pytest.fail(message, pytrace=False)


def exit_(item: Any, isolation: Isolation) -> None:
    """Exit an isolation. An error of this package is one line, because no frame of the test leads to it."""
    try:
        isolation.exit()
    except FlowSecretsError as error:
        message = f"{item.nodeid}: {error}"
    else:
        return
    pytest.fail(message, pytrace=False)


def isolation_for_run(config: pytest.Config, *, of_test: bool) -> Isolation:
    """Return an isolation with the settings of a run."""
    from pytest_flowsecrets.isolation.context_manager import new_isolation
    from pytest_flowsecrets.versions import DEFAULT_VERSION

    if hasattr(config, "workerinput") and _parent_watch not in config.stash:
        from pytest_flowsecrets.isolation.home.run_folder import end_with_parent

        config.stash[_parent_watch] = end_with_parent()
    settings = config.stash[SETTINGS]
    version, server = settings["prefect-version"].value or DEFAULT_VERSION, settings["server"].value or "fake"
    if server == "real":
        _prepare_real_server(config)
    write_only = settings["write-only"].value == "on"
    return new_isolation(version, of_test=of_test, server=server, write_only=write_only)


def _prepare_real_server(config: pytest.Config) -> None:
    """Keep the template database of the server in pytest's cache, and end the server after the session."""
    if _real_server in config.stash:
        return
    from pytest_flowsecrets.backend.prefect_server.api import close_servers, keep_templates

    cache = getattr(config, "cache", None)
    keep_templates(cache.mkdir("flowsecrets") if cache is not None else None)
    config.add_cleanup(close_servers)
    config.stash[_real_server] = True


def _set_secrets(item: Any, isolation: Isolation) -> None:
    """Enter an isolation with the secrets of a test, delivered by its route, and warn about changed values."""
    provided = item.ihook.pytest_flowsecrets_secrets(config=item.config, item=item)
    secrets = markers.merge(_merged(provided), markers.secrets_of(item) or {})
    variables = markers.variables_of(item)
    route = markers.route_of(item)
    isolation.enter({} if route else secrets)
    if variables:
        isolation.set_variables(variables)
    if route:
        from pytest_flowsecrets.routes import deliver

        deliver(route, secrets, isolation, cluster_of(item))
    for warning in isolation.secrets.value_changes.warnings_for(secrets):
        _warn(item, warning)


def _merged(provided: Sequence[Any]) -> Dict[str, Any]:
    """Return the secrets that implementations of ``pytest_flowsecrets_secrets`` provide. The first takes precedence."""
    secrets: Dict[str, Any] = {}
    for mapping in reversed(provided):
        secrets = markers.merge(secrets, markers.check("the hook pytest_flowsecrets_secrets", mapping))
    return secrets


def secrets_for_file(session: pytest.Session, path: str) -> Dict[str, Any]:
    """Return the secrets that plugins, and the ``conftest.py`` files of a file's folders, provide without a test.

    Raises:
        UsageError: a hook expects a test.
    """
    hook = session.gethookproxy(Path(os.path.abspath(path)))  # the path of code without a file is relative
    try:
        provided = hook.pytest_flowsecrets_secrets(config=session.config, item=None)
    except AttributeError as error:
        raise UsageError(
            "a hook pytest_flowsecrets_secrets failed: for local_secrets_factory, its item is None"
        ) from error
    return _merged(provided)


def _failure_message(item: Any, error: Exception) -> str:
    if isinstance(error, UsageError):
        return str(error)
    message = f"{item.nodeid}: {error}"
    if isinstance(error, UnsupportedPrefect) and item.config.stash[SETTINGS]["isolation"].value == "all":
        message += "; --flowsecrets-isolation=all isolates every test: use --flowsecrets-isolation=marked"
    return message


def _warn(item: Any, warning: Warning) -> None:
    from inspect import unwrap

    from pytest_flowsecrets.isolation.safe_errors import warn_at

    function = getattr(item, "function", None)
    if function is None:  # a doctest
        item.warn(warning)
    else:
        warn_at(warning, unwrap(function).__code__, function.__module__)


def isolation_of(item: Any) -> Optional[Isolation]:
    """Return the isolation of a test, or None if it has none."""
    isolation: Optional[Isolation] = item.stash.get(_isolation, None)
    return isolation


def cluster_of(item: Any) -> ClusterSecrets:
    """Return the Kubernetes Secrets of a test."""
    from pytest_flowsecrets.agents.cluster import ClusterSecrets

    cluster: ClusterSecrets = item.stash.setdefault(_cluster, ClusterSecrets())
    return cluster
