"""The tests: each sets the secrets in another way, and checks the token that GitHub received."""

import subprocess
import sys

import prefect
import pytest
from packaging.version import Version
from prefect.client import Secret
from report_flow import flow

VERSION = Version(prefect.__version__).release


@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="from-the-marker")
def test_marker(github):
    """A marker sets the token, and GitHub receives this token"""
    assert flow.run(parameters={"github": github.address}).is_successful()
    assert github.tokens == ["from-the-marker"]


def test_config_file(github, local_secrets):
    """The test's own config.toml sets the token, as on a server"""
    local_secrets.write_config('[context.secrets]\nGITHUB_ACCESS_TOKEN = "from-config-toml"\n')
    assert flow.run(parameters={"github": github.address}).is_successful()
    assert github.tokens == ["from-config-toml"]


@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="in-a-thread")
def test_old_thread(github, pool):
    """The flow gets the token in a pool thread that started before the test"""
    assert pool.submit(flow.run, parameters={"github": github.address}).result().is_successful()
    assert github.tokens == ["in-a-thread"]


@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="in-a-child")
def test_child_process(github):
    """The flow gets the token in a child process, which imports Prefect again"""
    subprocess.run([sys.executable, "report_flow.py", github.address], check=True)
    assert github.tokens == ["in-a-child"]


def test_missing(github, local_secrets):
    """Without the token the flow fails, as in production, and GitHub receives no request"""
    assert flow.run(parameters={"github": github.address}).is_failed()
    assert github.tokens == []


def test_hidden(local_secrets):
    """A secret that the developer exported in a shell is hidden"""
    with pytest.raises(ValueError, match="was not found"):
        Secret("EXPORTED_IN_A_SHELL").get()


@pytest.mark.skipif(VERSION < (0, 11), reason="Prefect does not convert 0000 before 0.11.0")
@pytest.mark.secrets(PIN="0000")
def test_surprise():
    """Prefect converts the PIN 0000 to the number 0, and a warning shows how to write it"""
    assert Secret("PIN").get() == 0
