"""The real client of the installed Prefect 2.20 or 3 against the fake, in child processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import pytest

from pytest_flowsecrets.backend.rest import RestApi

from .record import environment

try:
    INSTALLED = version("prefect")
except PackageNotFoundError:
    INSTALLED = "none"
pytestmark = pytest.mark.skipif(not INSTALLED.startswith(("2.20.", "3.")), reason="Prefect 2.20 or 3 is not installed")

RUN_SCRIPTS = """
import runpy, sys
for line in sys.stdin:
    runpy.run_path(line.strip(), run_name="__main__")
    print("end", flush=True)
"""
SAVE = """
from prefect.blocks.system import Secret
Secret(value="hidden").save("token")
"""
LOAD = """
from prefect import flow, task
from prefect.blocks.system import Secret
from prefect.variables import Variable

@task
def use():
    return len(Secret.load("token").get())

@flow(name="reader")
def reads():
    return len(Secret.load("token").get()) + use()

Variable.set("known", "x", overwrite=True)
print("result", reads())
"""
LOAD_OUTSIDE = """
from prefect.blocks.system import Secret
try:
    print("result", Secret.load("token").get())
except Exception as error:
    print("result", type(error).__name__, "403" in str(error), "write-only" in str(error))
"""


@pytest.fixture(scope="module")
def api():
    with RestApi(INSTALLED) as api:
        yield api


@pytest.fixture
def client(tmp_path):
    """Return a context manager: a child process with a real client, and a function that runs code in it.

    The function returns what the code prints as its result. At the end of the block, the child has sent everything.
    """

    @contextmanager
    def client(view, **variables):
        variables = {"PREFECT_API_URL": view.url, "PREFECT_LOGGING_LEVEL": "ERROR", **variables}
        script, errors = tmp_path / "script.py", tmp_path / "errors.txt"
        with errors.open("w") as stderr, subprocess.Popen(
            [sys.executable, "-c", RUN_SCRIPTS],
            env=environment(tmp_path / "home", **variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=tmp_path,
        ) as process:

            def run(code):
                script.write_text(code, "utf-8")
                print(script, file=process.stdin, flush=True)
                results = []
                for line in process.stdout:
                    if line == "end\n":
                        return results
                    results += [line[7:].rstrip()] if line.startswith("result ") else []
                raise AssertionError(errors.read_text())

            timer = threading.Timer(240, process.kill)
            timer.start()
            try:
                yield run
            finally:
                process.communicate()
                timer.cancel()
        assert process.returncode == 0, errors.read_text()

    return client


def test_write_only_serves_flows_and_refuses_the_rest(api, client):
    """In write-only mode the real client reads secrets inside a flow, and gets 403 outside."""
    view = api.new_view()
    with client(view) as run:
        run(SAVE)
        view.write_only()
        assert run(LOAD_OUTSIDE) == ["PrefectHTTPStatusError True True"]
        assert view.reads == []
        assert run(LOAD) == ["12"]
        assert [(each.name, each.flow_name) for each in view.reads] == [("token", "reader")] * 2
        runs = view.rows("flow_runs")
        assert {each.flow_run_id for each in view.reads} == {runs[0]["id"]}
        with view.flow_run():
            assert run(LOAD_OUTSIDE) == ["hidden"]


def test_a_flow_leaves_its_rows(api, client):
    """A flow of the real client leaves a flow run, a task run and a variable in the tables of the view."""
    view = api.new_view()
    with client(view) as run:
        run(SAVE)
        run(LOAD)
    assert [(each["state_type"], each["run_count"]) for each in view.rows("flow_runs")] == [("COMPLETED", 1)]
    assert [each["state_type"] for each in view.rows("task_runs")] == ["COMPLETED"]
    assert [each["name"] for each in view.rows("variables")] == ["known"]
    assert view.holds("token", "hidden")


def test_cloud_is_served_at_its_own_address(api, client):
    """At the address of a workspace the unpatched client uses Cloud mode, and its flows work."""
    view = api.new_workspace("pnu_key")
    variables = {"PREFECT_CLOUD_API_URL": api.root, "PREFECT_API_KEY": "pnu_key"}
    code = """
import asyncio
from prefect import get_client

async def main():
    async with get_client() as client:
        print("result", client.server_type.value.lower())

asyncio.run(main())
"""
    with client(view, **variables) as run:
        assert run(code) == ["cloud"]
        run(SAVE)
        assert run(LOAD) == ["12"]
    assert [each["state_type"] for each in view.rows("task_runs")] == ["COMPLETED"]


@pytest.mark.skipif(INSTALLED.startswith(("2.", "3.0.")), reason="Prefect has an auth string from 3.1 on")
def test_a_server_with_an_auth_string(api, client):
    """Requests and WebSockets of the real client carry the auth string; without it the client gets 401."""
    view = api.new_view(auth_string="admin:pass")
    with client(view, PREFECT_API_AUTH_STRING="admin:pass") as run:
        run(SAVE)
        assert run(LOAD) == ["12"]
    assert [each["state_type"] for each in view.rows("task_runs")] == ["COMPLETED"]
    with client(view) as run:
        assert run(LOAD_OUTSIDE.replace('"403" in', '"401" in')) == ["PrefectHTTPStatusError True False"]
