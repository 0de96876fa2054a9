"""The tests: each gives the flow its secrets in another way, and looks at what GitHub got."""

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
    """A marker gives the token, the flow runs, and GitHub gets that token"""
    assert flow.run(parameters={"github": github.address}).is_successful()
    assert github.tokens == ["from-the-marker"]


def test_config_file(github, local_secrets):
    """The token comes from a config.toml of the test's own, as on a server"""
    local_secrets.write_config('[context.secrets]\nGITHUB_ACCESS_TOKEN = "from-config-toml"\n')
    assert flow.run(parameters={"github": github.address}).is_successful()
    assert github.tokens == ["from-config-toml"]


@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="in-a-thread")
def test_old_thread(github, pool):
    """The flow runs in a pool thread that is older than the test"""
    assert pool.submit(flow.run, parameters={"github": github.address}).result().is_successful()
    assert github.tokens == ["in-a-thread"]


@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="in-a-child")
def test_child_process(github):
    """The flow runs in a process of its own, which imports Prefect afresh"""
    subprocess.run([sys.executable, "report_flow.py", github.address], check=True)
    assert github.tokens == ["in-a-child"]


def test_missing(github, local_secrets):
    """Without the token the flow fails, as it would in production, and GitHub is not asked"""
    assert flow.run(parameters={"github": github.address}).is_failed()
    assert github.tokens == []


def test_hidden(local_secrets):
    """A secret that the developer has exported in a shell is hidden"""
    with pytest.raises(ValueError, match="was not found"):
        Secret("EXPORTED_IN_A_SHELL").get()


@pytest.mark.skipif(VERSION < (0, 11), reason="Prefect leaves 0000 as it is before 0.11.0")
@pytest.mark.secrets(PIN="0000")
def test_surprise():
    """Prefect makes the PIN 0000 the number 0, and a warning says how to write it"""
    assert Secret("PIN").get() == 0
