"""What an isolation of Prefect 2.20 and 3 hides, where it is in effect, and that everything is back afterwards."""

from __future__ import annotations

import asyncio
import contextvars
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress

import prefect.context
import pytest
from prefect import flow, get_run_logger, task
from prefect.blocks.system import Secret
from prefect.events import emit_event
from prefect.settings import (
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_DEFAULT_RESULT_STORAGE_BLOCK,
    PREFECT_HOME,
    PREFECT_LOGGING_EXTRA_LOGGERS,
    Settings,
    temporary_settings,
)
from pydantic import TypeAdapter

from pytest_flowsecrets import isolated_prefect
from pytest_flowsecrets.isolation import stack
from tests.prefect3.compat import HAS_FILES, RELEASE

LOAD = "from prefect.blocks.system import Secret; print(Secret.load('a').get())"


def load():
    return Secret.load("a").get()


def state():
    """Return everything that an isolation changes in this process."""
    context = prefect.context.GLOBAL_SETTINGS_CONTEXT
    return (
        id(context),
        id(context.settings),
        id(context.profile),
        PREFECT_API_URL.value(),
        str(PREFECT_HOME.value()),
        {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        stack.depth(),
    )


@pytest.fixture(autouse=True)
def unchanged():
    """Check after each test that everything is as before."""
    if stack.depth():  # the test has an isolation of its own, which ends later
        yield
        return
    before = state()
    yield
    assert state() == before


# -- everywhere in this process ----------------------------------------------------------------------------------------


def test_threads_and_pools_that_are_older_than_the_isolation():
    """A thread and a pool that started before see the isolation, and afterwards the developer's settings."""
    with ThreadPoolExecutor(1) as pool:
        outside = pool.submit(PREFECT_API_URL.value).result()
        begin, values = threading.Event(), []

        def old_thread():
            begin.wait()
            values.append(load())

        thread = threading.Thread(target=old_thread)
        thread.start()
        with isolated_prefect({"A": "x"}):
            begin.set()
            thread.join()
            assert pool.submit(load).result() == "x"
            assert pool.submit(lambda: asyncio.run(_aload())).result() == "x"
        assert values == ["x"]
        assert pool.submit(PREFECT_API_URL.value).result() == outside


async def _aload():
    return (await Secret.load("a")).get()


def test_contexts_that_were_copied_before():
    """A copied context sees the isolation, also one with settings of its own from ``temporary_settings``."""
    plain = contextvars.copy_context()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        own = contextvars.copy_context()
        with isolated_prefect({"A": "x"}):
            assert [plain.run(load), own.run(load), load()] == ["x", "x", "x"]
        assert own.run(PREFECT_API_URL.value) == PREFECT_API_URL.value() == "http://127.0.0.1:9/api"


def test_event_loops():
    """A loop and a task in it that are older than the isolation see it, and so does ``asyncio.to_thread``."""

    async def main():
        begin = asyncio.Event()

        async def old_task():
            await begin.wait()
            return await _aload()

        waiting = asyncio.ensure_future(old_task())
        await asyncio.sleep(0)
        with isolated_prefect({"A": "x"}):
            begin.set()
            loop = asyncio.get_running_loop()
            return [await waiting, await _aload(), await loop.run_in_executor(None, load)]

    assert asyncio.run(main()) == ["x", "x", "x"]


def test_flows_and_submitted_tasks():
    """A flow, its tasks and tasks in other threads read the secret of the isolation."""

    @task
    def in_task():
        return load()

    @flow
    def reads():
        submitted = in_task.submit()
        return [load(), in_task(), submitted.result()]

    for value in ("one", "two"):
        with isolated_prefect({"A": value}):
            assert reads() == [value] * 3


# -- children ----------------------------------------------------------------------------------------------------------


def put(queue):
    queue.put(load())


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork in a process with threads
def test_children_of_multiprocessing(method):
    """A child of every start method reads the secret of the isolation."""
    context = multiprocessing.get_context(method)
    for value in ("one",) if method == "spawn" else ("one", "two"):  # what is forked could carry an earlier isolation
        with isolated_prefect({"A": value}):
            queue = context.SimpleQueue()
            process = context.Process(target=put, args=(queue,))
            process.start()
            assert queue.get() == value
            process.join()


def test_a_subprocess(child, tmp_path):
    """A subprocess reads the secret, with the inherited environment and with ``local_secrets.environ``."""
    with isolated_prefect({"A": "x"}) as secrets:
        assert child(LOAD, cwd=tmp_path) == "x"
        bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        assert child(LOAD, cwd=tmp_path, env={**bare, **secrets.environ}) == "x"


# -- what is hidden ----------------------------------------------------------------------------------------------------

DEVELOPER = """
active = "work"

[profiles.work]
PREFECT_API_URL = "http://127.0.0.1:9/api/of-profile"
PREFECT_API_KEY = "pnu_of_profile"
PREFECT_LOGGING_LEVEL = "CRITICAL"
"""
SETTINGS = """
import json
from prefect.settings import PREFECT_API_KEY, PREFECT_API_URL, PREFECT_HOME, PREFECT_LOGGING_LEVEL

def value(setting):
    value = setting.value()
    return value.get_secret_value() if hasattr(value, "get_secret_value") else str(value) if value else value
"""
SHOW = "[value(each) for each in (PREFECT_API_URL, PREFECT_API_KEY, PREFECT_HOME, PREFECT_LOGGING_LEVEL)]"
HIDDEN = f"""
import os, subprocess, sys
import pytest
from prefect.blocks.system import Secret
{SETTINGS}
SHOW = {SHOW!r}
SETTINGS = {SETTINGS!r}

def show():
    return eval(SHOW)

@pytest.fixture(scope="session", autouse=True)
def outside():
    yield show()

@pytest.mark.secrets(A="x")
@pytest.mark.parametrize("number", [1, 2])
def test_isolated(number, prefect_home):
    url, key, home, level = show()
    assert url.startswith("http://127.0.0.1:") and "/of-" not in url
    assert (key or None, home, level) == (None, str(prefect_home.path), "INFO")
    if number == 2:
        code = SETTINGS + "print(json.dumps(" + SHOW + "))"
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        child = json.loads(done.stdout.splitlines()[-1])
        assert (child[0], child[1] or None, *child[2:]) == (url, None, home, "INFO")
    with open(os.path.expanduser("~/.prefect/profiles.toml"), "a") as file:
        file.write("[profiles.x]\\n")

@pytest.fixture(scope="session")
def requested_by_a_test():
    return show()

@pytest.mark.secrets(A="x")
def test_a_wider_fixture_runs_outside(request):
    own = show()
    assert request.getfixturevalue("requested_by_a_test") == EXPECTED
    assert show() == own
    assert Secret.load("a").get() == "x"

def test_bare(outside):
    assert show() == outside == EXPECTED
"""


def _expect(url, key, home, level):
    return HIDDEN.replace("EXPECTED", repr([url, key, str(home), level]))


@pytest.fixture
def developer(pytester, monkeypatch):
    """A home of a developer with a profile, for the processes that a test starts."""
    home = pytester.mkdir("developer")
    (home / ".prefect").mkdir()
    (home / ".prefect" / "profiles.toml").write_text(DEVELOPER)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    return home


def test_the_profile_of_the_developer_is_hidden(run_tests, developer):
    """URL, key and level of the active profile reach fixtures of a wider scope, but no isolated test and no child."""
    source = _expect("http://127.0.0.1:9/api/of-profile", "pnu_of_profile", developer / ".prefect", "CRITICAL")
    run_tests(source).assert_outcomes(passed=4)
    assert (developer / ".prefect" / "profiles.toml").read_text() == DEVELOPER


def test_the_variables_of_the_developer_are_hidden(run_tests, developer, monkeypatch):
    """Variables of the shell do not reach an isolated test or its children, and are set again afterwards."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api/of-shell")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_of_shell")
    monkeypatch.setenv("PREFECT_PROFILE", "work")
    source = _expect(
        "http://127.0.0.1:9/api/of-shell",
        "pnu_of_shell",
        developer / ".prefect",
        "CRITICAL",
    )
    result = run_tests(source)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["flowsecrets: hidden from isolated tests: *PREFECT_API_URL*"])


FILES = {
    ".env": "PREFECT_API_URL=http://127.0.0.1:9/api/of-file\nPREFECT_API_KEY=pnu_of_file\nPREFECT_LOGGING_LEVEL=ERROR\n",
    "prefect.toml": (
        '[api]\nurl = "http://127.0.0.1:9/api/of-file"\nkey = "pnu_of_file"\n[logging]\nlevel = "ERROR"\n'
    ),
    "pyproject.toml": (
        '[tool.prefect.api]\nurl = "http://127.0.0.1:9/api/of-file"\nkey = "pnu_of_file"\n'
        '[tool.prefect.logging]\nlevel = "ERROR"\n'
    ),
}


@pytest.mark.skipif(not HAS_FILES, reason="Prefect 2.20 reads no files in the working directory")
@pytest.mark.parametrize("name", FILES)
def test_the_files_of_the_working_directory_are_hidden(run_tests, developer, pytester, name):
    """Settings in a file of the project do not reach an isolated test or its children."""
    if RELEASE < (3, 1, 0) and name != ".env":
        pytest.skip("Prefect reads this file from 3.1 on")
    (pytester.path / name).write_text(FILES[name])
    source = _expect("http://127.0.0.1:9/api/of-file", "pnu_of_file", developer / ".prefect", "ERROR")
    run_tests(source).assert_outcomes(passed=4)


def _settings_without_a_value(model, path=()):
    """Yield the path and the variable of each setting without a value, with a text that is valid for it."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if hasattr(value, "model_fields_set"):
            yield from _settings_without_a_value(value, (*path, name))
        elif value is None:
            for text in ("hidden", "47", "true", "sqlite+aiosqlite"):
                with suppress(ValueError):
                    TypeAdapter(field.annotation).validate_python(text)
                    yield (*path, name), f"{model.model_config['env_prefix']}{name}".upper(), text
                    break


@pytest.fixture
def project(monkeypatch, tmp_path):
    """A working directory whose files set settings with and without a default, also as the JSON of a table."""
    monkeypatch.chdir(tmp_path)
    without = list(_settings_without_a_value(Settings()))
    assert len(without) > 10
    lines = ['PREFECT_LOGGING={"level": "ERROR"}', "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK=s3-bucket/prod"]
    if RELEASE >= (3, 1, 0):  # Prefect parses .env again for each table
        tables = {}
        for (*table, name), _, text in without:
            tables.setdefault(".".join(["tool", "prefect", *table]), []).append(f'{name} = "{text}"')
        text = "".join("\n".join([f"[{table}]", *entries, ""]) for table, entries in tables.items())
        (tmp_path / "pyproject.toml").write_text(text)
        (tmp_path / "prefect.toml").write_text("[flows]\ndefault_retries = 7\n")
    else:
        lines += [f"{variable}={text}" for _, variable, text in without]
    (tmp_path / ".env").write_text("\n".join(lines))
    return without


@pytest.mark.skipif(not HAS_FILES, reason="Prefect 2.20 reads no files in the working directory")
def test_settings_without_a_default_are_hidden_everywhere(project, child, monkeypatch):
    """Files of the project set no setting, and variables and ``temporary_settings`` of the test still do."""
    with isolated_prefect() as secrets:
        isolated = prefect.context.get_settings_context().settings
        _check_hidden(Settings(), isolated, project)
        with temporary_settings({PREFECT_LOGGING_EXTRA_LOGGERS: "a"}):
            _check_hidden(prefect.context.get_settings_context().settings, isolated, project)
        with prefect.context.use_profile("ephemeral", include_current_context=True):
            _check_hidden(prefect.context.get_settings_context().settings, isolated, project)
        with temporary_settings({PREFECT_DEFAULT_RESULT_STORAGE_BLOCK: "local-file-system/of-test"}):
            settings = prefect.context.get_settings_context().settings
            assert settings.results.default_storage_block == "local-file-system/of-test"
            own = settings.to_environment_variables(exclude_unset=True)  # as a worker passes it on
        code = (
            "from prefect.settings import get_current_settings as get; s = get()\n"
            "print(s.results.default_storage_block, s.deployments.default_work_pool_name, s.api.key, s.flows.default_retries,"
            " s.logging.level, s.server.database.user)"
        )
        hidden = f"None 0 {isolated.logging.level}"
        assert child(code, env={**os.environ, **own}) == f"local-file-system/of-test None {hidden} None"
        environ = {**os.environ}
        monkeypatch.setenv("PREFECT_API_DATABASE_USER", "user-of-test")
        code = "import json, os; print(json.loads(os.environ['PREFECT_SERVER'])['database']['user'])"
        assert child(code) == "user-of-test"
        assert Settings().server.database.user == "user-of-test"
        for user in ("first", "second"):  # in one mapping
            environ["PREFECT_API_DATABASE_USER"] = user
            assert child(code, env=environ) == user
        monkeypatch.setenv("PREFECT_SERVER_DATABASE_NAME", "name-of-test")
        secrets.reload()
        assert Settings().server.database.name == "name-of-test"


def _check_hidden(settings, isolated, project):
    for path, variable, _ in project:
        value, expected = settings, isolated
        for name in path:
            value, expected = getattr(value, name), getattr(expected, name)
        assert _text(value) == _text(expected), variable
    assert settings.logging.level == isolated.logging.level
    assert settings.flows.default_retries == 0
    assert settings.deployments.default_work_pool_name is None


def test_variables_that_the_run_declares_are_kept(run_tests, developer, pytester):
    """A variable that ``conftest.py`` sets is in effect in an isolated test, except the address of the API."""
    pytester.makeconftest(
        "import os\n"
        "os.environ['PREFECT_LOGGING_LEVEL'] = 'WARNING'\n"
        "os.environ['PREFECT_API_URL'] = 'http://127.0.0.1:9/api/of-conftest'\n"
    )
    result = run_tests(
        """
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_LEVEL

@pytest.mark.secrets(A="x")
def test_it():
    assert PREFECT_LOGGING_LEVEL.value() == "WARNING"
    assert "/of-" not in PREFECT_API_URL.value()
"""
    )
    result.assert_outcomes(passed=1)


# -- changes of settings by the test -----------------------------------------------------------------------------------


def test_reload_reads_variables_that_the_test_has_set(local_secrets, monkeypatch):
    """After ``monkeypatch.setenv`` and ``reload()``, Prefect uses the variable."""
    url = PREFECT_API_URL.value()
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "ERROR")
    local_secrets.reload()
    assert prefect.settings.PREFECT_LOGGING_LEVEL.value() == "ERROR"
    assert PREFECT_API_URL.value() == url
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api/of-test")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_of_test")
    local_secrets.reload()
    assert PREFECT_API_URL.value() == "http://127.0.0.1:9/api/of-test"
    assert _text(PREFECT_API_KEY.value()) == "pnu_of_test"
    assert "PREFECT_API_SSL_CERT_FILE" not in os.environ


