"""Regression tests for unusual uses."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_flowsecrets import SecretChangedWarning, SecretRejected, UsageError, isolated_prefect
from tests.compat import VERSION, dask_executor, needs_prefect
from tests.test_local_secrets import in_child, secret

pytestmark = needs_prefect

ASK = "from prefect.client import Secret\nimport os, pytest\n"


# -- what is undone, and by whom ---------------------------------------------------------------------------------------


def test_variables_of_longer_lived_fixtures_end_with_them(run_tests):
    """Variables of a class fixture that end after the last isolation are not restored by it."""
    result = run_tests(
        ASK
        + """
HOME = os.environ["HOME"]

@pytest.fixture(scope="class")
def own_home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as m:
        m.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        m.setenv("PREFECT__CONTEXT__SECRETS__of_class", "c")
        yield

class TestA:
    def test_a(self, own_home, local_secrets):
        assert dict(local_secrets) == {"of_class": "c"}

def test_b():
    assert os.environ["HOME"] == HOME
    assert "PREFECT__CONTEXT__SECRETS__of_class" not in os.environ

def test_c(monkeypatch, request):
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__before", "q")
    secrets = request.getfixturevalue("local_secrets")
    assert dict(secrets) == {"before": "q"}

def test_d():
    assert not [name for name in os.environ if name.startswith("PREFECT__")]
"""
    )
    result.assert_outcomes(passed=4)


def test_an_ambient_variable_comes_back_under_an_older_monkeypatch(run_tests, monkeypatch):
    """A hidden variable is restored although an older monkeypatch saw none."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__own", "own")
    result = run_tests(
        ASK
        + """
def test_a(monkeypatch, request):
    request.getfixturevalue("local_secrets")
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__own", "changed")
    monkeypatch.setenv("HOME", "/changed")

def test_b():
    assert os.environ["PREFECT__CONTEXT__SECRETS__own"] == "own"
    assert os.environ["HOME"] != "/changed"
    assert "flowsecrets" not in os.environ["HOME"]
"""
    )
    result.assert_outcomes(passed=2)


