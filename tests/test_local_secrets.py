"""``local_secrets``: a mapping that reads with the real ``Secret.get``, and the ways to set secrets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_flowsecrets import SecretChangedWarning, SecretRejected, UsageError, exact, isolated_prefect
from tests.compat import VERSION, needs_prefect, variable_secret

pytestmark = needs_prefect
VARIABLE = "PREFECT__CONTEXT__SECRETS__"

# A thread of a pool that is older than every test.
OLD_POOL = ThreadPoolExecutor(1)
OLD_POOL.submit(threading.get_ident).result()


def secret(name):
    from prefect.client import Secret

    return Secret(name).get()


def in_new_thread(function, *arguments):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def in_child(expression, environ=None):
    code = f"import prefect; from prefect.client import Secret; import json; print(json.dumps({expression}))"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout.splitlines()[-1])


# -- the mapping -------------------------------------------------------------------------------------------------------


def test_it_starts_empty(local_secrets):
    """Without a mark there are no secrets."""
    assert dict(local_secrets) == {}
    assert len(local_secrets) == 0
    assert "X" not in local_secrets


def test_setting_is_seen_by_the_real_secret_at_once(local_secrets):
    """A new secret is visible in this thread, in a new thread and in an older one."""
    local_secrets["X"] = "v"
    assert secret("X") == "v"
    assert in_new_thread(secret, "X") == "v"
    assert OLD_POOL.submit(secret, "X").result() == "v"
    assert local_secrets["X"] == "v"


def test_changing_and_deleting_are_seen_everywhere(local_secrets):
    """A change reaches every thread, and after ``del`` the real Secret raises its own error there."""
    local_secrets["X"] = "v"
    local_secrets["X"] = "w"
    assert OLD_POOL.submit(secret, "X").result() == "w"
    del local_secrets["X"]
    for ask in (secret, lambda name: in_new_thread(secret, name), lambda name: OLD_POOL.submit(secret, name).result()):
        with pytest.raises(ValueError, match=r"X.* was not found"):
            ask("X")
    assert "X" not in local_secrets


def test_it_is_a_mutable_mapping(local_secrets):
    """The mapping supports update, pop, setdefault, clear, iteration, length and missing keys."""
    local_secrets.update({"my secret": 42}, A="a")
    local_secrets.update([("B", "b")])
    assert sorted(local_secrets) == ["A", "B", "my secret"]
    assert len(local_secrets) == 3
    assert local_secrets.pop("A") == "a"
    assert local_secrets.setdefault("C", "c") == "c"
    local_secrets.clear()
    assert dict(local_secrets) == {}
    with pytest.raises(KeyError, match="A"):
        local_secrets["A"]
    with pytest.raises(KeyError, match="A"):
        del local_secrets["A"]


@pytest.mark.parametrize(
    "value", ["text", "", " spaced ", "snow ☃", 42, -1.5, True, None, [1, "a"], {"user": "u", "port": 1}]
)
@pytest.mark.filterwarnings("error")
def test_values_come_back_as_they_were_given(local_secrets, value):
    """Text and JSON data keep their value without a warning if variables take every character."""
    if value == "snow ☃" and VERSION < (0, 13, 15):
        pytest.skip("variables lose characters outside of ASCII up to 0.13.14")
    local_secrets["V"] = value
    result = local_secrets["V"]
    assert json.loads(json.dumps(result, default=dict)) == value
    assert type(result) is type(value) or isinstance(value, (list, dict))


@pytest.mark.slow
def test_any_name_reaches_prefect_and_its_children_unchanged(local_secrets):
    """Every name reaches Prefect and its children, by the config file if no variable can carry it."""
    names = ["my secret", "with-dash", "dotted.name", "A__B", "_", "x=y", "ünïcode", "UPPER", "a"]
    local_secrets.update({name: f"v{number}" for number, name in enumerate(names)})
    expected = [f"v{number}" for number in range(len(names))]
    assert [secret(name) for name in names] == expected
    assert in_child(f"[Secret(name).get() for name in {names!r}]") == expected
    for name in names[1:]:
        del local_secrets[name]
    assert list(local_secrets) == names[:1]
    assert in_child("list(prefect.context.secrets)") == names[:1]


@pytest.mark.parametrize(
    ("value", "warned"),
    [({"ok": None}, True), ([True], True), ({"a": [{"b": False}]}, True), ({"a": "true"}, False), ({"a": 1}, False)],
)
def test_a_table_with_none_or_a_boolean_is_a_text_in_the_context(local_secrets, value, warned):
    """``Secret.get()`` decodes the table, the context holds text, and a warning says so."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SecretChangedWarning)
        local_secrets["V"] = value
    import prefect

    raw = prefect.context.secrets["V"]
    assert json.loads(json.dumps(secret("V"), default=dict)) == value
    assert isinstance(raw, str) == (warned or VERSION < (0, 11))
    messages = [str(each.message) for each in caught if each.category is SecretChangedWarning]
    assert len(messages) == (warned and VERSION >= (0, 11, 2))
    assert all("holds it as text" in each for each in messages)


