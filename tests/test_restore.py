"""An isolation restores the same objects with the same contents in every thread, after any change inside."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_flowsecrets import IsolationEnded, isolated_prefect
from pytest_flowsecrets.isolation import stack
from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation
from tests.compat import VERSION, needs_prefect

pytestmark = needs_prefect


def tables():
    """Return every table below ``prefect.config`` and this thread's context, as (identity, items)."""
    import prefect

    from pytest_flowsecrets.isolation.prefect1.config_tree import items_of

    contents = {}

    def walk(table):
        if id(table) in contents:
            return
        items = dict.copy(items_of(table))
        contents[id(table)] = {key: (id(value), repr(value)) for key, value in items.items()}
        for value in items.values():
            if isinstance(value, type(prefect.config)):
                walk(value)

    walk(prefect.config)
    context = prefect.context.__dict__
    if isinstance(context.get("config"), type(prefect.config)):
        walk(context["config"])
    return contents, {key: id(value) for key, value in context.items()}, id(prefect.config), id(prefect.context)


LEFT_OPEN = []


def environment():
    return {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.fixture(params=["no secrets before", "secrets before"])
def outside(request):
    """Set up a developer's process with or without own secrets, and check afterwards that it is unchanged."""
    import prefect

    own = {}
    if request.param == "secrets before":
        config_table = type(prefect.config)
        secrets = config_table()
        secrets["OWN"] = "own"
        had = prefect.config.get("context")
        prefect.config["context"] = config_table()
        prefect.config["context"]["secrets"] = secrets
        prefect.context["secrets"] = prefect.config["context"]["secrets"]
        own = {"OWN": "own"}
    pool = ThreadPoolExecutor(1)
    before = tables(), pool.submit(tables).result(), environment()
    yield own, pool
    assert (tables(), pool.submit(tables).result(), environment()) == before
    assert stack.depth() == 0
    pool.shutdown()
    if own:
        del prefect.config["context"]
        if had is not None:
            prefect.config["context"] = had
        del prefect.context["secrets"]


def get(name):
    from prefect.client import Secret

    try:
        return Secret(name).get()
    except ValueError:
        return None


def test_what_was_there_is_hidden_and_comes_back(outside):
    """The developer's state is hidden and restored in this thread, an older one and new ones."""
    own, pool = outside
    with isolated_prefect({"X": "x"}):
        assert (get("X"), get("OWN")) == ("x", None)
        assert pool.submit(get, "X").result() == "x"
        assert pool.submit(get, "OWN").result() is None
    assert get("X") is None
    assert pool.submit(get, "X").result() is None
    assert get("OWN") == own.get("OWN")
    assert pool.submit(get, "OWN").result() == own.get("OWN")


def test_an_exception_inside(outside):
    """An exception in the block restores everything."""
    with pytest.raises(ZeroDivisionError), isolated_prefect({"X": "x"}):
        1 / 0


def test_everything_that_a_test_may_do_to_prefect(outside):
    """Manual changes of bindings, tables, context and variables, and open blocks, are undone."""
    import prefect
    import prefect.configuration
    import prefect.utilities.context

    with isolated_prefect({"X": "x"}) as secrets:
        prefect.context["extra"] = 1
        prefect.context.secrets["Y"] = "y"
        prefect.context["secrets"] = {"Z": "z"}
        prefect.config.cloud["api"] = "changed"
        prefect.config["new"] = type(prefect.config)()
        del prefect.config["logging"]
        block = prefect.context(secrets={"left": "open"})
        block.__enter__()
        os.environ["PREFECT__NEW"] = "x"
        os.environ["HOME"] = "/nowhere"
        secrets["A__B"] = "by file"
        prefect.config = type(prefect.config)()
        prefect.utilities.context.config = prefect.config
        os.environ.pop("PREFECT__CONTEXT__SECRETS__X", None)
    LEFT_OPEN.append(block)  # if it closed now, Prefect would restore the context of the test


def test_monkeypatch_undone_inside(outside, monkeypatch):
    """The isolation survives `monkeypatch.undo()` in the test."""
    with isolated_prefect({"X": "x"}):
        monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__late", "x")
        monkeypatch.undo()
        assert get("X") == "x"


def test_nested(outside):
    """The inner isolation has only its own secrets, and its end restores the outer one."""
    _, pool = outside
    with isolated_prefect({"X": "outer", "ONLY": "outer"}) as outer:
        with isolated_prefect({"X": "inner"}, config="[context.secrets]\nF = 'f'\n") as inner:
            assert dict(inner) == {"X": "inner", "F": "f"}
            assert pool.submit(get, "X").result() == "inner"
            with pytest.raises(IsolationEnded, match="another isolation is active inside this one"):
                outer["X"] = "covered"
        assert dict(outer) == {"X": "outer", "ONLY": "outer"}
        assert pool.submit(get, "X").result() == "outer"
        outer["NEW"] = "n"
        assert get("NEW") == "n"


def test_what_is_used_after_its_isolation(outside):
    """Every use after the end raises IsolationEnded and changes nothing."""
    with isolated_prefect({"X": "x"}) as secrets:
        isolation = secrets._isolation
    for use in (
        lambda: secrets["X"],
        lambda: secrets.update(X="y"),
        lambda: secrets.pop("X"),
        lambda: list(secrets),
        lambda: "X" in secrets,
        lambda: secrets.setenv("X", "y"),
        lambda: secrets.write_config(""),
        lambda: isolation.home.write_backend(""),
        lambda: secrets.use_local_secrets,
        lambda: secrets.environ,
        lambda: secrets.reload(),
    ):
        with pytest.raises(IsolationEnded, match="this isolation has ended"):
            use()
    assert repr(secrets) == "<LocalSecrets (inactive)>"


def test_as_a_decorator(outside):
    """The decorator works on recursive functions, and its repr shows only names."""
    isolated = isolated_prefect({"X": "hunter2"})

    @isolated
    def ask(again):
        return [get("X"), *(ask(again=False) if again else [])]

    assert ask(again=True) == ["hunter2", "hunter2"]
    assert get("X") is None
    assert repr(isolated) == "<isolated_prefect ['X']>"


def test_left_in_the_wrong_order(outside):
    """The exit of the outer isolation also exits the inner one, whose own exit then does nothing."""
    outer, inner = isolated_prefect({"X": "outer"}), isolated_prefect({"X": "inner"})
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert get("X") is None
    assert stack.depth() == 0
    inner.__exit__(None, None, None)


def test_the_last_net(outside):
    """``unwind`` exits all remaining isolations."""
    isolation = LegacyIsolation()
    isolation.enter({"X": "x"})
    LegacyIsolation().enter({"X": "y"})
    stack.unwind()
    assert get("X") is None


def test_threads_that_run_on(outside):
    """A thread that outlives the test loses the secrets, even inside a block of Prefect's context."""
    import prefect

    go, entered, left, has_read = (threading.Event() for _ in range(4))
    values = []

    def run():
        values.append(get("X"))
        with prefect.context(task_name="t"):
            entered.set()
            go.wait()
        left.set()
        values.append(get("X"))
        values.append(dict(prefect.context.get("secrets", {})).get("X"))
        values.append("t" if prefect.context.get("task_name") else None)
        has_read.set()

    with isolated_prefect({"X": "x"}):
        thread = threading.Thread(target=run)
        thread.start()
        entered.wait()
    go.set()
    has_read.wait()
    thread.join()
    assert values == ["x", None, None, None]


def test_a_thread_in_the_middle_of_its_work_keeps_it(outside):
    """A flow in an older thread keeps its own context across an isolation."""
    import prefect

    go, ready = threading.Event(), threading.Event()
    values = []

    def run():
        with prefect.context(task_name="mine"):
            ready.set()
            go.wait()
            values.append(prefect.context.get("task_name"))
        values.append(prefect.context.get("task_name"))

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    with isolated_prefect({"X": "x"}):
        pass
    go.set()
    thread.join()
    assert values == ["mine", None]


def test_a_secret_that_cannot_be_given(outside):
    """A rejected secret makes `enter` fail, and nothing changes."""
    if VERSION < (0, 6, 0):
        pytest.skip("0.5 takes every name")
    from pytest_flowsecrets import SecretRejected

    with pytest.raises(SecretRejected), isolated_prefect({"items": "x"}):
        raise AssertionError("never entered")


def test_wrong_values_on_entering(outside):
    """A wrong value makes `enter` fail, and nothing changes."""
    from pytest_flowsecrets import ConfigSyntaxError, UsageError

    with pytest.raises(UsageError), isolated_prefect({"X": object()}):
        raise AssertionError("never entered")
    with pytest.raises(ConfigSyntaxError), isolated_prefect(config="broken"):
        raise AssertionError("never entered")


def test_the_private_home_is_removed(outside):
    """The home is removed with all contents, even unreadable ones."""
    with isolated_prefect({"X": "x"}) as secrets:
        path = secrets.write_config("[context.secrets]\nA = 'a'\n")
        deep = path.parent / "results" / "deep"
        deep.mkdir(parents=True)
        (deep / "result").write_text("x")
        deep.chmod(0o500)
    assert not path.exists()
    with isolated_prefect() as secrets:
        assert os.listdir(os.path.expanduser("~/.prefect")) == []
        assert dict(secrets) == {}


@pytest.mark.skipif(VERSION is not None and VERSION < (0, 11), reason="nothing is typed before 0.11.0")
def test_a_changed_value_warns_where_the_isolation_is_entered(outside):
    """The warning is issued where the isolation begins, also without pytest's marker."""
    from pytest_flowsecrets import SecretChangedWarning

    with pytest.warns(SecretChangedWarning, match="'PIN'") as caught, isolated_prefect({"PIN": "0000"}):
        pass
    assert caught[0].filename == __file__


def test_backend_argument(outside):
    """``backend=`` writes the private backend.toml (0.10.0 on)."""
    with isolated_prefect(config={"debug": True}, backend="debug = false\n"):
        import prefect

        assert prefect.config.debug is (VERSION < (0, 10, 0))
