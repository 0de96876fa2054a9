"""The agents of one API: started once for what they are told, and serving further flow runs."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import AgentFailed, FakeCloud, FakeServer
from tests.compat import VERSION
from tests.routes.conftest import needs_kubernetes

S = "PREFECT__CONTEXT__SECRETS__"
has_runs = pytest.mark.skipif(VERSION is None or VERSION < (0, 15), reason="real flow runs are for Prefect 0.15.0 on")
pytestmark = has_runs


@pytest.fixture
def flow():
    """Reads the secret TOKEN."""
    import prefect
    from prefect.client import Secret

    @prefect.task
    def read():
        return len(Secret("TOKEN").get())

    with prefect.Flow("reads") as flow:
        read()
    return flow


def registrations(api):
    """How often an agent has started."""
    return sum("register_agent" in request.fields for request in api.requests)


@needs_kubernetes  # once for each Prefect is enough
def test_a_warm_agent_serves_further_runs(flow):
    """It registers once; each run tells which agent it was. Another ``--env`` or label is another agent."""
    with FakeServer() as server:
        given = {f"{S}TOKEN": "x"}
        first, again = (server.run(flow, run_config=given) for _ in range(2))
        assert (registrations(server), first.agent_id) == (1, again.agent_id)
        assert first.agent_id == server.world.store.all("agent")[0]["id"]
        other = server.run(flow, agent_env=given)
        assert registrations(server) == 2
        server.run(flow, agent_env=given)
        assert registrations(server) == 2
        assert server.run(flow, in_process=True, run_config=given).agent_id is None
    assert all(run.state.is_successful() for run in (first, again, other))


@needs_kubernetes
def test_a_warm_agent_of_kubernetes(flow):
    """Each run has its own job, also where the agent finds another run in the queue."""
    with FakeServer() as server:
        runs = [server.run(flow, agent="kubernetes", run_config={f"{S}TOKEN": "x", "N": str(n)}) for n in range(2)]
        flow_id = server.world.store.get("flow_run", runs[-1].id)["flow_id"]
        others = [server.client.create_flow_run(flow_id=flow_id) for _ in range(2)]
        runs.append(server.run(flow, agent="kubernetes", run_config={f"{S}TOKEN": "x", "N": "2"}))
        states = [server.world.store.get("flow_run", other)["state"] for other in others]
    assert [run.environment["N"] for run in runs] == ["0", "1", "2"]
    assert all(run.state.is_successful() for run in runs)
    assert len({run.agent_id for run in runs}) == 1
    assert states == ["Submitted", "Submitted"]


@needs_kubernetes
def test_an_agent_whose_configuration_changes(flow, local_secrets):
    """Is started anew, as an operator would; a secret of its environment comes with the process that it starts."""
    with FakeServer() as server:
        local_secrets.setenv("TOKEN", "x")
        runs = [server.run(flow)]
        local_secrets.setenv("TOKEN", "longer")
        runs.append(server.run(flow))
        assert registrations(server) == 1
        with server.isolation.covered({"PREFECT__LOGGING__LEVEL": "ERROR"}):
            runs.append(server.run(flow))
        assert registrations(server) == 2
    assert all(run.state.is_successful() for run in runs)
    assert [run.environment["PREFECT__LOGGING__LEVEL"] for run in runs] == ["INFO", "INFO", "ERROR"]


def test_an_agent_that_was_given_nothing(flow):
    """Is not kept: the next run has a fresh one."""
    with FakeCloud({"TOKEN": "x"}) as cloud:
        cloud.faults.graphql_error("No.", on="get_runs_in_queue")
        with pytest.raises(AgentFailed, match="it was not given the flow run"):
            cloud.run(flow)
        assert cloud.run(flow).state.is_successful()
        assert registrations(cloud) == 2


@needs_kubernetes
def test_an_api_of_the_session_has_an_agent_of_the_session(run_tests):
    """A fixture of that scope is all that it takes."""
    result = run_tests(
        """
import prefect
import pytest
from pytest_flowsecrets import FakeServer


@pytest.fixture(scope="session")
def server():
    with FakeServer() as server:
        yield server


with prefect.Flow("empty", tasks=[prefect.Task()]) as flow:
    pass


@pytest.mark.parametrize("number", range(3))
def test_it(server, number):
    run = server.run(flow)
    assert run.state.is_successful()
    assert sum("register_agent" in request.fields for request in server.requests) == 1
"""
    )
    result.assert_outcomes(passed=3)