@pytest.mark.parametrize("call", [lambda it, name: it.setenv(name, "x"), lambda it, name: it.unsetenv(name)])
def test_the_name_of_a_secret_is_not_that_of_its_variable(local_secrets, call):
    """``setenv`` rejects a name with the prefix and says what to write."""
    for name, message in (
        (f"{VARIABLE}TOKEN", "is the name of a variable: use the name of the secret, 'TOKEN'"),
        ("PREFECT__CLOUD__API", "is not the variable of a secret: set it with monkeypatch, then call reload()"),
        ("", "the name of a secret is empty"),
    ):
        with pytest.raises(UsageError, match=re.escape(message)):
            call(local_secrets, name)
    assert not local_secrets


@pytest.mark.parametrize("value", ["nul\0inside", "text"])
def test_text_that_no_variable_can_carry_goes_by_the_config_file(local_secrets, value):
    """A text with NUL, which no variable can hold, goes into the config file."""
    local_secrets["N"] = value
    assert secret("N") == value


def test_the_repr_shows_names_only(local_secrets):
    """The repr shows no values."""
    local_secrets["X"] = "hunter2"
    assert repr(local_secrets) == "<LocalSecrets ['X']>"


@pytest.mark.parametrize(
    ("name", "value"),
    [(1, "x"), ("X", b"bytes"), ("X", object()), ("X", {1, 2}), (None, "x"), ("", "x"), (f"{VARIABLE}X", "x")],
)
def test_names_are_text_and_values_are_text_or_json(local_secrets, name, value):
    """Other names and values raise one clear error and change nothing."""
    local_secrets["KEPT"] = "kept"
    with pytest.raises(UsageError) as caught:
        local_secrets[name] = value
    assert "\n" not in str(caught.value)
    assert "bytes'" not in str(caught.value)
    assert dict(local_secrets) == {"KEPT": "kept"}


def test_what_prefect_refuses_changes_nothing(local_secrets):
    """A name that makes ``import prefect`` fail from 0.6.0 on is rejected and changes nothing."""
    if VERSION < (0, 6, 0):
        pytest.skip("0.5 takes every name")
    local_secrets["KEPT"] = "kept"
    before = dict(os.environ)
    with pytest.raises(SecretRejected, match="'items'") as caught:
        local_secrets["items"] = "hunter2"
    assert "hunter2" not in str(caught.value)
    assert dict(os.environ) == before
    assert dict(local_secrets) == {"KEPT": "kept"}
    assert secret("KEPT") == "kept"


def test_the_tests_own_context_counts_and_is_kept(local_secrets):
    """A secret that the test puts into ``prefect.context`` overrides others and persists when they change."""
    import prefect

    prefect.context.setdefault("secrets", {})
    prefect.context.secrets["BY_HAND"] = "hand"
    local_secrets["X"] = "v"
    assert (secret("BY_HAND"), secret("X")) == ("hand", "v")
    assert sorted(local_secrets) == ["BY_HAND", "X"]
    mine = {"ONLY": "mine"}
    with prefect.context(secrets=mine):
        assert list(local_secrets) == ["ONLY"]
        local_secrets["Y"] = "w"
        assert (secret("ONLY"), secret("Y")) == ("mine", "w")
        del local_secrets["ONLY"]
        assert list(local_secrets) == ["Y"]
    assert mine == {"ONLY": "mine"}


def test_what_a_test_puts_beside_the_secrets_stays_when_they_go(local_secrets):
    """Other items in the same table persist when secrets are deleted."""
    import prefect

    local_secrets["X"] = "v"
    prefect.context.secrets["BY_HAND"] = "hand"
    del local_secrets["X"]
    assert dict(local_secrets) == {"BY_HAND": "hand"}
    del local_secrets["BY_HAND"]
    assert prefect.context.secrets == {} if VERSION >= (0, 6, 6) else not prefect.context.secrets
    prefect.context["secrets"] = "no table at all"
    local_secrets["X"] = "v"
    assert prefect.context.secrets == "no table at all"
    assert dict(local_secrets) == {}
    local_secrets.reload()
    assert dict(local_secrets) == {"X": "v"}