def _text(value):
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def test_a_setting_that_prefect_rejects_is_one_clear_error(local_secrets, monkeypatch):
    """The error names the setting and never its value, and the previous settings stay in effect."""
    from pytest_flowsecrets import UsageError

    url = PREFECT_API_URL.value()
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "hidden-level")
    with pytest.raises(UsageError, match="cannot read its settings") as caught:
        local_secrets.reload()
    assert "hidden-level" not in str(caught.value)
    assert PREFECT_API_URL.value() == url


def test_the_home_of_a_test_holds_profiles(prefect_home, child):
    """A profile in the private home is in effect at once, in this process and in children."""
    prefect_home.write_profiles({"active": "mine", "profiles": {"mine": {"PREFECT_LOGGING_LEVEL": "ERROR"}}})
    assert prefect.settings.PREFECT_LOGGING_LEVEL.value() == "ERROR"
    assert prefect.context.get_settings_context().profile.name == "mine"
    code = "from prefect.settings import PREFECT_LOGGING_LEVEL; print(PREFECT_LOGGING_LEVEL.value())"
    assert child(code) == "ERROR"
    prefect_home.write_profiles('active = "other"\n[profiles.other]\nPREFECT_LOGGING_LEVEL = "DEBUG"\n')
    assert prefect.settings.PREFECT_LOGGING_LEVEL.value() == "DEBUG"