def test_the_order_of_variables_comes_back(monkeypatch):
    """The order of variables is restored, because it decides for whole tables."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__q", "q")
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__r", "r")
    before = list(os.environ)
    with isolated_prefect() as secrets:
        secrets["q"] = "new"
        secrets["0"] = "0000"
        del secrets["r"]
    assert list(os.environ) == before


def test_a_test_that_removes_prefects_own_names(monkeypatch):
    """The exit restores names that the test has removed from Prefect, and completes every step."""
    import prefect

    config = prefect.config
    with isolated_prefect({"X": "x"}):
        del prefect.config
    assert prefect.config is config
    assert "flowsecrets" not in os.environ["HOME"]


def test_modes_do_not_outlive_a_test():
    """A reused home has the permissions of a new one."""
    with isolated_prefect():
        home = Path("~/.prefect").expanduser()
        home.chmod(0o777)
        home.parent.chmod(0o755)
    with isolated_prefect():
        home = Path("~/.prefect").expanduser()
        assert stat.S_IMODE(home.stat().st_mode) == stat.S_IMODE(home.parent.stat().st_mode) == 0o700
        home.rmdir()
        home.symlink_to("/nowhere")
    with isolated_prefect():
        assert not Path("~/.prefect").expanduser().is_symlink()


# -- the default address of Cloud --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_and_flow_runs_of_agents_cannot_reach_it_either(local_secrets):
    """Dask workers and flow runs of agents also get the unreachable address."""
    import prefect
    from prefect import Flow, task

    if VERSION >= (0, 6, 0):  # before 0.6.0, a worker reads only its own configuration
        assert prefect.context.get("config", prefect.config).cloud.api.startswith("unreachable://")

    @task
    def address():
        import prefect

        return str(prefect.context.get("config", prefect.config)["cloud"]["api"])

    with Flow("where") as flow:
        flow.secret_task = address()
    state = flow.run(executor=dask_executor(processes=True))
    assert state.result[flow.secret_task].result.startswith("unreachable://")
    if VERSION >= (0, 13, 12):
        from prefect.agent.local import LocalAgent
        from prefect.utilities.graphql import GraphQLResult

        run = GraphQLResult({"id": "run", "name": "name", "flow": GraphQLResult({"id": "flow"})})
        environment = LocalAgent().populate_env_vars(run, run_config=None)
        assert in_child("prefect.config.cloud.api", environment).startswith("unreachable://")


# -- changes in the middle ---------------------------------------------------------------------------------------------


def test_a_first_secret_given_inside_a_flow_run_lasts(local_secrets):
    """A first secret that a task sets reaches the next task and persists after the run."""
    from prefect import Flow, task

    @task
    def rotate():
        local_secrets["T"] = "new"

    @task
    def ask():
        return secret("T")

    with Flow("rotates") as flow:
        flow.secret_task = ask(upstream_tasks=[rotate()])
    state = flow.run()
    assert state.is_successful()
    assert state.result[flow.secret_task].result == secret("T") == "new"


def test_changes_inside_a_block_of_prefects_context_last(local_secrets):
    """The first secret, and a secret that is deleted and set again, persist after the block."""
    import prefect

    with prefect.context(foo=1):
        local_secrets["A"] = "x"
    assert secret("A") == "x"
    with prefect.context(foo=1):
        del local_secrets["A"]
        local_secrets["A"] = "y"
    assert secret("A") == "y"


def test_a_file_written_after_del_counts(local_secrets):
    """A file that defines a deleted secret again takes effect."""
    local_secrets["A"] = "a"
    del local_secrets["A"]
    local_secrets.write_config({"context": {"secrets": {"A": "file"}}})
    assert local_secrets["A"] == "file"


@pytest.mark.slow
@pytest.mark.skipif(VERSION is not None and VERSION < (0, 6, 0), reason="0.5 takes every name")
def test_a_refused_file_is_undone_for_children_too(local_secrets):
    """A rejected file is also restored for children that read a copy of it."""
    local_secrets["A__B"] = "x"
    with pytest.raises(SecretRejected, match=r"config\.toml"):
        local_secrets.write_config({"context": {"secrets": {"items": "hunter2"}}})
    assert in_child("Secret('A__B').get()") == "x"
    assert secret("A__B") == "x"


@pytest.mark.slow
@pytest.mark.skipif(VERSION is not None and VERSION < (0, 10, 0), reason="no backend.toml before 0.10.0")
def test_secrets_of_the_backend_file_can_be_changed_and_taken_away(local_secrets, prefect_home):
    """Secrets of backend.toml, which overrides config.toml, can be changed and deleted."""
    prefect_home.write_backend("[context.secrets]\nBK = 'backend'\nA__B = 'backend'\nKEPT = 'kept'\n")
    del local_secrets["BK"]
    local_secrets["A__B"] = "mine"
    assert dict(local_secrets) == {"KEPT": "kept", "A__B": "mine"}
    assert in_child("dict(prefect.context.secrets)") == {"KEPT": "kept", "A__B": "mine"}
    prefect_home.write_backend("[context.secrets]\nBK = 'again'\n")
    assert dict(local_secrets) == {"BK": "again", "A__B": "mine"}


@pytest.mark.skipif(
    VERSION is not None and VERSION < (0, 15, 0), reason="the whole table by a variable came with 0.15.0"
)
def test_what_a_variable_for_the_whole_table_decides_is_refused_in_words(local_secrets, monkeypatch):
    """A change that a variable for the whole table overrides raises an error and changes nothing."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS", "{'W': 'w'}")
    local_secrets.reload()
    for change in (lambda: local_secrets.pop("W"), lambda: local_secrets.update(A__B="x"), local_secrets.clear):
        with pytest.raises(UsageError, match="PREFECT__CONTEXT__SECRETS, PREFECT__CONTEXT"):
            change()
        assert dict(local_secrets) == {"W": "w"}


