"""Values that exist only for a moment in a test: they are registered before the test is reported."""

from __future__ import annotations

import os
import sys
import types
from unittest import mock

import pytest

from pytest_flowsecrets.leaks import secret_sources
from pytest_flowsecrets.leaks.mask.finding_log import Faults
from pytest_flowsecrets.leaks.registry import SecretRegistry
from tests.compat import needs_prefect

NAME = "PREFECT__CONTEXT__SECRETS__TOKEN"


@pytest.fixture
def registry(monkeypatch):
    mine = SecretRegistry()
    mine.listen()
    monkeypatch.setattr(secret_sources, "registry", mine)
    return mine


def test_variables_that_are_gone(run_tests):
    """Variables that ``mock.patch.dict`` or ``monkeypatch.context()`` set for a moment are masked."""
    result = run_tests(
        f"""
import os
from unittest import mock

def test_context():
    with mock.patch.dict(os.environ, {{"{NAME}_A": "k9TzWq4mLrV7-a"}}):
        value = os.environ["{NAME}_A"]
    print(value)

@mock.patch.dict(os.environ, {{"{NAME}_B": "k9TzWq4mLrV7-b"}}, clear=True)
def test_decorator(): print(os.environ["{NAME}_B"])

def test_monkeypatch(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("{NAME}_C", "k9TzWq4mLrV7-c")
    print("k9TzWq4mLrV7-c")

def test_key():
    with mock.patch.dict(os.environ, PREFECT__CLOUD__API_KEY="k9TzWq4mLrV7-d", PREFECT__CLOUD__AGENT__AUTH_TOKEN="k9TzWq4mLrV7-e"):
        print("k9TzWq4mLrV7-d", "k9TzWq4mLrV7-e")
""",
        "-rP",
    )
    result.assert_outcomes(passed=4)
    shown = result.stdout.str()
    assert "k9TzWq4mLrV7" not in shown
    assert "[secret cloud api_key] [secret cloud auth_token]" in shown


def test_live_output_of_a_variable_that_a_test_sets(run_tests):
    """With ``-s``, a variable is masked from the moment when it is set."""
    source = f"def test_it(monkeypatch):\n    monkeypatch.setenv('{NAME}', 'k9TzWq4mLrV7')\n    print('k9TzWq4mLrV7')\n"
    result = run_tests(source, "-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*[[]secret TOKEN[]]*"])


@needs_prefect
def test_temporary_configurations(run_tests):
    """Secrets in ``set_temporary_config`` and ``prefect.context`` are masked, even if the test imports Prefect."""
    result = run_tests(
        """
import pytest, sys

def test_config():
    assert "prefect" not in sys.modules
    from prefect.utilities.configuration import set_temporary_config
    with set_temporary_config({"context.secrets.A": "k9TzWq4mLrV7-a", "cloud.auth_token": "k9TzWq4mLrV7-b"}):
        pass
    print("k9TzWq4mLrV7-a", "k9TzWq4mLrV7-b")

def test_context():
    import prefect
    with prefect.context(secrets={"C": "k9TzWq4mLrV7-c"}):
        assert prefect.context.secrets["C"] == "k9TzWq4mLrV7-c"
    with prefect.context({"secrets": {"D": "k9TzWq4mLrV7-d"}}):
        print("k9TzWq4mLrV7-c", "k9TzWq4mLrV7-d")

def test_pairs():
    import prefect
    with prefect.context(zip(["secrets", "a"], [{"F": "k9TzWq4mLrV7-f"}, 1]), b=2):
        assert (prefect.context.secrets["F"], prefect.context.a, prefect.context.b) == ("k9TzWq4mLrV7-f", 1, 2)
    with prefect.context([iter(["c", 3]), ("config", {"cloud": {"api_key": "k9TzWq4mLrV7-g"}})]):
        assert prefect.context.c == 3
    print("k9TzWq4mLrV7-f", "k9TzWq4mLrV7-g")

@pytest.mark.parametrize(("arguments", "error"), [([5], TypeError), ([1, 2], TypeError), ([["abc"]], ValueError)])
def test_errors(arguments, error):
    import prefect
    with pytest.raises(error):
        with prefect.context(*arguments):
            pass

def test_assigned():
    import prefect
    prefect.context.setdefault("secrets", {})["E"] = "k9TzWq4mLrV7-e"
    print("k9TzWq4mLrV7-e")
""",
        "-rP",
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(
        [
            "[[]secret A[]] [[]secret cloud auth_token[]]",
            "[[]secret C[]] [[]secret D[]]",
            "[[]secret F[]] [[]secret cloud api_key[]]",
            "[[]secret E[]]",
        ]
    )


def test_config_file_of_the_developer(run_tests, pytester, monkeypatch):
    """Secrets in the user's config file are masked, even in tests that do not import Prefect."""
    path = pytester.path / "own.toml"
    path.write_text('[context.secrets]\nA = "k9TzWq4mLrV7-a"\nB = "$INSIDE"\n[cloud]\napi_key = "k9TzWq4mLrV7-c"\n')
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(path))
    monkeypatch.setenv("INSIDE", "k9TzWq4mLrV7-b")
    result = run_tests("def test_it():\n    for end in 'abc': print('k9TzWq4mLrV7-' + end)\n", "-rP")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["[[]secret A[]]", "[[]secret B[]]", "[[]secret cloud api_key[]]"])


