"""The fixtures for fake APIs, agents and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterator, Union, cast

import pytest

from pytest_flowsecrets.plugin.isolation import cluster_of
from pytest_flowsecrets.versions import uses_rest_api

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud, FakeServer
    from pytest_flowsecrets.backend.rest.fake_server import RestCloud, RestServer
    from pytest_flowsecrets.clock import FlowClock
    from pytest_flowsecrets.isolation.rest_isolation import RestIsolation
    from pytest_flowsecrets.isolation.stack import Isolation


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
