"""The tests of the isolation of Prefect 2.20 and 3. They need one of these versions."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_flowsecrets.versions import uses_rest_api

if not uses_rest_api():
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def child(tmp_path):
    """Run code in a child process with the current environment, and return what it prints."""

    def run(code, **options):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False, **options
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    return run
