"""The fixtures. Each is a thin shell over a context manager or an object that also works without pytest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Optional, Union, cast

import pytest

from pytest_flowsecrets.errors import PrefectNotInstalled, UsageError
from pytest_flowsecrets.plugin import markers
from pytest_flowsecrets.plugin.isolation import cluster_of, enter, exit_, isolation_for_run, secrets_for_file
from pytest_flowsecrets.plugin.leaks import run_of
from pytest_flowsecrets.versions import uses_rest_api

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud, FakeServer
    from pytest_flowsecrets.backend.rest.fake_server import RestCloud, RestServer
    from pytest_flowsecrets.clock import FlowClock
    from pytest_flowsecrets.isolation.context_manager import isolated_prefect
    from pytest_flowsecrets.isolation.home.private_home import PrefectHome
    from pytest_flowsecrets.isolation.rest_isolation import RestIsolation
    from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets
    from pytest_flowsecrets.isolation.stack import Isolation
    from pytest_flowsecrets.leaks.secret_leaks import SecretLeaks


# -- local secrets -----------------------------------------------------------------------------------------------------


@pytest.fixture
def flowsecrets_isolation(request: pytest.FixtureRequest) -> Iterator[Isolation]:
    """Isolate this test. A test with a ``secrets`` marker gets this fixture automatically."""
    isolation = enter(request.node)
    try:
        yield isolation
    finally:
        exit_(request.node, isolation)


@pytest.fixture
def local_secrets(flowsecrets_isolation: Isolation) -> LocalSecrets:
    """Return the secrets of this test as a mapping, which the test can change.

    The values are the results of ``Secret(name).get()``, or of ``Secret.load(name).get()`` on Prefect 2.20 and 3.

    ``.setenv()``, ``.unsetenv()``, ``.write_config()``, ``.use_local_secrets``, ``.environ``, ``.reload()``.
    """
    return flowsecrets_isolation.secrets


@pytest.fixture(scope="session")
def local_secrets_factory(request: pytest.FixtureRequest) -> Callable[..., isolated_prefect]:
    """Return a function that sets secrets inside a ``with`` block, for fixtures of any scope.

    It takes the arguments of ``isolated_prefect``, and applies the options and the hooks of the run.
    """
    from pytest_flowsecrets.isolation.context_manager import isolated_prefect

    def isolate(secrets: Optional[Mapping[str, Any]] = None, **files: Any) -> isolated_prefect:
        provided = secrets_for_file(request.session, sys._getframe(1).f_code.co_filename)  # noqa: SLF001 - the caller
        own = {} if secrets is None else markers.check("local_secrets_factory()", secrets)
        merged = markers.merge(provided, own)
        return isolated_prefect(merged, **files).using(lambda: isolation_for_run(request.config, of_test=False))

    return isolate


@pytest.fixture
def real_prefect(flowsecrets_isolation: Isolation) -> Any:
    """Return the real package ``prefect``, isolated, or skip the test if it is not installed."""
    try:
        return flowsecrets_isolation.require_prefect("the fixture real_prefect").package
    except PrefectNotInstalled as error:
        pytest.skip(str(error))


@pytest.fixture
def prefect_home(flowsecrets_isolation: Isolation) -> PrefectHome:
    """Return the private ``~/.prefect`` of this test: ``.path``, ``.write_config()``, ``.write_backend()``."""
    return flowsecrets_isolation.home


@pytest.fixture
def secret_route(request: pytest.FixtureRequest) -> str:
    """Return the name of the route that delivers the secrets of a test with a ``secret_routes`` marker."""
    route: str = getattr(request, "param", "")
    return route or pytest.fail("the fixture secret_route needs a test with a secret_routes marker", pytrace=False)


# -- fake APIs, agents and time ----------------------------------------------------------------------------------------


@pytest.fixture
def flow_clock() -> Iterator[FlowClock]:
    """Freeze the time of Prefect 0.5.5 to 1.4.1 and of the fake API until the test moves it.

    ``.now``, ``.tick()``, ``.move_to()``.
    """
    if uses_rest_api():
        message = "flow_clock is for Prefect 0.5.5 to 1.4.1: the models of Prefect 2.20 and 3 reject frozen types"
        pytest.fail(message, pytrace=False)
    from pytest_flowsecrets.clock import frozen_clock

    with frozen_clock() as clock:
        yield clock


@pytest.fixture
def prefect_cloud(flowsecrets_isolation: Isolation) -> Iterator[Union[FakeCloud, RestCloud]]:
    """Start a fake Prefect Cloud for this test, and make Prefect use it.

    ``.url``, ``.secrets``, ``.client``, ``.flow_run()``, ``.add_tenant()``, ``.requests``, ``.faults``,
    ``.assert_never_received()``. On Prefect 2.20 and 3 it is a RestCloud.
    """
    if uses_rest_api():
        from pytest_flowsecrets.backend.rest.fake_server import enter_cloud

        with enter_cloud(cast("RestIsolation", flowsecrets_isolation)) as workspace:
            yield workspace
        return
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud

    if flowsecrets_isolation.api is not None:  # from the route `cloud`
        yield flowsecrets_isolation.api
        return
    with FakeCloud() as cloud:
        yield cloud


@pytest.fixture
def prefect_server(flowsecrets_isolation: Isolation) -> Iterator[Union[FakeServer, RestServer]]:
    """Start a fake Prefect Server for this test, and make Prefect use it.

    ``.url``, ``.client``, ``.requests``, ``.faults``. Prefect Server has no secrets, so flows get those of
    ``local_secrets`` and the marker. On Prefect 2.20 and 3 it is a RestServer.
    """
    if uses_rest_api():
        with cast("RestIsolation", flowsecrets_isolation).using_server() as own:
            yield cast("RestServer", own)
        return
    from pytest_flowsecrets.backend.fake_cloud import FakeServer

    with FakeServer() as server:
        yield server


@pytest.fixture
def cluster_secrets(request: pytest.FixtureRequest) -> ClusterSecrets:
    """Return the Kubernetes Secrets to which job templates refer: ``cluster_secrets["github"] = {"token": "x"}``.

    ``.load()`` reads YAML files, ``.apply()`` takes manifests, and ``.config_maps`` holds the ConfigMaps.
    """
    return cluster_of(request.node)


@pytest.fixture
def flow_environment(
    flowsecrets_isolation: Isolation,  # noqa: ARG001 - the function uses it as the current one
    cluster_secrets: ClusterSecrets,
) -> Callable[..., FlowEnvironment]:
    """Return a function that shows which variables an agent or a worker gives to a flow run, and their origins.

    It is ``pytest_flowsecrets.flow_environment``, with the ``cluster_secrets`` of this test as the default.
    """
    from functools import partial

    from pytest_flowsecrets.workers.flow_environment import flow_environment as function

    return partial(function, cluster_secrets=cluster_secrets)


# -- leaks -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def secret_leaks(request: pytest.FixtureRequest) -> Iterator[SecretLeaks]:
    """Return the leaks of this test: ``.found``, ``.assert_none()``, ``.watch()``, ``.search()``, ``.add()``."""
    from pytest_flowsecrets.leaks.secret_leaks import SecretLeaks

    try:
        leaks = SecretLeaks(run_of(request.config), request.node)
    except UsageError as error:
        pytest.fail(str(error), pytrace=False)
    yield leaks
    leaks.scan_watched()