@pytest.mark.skipif(RELEASE < (3, 1, 0), reason="Prefect reads prefect.toml from 3.1 on")
def test_the_home_of_a_test_holds_settings(prefect_home):
    """``prefect.toml`` in the private home is in effect at once."""
    prefect_home.write_settings('[logging]\nlevel = "ERROR"\n')
    assert prefect.settings.PREFECT_LOGGING_LEVEL.value() == "ERROR"


def test_a_profile_that_prefect_rejects_is_undone(prefect_home):
    """A file that is not TOML, or that Prefect cannot use, is one clear error, and the previous file stays."""
    from pytest_flowsecrets import ConfigSyntaxError, UsageError

    prefect_home.write_profiles('active = "a"\n[profiles.a]\nPREFECT_LOGGING_LEVEL = "ERROR"\n')
    with pytest.raises(ConfigSyntaxError):
        prefect_home.write_profiles("active = hidden value")
    with pytest.raises(UsageError, match="cannot read its settings") as caught:
        prefect_home.write_profiles({"active": "a", "profiles": {"a": {"PREFECT_API_REQUEST_TIMEOUT": "hidden value"}}})
    assert "hidden value" not in str(caught.value)
    assert prefect.settings.PREFECT_LOGGING_LEVEL.value() == "ERROR"
    assert "ERROR" in (prefect_home.path / "profiles.toml").read_text()