def test_other_keys_of_the_context_are_kept_as_the_test_set_them(local_secrets):
    """Keys in ``prefect.context`` override ``[context]`` of the file and persist."""
    import prefect

    prefect.context["mine"] = "hand"
    local_secrets.write_config("[context]\nmine = 'file'\nother = 'file'\n")
    assert (prefect.context.mine, prefect.context.other) == ("hand", "file")
    local_secrets.write_config("")
    assert prefect.context.mine == "hand"
    assert "other" not in prefect.context


@pytest.mark.slow
def test_many_kinds_of_environment_are_remembered_but_not_for_ever(local_secrets, monkeypatch):
    """The cache of loaded configurations is bounded."""
    import prefect

    for number in range(60):
        monkeypatch.setenv("PREFECT__DEBUG", str(number))
        local_secrets.reload()
        assert prefect.config.debug == number


def test_a_temporary_config_of_prefect_stays_while_secrets_change(local_secrets):
    """``set_temporary_config`` keeps its effect while secrets change inside it."""
    import prefect
    from prefect.utilities.configuration import set_temporary_config

    with set_temporary_config({"flows.checkpointing": "temporary"}):
        local_secrets["X"] = "v"
        local_secrets.setenv("y", "w")
        assert prefect.config.flows.checkpointing == "temporary"
        assert (secret("X"), secret("y")) == ("v", "w")
    assert prefect.config.flows.get("checkpointing") != "temporary"


def test_secret_exists(local_secrets):
    """``Secret.exists`` (0.9.0 on) agrees with the mapping."""
    if VERSION < (0, 9, 0):
        pytest.skip("Secret.exists came with 0.9.0")
    from prefect.client import Secret

    local_secrets["X"] = "v"
    assert Secret("X").exists()
    assert not Secret("OTHER").exists()


def test_config_and_context_taken_before_see_the_secrets(local_secrets):
    """Objects that were imported by name before keep their identity and have the secrets."""
    from prefect import config, context

    local_secrets["X"] = "v"
    assert config.context.secrets["X"] == "v"
    assert context.secrets["X"] == "v"
    assert config.context.secrets.X == "v"


# -- variables ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_setenv_gives_the_name_that_this_version_makes_of_it(local_secrets):
    """Prefect up to 0.6.6 lower-cases the name, and later versions keep it."""
    local_secrets.setenv("GITHUB_ACCESS_TOKEN", "x")
    expected = "github_access_token" if VERSION <= (0, 6, 6) else "GITHUB_ACCESS_TOKEN"
    assert list(local_secrets) == [expected]
    assert secret(expected) == "x"
    assert os.environ["PREFECT__CONTEXT__SECRETS__GITHUB_ACCESS_TOKEN"] == "x"
    assert in_child("list(prefect.context.secrets)") == [expected]


def test_unsetenv_takes_it_away(local_secrets):
    """A variable can be set and removed in the middle of a test."""
    local_secrets.setenv("token", "x")
    local_secrets.unsetenv("token")
    assert "token" not in local_secrets
    with pytest.raises(KeyError, match="token"):
        local_secrets.unsetenv("token")


def test_del_takes_variables_away_however_they_were_spelled(local_secrets):
    """``del`` removes all ``__`` variables that form one table."""
    local_secrets.setenv("db__user", "u")
    local_secrets.setenv("db__port", "1")
    assert dict(local_secrets["db"]) == {"user": "u", "port": 1}
    del local_secrets["db"]
    assert dict(local_secrets) == {}


@pytest.mark.parametrize(("name", "text"), [("a=b", "x"), ("a", "nul\0"), ("a\0b", "x"), ("a", 5), (5, "x")])
def test_setenv_refuses_what_no_environment_takes(local_secrets, name, text):
    """An invalid name or text raises one clear error and changes nothing."""
    before = dict(os.environ)
    with pytest.raises(UsageError, match=r"cannot be set|must be text, not int"):
        local_secrets.setenv(name, text)
    assert dict(os.environ) == before


