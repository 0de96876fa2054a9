"""Under xdist, a test keeps its name from collection until its report is sent."""

from __future__ import annotations

import pytest


def test_a_secret_that_is_learned_while_its_test_runs(run_tests):
    """If a secret is registered while its test runs, worker and controller agree on the id, and the report masks it."""
    pytest.importorskip("xdist")
    result = run_tests(
        """
import pytest

@pytest.mark.parametrize("value", ["k9Tz" + "Wq4mLr", "other"])
def test_it(value, secret_leaks):
    secret_leaks.add(value)
    assert value == "other"
""",
        "-n1",
        "-rA",
        plugins=["xdist"],
    )
    result.assert_outcomes(passed=1, failed=1)
    assert "k9TzWq4mLr" not in result.stdout.str().split("short test summary")[1]
