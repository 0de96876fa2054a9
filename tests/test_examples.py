"""The projects in examples/ pass their own tests with the Prefect that they support."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def _prefect() -> str:
    try:
        return metadata.version("prefect")
    except metadata.PackageNotFoundError:
        return "none"


@pytest.mark.slow
@pytest.mark.skipif(_prefect() != "1.4.1", reason=f"the examples are for Prefect 1.4.1, here is {_prefect()}")
def test_github_report() -> None:
    """The example with tokens, a Slack notifier and a result handler passes six tests without a warning."""
    ours = [f"-Werror::pytest_flowsecrets.{name}" for name in ("SecretChangedWarning", "TomlDialectWarning")]
    plugin = ["-p", "pytest_flowsecrets.plugin", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "--rootdir=.", "--strict-markers", "-c", os.devnull, *ours],
        cwd=EXAMPLES / "github_report",
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert " 6 passed" in result.stdout