def test_a_variable_of_the_test_wins_over_its_config_file_and_the_mapping_over_both(local_secrets):
    """A variable overrides the file, and the mapping overrides both."""
    name = variable_secret("TOKEN")
    local_secrets.write_config({"context": {"secrets": {name: "file"}}})
    assert local_secrets[name] == "file"
    local_secrets.setenv("TOKEN", "variable")
    assert local_secrets[name] == "variable"
    local_secrets[name] = "mapping"
    assert local_secrets[name] == "mapping"
    local_secrets.setenv("TOKEN", "again")
    assert local_secrets[name] == "again"


@pytest.mark.slow
def test_del_hides_what_the_config_file_defines(local_secrets, prefect_home):
    """Prefect and children no longer see the secret, and the test's own file is unchanged."""
    path = local_secrets.write_config("[context.secrets]\nA = 'a'\nB = 'b'\n")
    del local_secrets["A"]
    assert dict(local_secrets) == {"B": "b"}
    assert in_child("list(prefect.context.secrets)") == ["B"]
    assert "A = 'a'" in path.read_text()
    local_secrets["A"] = "back"
    assert dict(local_secrets) == {"A": "back", "B": "b"}


# -- children, flags, reload -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_environ_is_what_a_child_needs(local_secrets):
    """`environ` holds no other variables of ``os.environ``."""
    local_secrets["X"] = "v"
    local_secrets.write_config("[context.secrets]\nF = 'f'\n")
    assert in_child("[Secret('X').get(), Secret('F').get()]", local_secrets.environ) == ["v", "f"]
    assert all(name.startswith("PREFECT__") or name in ("HOME", "PYTHONUSERBASE") for name in local_secrets.environ)
    local_secrets.environ["X"] = "a copy"
    assert "X" not in os.environ


@pytest.mark.slow
@pytest.mark.parametrize("value", [False, True])
def test_use_local_secrets_can_be_read_and_set(local_secrets, value):
    """The flag has its effect on ``Secret.get`` in this process and in children."""
    import prefect

    assert local_secrets.use_local_secrets is True
    local_secrets.use_local_secrets = value
    assert local_secrets.use_local_secrets is value
    assert prefect.config.cloud.use_local_secrets is value
    assert in_child("prefect.config.cloud.use_local_secrets") is value


def test_reload_sees_what_monkeypatch_has_set(local_secrets, monkeypatch):
    """A variable of monkeypatch takes effect at ``reload()``."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__late", "x")
    assert "late" not in local_secrets
    local_secrets.reload()
    assert secret("late") == "x"
    assert OLD_POOL.submit(secret, "late").result() == "x"


@pytest.mark.slow
def test_reload_sees_a_config_path_that_the_test_has_set(local_secrets, monkeypatch, tmp_path):
    """``PREFECT__USER_CONFIG_PATH`` takes effect together with a secret that needs a file."""
    own = tmp_path / "own.toml"
    own.write_text("[context.secrets]\nOWN = 'own'\n")
    local_secrets["A__B"] = "v"
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(own))
    local_secrets.reload()
    assert dict(local_secrets) == {"OWN": "own", "A__B": "v"}
    assert in_child("sorted(prefect.context.secrets)") == ["A__B", "OWN"]
    local_secrets.write_config("")
    assert dict(local_secrets) == {"A__B": "v"}
    assert own.read_text() == "[context.secrets]\nOWN = 'own'\n"


def test_a_config_path_of_the_test_replaces_the_private_file(local_secrets, monkeypatch, tmp_path):
    """Prefect finds the private file without a variable, and a path that the test sets takes precedence over it."""
    local_secrets.write_config("[context.secrets]\nPRIVATE = 'p'\n")
    assert "PREFECT__USER_CONFIG_PATH" not in os.environ
    own = tmp_path / "own.toml"
    own.write_text("[context.secrets]\nOWN = 'own'\n")
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(own))
    local_secrets.reload()
    assert dict(local_secrets) == {"OWN": "own"}


def test_a_config_path_that_the_test_has_set_is_left_alone(local_secrets, monkeypatch, tmp_path):
    """The path of the test stays, also if `context` of its file is missing or not a table."""
    own = tmp_path / "own.toml"
    own.write_text("context = 5\n[debug]\n")
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(own))
    with pytest.raises(SecretRejected, match="the current settings"):
        local_secrets.reload()
    own.write_text("debug = true\n")
    local_secrets.reload()
    local_secrets["A__B"] = "v"
    del local_secrets["A__B"]
    assert os.environ["PREFECT__USER_CONFIG_PATH"] == str(own)
    import prefect

    assert prefect.config.debug is True


def test_an_inner_isolation_does_not_read_the_copy_of_a_config_file(local_secrets, monkeypatch, tmp_path):
    """A secret that is added to a copy of the test's file stays with its isolation."""
    own = tmp_path / "own.toml"
    own.write_text("debug = true\n")
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", str(own))
    local_secrets.reload()
    local_secrets["A__B"] = "v"
    with isolated_prefect() as inner:
        assert dict(inner) == {}
    assert dict(local_secrets) == {"A__B": "v"}


