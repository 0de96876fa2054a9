"""The isolation together with other tools that people use in their tests."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import time

import pytest

from pytest_flowsecrets import CloudUnreachable, isolated_prefect
from tests.compat import needs_prefect

pytestmark = needs_prefect

ASK = "from prefect.client import Secret\nimport os, pytest\n"


@pytest.fixture
def ambient(monkeypatch, tmp_path):
    """Set up a developer's machine: variables, config files and saved client settings."""
    home = tmp_path / "developer"
    settings = home / ".prefect" / "client" / "https-api-prefect-io"
    settings.mkdir(parents=True)
    (home / ".prefect" / "config.toml").write_text("debug = true\n[context.secrets]\nFILE = 'own'\nX = 'own'\n")
    (home / ".prefect" / "backend.toml").write_text("backend = 'server'\n")
    (home / ".prefect" / "auth.toml").write_text("[https-api-prefect-io]\napi_key = 'own-key'\n")
    (settings / "settings.toml").write_text("api_token = 'own-token'\n")
    (home / ".prefect" / ".credentials").mkdir()
    (home / ".prefect" / ".credentials" / "auth_token").write_text("own-token")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__env", "own")
    monkeypatch.setenv("PREFECT__CLOUD__USE_LOCAL_SECRETS", "false")

    def listing():
        return {
            path: (path.stat().st_mtime_ns, path.read_text())
            for path in sorted((home / ".prefect").rglob("*"))
            if path.is_file()
        }

    before = listing()
    yield home
    assert listing() == before


def test_the_developers_own_state_is_hidden_and_untouched(run_tests, ambient):
    """Threads and children do not see the developer's state, and unmarked tests see all of it."""
    result = run_tests(
        ASK
        + """
import prefect, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

def get(name):
    try:
        return Secret(name).get()
    except Exception:
        return None

def clients_own():
    client = prefect.Client()
    return [getattr(client, name, None) or None for name in ("api_key", "_api_token", "token")]

def look():
    return [prefect.config.debug, get("FILE"), get("env"), prefect.config.cloud.use_local_secrets,
            prefect.config.get("backend", "cloud"), clients_own()]

def test_a_before():
    assert prefect.context.secrets["FILE"] == prefect.context.secrets["env"] == "own"

@pytest.mark.secrets(X="x")
def test_b_inside():
    expected = [False, None, None, True, "cloud", [None] * 3]
    assert look() == expected
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(look).result() == expected
    code = "import prefect; print(sorted(prefect.context.secrets), prefect.config.debug)"
    child = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "['X'] False"
    os.makedirs(os.path.expanduser("~/.prefect/results"))

def test_c_after():
    assert prefect.context.secrets["FILE"] == prefect.context.secrets["env"] == "own"
    assert prefect.config.debug is True
    assert prefect.config.cloud.use_local_secrets is False
"""
    )
    result.assert_outcomes(passed=3)


def test_a_broken_config_of_the_developer_does_not_matter(run_tests, tmp_path, monkeypatch):
    """``import prefect`` fails outside and works inside the isolation."""
    (tmp_path / ".prefect").mkdir()
    (tmp_path / ".prefect" / "config.toml").write_text("broken")
    monkeypatch.setenv("HOME", str(tmp_path))
    result = run_tests(
        """
import pytest

@pytest.mark.secrets(X="x")
def test_inside(local_secrets):
    from prefect.client import Secret
    assert Secret("X").get() == "x"
    assert dict(local_secrets) == {"X": "x"}
"""
    )
    result.assert_outcomes(passed=1)


def test_a_config_path_of_the_developer_is_hidden(run_tests, monkeypatch, tmp_path):
    """The developer's ``PREFECT__USER_CONFIG_PATH`` is ignored, and the private file is read."""
    (tmp_path / "own.toml").write_text("[context.secrets]\nOWN = 'own'\n")
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(tmp_path / "own.toml"))
    result = run_tests(
        ASK
        + """
import prefect

@pytest.mark.secrets(X="x")
def test_a_inside(local_secrets):
    assert dict(local_secrets) == {"X": "x"}
    local_secrets.write_config("[context.secrets]\\nF = 'f'\\n")
    assert dict(local_secrets) == {"X": "x", "F": "f"}
    local_secrets["A__B"] = "v"
    assert dict(local_secrets) == {"X": "x", "F": "f", "A__B": "v"}

def test_b_after():
    assert prefect.context.secrets == {"OWN": "own"}
"""
    )
    result.assert_outcomes(passed=2)


