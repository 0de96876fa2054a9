"""The fixtures about fake APIs, routes, agents and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator

import pytest

from pytest_flowsecrets.plugin.isolation import cluster_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud, FakeServer
    from pytest_flowsecrets.clock import FlowClock
    from pytest_flowsecrets.isolation.stack import Isolation


@pytest.fixture
def flow_clock() -> Iterator[FlowClock]:
    """Time that stands still until the test moves it, for Prefect and the fake API alike.

    ``.now``, ``.tick()``, ``.move_to()``.
    """
    from pytest_flowsecrets.clock import frozen_clock

    with frozen_clock() as clock:
        yield clock


@pytest.fixture
def prefect_cloud(flowsecrets_isolation: Isolation) -> Iterator[FakeCloud]:
    """A fake Prefect Cloud of this test's own, to which Prefect talks: ``.secrets``, ``.client``, ``.executing()``, ….

    ``.url``, ``.add_tenant()``, ``.requests``, ``.faults``, ``.assert_never_received()``.
    """
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud

    if flowsecrets_isolation.api is not None:  # the route cloud has made it
        yield flowsecrets_isolation.api
        return
    with FakeCloud() as cloud:
        yield cloud


@pytest.fixture
def prefect_server(flowsecrets_isolation: Isolation) -> Iterator[FakeServer]:  # noqa: ARG001 - it joins this one
    """A fake Prefect Server of this test's own, to which Prefect talks: ``.url``, ``.client``, ``.requests``, ….

    It has no secrets: those of ``local_secrets`` and the marker count.
    """
    from pytest_flowsecrets.backend.fake_cloud import FakeServer

    with FakeServer() as server:
        yield server


@pytest.fixture
def cluster_secrets(request: pytest.FixtureRequest) -> ClusterSecrets:
    """The Kubernetes Secrets that job templates of this test refer to: ``cluster_secrets["github"] = {"token": "x"}``.

    ``.load()`` for YAML files, ``.apply()`` for manifests, ``.config_maps``.
    """
    return cluster_of(request.node)


@pytest.fixture
def flow_environment(flowsecrets_isolation: Isolation, cluster_secrets: ClusterSecrets) -> Callable[..., Any]:  # noqa: ARG001
    """The environment that a flow run would get: ``pytest_flowsecrets.flow_environment`` with this test's Secrets."""
    from functools import partial

    from pytest_flowsecrets.agents.flow_environment import flow_environment as ask

    return partial(ask, cluster_secrets=cluster_secrets)
