"""A test has the same result on every machine: declared variables are kept, all others are hidden."""

from __future__ import annotations

import os

import pytest

PREFIX = "PREFECT__CONTEXT__SECRETS__"
FLOWS = """
import os
from dotenv import load_dotenv

load_dotenv(os.path.join(os.path.dirname(__file__), ".env"))
for line in open(os.path.join(os.path.dirname(__file__), ".env")):
    name, _, text = line.strip().partition("=")
    os.environ["PREFECT__CONTEXT__SECRETS__loop_" + name.rpartition("__")[2]] = text
"""
CONFTEST = """
import os
import flows_of_conftest
import settings_of_conftest
import pytest

os.environ["PREFECT__CONTEXT__SECRETS__set"] = "set"
os.environ.setdefault("PREFECT__CONTEXT__SECRETS__default", "default")
os.environ.update({"PREFECT__CONTEXT__SECRETS__bulk": "bulk"})

def pytest_configure(config):
    os.environ.setdefault("PREFECT__CONTEXT__SECRETS__hook", "hook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT__CONTEXT__SECRETS__shell", "for a while")
    if not hasattr(config, "workerinput"):
        os.environ["PREFECT__CONTEXT__SECRETS__controller"] = "controller"

@pytest.fixture(scope="session")
def session():
    os.environ["PREFECT__CONTEXT__SECRETS__session"] = "session"

@pytest.fixture(scope="class")
def temporary():
    os.environ["PREFECT__CONTEXT__SECRETS__temporary"] = "temporary"  # and never removed
"""
TESTS = """
import os
import flows
import pytest

os.environ.setdefault("PREFECT__CONTEXT__SECRETS__own", "own")
COMMON = dict(
    ini="ini", ini_default="ini_default", set="set", default="default", bulk="bulk", hook="hook",
    controller="controller", settings="settings", plugin="plugin", own="own",
)

class TestFirst:
    def test_unmarked(self, temporary):
        os.environ["PREFECT__CONTEXT__SECRETS__left"] = "left"
        assert os.environ["PREFECT__CONTEXT__SECRETS__default"] == os.environ["EXPECTED_DEFAULT"]
        assert os.environ["PREFECT__CONTEXT__SECRETS__ini_default"] == os.environ["EXPECTED_INI_DEFAULT"]

    @pytest.mark.secrets(X="x")
    def test_marked(self, local_secrets, temporary):
        assert dict(local_secrets) == dict(COMMON, X="x", temporary="temporary")
        assert "GITHUB_ACCESS_TOKEN" not in os.environ
        assert "OTHER_KEY" not in os.environ
        assert os.environ["OTHER_NAME"] == "shell"

class TestSecond:
    @pytest.mark.secrets(X="x")
    def test_marked(self, local_secrets, monkeypatch):
        assert dict(local_secrets) == dict(COMMON, X="x")
        monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__patched", "patched")
        monkeypatch.setenv("GITHUB_ACCESS_TOKEN", "patched")
        local_secrets.reload()
        assert dict(local_secrets) == dict(COMMON, X="x", patched="patched")

    def test_session_fixture(self, session, local_secrets):
        assert dict(local_secrets) == dict(COMMON, session="session")

    def test_explain(self, local_secrets):
        explanations = local_secrets.explain("loop_TOKEN") + local_secrets.explain("loop_token")  # up to 0.6.6
        assert "hidden in this test: PREFECT__CONTEXT__SECRETS__loop_TOKEN (the import of " in explanations
        assert "flows.py" in explanations or "flows_of_conftest.py" in explanations
        assert "kept in this test: PREFECT__CONTEXT__SECRETS__set (" in local_secrets.explain("set")
        if "GITHUB_ACCESS_TOKEN=(" in os.environ["EXPECTED_HIDDEN"]:
            assert "hidden in this test: GITHUB_ACCESS_TOKEN (" in local_secrets.explain("GITHUB_ACCESS_TOKEN")
"""
SUB_CONFTEST = "import os\nos.environ['PREFECT__CONTEXT__SECRETS__sub'] = 'sub'\n"
SUB_TESTS = (
    "def test_sub(local_secrets):\n    assert {'sub'} <= set(local_secrets)\n    assert 'own' not in local_secrets\n"
)
INI = """[pytest]
flowsecrets_leaks = off
flowsecrets_hide = OTHER_* !OTHER_NAME
env =
    PREFECT__CONTEXT__SECRETS__ini=ini
    D:PREFECT__CONTEXT__SECRETS__ini_default=ini_default
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """Create a project that sets variables in every possible way, and also loads a developer's ``.env``."""
    pytest.importorskip("dotenv")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)
    (pytester.path / ".env").write_text(f"{PREFIX}TOKEN=of-the-developer\n")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        flows=FLOWS,
        flows_of_conftest=FLOWS,
        settings_of_conftest=f"import os\nos.environ['{PREFIX}settings'] = 'settings'\n",
        plugin_of_project=f"import os\nos.environ['{PREFIX}plugin'] = 'plugin'\n",
        test_all=TESTS,
    )
    folder = pytester.mkdir("sub")
    (folder / "conftest.py").write_text(SUB_CONFTEST)
    (folder / "test_sub.py").write_text(SUB_TESTS)
    return pytester


