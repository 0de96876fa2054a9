"""Secrets in child processes, and options that need no secrets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_flowsecrets import UsageError, isolated_prefect

LARGE = {f"name{number}": "x" * 60_000 + str(number) for number in range(60)}  # too much for one environment


@pytest.mark.slow
def test_many_large_secrets():
    """Large secrets go into the config file, so that child processes can start and see them."""
    with isolated_prefect(LARGE) as secrets:
        assert dict(secrets) == LARGE
        assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0


@pytest.mark.slow
def test_many_large_variables():
    """`setenv` rejects a variable with which no child process can start, and leaves the environment unchanged."""
    with isolated_prefect() as secrets:
        with pytest.raises(UsageError) as caught:
            for name, text in LARGE.items():
                secrets.setenv(name, text)
        rejected = f"name{len(secrets)}"
        assert str(caught.value).startswith(f"with secret '{rejected}' the environment has ")
        assert str(caught.value).endswith(f": set the secret with local_secrets['{rejected}'] = …, which uses a file")
        assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0
        secrets[rejected] = LARGE[rejected]
        assert secrets[rejected] == LARGE[rejected]
        assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0


def test_a_marker_without_arguments(pytester):
    """A marker without arguments isolates a test and sets no secrets."""
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
    """The error for an unsupported Prefect names the option `all` if that option isolates the test."""
    pytester.makeconftest(
        "import pytest_flowsecrets.isolation.prefect1.adapter as l; l._versions.clear(); l.installed_version = lambda: '2.20'"
    )
    pytester.makepyfile(
        "def test_it(request):\n    if 'all' not in request.config.invocation_params.args[-1]:\n        request.getfixturevalue('local_secrets')"
    )
    result = pytester.runpytest_subprocess(f"--flowsecrets-isolation={option}")
    assert ("use --flowsecrets-isolation=marked" in result.stdout.str()) is bool(hint)
    assert "Prefect 2.20 is installed" in result.stdout.str()