def test_what_the_run_declares_is_kept(run_tests, ambient):
    """Variables of pytest-env, a conftest and wider fixtures are kept, and ambient ones are hidden."""
    result = run_tests(
        ASK
        + """
os.environ["PREFECT__CONTEXT__SECRETS__module"] = "module"

@pytest.fixture(scope="session")
def session():
    os.environ["PREFECT__CONTEXT__SECRETS__session"] = "session"

@pytest.mark.secrets(X="x")
def test_inside(session, local_secrets):
    assert dict(local_secrets) == {"X": "x", "ini": "ini", "module": "module", "session": "session"}
""",
        plugins=["pytest_env.plugin"],
        ini="[pytest]\nenv =\n    PREFECT__CONTEXT__SECRETS__ini=ini\n",
    )
    result.assert_outcomes(passed=1)


def test_a_declared_variable_counts_for_what_it_says(run_tests):
    """A declared variable takes effect, also if its value refers to other variables."""
    result = run_tests(
        ASK
        + """
import prefect

@pytest.fixture(scope="session", autouse=True)
def declared():
    os.environ["PREFECT__DEBUG"] = "true"
    os.environ["HOST_OF_TEST"] = "example.org"
    os.environ["PREFECT__CONTEXT__SECRETS__url"] = "https://$HOST_OF_TEST"

@pytest.mark.secrets(X="x")
def test_inside(local_secrets):
    assert dict(local_secrets) == {"X": "x", "url": "https://example.org"}
    assert prefect.config.debug is True
"""
    )
    result.assert_outcomes(passed=1)


def test_xdist(run_tests, ambient):
    """Each worker has its own home, hides the developer's variables and keeps those of the ini file."""
    result = run_tests(
        ASK
        + """
@pytest.mark.secrets(X="x")
@pytest.mark.parametrize("n", range(8))
def test_it(n, local_secrets, prefect_home):
    assert dict(local_secrets) == {"X": "x", "ini": "ini"}
    local_secrets.write_config("[context.secrets]\\nN = %d\\n" % n)
    assert local_secrets["N"] == n
""",
        "-n",
        "2",
        plugins=["xdist.plugin", "pytest_env.plugin"],
        ini="[pytest]\nenv =\n    PREFECT__CONTEXT__SECRETS__ini=ini\n",
    )
    result.assert_outcomes(passed=8)


def test_wrong_marks_under_xdist(run_tests):
    """With xdist, a wrong mark is an error of its test, because workers cannot report usage errors."""
    result = run_tests(
        "import pytest\n@pytest.mark.secrets(5)\ndef test_wrong(): pass\n", "-n", "2", plugins=["xdist.plugin"]
    )
    result.assert_outcomes(errors=1)
    assert (
        "::test_wrong: the argument of the secrets marker must be a mapping"
        in result.stdout.str() + result.stderr.str()
    )