NAMES = ("ini", "ini_default", "set", "default", "bulk", "hook", "plugin", "own", "shell", "settings", "sub")


@pytest.mark.parametrize(
    ("shell", "arguments"),
    [("nothing", ()), ("the same", ()), ("others", ()), ("others", ("-n", "2"))],
    ids=["nothing", "the same", "others", "others-xdist"],
)
def test_the_shell_does_not_matter(project, run_tests, monkeypatch, shell, arguments):
    """Tests see exactly the declared variables with the declared values, whatever the shell sets."""
    monkeypatch.setenv("OTHER_KEY", "shell")
    monkeypatch.setenv("OTHER_NAME", "shell")
    for name in NAMES if shell != "nothing" else ():
        monkeypatch.setenv(PREFIX + name, name if shell == "the same" else "of-the-shell")
    if shell != "nothing":
        monkeypatch.setenv("GITHUB_ACCESS_TOKEN", "of-the-shell")
    monkeypatch.setenv("EXPECTED_DEFAULT", "of-the-shell" if shell == "others" else "default")
    monkeypatch.setenv("EXPECTED_INI_DEFAULT", "of-the-shell" if shell == "others" else "ini_default")
    monkeypatch.setenv("EXPECTED_HIDDEN", "" if shell == "nothing" else "GITHUB_ACCESS_TOKEN=(")
    plugins = ["pytest_env.plugin", "plugin_of_project", *(["xdist.plugin"] if arguments else [])]
    result = run_tests(None, *arguments, plugins=plugins, ini=INI)
    result.assert_outcomes(passed=6)
    if not arguments:
        header = result.stdout.str()
        assert f"kept in isolated tests: {PREFIX}" in header
        assert f"{PREFIX}TOKEN (the import of " in header
        assert ("GITHUB_ACCESS_TOKEN (the environment of pytest)" in header) == (shell != "nothing")
        assert "of-the-" not in header


def test_pytest_dotenv(project, run_tests, monkeypatch):
    """The ``.env`` of pytest-dotenv is declared, also if the shell has another value."""
    pytest.importorskip("pytest_dotenv")
    monkeypatch.setenv(f"{PREFIX}TOKEN", "of-the-shell")
    source = "def test_it(local_secrets):\n    assert local_secrets['TOKEN'] == 'of-the-developer'\n"
    (project.path / "test_all.py").write_text(source)
    run_tests(None, "test_all.py", plugins=["pytest_dotenv.plugin"], ini="[pytest]\n").assert_outcomes(passed=1)
