"""Tracebacks of this package's own errors show no frame of this package."""

from __future__ import annotations

import pytest

from tests.compat import VERSION

CALLS = {
    "a function": "flow_environment('nomad')",
    "a method": "cloud.faults.status(503, on='set_secrets')",
    "deep inside": "ClusterSecrets().apply({'kind': 'Secret', 'metadata': {'name': 'A_B'}})",
    "a context manager": "isolated_prefect({'X': object()}).__enter__()",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("case", ["function", "unittest"])
def test_our_errors_end_at_the_line_of_the_test(run_tests, call, case):
    """The traceback ends at the test, in functions and TestCases, and ``--full-trace`` shows all frames."""
    body = {
        "function": f"def test_it():\n    {call}\n",
        "unittest": f"import unittest\nclass TestIt(unittest.TestCase):\n    def test_it(self):\n        {call}\n",
    }[case]
    source = (
        "from pytest_flowsecrets import ClusterSecrets, flow_environment, isolated_prefect\n"
        f"from pytest_flowsecrets.backend.graphql_service import GraphqlService\ncloud = GraphqlService('cloud')\n{body}"
    )
    result = run_tests(source)
    result.assert_outcomes(failed=1)
    assert "pytest_flowsecrets/" not in result.stdout.str().replace("pytest_flowsecrets.errors", "")
    assert call in result.stdout.str()
    if case == "function":
        assert "pytest_flowsecrets/" in run_tests(source, "--full-trace").stdout.str()


def test_other_errors_keep_their_frames(run_tests):
    """Tracebacks of other errors, and those without a frame of the user, do not change."""
    source = (
        "import pytest\nfrom pytest_flowsecrets.agents.agent_errors import path_here\n"
        "def test_it():\n    path_here(5)\n"
        "@pytest.fixture\ndef broken(flow_environment):\n    flow_environment('nomad')\n"
        "def test_setup(broken):\n    pass\n"
    )
    result = run_tests(source)
    result.assert_outcomes(failed=1, errors=1)
    assert "agent_errors.py" in result.stdout.str()
    assert "agents/rules.py" not in result.stdout.str()
    assert VERSION is None or "flow_environment('nomad')" in result.stdout.str()


def test_an_error_without_a_frame_of_the_user():
    """A traceback without a frame of the user does not change, because nothing would remain."""
    import sys

    from pytest_flowsecrets import UsageError
    from pytest_flowsecrets.agents.rules import require_agent
    from pytest_flowsecrets.tracebacks import without_own_frames

    try:
        require_agent("nomad")
    except UsageError as error:
        inner = error.__traceback__.tb_next
        assert without_own_frames(error, inner) is inner
        assert without_own_frames(error, error.__traceback__).tb_next is None
        assert without_own_frames(ValueError(), error.__traceback__) is error.__traceback__
    assert sys.exc_info() == (None, None, None)
