"""Which variables a run declares: the code that sets a variable decides, not its value."""

from __future__ import annotations

import importlib.util
import os
import threading
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

import pytest

from pytest_flowsecrets.isolation.environment import declarations
from pytest_flowsecrets.isolation.environment.prefect_variables import PrefectVariables
from pytest_flowsecrets.isolation.environment.write_origins import SHELL
from pytest_flowsecrets.plugin import declarations as environment_hooks
from tests.compat import variable_secret

NAME = "PREFECT__CONTEXT__SECRETS__X"


@contextmanager
def _run(shell=None):
    """Start a run inside that of this test, with these ambient variables and no other tracked ones."""
    with mock.patch.dict(os.environ):
        for name in [name for name in os.environ if declarations.current().tracks(name)]:
            del os.environ[name]
        os.environ.update(shell or {})
        stop = declarations.start()
        try:
            yield declarations.current()
        finally:
            stop()


def _load(path, source):
    """Import a module from this file, as pytest imports conftest files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def _kept(run, path=None):
    run.path = None if path is None else str(path)
    return {name: entry.text for name, entry in run.in_effect().items()}


SET = f"import os\nos.environ[{NAME!r}] = 'a'\n"
BY_CALL = f"import os\ndef load():\n    os.environ[{NAME!r}] = 'a'\nload()\n"
COMPUTED = f"import os\nos.environ[{NAME!r}] = 'A'.lower()\n"
DEFAULT = f"import os\nos.environ.setdefault({NAME!r}, 'a')\n"


@pytest.mark.parametrize("source", [SET, BY_CALL, COMPUTED, DEFAULT], ids=["set", "by call", "computed", "default"])
@pytest.mark.parametrize("shell", [None, "a", "b"])
def test_a_conftest_declares_for_the_tests_below_its_folder(tmp_path, source, shell):
    """A variable of `conftest.py` reaches the tests below its folder, whatever the shell sets."""
    with _run({NAME: shell} if shell else {}) as run:
        _load(tmp_path / "sub" / "conftest.py", source)
        assert _kept(run, tmp_path / "sub" / "deep" / "test_it.py") == {NAME: "a"}
        assert _kept(run, tmp_path / "test_it.py") == {}
        assert _kept(run) == {NAME: "a"}
        assert os.environ[NAME] == ("b" if shell == "b" and source == DEFAULT else "a")


@pytest.mark.parametrize(("source", "declared"), [(SET, True), (BY_CALL, False), (COMPUTED, False), (DEFAULT, True)])
@pytest.mark.parametrize("shell", [None, "a", "b"])
def test_a_module_that_a_conftest_imports(tmp_path, monkeypatch, source, declared, shell):
    """A module that `conftest.py` imports declares its literals, but not texts that it reads elsewhere."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"helper_{declared}.py").write_text(source)
    monkeypatch.delitem(__import__("sys").modules, f"helper_{declared}", raising=False)
    with _run({NAME: shell} if shell else {}) as run:
        _load(tmp_path / "conftest.py", f"import helper_{declared}\n")
        assert _kept(run, tmp_path / "test_it.py") == ({NAME: "a"} if declared else {})
        assert run.set_at_import() == ({} if declared else {NAME: f"the import of {tmp_path}/helper_False.py"})
    monkeypatch.delitem(__import__("sys").modules, f"helper_{declared}")


@pytest.mark.parametrize("shell", [None, "a", "b"])
def test_a_test_module_declares_for_itself(tmp_path, shell):
    """A variable of a test module is hidden from other modules."""
    with _run({NAME: shell} if shell else {}) as run:
        _load(tmp_path / "test_it.py", DEFAULT)
        assert _kept(run, tmp_path / "test_it.py") == {NAME: "a"}
        assert _kept(run, tmp_path / "test_other.py") == {}
        assert _kept(run) == {}


def test_the_default_of_a_folder_does_not_depend_on_other_folders(tmp_path):
    """A default is declared whether or not a conftest of another folder has set it before."""
    with _run() as run:
        _load(tmp_path / "one" / "conftest.py", SET)
        _load(tmp_path / "two" / "conftest.py", DEFAULT.replace("'a'", "'b'"))
        assert _kept(run, tmp_path / "one" / "test_it.py") == {NAME: "a"}
        assert _kept(run, tmp_path / "two" / "test_it.py") == {NAME: "b"}
        _load(tmp_path / "two" / "deep" / "conftest.py", DEFAULT)
        assert _kept(run, tmp_path / "two" / "deep" / "test_it.py") == {NAME: "b"}


