"""``--flowsecrets-server=real`` runs the same tests at the server of the installed Prefect."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_flowsecrets.options import OPTIONS

from .test_real_server import needs_server

_TESTS = """
import threading
from datetime import datetime, timezone
from uuid import uuid4

import prefect
import psutil
import pytest
from prefect import flow, get_client, get_run_logger, task
from prefect.blocks.system import Secret

HAS_EVENTS = not prefect.__version__.startswith("2.")  # they are experimental there

@task
def length(text):
    return len(text)

@flow
def uses_a_secret():
    return length(Secret.load("a-token").get())

@pytest.mark.secrets(A_TOKEN="first")
def test_first(local_secrets, prefect_server):
    assert uses_a_secret() == 5
    assert local_secrets["A_TOKEN"] == "first"
    assert [run["state_type"] for run in prefect_server.flow_runs] == ["COMPLETED"]
    assert type(prefect_server).__name__ == "RealServer"
    prefect_server.variables["left_behind"] = "x"

@pytest.mark.secrets(A_TOKEN="second value")
def test_second(local_secrets, prefect_server):
    assert prefect_server.flow_runs == []
    assert dict(prefect_server.variables) == {}
    assert uses_a_secret() == 12
    local_secrets["OTHER"] = "x"
    assert Secret.load("other").get() == "x"
    del local_secrets["OTHER"]
    with pytest.raises(ValueError):
        Secret.load("other")

begun, proceed = threading.Event(), threading.Event()

@flow
def lingers():
    begun.set()
    proceed.wait(120)
    get_run_logger().info("late line")
    uses_a_secret()

thread = threading.Thread(target=lingers, daemon=True)

@pytest.mark.secrets(A_TOKEN="x")
def test_a_flow_outlives_this_test():
    thread.start()
    assert begun.wait(120)

@pytest.mark.secrets(A_TOKEN="x")
def test_it_reports_to_no_other_test(prefect_server):
    proceed.set()
    thread.join(120)
    assert not thread.is_alive()
    assert [prefect_server.flow_runs, prefect_server.logs] == [[], []]

@pytest.mark.secrets(A_TOKEN="x")
def test_only_at_the_fake(prefect_server):
    assert not hasattr(prefect_server, "executing")
    prefect_server.write_only()

@flow
def takes(token):
    get_run_logger().info("the token is %s", token)

@pytest.mark.secrets(A_TOKEN="tok4vQm8Zr2LxW9sKd7")
def test_leaks(prefect_server, secret_leaks):
    takes("tok4vQm8Zr2LxW9sKd7")
    places = {leak.place for leak in secret_leaks.found}
    assert {"api flow run parameters.token", "api log message"} <= places
    assert not [place for place in places if place.startswith("api block")]

@pytest.mark.secrets(A_TOKEN="tok4vQm8Zr2LxW9sKd7")
def test_leaks_in_other_rows(prefect_server, secret_leaks):
    token, now = "tok4vQm8Zr2LxW9sKd7", datetime.now(timezone.utc).isoformat()
    events = [
        {"id": str(uuid4()), "occurred": now, "event": f"event.{number}", "payload": {"a": token} if number < 2 else {}}
        for number in range(60)
    ]
    for event in events:
        event["resource"] = {"prefect.resource.id": "r"}
    with get_client(sync_client=True) as client:
        def post(path, body):
            response = client._client.post(path, json=body)
            response.raise_for_status()
            return response.json() if response.content else {}

        run = post("/flow_runs/", {"flow_id": post("/flows/", {"name": "f"})["id"], "state": {"type": "PENDING"}})["id"]
        for number in range(3):
            post(f"/flow_runs/{run}/input", {"key": f"k{number}", "value": f'"{token}"'})
        post("/work_queues/", {"name": "a queue", "description": token})
        post("/work_pools/", {"name": "a pool", "type": "process"})
        post("/work_pools/a pool/workers/heartbeat", {"name": token})
        post("/concurrency_limits/", {"tag": token, "concurrency_limit": 1})
        post("/v2/concurrency_limits/", {"name": f"limit {token}", "limit": 1})
        if HAS_EVENTS:
            post("/events", events)
    places = {leak.place for leak in secret_leaks.found}
    expected = {"flow run input value", "work queue description", "worker name", "concurrency limit name"}
    expected |= {"event event.0", "event event.1"} if HAS_EVENTS else set()
    assert {f"api {place}" for place in expected} <= places, places
    assert len(prefect_server.events) >= (60 if HAS_EVENTS else 0)

@pytest.mark.secrets(A_TOKEN="x")
def test_server_dies():
    assert uses_a_secret() == 1
    servers = [each for each in psutil.Process().children(recursive=True) if "prefect_server" in " ".join(each.cmdline())]
    servers[-1].kill()
    psutil.wait_procs(servers, timeout=60)

@pytest.mark.secrets(A_TOKEN="last")
def test_after_it():
    assert Secret.load("a-token").get() == "last"
"""


@pytest.mark.slow
@needs_server
def test_the_fixtures_use_the_real_server(tmp_path, request):
    """Secrets, flows and variables work at the real server, each test finds it empty, and a death is reported once."""
    (tmp_path / "test_it.py").write_text(_TESTS, "utf-8")
    cache = request.config.cache.mkdir("flowsecrets").parent.parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "--flowsecrets-server=real", "-rfE"]
    done = subprocess.run(
        [*command, "-o", f"cache_dir={cache}", "--rootdir", tmp_path, tmp_path],
        capture_output=True,
        text=True,
        timeout=580,
        cwd=tmp_path,
        check=False,
    )
    assert "1 failed, 8 passed" in done.stdout, done.stdout
    assert "1 error" in done.stdout
    assert "the real server has no .write_only: only the fake API has it" in done.stdout
    assert "it ended during the test" in done.stdout
    assert "ExitStack" not in done.stdout
    assert "isolation.exit" not in done.stdout  # no frame of this package


def test_the_option_has_a_default():
    """Without the option, tests use the fake API."""
    assert OPTIONS["server"].default == "fake"


@pytest.mark.slow
def test_the_real_server_needs_a_prefect_that_has_it(tmp_path):
    """On the legacy line and without Prefect, the option is an error before any test runs."""
    code = (
        "import sys; from pytest_flowsecrets import versions; versions.uses_rest_api = lambda: False; "
        "import pytest; sys.exit(pytest.main(['-q', '--flowsecrets-server=real', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=240, cwd=tmp_path, check=False
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--flowsecrets-server=real needs the server of Prefect 2.20 or 3" in done.stderr