def test_reload_drops_what_is_set_by_hand(local_secrets):
    """``reload()`` drops changes that a new process would not have."""
    import prefect

    prefect.context["secrets"] = {"BY_HAND": "x"}
    prefect.config.cloud.use_local_secrets = False
    local_secrets.reload()
    assert dict(local_secrets) == {}
    assert prefect.config.cloud.use_local_secrets is True


def test_dotenv_after_the_import_of_prefect(local_secrets, tmp_path):
    """Variables that are loaded late have no effect before ``reload()`` (issue 4331 of Prefect)."""
    dotenv = pytest.importorskip("dotenv")
    file = tmp_path / ".env"
    file.write_text("PREFECT__CONTEXT__SECRETS__from_dotenv=x\n")
    dotenv.load_dotenv(file)
    with pytest.raises(ValueError, match="was not found"):
        secret("from_dotenv")
    local_secrets.reload()
    assert secret("from_dotenv") == "x"


@pytest.mark.slow
def test_the_real_local_agent_gives_the_secrets_to_a_flow_run(local_secrets, monkeypatch):
    """The environment of the real ``LocalAgent.populate_env_vars`` gives the secrets to a child."""
    if VERSION < (0, 10, 0):
        pytest.skip("the local agent of this version starts Docker containers")
    from prefect.utilities.graphql import GraphQLResult

    if VERSION < (0, 13, 0):  # agents of Cloud, and in later versions those of Server, ask the API at their creation
        monkeypatch.setenv("PREFECT__BACKEND", "server")
        local_secrets.reload()
    local_secrets["TOKEN"] = "from-the-test"
    local_secrets["A__B"] = "by file"
    environment = _agent_environment(GraphQLResult)
    assert in_child("[Secret('TOKEN').get(), Secret('A__B').get()]", environment) == ["from-the-test", "by file"]


def _agent_environment(result):
    from prefect.agent.local import LocalAgent

    run = result({"id": "run", "name": "name", "flow": result({"id": "flow"})})
    if VERSION < (0, 13, 12):  # from 0.13.12 on, the agent itself adds its environment
        return {**os.environ, **LocalAgent().populate_env_vars(run)}
    return LocalAgent().populate_env_vars(run, run_config=None)


# -- surprises ---------------------------------------------------------------------------------------------------------


def _warnings(recorded):
    return [str(warning.message) for warning in recorded if issubclass(warning.category, SecretChangedWarning)]


def test_a_changed_value_is_told_once_without_the_value(local_secrets, recwarn):
    """One warning says that ``"0000"`` becomes a number from 0.11.0 on, and its advice keeps the text."""
    local_secrets["PIN"] = "0000"
    local_secrets["PIN"] = "00000"
    messages = _warnings(recwarn)
    if VERSION < (0, 11, 0):
        assert messages == []
        assert local_secrets["PIN"] == "00000"
        return
    assert local_secrets["PIN"] == 0
    (message,) = messages
    assert "'PIN'" in message
    assert "set str" in message
    assert "returns int" in message
    assert "0000" not in message
    value = "0000"
    local_secrets["PIN2"] = eval(
        message.rsplit("set it to ", 1)[1], {"exact": exact, "json": json, "repr": repr, "value": value}
    )
    assert local_secrets["PIN2"] == value
    assert len(_warnings(recwarn)) == 1


@pytest.mark.parametrize("value", [{1: "x"}, [{"a": {2: 3}}]], ids=repr)
def test_keys_that_become_text_are_reported(local_secrets, value):
    """A mapping whose keys are not text is delivered with text keys, and the warning says so."""
    with pytest.warns(SecretChangedWarning, match="keys that are not text, and JSON has text keys only"):
        local_secrets["A"] = value