def test_what_is_set_for_a_while_is_not_declared(tmp_path):
    """The shell's value that `mock.patch.dict` and `monkeypatch` restore is not a declaration."""
    with _run({NAME: "shell"}) as run:
        with mock.patch.dict(os.environ, {NAME: "a"}):
            assert _kept(run) == {NAME: "a"}
        assert _kept(run) == {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(NAME, "a")
            patch.delenv(NAME)
            assert _kept(run) == {}
        assert _kept(run) == {}
        os.environ[NAME] = "shell"
        assert _kept(run) == {NAME: "shell"}
        with mock.patch.dict(os.environ, {NAME: "a"}):
            pass
        assert _kept(run) == {NAME: "shell"}


def test_a_change_for_a_while_keeps_what_was_declared_before(tmp_path):
    """A default of `conftest.py` is declared again after `mock.patch.dict` or `monkeypatch`."""
    path = tmp_path / "test_it.py"
    with _run({NAME: "shell"}) as run:
        _load(tmp_path / "conftest.py", DEFAULT)
        for owner in (None, object()):
            run.begin(owner, "this test")
            with mock.patch.dict(os.environ, {NAME: "b"}):
                assert _kept(run, path) == {NAME: "b"}
                with mock.patch.dict(os.environ):
                    pass
                assert _kept(run, path) == {NAME: "b"}
            assert _kept(run, path) == {NAME: "a"}
            with mock.patch.dict(os.environ):
                assert _kept(run, path) == {NAME: "a"}
            assert _kept(run, path) == {NAME: "a"}
            with pytest.MonkeyPatch.context() as patch:
                patch.delenv(NAME)
                assert _kept(run, path) == {}
            assert _kept(run, path) == {NAME: "a"}
        assert _kept(run, path) == {NAME: "a"}
        assert _kept(run, tmp_path.parent / "test_it.py") == {}


def test_a_patch_in_conftest_keeps_the_default_beneath_it(tmp_path):
    """A patch in the same folder restores the default that it replaced."""
    patched = f"{DEFAULT}from unittest import mock\nwith mock.patch.dict(os.environ, {{{NAME!r}: 'b'}}):\n    pass\n"
    with _run({NAME: "shell"}) as run:
        _load(tmp_path / "conftest.py", patched)
        assert _kept(run, tmp_path / "test_it.py") == {NAME: "a"}


def test_what_an_ended_owner_declared_is_not_restored():
    """A patch that ends after the test does not restore the default of that test."""
    test = object()
    with _run({NAME: "shell"}) as run:
        run.begin(test, "this test")
        os.environ.setdefault(NAME, "a")
        run.begin(object(), "the fixture f")
        with mock.patch.dict(os.environ, {NAME: "b"}):
            run.end(test)
        assert _kept(run) == {}


def test_what_an_owner_declares_ends_with_it():
    """The variables of a fixture of wider scope outlive those of the test that requests it."""
    test, fixture = object(), object()
    with _run() as run:
        run.begin(test, "this test")
        os.environ[NAME] = "a"
        resume = run.begin(fixture, "the fixture f")
        os.environ["PREFECT__F"] = "f"
        resume()
        os.environ["PREFECT__T"] = "t"
        assert _kept(run) == {NAME: "a", "PREFECT__F": "f", "PREFECT__T": "t"}
        run.end(test)
        assert _kept(run) == {"PREFECT__F": "f"}
        assert run.source_of("PREFECT__T") == "another test"
        assert run.source_of("PREFECT__F") == "the fixture f"
        run.end(fixture)
        assert _kept(run) == {}


def test_an_isolation_declares_nothing(tmp_path):
    """An isolation declares neither the variables that it sets nor those that it restores."""
    with _run({NAME: "shell"}) as run:
        other = object()
        run.begin(other, "another")
        os.environ["PREFECT__LEFT"] = "left"
        run.end(other)
        run.begin(object(), "this test")
        os.environ["PREFECT__MINE"] = "mine"
        for _ in range(2):
            environment = PrefectVariables()
            environment.enter(str(tmp_path), {})
            assert [name for name in os.environ if run.tracks(name)] == ["PREFECT__MINE"]
            assert environment.hidden == {NAME: SHELL, "PREFECT__LEFT": "another test"}
            assert environment.kept == {"PREFECT__MINE": "this test"}
            os.environ["PREFECT__DELIVERED"] = "x"
            environment.exit()
            assert _kept(run) == {"PREFECT__MINE": "mine"}
            assert os.environ["PREFECT__LEFT"] == "left"


def test_what_a_worker_inherits():
    """A worker inherits names, scopes and sources, and its own declarations take precedence."""
    with _run() as run:
        os.environ[NAME] = "a"
        os.environ["PREFECT__GONE"] = "b"
        os.environ["PREFECT__OWN"] = "controller"
        inherited = run.inheritable()
    with _run({NAME: "a", "PREFECT__OWN": "controller"}) as run:
        os.environ["PREFECT__OWN"] = "worker"
        run.inherit(inherited)
        assert _kept(run) == {NAME: "a", "PREFECT__OWN": "worker"}


def test_a_thread_declares_for_its_test():
    """A variable that a thread sets belongs to the current test."""
    test = object()
    with _run() as run:
        run.begin(test, "this test")
        thread = threading.Thread(target=os.environ.__setitem__, args=(NAME, "a"))
        thread.start()
        thread.join()
        assert _kept(run) == {NAME: "a"}
        run.end(test)
        assert _kept(run) == {}


def test_a_plugin_whose_hook_fails():
    """If the hook of a plugin fails, the variables are unchanged until pytest calls the hook itself."""

    def fails():
        os.environ["PREFECT__HALF"] = "set"
        raise KeyError("NAME")

    with _run({NAME: "shell"}) as run:
        before = dict(os.environ)
        assert environment_hooks._texts_without_shell(SimpleNamespace(function=fails, argnames=()), {}) == {}
        assert dict(os.environ) == before
        assert list(os.environ) == list(before)
        assert _kept(run) == {}


def test_variables_without_the_prefix():
    """Token variables of Prefect are hidden by default, and others by a pattern."""
    with _run() as run:
        run.hide(["AWS_*", "!AWS_REGION", "!GITLAB_*"])
        hidden = ["AWS_SECRET_ACCESS_KEY", "AWS_REGION", "GITLAB_ACCESS_TOKEN", "GITHUB_ACCESS_TOKEN", "PATH"]
        assert [name for name in hidden if run.tracks(name)] == ["AWS_SECRET_ACCESS_KEY", "GITHUB_ACCESS_TOKEN"]


def test_plugins_declare_for_all(pytester):
    """A plugin declares for all tests, also by defaults and by modules that a conftest names."""
    with _run({NAME: "shell"}) as run:
        run.add_defaults({NAME: "default", "PATH": "x"}, "pytest_env")
        run.add_defaults({NAME: "another"}, "pytest_dotenv")
        assert _kept(run, "/any/where.py") == {NAME: "default"}
        assert repr(run.in_effect()[NAME]) == f"<Declaration of {NAME} by pytest_env>"


def test_a_run_in_this_process_and_one_after_it():
    """All variables are ambient for an inner run, and the outer run continues unchanged."""
    with _run() as outer:
        os.environ[NAME] = "a"
        with _run({NAME: "a"}) as inner:
            assert _kept(inner) == {}
            os.environ["PREFECT__INNER"] = "x"
        assert _kept(outer) == {NAME: "a"}


def test_an_inner_run_that_was_not_ended():
    """An inner run ends with the outer one, and its own later end does nothing."""
    with _run() as before:
        stop_outer = declarations.start()
        stop_inner = declarations.start()
        stop_outer()
        assert declarations.current() is before
        stop_inner()
        assert declarations.current() is before


IN_PROCESS = """
import os, sys, pytest

os.environ["PREFECT__CONTEXT__SECRETS__SCRIPT"] = "script"
plain = type(os.environ)
for _ in range(2):
    assert pytest.main(["-q", "-p", "pytest_flowsecrets.plugin", "--import-mode=importlib", *sys.argv[1:]]) == 0
    assert type(os.environ) is plain
copy = __import__("copy").copy(os.environ)
copy["PREFECT__CONTEXT__SECRETS__COPY"] = "x"
copy.setdefault("PREFECT__CONTEXT__SECRETS__COPY", "x")
del copy["PREFECT__CONTEXT__SECRETS__COPY"]
from pytest_flowsecrets import isolated_prefect
with isolated_prefect() as secrets:
    print(sorted(secrets))
"""


def test_one_run_after_another(pytester, monkeypatch):
    """A second run has the declarations of conftest files that are not imported again."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(SET)
    name = variable_secret("X")
    pytester.makepyfile(f"def test_it(local_secrets):\n    assert dict(local_secrets) == {{{name!r}: 'a'}}\n")
    pytester.makepyfile(script=IN_PROCESS)
    result = pytester.runpython(pytester.path / "script.py")
    assert result.outlines[-1] == repr([name]), result.stderr.str()