def test_errors_of_ours_travel_from_xdist_workers(run_tests):
    """Errors are pickled, and their messages reach the controller."""
    result = run_tests(
        "def test_it(local_secrets):\n    local_secrets.write_config('[context.secrets]\\nA = \"hunter2')\n",
        "-n",
        "1",
        plugins=["xdist.plugin"],
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ConfigSyntaxError: *config.toml:2:*"])


def test_randomly(run_tests):
    """Tests pass in any order."""
    source = ASK + "".join(
        f"""
@pytest.mark.secrets(X="v{n}")
def test_{n}():
    assert Secret("X").get() == "v{n}"
def test_bare_{n}():
    with pytest.raises(ValueError):
        Secret("X").get()
"""
        for n in range(5)
    )
    run_tests(source, "-p", "no:cacheprovider", plugins=["pytest_randomly"]).assert_outcomes(passed=10)


def test_async_tests(run_tests):
    """A coroutine and a thread that it starts get the secrets."""
    result = run_tests(
        ASK
        + """
import asyncio

@pytest.mark.asyncio
@pytest.mark.secrets(X="x")
async def test_it(local_secrets):
    await asyncio.sleep(0)
    assert Secret("X").get() == "x"
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, Secret("X").get) == "x"
    local_secrets["X"] = "y"
    assert await loop.run_in_executor(None, Secret("X").get) == "y"
""",
        plugins=["pytest_asyncio.plugin"],
    )
    result.assert_outcomes(passed=1)


@pytest.mark.secrets(X="x")
def test_frozen_time(local_secrets):
    """freezegun works inside and around the isolation."""
    from freezegun import freeze_time
    from prefect.client import Secret

    with freeze_time("2020-01-01"):
        assert Secret("X").get() == "x"
        local_secrets["Y"] = "y"
        with isolated_prefect({"X": "inner"}):
            assert Secret("X").get() == "inner"
    assert Secret("Y").get() == "y"


@pytest.mark.secrets(X="x")
def test_captured_output_and_logs(local_secrets, caplog, capsys):
    """Prefect's loggers write to the same places as before."""
    from prefect import Flow, task

    @task
    def say():
        print("printed")

    with Flow("says") as flow:
        say()
    with caplog.at_level("INFO"):
        assert flow.run().is_successful()
    assert "printed" in capsys.readouterr().out


def test_an_inner_pytest_in_this_process(pytester, monkeypatch):
    """The end of an inner run of pytester does not change the outer isolation."""
    from prefect.client import Secret

    pytester.makepyfile(
        """
import pytest
from prefect.client import Secret

@pytest.mark.secrets(X="inner")
def test_inner():
    assert Secret("X").get() == "inner"

def test_bare():
    assert Secret("X").get() == "outer"
"""
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    with isolated_prefect({"X": "outer"}):
        result = pytester.inline_run("-p", "pytest_flowsecrets.plugin", "-p", "no:cacheprovider")
        result.assertoutcome(passed=2)
        assert Secret("X").get() == "outer"


def test_monkeypatch_that_is_older_than_a_late_isolation(run_tests):
    """Variables that an older monkeypatch restores after a late isolation are removed."""
    result = run_tests(
        ASK
        + """
def test_a(monkeypatch, request):
    secrets = request.getfixturevalue("local_secrets")
    secrets["late"] = "mine"
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__late", "changed")
    secrets.reload()
    assert Secret("late").get() == "changed"

def test_b():
    assert not [name for name in os.environ if name.startswith("PREFECT__")]
"""
    )
    result.assert_outcomes(passed=2)


def test_a_cleared_environment_does_not_lead_to_the_developers_home(ambient):
    """After ``patch.dict(os.environ, clear=True)``, ``~`` still refers to the private home."""
    from unittest import mock

    import prefect

    with isolated_prefect({"X": "x"}) as secrets, mock.patch.dict(os.environ, clear=True):
        secrets.reload()
        assert "FILE" not in secrets
        assert os.environ["HOME"] == os.path.dirname(prefect.config.get("home_dir", os.environ["HOME"] + "/.prefect"))
        secrets["Y"] = "y"
        assert secrets["Y"] == "y"


def test_a_fixture_that_fails(run_tests):
    """After a failure in setup or teardown, the next test sees nothing of the isolation."""
    result = run_tests(
        ASK
        + """
@pytest.fixture
def fails_before():
    raise ValueError("on purpose")

@pytest.fixture
def fails_after():
    yield
    assert Secret("X").get() == "x"
    raise ValueError("on purpose")

def gone():
    assert not [name for name in os.environ if name.startswith("PREFECT__")]
    with pytest.raises(ValueError):
        Secret("X").get()

@pytest.mark.secrets(X="x")
def test_a(fails_before): pass

def test_b(): gone()

@pytest.mark.secrets(X="x")
def test_c(fails_after): pass

def test_d(): gone()

@pytest.mark.secrets(X="x")
def test_e(): assert Secret("X").get() == "y"

def test_f(): gone()
"""
    )
    result.assert_outcomes(passed=4, errors=2, failed=1)


def test_hypothesis(run_tests):
    """A mark isolates all examples together, and ``isolated_prefect`` isolates each example."""
    result = run_tests(
        ASK
        + """
from hypothesis import given, settings, strategies as st
from pytest_flowsecrets import isolated_prefect

@pytest.mark.secrets(X="x")
@given(st.integers())
@settings(max_examples=20)
def test_marked(n):
    assert Secret("X").get() == "x"

@given(st.text("abc", min_size=1))
@settings(max_examples=20, deadline=None)
def test_each(text):
    with isolated_prefect({"TOKEN": text}) as secrets:
        assert Secret("TOKEN").get() == text
        assert len(secrets) == 1
"""
    )
    result.assert_outcomes(passed=2)


def test_a_run_that_is_stopped_leaves_nothing(run_tests, tmp_path, monkeypatch):
    """After ``pytest.exit`` and an unfinished generator, the end of pytest restores everything."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    result = run_tests(
        """
import pytest

def test_it():
    from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation
    LegacyIsolation().enter({"X": "x"})
    pytest.exit("enough")
"""
    )
    result.stdout.fnmatch_lines(["*enough*"])
    assert [name for name in os.listdir(tmp_path) if name.startswith("flowsecrets-")] == []


# -- the default Cloud address -----------------------------------------------------------------------------------------


def test_the_default_cloud_address_cannot_be_reached(local_secrets, monkeypatch):
    """A client raises an error that names the fixture, without retries, also with an explicit address."""
    import prefect

    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    clients = [prefect.Client()]
    if "api_server" in inspect.signature(prefect.Client).parameters:
        clients.append(prefect.Client(api_server="https://api.prefect.io"))
    for client in clients:
        client.token = client._api_token = "token"
        with pytest.raises(CloudUnreachable, match="use the fixture prefect_cloud"):
            client.graphql("query { hello }")
    assert waits == []  # Prefect retries a refused connection for 63 s


@pytest.mark.slow
def test_nor_by_a_child(local_secrets):
    """A child gets an unreachable address that names the fixture."""
    code = "import prefect, requests; requests.post(prefect.config.cloud.api)"
    child = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert child.returncode == 1
    assert "use-the-fixture-prefect_cloud" in child.stderr.splitlines()[-1]


def test_an_api_of_the_test_can_be_reached(local_secrets, monkeypatch, tmp_path):
    """An address in a file or a variable works, and HTTP mocks come before the guard."""
    import prefect
    import requests

    local_secrets.write_config("[cloud]\nendpoint = 'http://127.0.0.1:1/x'\napi = 'http://127.0.0.1:1/x'\n")
    assert prefect.config.cloud.api == "http://127.0.0.1:1/x"
    assert "PREFECT__CLOUD__ENDPOINT" not in local_secrets.environ
    own = tmp_path / "own.toml"
    own.write_text("[cloud]\nendpoint = 'http://127.0.0.1:3/x'\napi = 'http://127.0.0.1:3/x'\n")
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(own))
    local_secrets.reload()
    assert prefect.config.cloud.api == "http://127.0.0.1:3/x"
    monkeypatch.setenv("PREFECT__CLOUD__API", "http://127.0.0.1:2/x")
    local_secrets.reload()
    assert prefect.config.cloud.api == "http://127.0.0.1:2/x"
    with pytest.raises(requests.ConnectionError):
        requests.get(prefect.config.cloud.api, timeout=5)
    answer = requests.Response()
    with monkeypatch.context() as mocked:
        mocked.setattr("requests.adapters.HTTPAdapter.send", lambda *args, **kwargs: answer)
        assert requests.Session().get_adapter("https://api.prefect.io").send(None) is answer


def test_a_mock_that_outlives_the_isolation(monkeypatch):
    """A mock that restores the guard after the isolation blocks no requests."""
    from requests.adapters import HTTPAdapter

    original = HTTPAdapter.send
    with isolated_prefect():
        guard = HTTPAdapter.send
        assert guard is not original
        monkeypatch.setattr(HTTPAdapter, "send", "a mock")
    assert HTTPAdapter.send == "a mock"
    monkeypatch.undo()
    assert HTTPAdapter.send is guard

    class Request:
        url = "https://api.prefect.io"

    with pytest.raises(AttributeError):  # from the real `send`, because the argument is not a request
        HTTPAdapter.send(object(), Request())
    HTTPAdapter.send = original