def test_the_real_package_is_a_fixture(real_prefect, local_secrets):
    """``real_prefect`` is the imported package, isolated."""
    assert real_prefect is prefect
    local_secrets["A"] = "x"
    assert real_prefect.flow(load)() == "x"


@pytest.mark.parametrize("number", range(2))
def test_results_are_stored_in_the_home_of_the_test(number, prefect_home):
    """A persisted result goes into the private home, and the next test does not see it."""
    storage = prefect_home.path / "storage"
    assert not storage.exists() or list(storage.iterdir()) == []
    flow(lambda: number, name="persists", persist_result=True)()
    assert [path.is_file() for path in storage.iterdir()] == [True]


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_everything_is_back_after_an_exception(error):
    """An exception of any kind in the isolation ends it."""
    with pytest.raises(error), isolated_prefect({"A": "x"}):
        os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"
        raise error


def test_everything_is_back_after_an_error_while_entering():
    """A name that cannot be that of a block ends the isolation before it begins."""
    with pytest.raises(Exception, match="cannot name a Secret block"), isolated_prefect({"a b": "x"}):
        pass


def test_isolations_nest():
    """The inner isolation has its own secrets, and the outer one continues afterwards."""
    with isolated_prefect({"A": "outer", "B": "outer"}) as outer:
        url = PREFECT_API_URL.value()
        with isolated_prefect({"A": "inner"}) as inner:
            assert load() == "inner"
            assert list(inner) == ["a"]
            assert PREFECT_API_URL.value() != url
        assert PREFECT_API_URL.value() == url
        assert load() == outer["a"] == "outer"


