"""``PrefectServer`` runs the installed Prefect's own server: its start, its reset, its end, and its errors."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from uuid import uuid4

import psutil
import pytest

from pytest_flowsecrets.backend.prefect_server import PrefectServer
from pytest_flowsecrets.backend.prefect_server.environment import SERVICES, server_environment
from pytest_flowsecrets.errors import FlowSecretsError, PrefectServerFailed, UsageError

from .catalogue import wait_until
from .conftest import http
from .record import outcomes_at, recorded

try:
    INSTALLED = version("prefect")
except PackageNotFoundError:
    INSTALLED = "none"
RUNS_HERE = INSTALLED.startswith(("2.20.", "3."))
needs_server = pytest.mark.skipif(not RUNS_HERE, reason=f"Prefect {INSTALLED} has no server that runs here")
NAMES = ("block_save_overwrite", "flow_with_task_and_secret", "variable_crud", "flow_rows")
SECONDS = 120.0


@pytest.fixture(scope="module")
def template(request):
    """A template that stays for later runs, like those of the plugin."""
    return request.config.cache.mkdir("flowsecrets") / f"prefect-{INSTALLED}.db"


@pytest.fixture(scope="module")
def shared_server(template):
    with PrefectServer(template=template) as server:
        yield server


@pytest.fixture
def server(shared_server):
    shared_server.reset()
    yield shared_server
    shared_server.check()


def count(server, table):
    return http("POST", f"{server.url}/{table}/count", {}).body


def event_names(server):
    return {event["event"] for event in http("POST", f"{server.url}/events/filter", {"filter": {}}).body["events"]}


@pytest.mark.slow
@needs_server
class TestRows:
    def test_real_clients_have_the_recorded_outcomes(self, server):
        """Operations of the real client have the outcomes that were recorded at a server started by Prefect's command."""
        expected = {name: outcome for name, outcome in recorded(INSTALLED).items() if name in NAMES}
        assert expected
        assert outcomes_at(server.url, list(expected)) == expected

    def test_secrets_are_set_compared_and_deleted(self, server):
        """The mapping of secrets stores any JSON value, compares without conversions, and never shows a value."""
        server.secrets["a-token"] = "first"
        server.secrets["a-token"] = "42"
        assert list(server.secrets) == ["a-token"]
        assert server.secrets.holds("a-token", "42")
        assert not server.secrets.holds("a-token", 42)
        assert "42" not in repr(server.secrets)
        del server.secrets["a-token"]
        assert "a-token" not in server.secrets
        with pytest.raises(KeyError):
            del server.secrets["a-token"]

    def test_variables_are_a_mapping(self, server):
        """Variables can be set, replaced, read and deleted; a value that this release does not store is an error."""
        server.variables["a_name"] = "x"
        server.variables["a_name"] = "y"
        assert dict(server.variables) == {"a_name": "y"}
        del server.variables["a_name"]
        assert len(server.variables) == 0
        if INSTALLED.startswith("2."):
            with pytest.raises(FlowSecretsError, match="answered 422 to POST /variables/"):
                server.variables["a_list"] = [1]

    @pytest.mark.parametrize(("kind", "name"), [("secrets", "A_TOKEN"), ("variables", "A b")])
    def test_names_that_prefect_refuses_are_errors(self, server, kind, name):
        """A name that Prefect's own models refuse raises the error of the fake API, and nothing is stored."""
        with pytest.raises(UsageError, match="cannot name a"):
            getattr(server, kind)[name] = "x"
        assert len(getattr(server, kind)) == 0

    def test_a_reset_removes_all_rows_of_a_test(self, server):
        """After a reset no block, variable, run, log or event is left, and the block types are still there."""
        server.secrets["a-token"] = "x"
        server.variables["a_name"] = "x"
        outcomes_at(server.url, ["flow_with_task_and_secret"])
        assert count(server, "flow_runs") == 1
        server.reset()
        assert list(server.secrets) == list(server.variables) == []
        assert [count(server, table) for table in ("flows", "flow_runs", "task_runs", "deployments")] == [0, 0, 0, 0]
        assert http("POST", f"{server.url}/logs/filter", {}).body == []
        assert http("GET", f"{server.url}/block_types/slug/secret").status == 200

    def test_no_event_of_one_test_reaches_the_next(self, server):
        """Events that a flow run sent before a reset are not stored afterwards: a later event is the only one."""
        if INSTALLED.startswith("2."):
            pytest.skip("Prefect 2 has events only with an experimental setting")
        outcomes_at(server.url, ["flow_with_task_and_secret"])
        server.reset()
        now = datetime.now(timezone.utc).isoformat()
        event = {"event": "later", "occurred": now, "resource": {"prefect.resource.id": "a"}, "id": str(uuid4())}
        assert http("POST", f"{server.url}/events", [event]).status == 204
        assert wait_until(lambda: "later" in event_names(server), SECONDS)
        assert event_names(server) == {"later"}


