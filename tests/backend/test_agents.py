"""The agents of one API: they start once for each set of options, and serve further flow runs."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from pytest_flowsecrets import AgentFailed, FakeCloud, FakeServer, UsageError
from pytest_flowsecrets.backend.runs import agent_process
from tests.compat import VERSION
from tests.processes import assert_gone, assert_none_has, needs_proc
from tests.routes.conftest import needs_kubernetes

S = "PREFECT__CONTEXT__SECRETS__"
has_runs = pytest.mark.skipif(VERSION is None or VERSION < (0, 15), reason="real flow runs are for Prefect 0.15.0 on")
pytestmark = has_runs


@pytest.fixture
def flow():
    """Read the secret TOKEN."""
    import prefect
    from prefect.client import Secret

    @prefect.task
    def read():
        return len(Secret("TOKEN").get())

    with prefect.Flow("reads") as flow:
        read()
    return flow


def registrations(api):
    """Return how often agents have registered."""
    return sum("register_agent" in request.fields for request in api.requests)


@needs_kubernetes  # once for each Prefect is enough
def test_a_warm_agent_serves_further_runs(flow):
    """An agent registers once and serves several runs; another ``--env`` or label needs another agent."""
    with FakeServer() as server:
        inputs = {f"{S}TOKEN": "x"}
        first, again = (server.run(flow, run_config=inputs) for _ in range(2))
        assert (registrations(server), first.agent_id) == (1, again.agent_id)
        assert first.agent_id == server.world.store.all("agent")[0]["id"]
        other = server.run(flow, agent_env=inputs)
        assert registrations(server) == 2
        server.run(flow, agent_env=inputs)
        assert registrations(server) == 2
        assert server.run(flow, in_process=True, run_config=inputs).agent_id is None
    assert all(run.state.is_successful() for run in (first, again, other))


@needs_kubernetes
def test_a_warm_agent_of_kubernetes(flow):
    """Each run has its own job, even if the agent finds another run in the queue."""
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
    """After a change of the configuration, a new agent starts, and its processes get its secrets."""
    with FakeServer() as server:
        local_secrets.setenv("TOKEN", "x")
        runs = [server.run(flow)]
        local_secrets.setenv("TOKEN", "longer")
        runs.append(server.run(flow))
        assert registrations(server) == 1
        with server.isolation.overlay({"PREFECT__LOGGING__LEVEL": "ERROR"}):
            runs.append(server.run(flow))
        assert registrations(server) == 2
    assert all(run.state.is_successful() for run in runs)
    assert [run.environment["PREFECT__LOGGING__LEVEL"] for run in runs] == ["INFO", "INFO", "ERROR"]


@needs_kubernetes
def test_an_agent_that_was_given_nothing(flow):
    """An agent that did not get the run is dropped, and the next run has a new one."""
    with FakeCloud({"TOKEN": "x"}) as cloud:
        cloud.faults.graphql_error("No.", on="get_runs_in_queue")
        with pytest.raises(AgentFailed, match="the API did not assign the flow run to it"):
            cloud.run(flow)
        assert cloud.run(flow).state.is_successful()
        assert registrations(cloud) == 2


@needs_kubernetes
def test_an_api_of_the_session_has_an_agent_of_the_session(run_tests):
    """The agent of a session-scoped API lives for the session."""
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


@needs_kubernetes
def test_an_agent_that_is_a_process(flow, local_secrets):
    """The real command registers, polls and starts flow runs; one agent is woken for each."""
    from prefect.run_configs import LocalRun, UniversalRun

    local_secrets.setenv("OTHER", "of the host")
    with FakeServer() as server:
        with server.agent(env={f"{S}TOKEN": "hunter2"}, labels=["here"]) as agent:
            local_secrets.setenv("OTHER", "too late")
            flow.run_config = UniversalRun(labels=["here"])
            run = server.run(flow, agent=agent)
            missing = server.run(flow, agent=agent, context={"secrets": {"ANOTHER": "x"}})
            with pytest.raises(
                UsageError, match=r"^the local agent cannot deploy the flow run: env A: the value is an int"
            ):
                server.run(flow, agent=agent, run_config=LocalRun(env={"A": 424242}, labels=["here"]))
            assert registrations(server) == 1
            (row,) = server.world.store.all("agent")
        assert not Path(f"/proc/{agent.pid}").exists()
    assert {run.agent_id, missing.agent_id} == {agent.id, row["id"]}
    assert row["labels"] == ["here"]
    assert run.state.is_successful()
    assert (run.exit_status, missing.exit_status) == (0, 0)
    assert missing.state.is_failed()
    env = run.environment
    assert (env.origin(f"{S}TOKEN"), env.origin(f"{S}OTHER"), env[f"{S}OTHER"]) == ("agent", "host", "of the host")
    assert env.origin("PREFECT__CLOUD__API") == "forced"
    assert "Registration successful!" in agent.printed
    assert not any(value in repr(agent) + agent.printed for value in ("hunter2", "424242"))


@needs_kubernetes
def test_the_address_of_an_agent():
    """The agent listens at its address; an address that is in use or not valid is rejected in one line."""
    with FakeServer() as server, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        message = rf"^the agent cannot listen on port {port}: it is in use; use another address, or none$"
        with pytest.raises(UsageError, match=message):
            server.agent(address=f"http://127.0.0.1:{port}")
        variable = {"PREFECT__CLOUD__AGENT__AGENT_ADDRESS": f"http://127.0.0.1:{port}"}
        with server.isolation.overlay(variable), pytest.raises(UsageError, match=message):
            server.agent()
        for wrong in ("http://127.0.0.1", "8080", "http://127.0.0.1:http", 8080):
            with pytest.raises(
                UsageError, match=r"^the address of an agent must be a URL with a port, such as http://127"
            ):
                server.agent(address=wrong)
        listener.close()
        with server.agent(address=f"http://127.0.0.1:{port}"):
            for _ in range(100):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health") as answer:
                        assert answer.status == 200
                    break
                except OSError:
                    time.sleep(0.05)
            else:
                pytest.fail("nothing listens there")


@pytest.mark.slow
def test_an_agent_that_dies_at_its_start(flow):
    """The error of an agent that exits has its status and last line; ``printed`` has all, masked."""
    with FakeCloud() as cloud:
        cloud.tenant.revoke(cloud.tenant.runner_key)
        with pytest.raises(AgentFailed) as caught:
            cloud.agent(env={"MINE": "hunter2"}, labels=["hunter2"])
        key = cloud.tenant.runner_key
    assert str(caught.value).startswith(
        "the local agent cannot start: its process has ended with exit status 1; check "
    )
    assert "AuthorizationError" in str(caught.value).rpartition(": .printed")[2]
    assert "\n" not in str(caught.value)
    assert "Traceback" in caught.value.printed
    assert not any(text in caught.value.printed + str(caught.value) for text in ("hunter2", key))


@needs_kubernetes
def test_what_an_agent_that_is_a_process_refuses(flow):
    """An agent process rejects wrong labels, runs after its end, and runs of another API."""
    from prefect.run_configs import LocalRun

    with FakeServer() as server, FakeServer() as other:
        agent = other.agent(labels=["here"])
        with pytest.raises(UsageError, match=r"^this agent belongs to another API: "):
            server.run(flow, agent=agent)
        for run_config in (LocalRun(labels=["there"]), LocalRun()):
            with pytest.raises(UsageError, match=r"^an agent with the labels \['here'\] does not get a flow run with "):
                other.run(flow, agent=agent, run_config=run_config)
        for inputs in ({"agent_env": {}}, {"in_process": True}):
            with pytest.raises(UsageError, match=r"^an agent process has its own agent_env and starts processes"):
                other.run(flow, agent=agent, **inputs)
        flow.run_config = LocalRun(labels=["here"])
        other.faults.graphql_error("No.", on="get_runs_in_queue", times=9)
        with pytest.raises(
            AgentFailed, match=r"^the local agent cannot start: it did not take the flow run within 1 s"
        ):
            other.run(flow, agent=agent, timeout=1)
        os.kill(agent.pid, signal.SIGKILL)
        with pytest.raises(AgentFailed, match="its process has ended with exit status -9"):
            other.run(flow, agent=agent)
        agent.close()
        for inputs in ({"env": {"A": 424242}}, {"labels": "here"}, {"labels": [1]}, {"labels": None}):
            with pytest.raises(UsageError, match=r"^(env: 'A' is an int|labels must be a list of texts)"):
                other.agent(**inputs)


@needs_kubernetes
def test_a_deployment_that_fails(flow, tmp_path):
    """The error of an agent that cannot start the process of a flow run has the type of the agent's error."""
    from prefect.run_configs import LocalRun

    file = tmp_path / "file"
    file.touch()
    flow.run_config = LocalRun(working_dir=str(file))
    message = "^the local agent cannot deploy the flow run: NotADirectoryError"
    with FakeServer() as server:
        with pytest.raises(UsageError, match=message):
            server.run(flow)
        with server.agent() as agent, pytest.raises(UsageError, match=rf"{message}; see its \.printed$"):
            server.run(flow, agent=agent)


@needs_proc
@needs_kubernetes
def test_an_agent_that_does_not_end(flow, monkeypatch):
    """An agent that is stopped is killed together with its flow runs."""
    monkeypatch.setattr(agent_process, "END_SECONDS", 0.2)
    with FakeServer() as server:
        run = server.run(flow, in_process=True, context={"secrets": {"TOKEN": "x"}})
        flow_id = server.world.store.get("flow_run", run.id)["flow_id"]
        with server.agent() as agent:
            run_id = server.client.create_flow_run(flow_id=flow_id)
            for _ in range(3000):
                if server.world.store.get("flow_run", run_id)["state"] not in ("Scheduled", "Submitted"):
                    break
                time.sleep(0.02)
            os.kill(agent.pid, signal.SIGSTOP)
        assert_gone(agent.pid)
        assert_none_has("PREFECT__CONTEXT__FLOW_RUN_ID", run_id)
