"""Settings of the developer, values and calls at the edges."""

from __future__ import annotations

import asyncio
import logging
import os

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL

from pytest_flowsecrets import SecretChangedWarning, UsageError, isolated_prefect
from pytest_flowsecrets.isolation.prefect3 import hidden_files
from tests.prefect3.compat import IS_TYPED, RELEASE

FLOW_THAT_LOGS = """
from prefect import flow, get_run_logger

@flow
def greet():
    get_run_logger().info("hello")

def test_it(prefect_server):
    greet()
    assert "hello" in [log["message"] for log in prefect_server.logs]
"""


@flow
def do_nothing():
    pass


@pytest.mark.skipif(RELEASE < (3, 1, 0), reason="Prefect reads prefect.toml from 3.1 on")
def test_settings_without_a_default_in_a_file_of_the_developer(run_tests, pytester):
    """Settings that have no value without the file, and mappings, are hidden, and settings of the test count."""
    pytester.path.joinpath("prefect.toml").write_text(
        "[tasks.runner]\nthread_pool_max_workers = 5\n[results]\ndefault_storage_block = 's3-bucket/prod'\n"
        "[api]\nkey = 'of-the-developer'\n[flows]\ndefault_retries = 7\n"
    )
    pytester.path.joinpath(".env").write_text('PREFECT_CLIENT_CUSTOM_HEADERS={"x-developer": "hidden-header"}\n')
    result = run_tests(
        """
import subprocess, sys
from prefect.settings import get_current_settings

def values():
    settings = get_current_settings()
    return (settings.tasks.runner.thread_pool_max_workers, settings.results.default_storage_block,
            settings.api.key, settings.flows.default_retries)

def test_it(prefect_home):
    assert values() == (None, None, None, 0)
    prefect_home.write_settings("[flows]\\ndefault_retries = 2\\n")
    assert values() == (None, None, None, 2)
    code = "from prefect.settings import get_current_settings as s; print(repr(s().api.key), s().client)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "of-the-developer" not in done.stdout
    assert "hidden-header" not in done.stdout + repr(get_current_settings().client)
"""
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[project]\ndependencies = ['prefect>=3']\n[tool.mypy]\nstrict = true\n", False),
        ("[tool.prefect]\ndebug_mode = true\n", True),
        ("[tool . 'prefect' . api]\nurl = 'x'\n", True),
        ("tool.prefect.debug_mode = true\n", True),
        ("[tool]\nprefect = {debug_mode = true}\n", True),
        ("tool = {prefect = {debug_mode = true}}\n", True),
    ],
)
def test_a_dependency_on_prefect_is_no_setting(tmp_path, text, expected):
    """Prefect's settings are read once more only if ``pyproject.toml`` may hold some."""
    tmp_path.joinpath("pyproject.toml").write_text(text, "utf-8")
    assert hidden_files.have_settings(str(tmp_path)) is expected


def test_the_logging_level_of_the_developer_is_hidden(run_tests, monkeypatch):
    """A test finds its logs, whatever level the shell has set."""
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "ERROR")
    run_tests(FLOW_THAT_LOGS).assert_outcomes(passed=1)


def test_the_logging_level_is_that_of_the_settings(local_secrets, monkeypatch):
    """A level that a test sets applies after a reload, and is restored. A level of another origin stays."""
    do_nothing()  # lets Prefect set its loggers up
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
    local_secrets.reload()
    logger = logging.getLogger("prefect")
    assert logger.level == logging.CRITICAL
    logger.setLevel(33)
    with isolated_prefect():
        assert logger.level == 33
    assert logger.level == 33


@pytest.mark.skipif(not IS_TYPED, reason="Prefect 2.20 stores text only")
def test_the_marker_warns_of_names_in_any_spelling(run_tests):
    """A value that Prefect changes is reported for an identifier and for the name of a block."""
    result = run_tests(
        """
import pytest

@pytest.mark.secrets(PIN="42")
def test_identifier(): pass

@pytest.mark.secrets({"other-pin": "42"})
def test_name(): pass
"""
    )
    assert result.parseoutcomes()["warnings"] == 2
    with pytest.warns(SecretChangedWarning, match="'pin'"), isolated_prefect({"PIN": "42"}):
        pass


def test_an_asynchronous_function_is_isolated():
    """The decorator isolates until the result is there."""

    @isolated_prefect({"TOKEN": "hidden"})
    async def read():
        await asyncio.sleep(0)
        return PREFECT_API_URL.value(), os.environ["PREFECT_API_URL"]

    outside = PREFECT_API_URL.value()
    url, variable = asyncio.run(read())
    assert url == variable != outside
    assert PREFECT_API_URL.value() == outside


def test_a_blocked_socket_is_one_clear_error(run_tests):
    """A plugin that blocks sockets is named, and later tests are not affected."""
    result = run_tests(
        """
import socket
import pytest
from prefect.blocks.system import Secret

class BlockedError(RuntimeError): pass

def refuse(*_, **__): raise BlockedError("blocked")

@pytest.fixture
def blocked(request):
    real, socket.socket = socket.socket, refuse
    yield
    socket.socket = real

@pytest.fixture(autouse=True)
def first(request):
    if request.node.name == "test_blocked":
        request.getfixturevalue("blocked")

def test_blocked():
    from pytest_flowsecrets import UsageError, isolated_prefect
    with pytest.raises(UsageError, match="BlockedError.*allow them"), isolated_prefect(): pass

@pytest.mark.secrets(T="v")
def test_free(): assert Secret.load("t").get() == "v"
""",
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=2)


