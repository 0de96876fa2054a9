"""Which tests are isolated, when the isolation is set up, and the fixtures about local secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, List

import pytest

from pytest_flowsecrets.errors import (
    FlowSecretsError,
    PrefectNotInstalled,
    RouteUnavailable,
    SecretChangedWarning,
    UnsupportedPrefect,
    UsageError,
)
from pytest_flowsecrets.plugin import markers
from pytest_flowsecrets.plugin.options import SETTINGS, entered

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.isolation.home.private_home import PrefectHome
    from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets
    from pytest_flowsecrets.isolation.stack import Isolation

ISOLATION = "flowsecrets_isolation"
CLOCK = "flow_clock"
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

_asks = pytest.StashKey[bool]()
_isolation = pytest.StashKey["Isolation"]()
_cluster = pytest.StashKey["ClusterSecrets"]()
_watched = pytest.StashKey[Any]()


# -- which tests ask for secrets ---------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with a ``secret_routes`` mark once per road."""
    try:
        routes = markers.routes_of(metafunc.definition)
    except UsageError:
        return  # reported for the item, with the other wrong markers
    if routes:
        metafunc.fixturenames += [] if markers.ROUTE in metafunc.fixturenames else [markers.ROUTE]
        metafunc.parametrize(markers.ROUTE, routes, indirect=True, ids=routes)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Refuse wrong markers before anything runs."""
    wrong = [fault for fault in map(markers.marker_error, items) if fault]
    if wrong and not hasattr(config, "workerinput"):  # an xdist worker could not tell; there, the test itself fails
        raise pytest.UsageError("\n".join(wrong))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give the isolation to a test that asks for it, by a marker or a fixture; ``all`` asks for every test."""
    names: List[str] = getattr(item, "fixturenames", [])
    everything = item.config.stash[SETTINGS]["isolation"].value == "all"
    if everything or item.get_closest_marker("secrets") or not FIXTURES.isdisjoint(names):
        item.stash[_asks] = True
        if hasattr(item, "fixturenames"):
            item.fixturenames = [
                *(name for name in names if name != ISOLATION),
                ISOLATION,
            ]  # not shared with other items


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: Any) -> Iterator[None]:
    """Set the isolation up before any other function-scoped fixture, and outside of it all that live longer.

    So a user's ``monkeypatch`` is undone inside it, and what a session fixture declares is there when it begins. One
    that a test requests while it runs is set up outside of the isolation, too.
    """
    if fixturedef.scope != "function" and entered():
        from pytest_flowsecrets.isolation import stack

        isolation = stack.current()
        if isolation is not None and isolation.owner.of_test:
            with isolation.suspended():
                yield
            return
    if fixturedef.scope == "function" and fixturedef.argname != ISOLATION:
        if request.node.stash.get(_asks, False):
            try:
                request.getfixturevalue(ISOLATION)
            except BaseException:
                # Newer pytest finishes only what was begun, and would find this fixture half begun in the next test.
                fixturedef.cached_result = (None, fixturedef.cache_key(request), None)
                raise
        # So that `monkeypatch` is undone inside it. `request.fixturenames` would be made anew for each fixture.
        if fixturedef.argname != CLOCK and CLOCK in getattr(request.node, "fixturenames", ()):
            request.getfixturevalue(CLOCK)
    yield


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Isolate what has no fixtures (doctests of older pytest), and refuse a marker that came too late."""
    if _isolation in item.stash:
        return
    if item.stash.get(_asks, False):
        item.addfinalizer(_enter(item).exit)
    elif item.get_closest_marker("secrets"):
        pytest.fail(f"{item.nodeid}: the secrets mark was added after the setup of this test had begun", pytrace=False)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Once all fixtures are gone, take away what one of them has put back of ours."""
    yield
    isolation = item.stash.get(_isolation, None)
    if isolation is not None:
        isolation.exit()
        isolation.sweep()
        del item.stash[_isolation]


def _enter(item: Any) -> Isolation:
    from pytest_flowsecrets.isolation.stack import Isolation
    from pytest_flowsecrets.versions import DEFAULT_VERSION

    if hasattr(item.config, "workerinput") and _watched not in item.config.stash:
        from pytest_flowsecrets.isolation.home.run_folder import end_with_parent

        item.config.stash[_watched] = end_with_parent()
    isolation = Isolation(item.config.stash[SETTINGS]["prefect-version"].value or DEFAULT_VERSION, of_test=True)
    item.stash[_isolation] = isolation
    try:
        secrets: Dict[str, Any] = markers.secrets_of(item) or {}
        route = markers.route_of(item)
        isolation.enter({} if route else secrets)
        if route:
            from pytest_flowsecrets import routes as roads

            roads.deliver(route, secrets, isolation, cluster_of(item))
        for warning in isolation.secrets.value_changes.warnings_for(secrets):
            _warn(item, warning)
    except RouteUnavailable as error:
        isolation.exit()
        pytest.skip(str(error))
    except UsageError as error:
        told = str(error)
    except (FlowSecretsError, SecretChangedWarning) as error:
        told = f"{item.nodeid}: {error}"
        if isinstance(error, UnsupportedPrefect) and item.config.stash[SETTINGS]["isolation"].value == "all":
            told += "; --flowsecrets-isolation=all isolates every test: use --flowsecrets-isolation=marked"
    except BaseException:
        isolation.exit()
        raise
    else:
        return isolation
    isolation.exit()
    pytest.fail(told, pytrace=False)


def _warn(item: Any, warning: Warning) -> None:
    from inspect import unwrap

    from pytest_flowsecrets.isolation.safe_errors import warn_at

    function = getattr(item, "function", None)
    if function is None:  # a doctest
        item.warn(warning)
    else:
        warn_at(warning, unwrap(function).__code__, function.__module__)


def cluster_of(item: Any) -> ClusterSecrets:
    """Return the Kubernetes Secrets of a test."""
    from pytest_flowsecrets.agents.cluster import ClusterSecrets

    cluster: ClusterSecrets = item.stash.setdefault(_cluster, ClusterSecrets())
    return cluster


# -- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def flowsecrets_isolation(request: pytest.FixtureRequest) -> Iterator[Isolation]:
    """The isolation of this test; every test with a ``secrets`` marker has it without asking."""
    isolation = _enter(request.node)
    try:
        yield isolation
    finally:
        isolation.exit()


@pytest.fixture
def local_secrets(flowsecrets_isolation: Isolation) -> LocalSecrets:
    """The local secrets of this test as a mapping: reading gives what ``Secret(name).get()`` gives.

    ``.setenv()``, ``.unsetenv()``, ``.write_config()``, ``.use_local_secrets``, ``.environ``, ``.reload()``.
    """
    return flowsecrets_isolation.secrets


@pytest.fixture
def real_prefect(flowsecrets_isolation: Isolation) -> Any:
    """The real package ``prefect``, isolated; skips where none is installed."""
    try:
        return flowsecrets_isolation.require_prefect("the fixture real_prefect").package
    except PrefectNotInstalled as error:
        pytest.skip(str(error))


@pytest.fixture
def prefect_home(flowsecrets_isolation: Isolation) -> PrefectHome:
    """A private ``~/.prefect``: ``.path``, ``.write_config()``, ``.write_backend()``."""
    return flowsecrets_isolation.home


@pytest.fixture
def secret_route(request: pytest.FixtureRequest) -> str:
    """The name of the road by which a test with a ``secret_routes`` mark has its secrets."""
    route: str = getattr(request, "param", "")
    return route or pytest.fail("the fixture secret_route is for tests with a secret_routes mark", pytrace=False)
