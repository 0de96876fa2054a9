"""The Python examples of README.md and docs/ for Prefect 3 run."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.versions import installed_version, release_of
from tests.document_examples import run_tests, write_examples


@pytest.mark.slow
@pytest.mark.skipif(
    release_of(installed_version() or "0") < (3, 0, 0),
    reason="Prefect 2.20 stores text only, and the examples are for Prefect 3",
)
def test_examples_pass(tmp_path):
    """Every example passes without an unexpected warning of this package."""
    assert write_examples(tmp_path, tests=True, line="prefect3") > 5
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    result = run_tests(tmp_path, "-Werror::pytest_flowsecrets.SecretChangedWarning")
    assert result.returncode == 0, result.stdout