def test_config_file_through_variables(registry, tmp_path, monkeypatch):
    """Path and values of the config file are expanded repeatedly. A variable that contains itself does not loop."""
    tmp_path.joinpath("own.toml").write_text('[context.secrets]\nA = "$ONE"\nB = "$SELF"\n')
    for name, text in {
        "PREFECT__USER_CONFIG_PATH": "$FOLDER/own.toml",
        "FOLDER": "$ONE_FOLDER",
        "ONE_FOLDER": str(tmp_path),
        "ONE": "$TWO",
        "TWO": "k9TzWq4mLrV7-a",
        "SELF": "k9TzWq4mLrV7-b$SELF",
    }.items():
        monkeypatch.setenv(name, text)
    secret_sources.learn_config_file()
    assert registry.values()["k9TzWq4mLrV7-a"] == ("A",)


@pytest.mark.parametrize(
    "content", [b"no secrets", b"\xff secrets", b"[context.secrets\nA = 1", b"[logging]\nlevel=1", None]
)
def test_config_files_without_secrets(registry, tmp_path, monkeypatch, content):
    """A broken config file, one without secrets, and a missing one register nothing."""
    path = tmp_path / "config.toml"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(path))
    secret_sources.learn_config_file()
    assert len(registry) == 0


def test_putenv_is_restored(registry):
    """``watch`` restores ``putenv``, unless somebody else has replaced it since."""
    owner = os.environ if hasattr(os.environ, "putenv") else os
    before = owner.putenv
    end = secret_sources.EnvironmentSecrets(["OWN_*"]).watch(Faults())
    with mock.patch.dict(
        os.environ,
        {"OWN_KEY": "k9TzWq4mLrV7", "ANOTHER": "k9TzWq4mLrV8", "PREFECT__CONTEXT__SECRETS": '{"A": "k9TzWq4mLrV9"}'},
    ):
        pass
    assert "k9TzWq4mLrV7" in registry.values()
    assert "k9TzWq4mLrV8" not in registry.values()
    assert [names for value, names in registry.values().items() if "k9TzWq4mLrV9" in value] == [("secrets",)]
    with mock.patch.object(owner, "putenv", before):
        end()
    end()
    assert owner.putenv is before


def test_prefect_is_restored(registry, monkeypatch):
    """The class of Prefect's context is watched once and gets its own method back."""

    class Context(dict):
        __module__ = "prefect.utilities.context"  # a class of another module is not Prefect's

        def __call__(self, *args, **kwargs):
            return args, kwargs

    own = Context.__call__
    monkeypatch.setitem(sys.modules, "prefect.utilities.context", types.SimpleNamespace(Context=Context))
    monkeypatch.setitem(sys.modules, "prefect", types.SimpleNamespace(config={"cloud": 5}, context=None))
    watch = secret_sources.PrefectSecrets(Faults())
    watch.begin()
    assert watch.find_spec("prefect.client") is watch.find_spec("other") is None
    secrets = {"secrets": {"A": "k9TzWq4mLrV7"}}
    assert Context()(secrets, config={"context": {"secrets": {"B": "other-value"}}})[0] == (secrets,)
    Context()(5)
    watch.learn()
    watch.learn()
    watch.end()
    assert list(registry.values()) == ["k9TzWq4mLrV7", "other-value"]
    assert Context.__call__ is own
    assert watch not in sys.meta_path
