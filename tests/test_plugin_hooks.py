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
        ["the hook pytest_flowsecrets_secrets requires a mapping of names to values, not a list"]
    )
    result.stdout.fnmatch_lines(["*LEAK of other in live output*"])
    result.stderr.fnmatch_lines(["*pytest_flowsecrets_leak: a hook cannot fail or skip a test: use the mode fail*"])
    result.stdout.fnmatch_lines(["*- flowsecrets: secrets of this test -*", "*other*", "*token*"])
    assert "from the project" not in result.stdout.str().replace('"from the project"', "")


FACTORY = """
import pytest

@pytest.fixture(scope="session")
def of_run(local_secrets_factory):
    with local_secrets_factory({"own": "of the argument", "both": "of the argument"}) as secrets:
        return dict(secrets)

@pytest.fixture(scope="session")
def without_argument(local_secrets_factory):
    with local_secrets_factory() as secrets:
        return dict(secrets)

def test_it(of_run, without_argument):
    assert of_run == {"own": "of the argument", "both": "of the argument", "item": "none", "folder": "FOLDER"}
    assert without_argument == {"both": "of the project", "item": "none", "folder": "FOLDER"}
"""


def test_the_hook_provides_secrets_to_the_factory(run_tests, pytester):
    """Each call asks the hooks that apply to the calling file, without an item. The argument takes precedence."""
    pytester.makeconftest(
        "def pytest_flowsecrets_secrets(item):\n"
        "    return {'both': 'of the project', 'item': 'none' if item is None else 'test', 'folder': 'x'}\n"
    )
    for folder in ("a", "b"):
        path = pytester.mkpydir(folder)
        (path / "conftest.py").write_text(f"def pytest_flowsecrets_secrets(): return {{'folder': '{folder}'}}\n")
        (path / f"test_{folder}.py").write_text(FACTORY.replace("FOLDER", folder))
    run_tests(None, "-p", "no:randomly").assert_outcomes(passed=2)


def test_wrong_secrets_of_the_hook_and_of_the_factory(run_tests, pytester):
    """Both are one clear line that names the source, and never a value."""
    pytester.makeconftest("def pytest_flowsecrets_secrets(): return {'token': 'x'}\n")
    source = "def test_it(local_secrets_factory):\n    with local_secrets_factory({7: 'hidden'}): pass\n"
    result = run_tests(source)
    result.stdout.fnmatch_lines(["E*UsageError: local_secrets_factory(): the name of a secret must be text, not int"])
    wrong = "def test_it(local_secrets_factory):\n    with local_secrets_factory('hidden'): pass\n"
    result = run_tests(wrong)
    message = "E*UsageError: local_secrets_factory() requires a mapping of names to values, not a str"
    result.stdout.fnmatch_lines([message])
    pytester.makeconftest("def pytest_flowsecrets_secrets(item): return {'token': item.name}\n")
    result = run_tests(source)
    message = "E*UsageError: a hook pytest_flowsecrets_secrets failed: for local_secrets_factory, its item is None"
    result.stdout.fnmatch_lines([message])
    pytester.makeconftest("def pytest_flowsecrets_secrets(): return [('hidden', 1)]\n")
    result = run_tests(None)
    message = "E*UsageError: the hook pytest_flowsecrets_secrets requires a mapping of names to values, not a list"
    result.stdout.fnmatch_lines([message])


def test_explain_names_the_nearest_secret(local_secrets):
    """The explanation of a missing secret names one that it may stand for."""
    local_secrets["github_token"] = "x"
    assert "nearest" in local_secrets.explain("githubtoken")
    assert "is similar: a separator" in local_secrets.explain("githubtoken")
    assert "nearest" not in local_secrets.explain("github_token")
