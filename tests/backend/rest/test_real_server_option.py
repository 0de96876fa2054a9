"""``--flowsecrets-server=real`` runs the same tests at the server of the installed Prefect."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_flowsecrets.options import OPTIONS

from .test_real_server import needs_server

_TESTS = """
import threading

import psutil
import pytest
from prefect import flow, get_run_logger, task
from prefect.blocks.system import Secret

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
    assert "1 failed, 7 passed" in done.stdout, done.stdout
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