def test_an_api_ends_with_its_isolation(request):
    """A client that still uses the address of an ended test gets an error that says so."""
    with isolated_prefect({"A": "x"}):
        url = PREFECT_API_URL.value()
    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(
        Exception, match=f"the API of .*{request.node.name} has ended"
    ):
        Secret.load("a")


# -- background senders ------------------------------------------------------------------------------------------------


@task
def logs():
    from prefect import get_run_logger

    get_run_logger().info("of %s", PREFECT_API_URL.value())


@flow
def reports():
    from prefect import get_run_logger

    get_run_logger().info("of %s", PREFECT_API_URL.value())
    logs()


@pytest.mark.parametrize("number", range(3))
@pytest.mark.secrets(A="x")
def test_events_and_logs_of_a_test_stay_with_it(number, flowsecrets_isolation):
    """After the flow and the end of its senders, the API holds one task run and the logs of this test alone."""
    view = flowsecrets_isolation.api._view
    reports()
    flowsecrets_isolation.prefect.drain()
    assert len(view.rows("flow_runs")) == 1
    assert [row["state_type"] for row in view.rows("task_runs")] == ["COMPLETED"]
    messages = [row["message"] for row in view.rows("logs") if row["message"].startswith("of ")]
    assert messages == [f"of {view.url}"] * 2