@pytest.mark.parametrize(
    "value", ["123", "true", "1.10", "1e5", '"quoted"', "a\\nb", "café", "null", "$HOME", "~", "x$HOME"]
)
def test_the_way_that_is_told_is_right(local_secrets, recwarn, value):
    """The advised spelling keeps the value, or the warning says that none does."""
    local_secrets["V"] = value
    messages = _warnings(recwarn)
    if local_secrets["V"] == value and isinstance(local_secrets["V"], str):
        assert messages == []
        return
    if value in ('"quoted"', "$HOME"):  # JSON that is read as JSON, and a whole reference, which is deliberate
        assert messages == []
        return
    (message,) = messages
    assert value not in message
    if "no spelling" in message:
        assert "$" in value or value == "~" or VERSION < (0, 13, 15)
        return
    names = {"exact": exact, "json": json, "repr": repr, "value": value}
    advice, _, own_variable = message.rsplit("set it to ", 1)[1].partition("; in a variable of your own, write ")
    local_secrets["V2"] = eval(advice, names)
    assert local_secrets["V2"] == value
    if own_variable:
        local_secrets.setenv("v3", eval(own_variable, names))
        assert local_secrets["v3"] == value
    assert isinstance(local_secrets["V2"], str)


def test_a_surprise_in_the_config_file_is_told_for_that_place(local_secrets, recwarn):
    """From 0.11.2 on, the warning about a TOML text advises a spelling for the file."""
    local_secrets.write_config("[context.secrets]\nPIN = '0000'\nDOC = '{\"a\": 1}'\nN = 5\n")
    messages = _warnings(recwarn)
    if VERSION < (0, 11, 2):
        assert messages == []
        return
    (message,) = messages
    assert "'PIN'" in message
    text = eval(message.rsplit("set it to ", 1)[1], {"exact": exact, "json": json, "repr": repr, "value": "0000"})
    local_secrets.write_config({"context": {"secrets": {"PIN": text}}})
    assert local_secrets["PIN"] == "0000"


def test_a_variable_whose_name_is_changed_is_told(local_secrets, recwarn):
    """Up to 0.6.6, a warning says that no secret of that name exists."""
    local_secrets.setenv("TOKEN", "x")
    messages = _warnings(recwarn)
    if VERSION >= (0, 6, 7):
        assert messages == []
    else:
        (message,) = messages
        assert "'TOKEN'" in message
        assert "changes names" in message


def test_a_warning_points_at_the_test_and_shows_no_source_line_with_the_value(local_secrets, recwarn):
    """The location of the warning is a line without the value."""
    local_secrets["V"] = "5"
    (warning,) = [warning for warning in recwarn if issubclass(warning.category, SecretChangedWarning)]
    lines = Path(__file__).read_text("utf-8").splitlines()
    assert warning.filename == __file__
    assert lines[warning.lineno - 1].startswith("def test_a_warning_points_at")


def test_while_a_flow_is_built_secrets_can_be_given_but_not_read(local_secrets):
    """Inside ``with Flow``, secrets can be set, and reading raises Prefect's own error."""
    from prefect import Flow

    local_secrets["OTHER"] = "x"
    with Flow("building"):
        local_secrets["PIN"] = "0000"
        with pytest.raises(ValueError, match="while building a Flow"):
            local_secrets["PIN"]
    assert "PIN" in local_secrets


def test_explain_tells_where_a_secret_comes_from(local_secrets):
    """`explain` shows the source and the steps, and no value."""
    name = variable_secret("TOKEN")
    local_secrets.write_config({"context": {"secrets": {name: "hunter2 of the file", "OTHER": "x"}}})
    local_secrets.setenv("TOKEN", "hunter2 of the variable")
    explanation = local_secrets.explain(name)
    assert "PREFECT__CONTEXT__SECRETS__TOKEN" in explanation
    assert "config.toml" in explanation
    assert "hunter2" not in explanation
    assert "OTHER" not in explanation


def test_the_model_agrees_with_the_real_prefect(local_secrets):
    """The model has the same secrets as the real Prefect in this isolation."""
    local_secrets.update({"my secret": 42, "A__B": "by file", "T": "true", "D": {"a": [1, None]}, "lower": "1.10"})
    local_secrets.setenv("NUMBER", "5")
    from pytest_flowsecrets.isolation import legacy_state
    from pytest_flowsecrets.versions import DEFAULT_VERSION, installed_version

    resolution = legacy_state.resolve_process(installed_version() or DEFAULT_VERSION)
    assert sorted(legacy_state.secrets_in(resolution)) == sorted(local_secrets)
    for name in local_secrets:
        assert json.dumps(legacy_state.secret_value(resolution, name)) == json.dumps(local_secrets[name], default=dict)
