"""``flowsecrets serve`` serves the fake REST API to other processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.prefect3.compat import VERSION

CLIENT = """
import sys
from prefect import flow
from prefect.blocks.system import Secret

@flow
def length():
    return len(Secret.load("token").get())

Secret(value="hidden-token").save("token", overwrite=True)
print(length())
"""


@pytest.fixture
def serve():
    started = []

    def serve(*arguments):
        command = [sys.executable, "-m", "pytest_flowsecrets.cli", "serve", "--port", "0", "--json", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, text=True, **pipes))
        line = started[-1].stdout.readline()
        assert line, started[-1].stderr.read()
        return json.loads(line)

    yield serve
    for process in started:
        process.terminate()
        assert process.communicate(timeout=60)[0] == ""
        assert process.returncode == 0


@pytest.fixture
def client(tmp_path):
    """Run code of a client in a child process, and return the last line that it prints."""

    def run(code, environ):
        private = {"PREFECT_HOME": str(tmp_path), "PREFECT_PROFILES_PATH": str(tmp_path / "profiles.toml")}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **private, **environ},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    return run


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["--server"], ["--user-key", "pnu_of-the-test"]], ids=" ".join)
def test_a_client_of_another_process_uses_the_api(serve, client, arguments):
    """The API is that of the installed Prefect. A real client saves a secret, and a flow reads it."""
    details = serve(*arguments)
    assert (details["version"], details["backend"]) == (VERSION, "server" if "--server" in arguments else "cloud")
    assert details.get("api_key", "pnu_of-the-test").startswith("pnu_")
    assert client(CLIENT, details["environ"]) == "12"
    root = details["url"].partition("/api")[0]
    for path in ("/health", "/api/health"):
        with urllib.request.urlopen(root + path) as response:
            assert response.read() == b"true"


@pytest.mark.slow
def test_secrets_of_a_file(serve, client, tmp_path):
    """The client of this environment stores the secrets of a file as blocks, under names that blocks can have."""
    file = tmp_path / "secrets.toml"
    file.write_text('[context.secrets]\nGITHUB_ACCESS_TOKEN = "hidden"\n')
    details = serve("--server", "--secrets", str(file))
    code = "from prefect.blocks.system import Secret\nprint(Secret.load('github-access-token').get())"
    assert client(code, details["environ"]) == "hidden"


@pytest.mark.slow
def test_cloud_needs_the_key(serve):
    """A request without the key gets 401."""
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(serve()["url"] + "/admin/version")