@pytest.mark.slow
def test_a_moved_home_of_the_test(local_secrets, monkeypatch, tmp_path):
    """If the test moves HOME, Prefect and children still read the private file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    local_secrets.write_config("[context.secrets]\nT = 'x'\n")
    assert secret("T") == in_child("Secret('T').get()") == "x"


def test_a_declared_path_that_the_test_removes(monkeypatch, tmp_path):
    """If the test removes a declared path, the private file takes effect."""
    own = tmp_path / "own.toml"
    own.write_text("[context.secrets]\nOWN = 'own'\n")
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(own))
    with isolated_prefect() as secrets:
        assert dict(secrets) == {"OWN": "own"}
        monkeypatch.delenv("PREFECT__USER_CONFIG_PATH")
        secrets.reload()
        assert dict(secrets) == {}


@pytest.mark.parametrize("text", ["[context]\nsecrets = 'abc'\n", "[context]\nsecrets = [1]\n"])
def test_secrets_that_are_no_table(local_secrets, text):
    """`secrets` that is not a table stays as Prefect reads it, and a secret that must go into the file is rejected."""
    local_secrets.write_config(text)
    assert dict(local_secrets) == {}
    with pytest.raises(UsageError, match=r"not a table, so .*A__B.* cannot be added"):
        local_secrets["A__B"] = "x"


def test_del_beside_secrets_that_are_no_table(local_secrets, prefect_home):
    """Deletion works if the file has no table of secrets."""
    if VERSION < (0, 10, 0):
        pytest.skip("no backend.toml before 0.10.0")
    local_secrets["X"] = "x"
    prefect_home.write_config("[context]\nmine = 1\n")
    prefect_home.write_backend("debug = true\n")
    (prefect_home.path / "backend.toml").write_text("context = 5\n")  # a change that Prefect has not loaded yet
    with pytest.raises(SecretRejected):
        del local_secrets["X"]
    assert dict(local_secrets) == {"X": "x"}


def test_a_context_that_is_a_list(local_secrets):
    """If `context` is an empty list, there are no secrets."""
    local_secrets.write_config("context = []\n")
    assert dict(local_secrets) == {}


@pytest.mark.slow
def test_a_very_long_value_does_not_keep_children_from_starting(local_secrets):
    """A value of 128 KiB goes into the file, because no process starts with it."""
    local_secrets["LONG"] = "x" * 200_000
    assert len(secret("LONG")) == 200_000
    assert in_child("len(Secret('LONG').get())") == 200_000


@pytest.mark.slow
def test_names_can_be_listed_while_another_thread_changes_them(local_secrets):
    """Iteration uses a copy of the names."""
    stop = threading.Event()
    failures = []

    def look():
        try:
            while not stop.is_set():
                assert len(list(local_secrets)) <= 50
        except Exception as error:  # noqa: BLE001 (or it would end the thread alone)
            failures.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(50):
        local_secrets[f"N{number}"] = "x"
    local_secrets.clear()
    stop.set()
    thread.join()
    assert failures == []


@pytest.mark.slow
def test_many_secrets_at_once():
    """A thousand secrets can be set and removed at once."""
    many = {f"N{number}": f"v{number}" for number in range(1000)}
    with isolated_prefect(many) as secrets:
        assert dict(secrets) == many
        secrets.clear()
        assert len(secrets) == 0


# -- marks -------------------------------------------------------------------------------------------------------------


def test_a_mark_of_one_parameter_isolates_that_one_only(run_tests):
    """A mark of one parameter does not isolate the other items of the function."""
    result = run_tests(
        ASK
        + """
@pytest.mark.parametrize("p", [1, pytest.param(2, marks=pytest.mark.secrets(A="y")), 3])
def test_param(p):
    assert ("flowsecrets-" in os.environ["HOME"]) == (p == 2)
"""
    )
    result.assert_outcomes(passed=3)


def test_marks_that_are_added_late(run_tests, pytester):
    """Marks that a conftest adds at the end of collection work, and later ones are rejected."""
    pytester.makeconftest(
        """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "test_marked":
            item.add_marker(pytest.mark.secrets(A="x"))
"""
    )
    result = run_tests(
        ASK
        + """
def test_marked():
    assert Secret("A").get() == "x"

@pytest.fixture
def late(request):
    request.node.add_marker(pytest.mark.secrets(A="x"))

def test_too_late(late): pass
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*::test_too_late: the secrets marker was added after the setup*"])


@pytest.mark.skipif(VERSION is not None and VERSION < (0, 11, 0), reason="nothing is typed before 0.11.0")
def test_a_marked_doctest(run_tests, pytester):
    """A marked doctest, which has no function for the location of a warning, gets its secrets."""
    pytester.makeconftest(
        """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.secrets(PIN="000000"))
"""
    )
    pytester.makepyfile(
        documented='''
def f():
    """
    >>> from prefect.client import Secret
    >>> Secret("PIN").get()
    0
    """
'''
    )
    result = run_tests(None, "--doctest-modules")
    result.assert_outcomes(passed=1, warnings=1)
    assert "000000" not in result.stdout.str().replace("secrets(PIN", "")


def test_an_item_that_is_no_python_is_isolated_with_all(run_tests, pytester, monkeypatch):
    """The option `all` isolates items of a custom collector, which have no fixtures."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__own", "own")
    pytester.makeconftest(
        """
import os
import pytest

class Item(pytest.Item):
    def runtest(self):
        assert "PREFECT__CONTEXT__SECRETS__own" not in os.environ

class File(pytest.File):
    def collect(self):
        yield Item.from_parent(self, name="first")
        yield Item.from_parent(self, name="second")

def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".own":
        return File.from_parent(parent, path=file_path)