@pytest.mark.variables(cfg="text" if not IS_TYPED else {"x": [1]})
@pytest.mark.parametrize("number", [1, 2])
def test_a_test_cannot_change_the_values_of_its_marker(prefect_server, number):
    """Values are copied in and out."""
    value = prefect_server.variables["cfg"]
    assert value in ("text", {"x": [1]})
    if IS_TYPED:
        value["x"].append(number)
        assert prefect_server.variables["cfg"] == {"x": [1]}


@pytest.mark.parametrize(
    ("name", "value"), [("v", "\ud800"), ("v", "x" * 6000), (3, "x")], ids=["surrogate", "long", "number"]
)
def test_variables_that_prefect_cannot_read(prefect_server, name, value):
    """Prefect could not store or read them, so a test cannot either."""
    with pytest.raises(UsageError, match="variable"):
        prefect_server.variables[name] = value


def test_secrets_that_prefect_cannot_read(local_secrets, prefect_server):
    """A text that is not Unicode, and a name that only looks like ASCII, are one clear error."""
    with pytest.raises(UsageError, match="JSON data"):
        local_secrets["q"] = "\ud800"
    with pytest.raises(UsageError, match="cannot name a Secret block"):
        local_secrets["\u212a"] = "x"
    local_secrets["q"] = "x"
    with pytest.raises(UsageError, match="the block 'secret/q' are not a mapping: write"):
        prefect_server.blocks.holds("secret/q", "x")
    assert prefect_server.blocks.holds("secret/q", {"value": "x"})


@pytest.mark.parametrize("text", ["a b"])
def test_the_error_of_an_ended_api_names_the_whole_test(text):
    """The id of the test is complete, also with a space in it."""
    with isolated_prefect():
        url = os.environ["PREFECT_API_URL"]
    with pytest.raises(Exception, match="410") as caught, isolated_prefect():
        import httpx

        response = httpx.get(f"{url}/health")
        assert text in response.text
        response.raise_for_status()
    assert caught.value.response.status_code == 410


def test_names_that_no_secret_can_have(local_secrets):
    """The mapping holds no such secret, as any mapping says it; only setting one is an error."""
    assert "a b" not in local_secrets
    assert local_secrets.get("a b") is None
    assert local_secrets.pop("a b", 7) == 7
    with pytest.raises(KeyError, match="a b"):
        local_secrets["a b"]
    with pytest.raises(UsageError, match="cannot name a Secret block"):
        local_secrets["a b"] = "x"


@pytest.mark.secrets({"github-access-token": "far", "other-token": "far"})
class TestSpellings:
    """A mark and a closer one that spell a name differently."""

    @pytest.mark.secrets(GITHUB_ACCESS_TOKEN="close")
    def test_the_closer_mark_overrides_the_other_spelling(self, local_secrets):
        """The block has the value of the closer mark, and other secrets stay."""
        assert dict(local_secrets) == {"github-access-token": "close", "other-token": "far"}


# -- tasks of one event loop -------------------------------------------------------------------------------------------


async def _isolated(value, entered, proceed):
    with isolated_prefect({"A": value}) as secrets:
        entered.set()
        await proceed.wait()
        return secrets["A"]


def test_overlapping_isolations_of_two_tasks_are_an_error():
    """The second task gets a clear error, and the first one keeps its secrets."""

    async def main():
        entered, proceed = asyncio.Event(), asyncio.Event()
        first = asyncio.ensure_future(_isolated("one", entered, proceed))
        await entered.wait()
        with pytest.raises(UsageError, match=r"another task enters one: .* enter one around both tasks"):
            await asyncio.ensure_future(_isolated("two", asyncio.Event(), proceed))
        proceed.set()
        assert await first == "one"
        proceed.clear()
        later = asyncio.ensure_future(_isolated("three", asyncio.Event(), proceed))
        proceed.set()
        assert await later == "three"

    asyncio.run(main())


def test_a_task_nests_in_the_isolation_of_the_task_that_created_it():
    """This is correct nesting, which ends in order."""

    async def main():
        with isolated_prefect({"A": "outer"}) as outer:
            proceed = asyncio.Event()
            proceed.set()
            assert await asyncio.gather(_isolated("inner", asyncio.Event(), proceed)) == ["inner"]
            assert outer["A"] == "outer"

    with isolated_prefect():
        asyncio.run(main())


def test_blocked_sockets_after_the_api_has_started(run_tests, pytester):
    """Each test that fails because a plugin blocks sockets gets a line with the next step, and other failures do not."""
    pytester.makeconftest(
        """
import socket
import pytest

class Guarded(socket.socket):  # as pytest-socket does
    def __new__(cls, *args, **kwargs):
        raise RuntimeError("A test tried to use socket.socket.")

@pytest.fixture
def socket_disabled(monkeypatch):
    monkeypatch.setattr(socket, "socket", Guarded)
"""
    )
    result = run_tests(
        """
import pytest
from prefect import flow
from prefect.blocks.system import Secret

@flow
def do_nothing():
    pass

@pytest.mark.secrets(TOKEN="x")
def test_open():
    assert Secret.load("token").get() == "x"

@pytest.mark.secrets(TOKEN="x")
def test_block(socket_disabled):
    Secret.load("token")

def test_flow(prefect_server, socket_disabled):
    do_nothing()

def test_other(prefect_server, socket_disabled):
    assert 1 == 2
""",
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=1, failed=3)
    lines = [line for line in result.outlines if line.startswith("a plugin blocks sockets")]
    assert len(lines) == 2
    assert all('@pytest.mark.allow_hosts(["127.0.0.1"])' in line for line in lines)
