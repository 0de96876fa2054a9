"""A real agent and real flow-run processes, not patched, with a fake Cloud."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.compat import VERSION

# Processes take their time, so this runs where it tells something new: on two versions, on two Pythons.
HERE = sys.version_info[:2]
pytestmark = pytest.mark.skipif(
    (VERSION, HERE) not in {((0, 15, 13), (3, 8)), ((1, 4, 1), (3, 11))},
    reason="real agents run on Prefect 0.15.13 with Python 3.8 and on 1.4.1 with 3.11",
)
PATIENCE = 60  # seconds


def environ(cloud):
    """Return the environment of a user's process, with shorter waits."""
    return {
        **os.environ,
        **cloud.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]),
        "PREFECT__CLOUD__HEARTBEAT_MODE": "thread",
        "PREFECT__CLOUD__CHECK_CANCELLATION_INTERVAL": "1",
    }


def command(*arguments):
    return [sys.executable, "-W", "ignore", "-m", "prefect", *arguments]


@contextmanager
def agent(cloud, log):
    """Start ``prefect agent local start`` with an agent's key."""
    start = command("agent", "local", "start", "--key", cloud.tenant.runner_key, "--no-hostname-label", "--name", "n")
    with log.open("w") as out, subprocess.Popen(start, env=environ(cloud), stdout=out, stderr=out) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def until(cloud, run, *states, table="flow_run"):
    """Wait until a run is in one of the states."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        state = cloud.world.store.get(table, run)["state"]
        if state in states:
            return state
        time.sleep(0.05)
    raise AssertionError(f"still {state}")


def run_states(cloud, run):
    return [row["state"] for row in cloud.world.store.linked("flow_run_state", "flow_run_id", run)]


def test_an_agent_runs_what_is_registered(prefect_cloud, tmp_path):
    """Secret, parameters, mapping, retries, names and logs work, and a run can be cancelled."""
    from tests.agent_flows import long, short

    prefect_cloud.secrets.set("MY_SECRET", "kei4Aiwo")
    client = prefect_cloud.client
    client.create_project("p")
    run = client.create_flow_run(client.register(short, "p", no_url=True), parameters={"x": 7})
    endless = client.register(long, "p", no_url=True)
    with agent(prefect_cloud, tmp_path / "agent.log"):
        assert until(prefect_cloud, run, "Success", "Failed") == "Success"
        cancelled = client.create_flow_run(endless)
        (task_run,) = prefect_cloud.world.store.linked("task_run", "flow_run_id", cancelled)
        until(prefect_cloud, task_run["id"], "Running", table="task_run")
        client.cancel_flow_run(cancelled)
        until(prefect_cloud, cancelled, "Cancelled")

    assert run_states(prefect_cloud, run) == ["Scheduled", "Submitted", "Running", "Success"]
    assert run_states(prefect_cloud, cancelled) == ["Scheduled", "Submitted", "Running", "Cancelling", "Cancelled"]
    rows = client.graphql(
        """query($id: uuid!) { flow_run_by_pk(id: $id) { heartbeat agent { name } logs { message }
        task_runs(order_by: {map_index: asc}) { name map_index state task { name } states { state } } } }""",
        variables={"id": run},
    )["data"]["flow_run_by_pk"]
    tasks = {(row["task"]["name"], row["map_index"]): row for row in rows["task_runs"]}
    assert {tasks["double", index]["state"] for index in range(3)} == {"Success"}
    assert tasks["double", -1]["state"] == "Mapped"
    assert tasks["total", -1]["name"] == "sum of [2, 4, 6]"
    retried = [state["state"] for state in tasks["flaky", -1]["states"]]
    assert retried == ["Pending", "Running", "Failed", "Retrying", "Running", "Success"]
    assert rows["agent"]["name"] == "n"
    assert rows["heartbeat"]
    messages = [row["message"] for row in rows["logs"]]
    assert "8 letters, yes" in messages
    assert any("Submitted for execution" in message for message in messages)
    assert [read.flow_run_ids for read in prefect_cloud.secrets.reads] == [(run,)]
    prefect_cloud.assert_never_received("MY_SECRET")
    assert not [request for request in prefect_cloud.requests if request.status != 200 or request.codes]


def test_prefect_run_execute(prefect_cloud):
    """``prefect run --execute`` creates and runs a flow run without an agent."""
    from tests.agent_flows import short

    client = prefect_cloud.client
    client.create_project("p")
    client.register(short, "p", no_url=True)
    inputs = {"PREFECT__CONTEXT__SECRETS__MY_SECRET": "kei4Aiwo"}
    arguments = ["--name", "short", "--project", "p", "--execute", "--param", "x=9"]
    result = subprocess.run(
        command("run", *arguments),
        env={**environ(prefect_cloud), **inputs},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (run,) = prefect_cloud.world.store.all("flow_run")
    assert (run["state"], run["parameters"]) == ("Success", {"x": 9})
    assert "Flow run succeeded" in result.stdout