def pytest_sessionfinish():
    assert os.environ["PREFECT__CONTEXT__SECRETS__own"] == "own"
"""
    )
    pytester.makefile(".own", items="")
    run_tests(None, "--flowsecrets-isolation=all").assert_outcomes(passed=2)
    run_tests(None).assert_outcomes(failed=2)


def test_a_declared_variable_that_a_shell_had_set_to_the_same(run_tests, monkeypatch):
    """A declared variable is kept if the shell has the same value."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__ini", "ini")
    result = run_tests(
        "def test_it(local_secrets):\n    assert dict(local_secrets) == {'ini': 'ini'}\n",
        plugins=["pytest_env.plugin"],
        ini="[pytest]\nenv =\n    D:PREFECT__CONTEXT__SECRETS__ini=ini\n",
    )
    result.assert_outcomes(passed=1)


# -- warnings and tracebacks -------------------------------------------------------------------------------------------


def _warnings(recorded):
    return [str(warning.message) for warning in recorded if issubclass(warning.category, SecretChangedWarning)]


def test_a_file_that_a_variable_outweighs_is_no_surprise(local_secrets, recwarn):
    """A text in a file that a variable overrides causes no warning."""
    local_secrets.setenv("token", "from the variable")
    local_secrets.write_config("[context.secrets]\ntoken = 'from the file'\n")
    assert local_secrets["token"] == "from the variable"
    assert _warnings(recwarn) == []


@pytest.mark.skipif(VERSION is not None and VERSION < (0, 11, 2), reason="texts in files are not typed before 0.11.2")
def test_both_ways_to_write_the_file_tell_surprises(prefect_home, recwarn):
    """Both write methods and both files cause the warning."""
    prefect_home.write_config("[context.secrets]\nPIN = '0000'\n")
    prefect_home.write_backend("[context.secrets]\nPIN2 = '0000'\n")
    assert ["'PIN'" in message or "'PIN2'" in message for message in _warnings(recwarn)] == [True, True]


FAULTS = [
    'local_secrets["A"] = V.encode()',
    "local_secrets.update(A=V, B=object())",
    'local_secrets.setenv("A", V + chr(0))',
    "local_secrets.write_config('TOKEN = \"%s' % V)",
    'prefect_home.write_config({"context": {"secrets": {"A": V}}, "B": None})',
    "prefect_home.write_config('TOKEN = \"%s' % V, strict=False)",
    'local_secrets["items"] = V',
    'isolated_prefect({"A": V, "B": object()}).__enter__()',
    'isolated_prefect({"A": V}, config="broken").__enter__()',
]


@pytest.mark.parametrize("options", [[], ["-l"], ["--full-trace", "-l"]], ids=" ".join)
def test_no_traceback_shows_a_value(run_tests, options):
    """No traceback shows arguments or locals with a value."""
    tests = "".join(
        f"def test_{number}(local_secrets, prefect_home):\n    {fault}\n\n" for number, fault in enumerate(FAULTS)
    )
    result = run_tests("from pytest_flowsecrets import isolated_prefect\nV = 'hunter' + '2' * 3\n\n" + tests, *options)
    wrong = len(FAULTS) - (VERSION < (0, 6, 0))  # 0.5 accepts the name `items`
    result.assert_outcomes(failed=wrong, passed=len(FAULTS) - wrong)
    shown = [line for line in result.outlines if "hunter222" in line and not line.startswith("V ")]
    assert shown == []


def test_a_mark_under_warnings_as_errors_is_one_line(run_tests):
    """With `-W error`, the failure is one line without frames of this plugin."""
    if VERSION < (0, 11, 0):
        pytest.skip("nothing is typed before 0.11.0")
    result = run_tests(
        "import pytest\n@pytest.mark.secrets(PIN='0000')\ndef test_a(): pass\n",
        "-Werror::pytest_flowsecrets.SecretChangedWarning",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*::test_a: Secret 'PIN' under Prefect *returns int*"])
    assert "Traceback" not in result.stdout.str()
    assert "pytest_flowsecrets/plugin" not in result.stdout.str()


@pytest.mark.slow
def test_a_process_that_is_forked(tmp_path):
    """A fork that exits the isolation of its parent does not change the parent."""
    code = """
import os
from pytest_flowsecrets import isolated_prefect
with isolated_prefect({"X": "x"}, config="debug = true") as secrets:
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        assert secrets["X"] == "x"
        assert os.path.exists(os.path.expanduser("~/.prefect/config.toml"))
if child == 0:
    os._exit(0)
"""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert os.listdir(tmp_path) == []
