"""The projects in examples/ pass their own tests with the Prefect that they support."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_flowsecrets.versions import installed_version, uses_rest_api

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.slow
@pytest.mark.skipif(installed_version() != "1.4.1", reason=f"it is for Prefect 1.4.1, here is {installed_version()}")
def test_github_report() -> None:
    """The example with tokens, a Slack notifier and a result handler passes its six tests without a warning."""
    assert " 6 passed" in _run("github_report")


@pytest.mark.slow
@pytest.mark.skipif(
    installed_version() != "1.4.1" and not uses_rest_api(),
    reason=f"it is for Prefect 1.4.1 and 3, here is {installed_version()}",
)
def test_both_lines() -> None:
    """The tests of a flow for both lines of Prefect pass on each of them, from the same file."""
    assert " 5 passed" in _run("both_lines")


def _run(example: str) -> str:
    """Return what the tests of an example print. They pass."""
    ours = [f"-Werror::pytest_flowsecrets.{name}" for name in ("SecretChangedWarning", "TomlDialectWarning")]
    plugin = ["-p", "pytest_flowsecrets.plugin", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "--rootdir=.", "--strict-markers", "-c", os.devnull, *ours],
        cwd=EXAMPLES / example,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout
