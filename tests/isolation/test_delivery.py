"""How secrets reach child processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_flowsecrets import isolated_prefect


@pytest.mark.slow
def test_many_large_secrets():
    """They go into the file where a process could not be started with all of them in its environment."""
    secrets = {f"name{number}": "x" * 60_000 + str(number) for number in range(60)}
    with isolated_prefect(secrets) as given:
        assert dict(given) == secrets
        assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0


def test_a_marker_without_arguments(pytester):
    """It isolates a test without giving it secrets."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.secrets()
        def test_it(local_secrets):
            assert dict(local_secrets) == {}
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(("option", "hint"), [("all", 1), ("marked", 0)])
def test_an_unsupported_prefect(pytester, option, hint):
    """The option that isolates every test is named where it is the reason."""
    pytester.makeconftest(
        "import pytest_flowsecrets.isolation.prefect1.adapter as l; l._versions.clear(); l.installed_version = lambda: '2.20'"
    )
    pytester.makepyfile(
        "def test_it(request):\n    if 'all' not in request.config.invocation_params.args[-1]:\n        request.getfixturevalue('local_secrets')"
    )
    result = pytester.runpytest_subprocess(f"--flowsecrets-isolation={option}")
    assert ("use --flowsecrets-isolation=marked" in result.stdout.str()) is bool(hint)
    assert "Prefect 2.20 is installed" in result.stdout.str()