# -- whole runs --------------------------------------------------------------------------------------------------------


def test_a_run_with_failures_xdist_and_random_order(run_tests, pytester):
    """In two processes and in random order, each test sees its own secrets only, whatever others do."""
    source = """
import os
import pytest
from prefect import flow
from prefect.blocks.system import Secret

@flow
def reads():
    return Secret.load("a").get()

@pytest.mark.parametrize("number", range(8))
def test_it(number, local_secrets):
    local_secrets["A"] = f"value-{number}"
    os.environ["PREFECT_LEFT_OVER"] = "x"
    assert reads() == f"value-{number}"
    assert number % 4, "fails on purpose"

def test_plain(local_secrets):
    assert dict(local_secrets) == {}
    assert "PREFECT_LEFT_OVER" not in os.environ
"""
    result = run_tests(source, "-n", "2", "-p", "randomly", plugins=("xdist",))
    result.assert_outcomes(passed=7, failed=2)


def test_asynchronous_tests(run_tests):
    """An ``async`` test of pytest-asyncio sees its own secrets, and its events and logs stay with it."""
    result = run_tests(
        """
import pytest
from prefect import flow, task
from prefect.blocks.system import Secret

@task
async def use():
    return (await Secret.load("a")).get()

@flow
async def reads():
    return await use()

@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(3))
async def test_it(number, prefect_server, local_secrets):
    local_secrets["A"] = f"value-{number}"
    assert await reads() == f"value-{number}"
    assert [row["state_type"] for row in prefect_server.task_runs] == ["COMPLETED"]
""",
        plugins=("pytest_asyncio.plugin",),
        ini="[pytest]\nasyncio_default_fixture_loop_scope = function\n",
    )
    result.assert_outcomes(passed=3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork in a process with threads
def test_a_fork_with_an_isolation_of_its_own():
    """A fork can enter its own isolation, with an API of its own, and the one of its parent goes on."""
    with isolated_prefect({"A": "of the parent"}):
        queue = multiprocessing.get_context("fork").SimpleQueue()

        def child():
            with isolated_prefect({"A": "of the child"}):
                queue.put(load())
            queue.put(load())

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        assert [queue.get(), queue.get()] == ["of the child", "of the parent"]
        process.join()
        assert load() == "of the parent"


def test_isolation_of_all_tests(run_tests, developer):
    """With ``--flowsecrets-isolation=all``, tests without a marker are isolated, too."""
    result = run_tests(
        """
from prefect.settings import PREFECT_API_URL

def test_it():
    assert "of-profile" not in PREFECT_API_URL.value()
""",
        "--flowsecrets-isolation=all",
    )
    result.assert_outcomes(passed=1)


def test_a_private_name_that_a_release_has_moved_is_one_clear_error(run_tests, pytester):
    """If Prefect no longer has a name that the isolation uses, the error names it, and bare tests run."""
    pytester.makeconftest("import prefect.context\ndel prefect.context.GLOBAL_SETTINGS_CONTEXT\n")
    result = run_tests(
        """
import pytest

@pytest.mark.secrets(A="x")
def test_marked(): pass

def test_bare(): pass
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*no longer has prefect.context.GLOBAL_SETTINGS_CONTEXT, which pytest-flowsecrets uses: pip install -U *"]
    )
    assert "Traceback" not in result.stdout.str()


def test_nothing_is_left_on_the_disk(tmp_path):
    """A process that has isolated a test leaves no file in the system's folder for temporary files."""
    code = (
        "from pytest_flowsecrets import isolated_prefect\n"
        "from prefect import flow\n"
        "with isolated_prefect({'A': 'x'}):\n"
        "    flow(lambda: None, name='f')()\n"
    )
    environ = {**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=240, stderr=subprocess.DEVNULL)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("flowsecrets")] == []
    assert json.dumps([path.name for path in (tmp_path / "home" / ".prefect").rglob("*.db")]) == "[]"


# -- flow runs that outlive their isolation ----------------------------------------------------------------------------


class Lingering:
    """A flow in another thread, which reports after its isolation has ended."""

    def __init__(self, *, is_async):
        started, self._proceed = threading.Event(), threading.Event()

        @task
        def step():
            get_run_logger().info("late line of a task")

        def report():
            self._proceed.wait(120)
            get_run_logger().info("late line")
            emit_event("late event", {"prefect.resource.id": "late"})
            step()
            step.submit().wait()

        @flow
        def lingers():
            started.set()
            report()

        @flow
        async def alingers():
            started.set()
            await asyncio.to_thread(self._proceed.wait, 120)
            report()

        self._thread = threading.Thread(target=self._run, args=[alingers if is_async else lingers])
        self._thread.start()
        assert started.wait(120)

    @staticmethod
    def _run(run):
        with suppress(Exception):  # its API has ended
            result = run()
            if asyncio.iscoroutine(result):
                asyncio.run(result)

    def end(self):
        self._proceed.set()
        self._thread.join(120)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.filterwarnings("ignore")
def test_runs_that_outlive_their_isolation_report_to_no_other_api(prefect_server, is_async):
    """Neither the API of the next isolation nor the one from before, such as the developer's, gets a log or an event."""
    before = prefect.context.GLOBAL_SETTINGS_CONTEXT
    for next_isolation in (isolated_prefect, nullcontext):
        with isolated_prefect():
            lingering = Lingering(is_async=is_async)
        with next_isolation():
            api = stack.current().api
            assert do_nothing_in_a_flow() == api.url
            lingering.end()
            assert [line["message"] for line in api.logs if "late" in line["message"]] == []
            assert [event["event"] for event in api.events if "late" in event["event"]] == []
            assert {run["name"] for run in api.flow_runs} == {"mine"}
            assert {run["task_key"].partition("-")[0] for run in api.task_runs} == set()
            assert {line["flow_run_id"] for line in api.logs} == {run["id"] for run in api.flow_runs}
    with isolated_prefect():
        pass
    assert prefect.context.GLOBAL_SETTINGS_CONTEXT is before
    assert len({run["id"] for run in prefect_server.flow_runs}) == 1


@flow(flow_run_name="mine")
def do_nothing_in_a_flow():
    get_run_logger().info("a line")
    return PREFECT_API_URL.value()