@pytest.mark.slow
@needs_server
class TestServices:
    def test_the_scheduler_runs_if_it_is_named(self, template):
        """With the service ``scheduler``, a deployment with a schedule gets flow runs; without, it would get none."""
        with PrefectServer(template=template, services=["scheduler"]) as server:
            flow = http("POST", f"{server.url}/flows/", {"name": "f"}).body
            schedule = {"interval": 3600, "anchor_date": "2026-01-01T00:00:00Z"}
            body = {"name": "d", "flow_id": flow["id"], "schedules": [{"schedule": schedule, "active": True}]}
            assert http("POST", f"{server.url}/deployments/", body).status == 201
            assert wait_until(lambda: count(server, "flow_runs"), SECONDS)

    def test_an_auth_string_is_required_of_clients(self, template):
        """Requests without the auth string get 401; the mappings of the server send it."""
        if tuple(map(int, INSTALLED.split(".")[:2])) < (3, 1):
            pytest.skip("Prefect has an auth string from 3.1 on")
        with PrefectServer(template=template, auth_string="user:word") as server:
            assert http("POST", f"{server.url}/variables/filter", {}).status == 401
            server.variables["a_name"] = "x"
            assert server.variables["a_name"] == "x"


@pytest.mark.slow
@needs_server
class TestEnd:
    def test_the_server_and_its_files_are_gone_after_the_block(self, template):
        """``close`` ends the process and removes the folder with the database, also twice."""
        with PrefectServer(template=template) as server:
            process, folder = psutil.Process(server.pid), server._folder.path()
            children = process.children(recursive=True)
            assert children
        server.close()
        assert psutil.wait_procs([process, *children], timeout=SECONDS)[1] == []
        assert not folder.exists()
        with pytest.raises(UsageError, match="does not run"):
            _ = server.url

    def test_the_server_ends_when_its_parent_is_killed(self, template, tmp_path):
        """A test run that ends by SIGKILL leaves no server behind."""
        program = tmp_path / "program.py"
        program.write_text(_KILLED, "utf-8")
        parent = subprocess.Popen(
            [sys.executable, program, str(template)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        line = parent.stdout.readline()
        processes = [psutil.Process(pid) for pid in json.loads(line)]
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert psutil.wait_procs(processes, timeout=SECONDS)[1] == []

    def test_a_server_that_dies_is_reported_and_replaced(self, template):
        """``check`` reports a server that has ended; ``reset`` starts another one at the same URL."""
        with PrefectServer(template=template) as server:
            url = server.url
            for child in psutil.Process(server.pid).children():
                child.kill()
            psutil.wait_procs([psutil.Process(server.pid)], timeout=SECONDS)
            with pytest.raises(PrefectServerFailed, match="it ended during the test"):
                server.check()
            server.reset()
            server.check()
            assert server.url == url
            assert http("GET", f"{url}/health").body is True


_KILLED = """
import json, sys, time
from pathlib import Path
import psutil
from pytest_flowsecrets.backend.prefect_server import PrefectServer

server = PrefectServer(template=Path(sys.argv[1]))
server.start()
print(json.dumps([each.pid for each in psutil.Process().children(recursive=True)]), flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@needs_server
class TestErrors:
    def test_a_port_in_use_is_an_error(self, template):
        """A port that another process uses raises one line that names the error and the next step."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            server = PrefectServer(template=template, port=other.getsockname()[1])
            with pytest.raises(PrefectServerFailed, match="Address already in use; choose another port, or 0"):
                server.start()
            server.close()

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (
                "raise TypeError(\"Body() got an unexpected keyword argument 'min_items'\")",
                "min_items.*dependencies of",
            ),
            (
                "raise ModuleNotFoundError(\"No module named 'x'\", name='x')",
                "No module named 'x'; prefect-client has no",
            ),
            ("import os; os._exit(7)", "it has ended; look at the end of its log"),
        ],
        ids=["FastAPI", "prefect-client", "exit"],
    )
    def test_a_server_that_cannot_be_imported_is_an_error(self, template, tmp_path, monkeypatch, source, message):
        """Errors of the server's imports raise one line with the reason and the next step; no process is left."""
        (tmp_path / "uvicorn.py").write_text(source, "utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        server = PrefectServer(template=template)
        with pytest.raises(PrefectServerFailed, match=message) as error:
            server.start()
        assert "\n" not in str(error.value)
        assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
        assert server.pid == 0
        server.close()


def test_unknown_services_are_errors(tmp_path):
    """The name of a service that does not exist raises an error with the names that do."""
    with pytest.raises(UsageError, match=r"'timetable' is not a service of the server; choose from .*scheduler"):
        server_environment({}, tmp_path, services=["timetable"])


def test_the_environment_hides_the_settings_of_the_developer(tmp_path):
    """The environment has no ``PREFECT_`` variable of the caller, and services are off unless they are named."""
    environ = server_environment({"PREFECT_API_KEY": "k", "HOME": "/h"}, tmp_path, services=["triggers"])
    assert "PREFECT_API_KEY" not in environ
    assert environ["HOME"] == "/h"
    enabled = {name for name in SERVICES if environ[f"PREFECT_SERVER_SERVICES_{name.upper()}_ENABLED"] == "true"}
    assert enabled == {"triggers"}
