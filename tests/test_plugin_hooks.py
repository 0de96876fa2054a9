"""The hooks that provide secrets and react to leaks, and ``--flowsecrets-explain``."""

from __future__ import annotations

import pytest

CONFTEST = """
import pytest

def pytest_flowsecrets_secrets(config, item):
    return {"token": "from the project", "other": "from the project"} if "wrong" not in item.name else ["token"]

def pytest_flowsecrets_leak(config, leak):
    print(f"LEAK of {leak.name} in {leak.place}")
    pytest.fail("not here")
"""
TESTS = """
import pytest

@pytest.mark.secrets(token="from the mark")
def test_both(local_secrets):
    assert dict(local_secrets) == {"token": "from the mark", "other": "from the project"}

def test_fixture_only(local_secrets):
    assert sorted(local_secrets) == ["other", "token"]

def test_wrong(local_secrets): pass

def test_leak(local_secrets):
    print(local_secrets["other"])

def test_explained(local_secrets):
    assert not local_secrets
"""


@pytest.fixture
def result(run_tests, pytester):
    pytester.makeconftest(CONFTEST)
    return run_tests(TESTS, "-s", "--flowsecrets-leaks=warn", "--flowsecrets-explain", "-p", "no:randomly")


def test_hooks_and_explanations(result):
    """A project's secrets reach its tests, leaks reach its hook, and a failing test explains its secrets."""
    result.assert_outcomes(passed=3, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["the hook pytest_flowsecrets_secrets must return a mapping of names to values, not list"]
    )
    result.stdout.fnmatch_lines(["*LEAK of other in live output*"])
    result.stderr.fnmatch_lines(["*pytest_flowsecrets_leak: a hook cannot fail or skip a test: use the mode fail*"])
    result.stdout.fnmatch_lines(["*- flowsecrets: secrets of this test -*", "*other*", "*token*"])
    assert "from the project" not in result.stdout.str().replace('"from the project"', "")


def test_explain_names_the_nearest_secret(local_secrets):
    """The explanation of a missing secret names one that it may stand for."""
    local_secrets["github_token"] = "x"
    assert "nearest" in local_secrets.explain("githubtoken")
    assert "is similar: a separator" in local_secrets.explain("githubtoken")
    assert "nearest" not in local_secrets.explain("github_token")
