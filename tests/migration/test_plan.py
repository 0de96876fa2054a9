"""A plan names every secret and setting, and what a person has to decide."""

from __future__ import annotations

import json

import pytest

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.migration.plan import make_plan, new_names, texts_not_decoded
from pytest_flowsecrets.resolution.display import Mask
from pytest_flowsecrets.resolution.resolve import resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

S = "PREFECT__CONTEXT__SECRETS__"


def resolution(toml="", version="1.4.1", **environ):
    layers = [read_layer(toml.encode(), "user", "config.toml")] if toml else []
    return resolve(layers, environ, version)


def plan(toml="", version="1.4.1", target=3, environ=None, **options):
    return make_plan(resolution(toml, version, **(environ or {})), target, **options)


def by_name(made):
    return {entry.old: entry for entry in made.entries}


def test_secrets_become_blocks_with_the_values_of_the_flow():
    """Each secret of a file or variable becomes a block, with the name and the value that the legacy flow gets."""
    made = plan("[context.secrets]\nTOKEN = 'x'\n", environ={f"{S}Pin": "0000", f"{S}N": "null"})
    values = {entry.new: (entry.kind, entry.stored.data) for entry in made.items}
    assert values == {"token": ("block", "x"), "pin": ("block", 0), "n": ("block", None)}
    assert not made.needs_attention
    assert by_name(made)["TOKEN"].origin == "config.toml:2:1"


def test_names_follow_the_legacy_release():
    """Up to 0.6.6 a variable sets a secret with a name in lower case, so the code uses that name."""
    assert list(by_name(plan(version="0.6.6", environ={f"{S}MY_KEY": "x"}))) == ["my_key"]


def test_settings_become_variables_and_sensitive_ones_blocks():
    """Keys that users add become variables; a name or an address that looks like a secret becomes a block."""
    toml = """
[context]
bucket = "b"
db_password = "p"
url = "https://user:p@host/"
flow_run_id = "x"
[mine]
host = "h"
[vault]
login = {api_token = "t"}
[cloud]
api = "https://api.example"
"""
    made = plan(toml, environ={"PREFECT__OTHER__KEY1": "1", "PREFECT__USER_CONFIG_PATH": "config.toml"})
    assert {entry.old: (entry.kind, entry.new) for entry in made.items} == {
        "context.bucket": ("variable", "bucket"),
        "context.db_password": ("block", "db-password"),
        "context.url": ("block", "url"),
        "mine": ("variable", "mine"),
        "vault": ("block", "vault"),
        "other": ("block", "other"),
    }
    assert by_name(made)["mine"].stored.data == {"host": "h"}


def test_keys_in_tables_of_prefect():
    """Keys that users add to a table of Prefect become variables; those that Prefect reads do not."""
    toml = """
[cloud]
api_key = "k"
region = "eu"
[cloud.agent]
auth_token = "t"
labels = ["a"]
[cloud.agent.env_vars]
MINE = "m"
[tasks.defaults]
max_retries = 3
[logging]
level = "DEBUG"
[logging.mine]
file = "f"
"""
    assert {entry.old: entry.new for entry in plan(toml).items} == {"cloud.region": "region", "logging.mine": "mine"}


@pytest.mark.parametrize("target", [2, 3])
def test_a_setting_that_is_too_long_for_a_variable(target):
    """A variable holds at most 5,000 characters, so a longer value becomes a block, and the plan says so."""
    made = by_name(plan(f"[context]\nshort = '{'a b ' * 1200}'\nlong = '{'a b ' * 1300}'\n", target=target))
    assert (made["context.short"].kind, made["context.short"].changes) == ("variable", [])
    assert (made["context.long"].kind, made["context.long"].stored.data) == ("block", "a b " * 1300)
    assert made["context.long"].changes == ["a variable holds at most 5,000 characters, so this becomes a Secret block"]


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("db = [{host = 'h', password = 'p'}]", "block"),
        ("hosts = [['https://u:p@host/']]", "block"),
        ("pass = 'p'", "block"),
        ("passphrase = 'p'", "block"),
        ("aws_creds = 'p'", "block"),
        ("jwt = 'p'", "block"),
        ("apiKey2 = 'p'", "block"),
        ("MYSQLPASSWORD = 'p'", "block"),
        ("slack = 'https://hooks.slack.com/services/T0/B0/x'", "block"),
        ("url = 'postgres://u:p/w@host/db'", "block"),
        ("plain = 'ghp_1aZ9qX7wB3kLm5Nt8RvY2cD4eF6gH0jK1sPu'", "block"),
        ("sshkey = 'p'", "block"),
        ("db_conn = 'p'", "block"),
        ("keyboard = 'us'", "variable"),
        ("monkey = 'm'", "variable"),
        ("authors = ['a', 'b']", "variable"),
        ("conn_max = 3", "variable"),
        ("passenger = 'p'", "variable"),
        ("certainty = 0.5", "variable"),
        ("title = 'a report of the night'", "variable"),
        ("url = 'https://example.org:8080/path'", "variable"),
        ("mail = 'me@example.org'", "variable"),
    ],
)
def test_settings_that_look_like_secrets(setting, kind):
    """A name of a secret, an address with a password and a token make a block, also in lists; parts of words do not."""
    assert [item.kind for item in plan(f"[context]\n{setting}\n").items] == [kind]


def test_collisions_are_not_created():
    """Two names that become one are both problems, also if a person has to enter one of them; new names solve it."""
    toml = "[context.secrets]\nA_B = 'x'\n'a b' = 'y'\n"
    made = plan(toml, cloud_names=["a-b"])
    assert [entry.collides for entry in made.entries] == [True] * 3
    assert "a b, a-b" in by_name(made)["A_B"].problem
    assert set(new_names(made).values()) == {""}
    made = plan(toml, cloud_names=["a-b"], renames={"a b": "second", "A_B": "first"})
    assert new_names(made) == {"A_B": "first", "a b": "second", "a-b": "a-b"}
    assert all(item.ready for item in made.items)


def test_names_without_a_letter_need_a_new_name():
    """A secret whose name leaves nothing for a block is a problem until it gets a name."""
    assert "--rename" in by_name(plan("[context.secrets]\n'é' = 'x'\n"))["é"].problem
    assert plan("[context.secrets]\n'é' = 'x'\n", renames={"é": "e-acute"}).items[0].ready


@pytest.mark.parametrize("renames", [{"TOKEN": "A_B"}, {"TOKEN": "é"}, {"NOPE": "x"}, {"context.bucket": "a-b"}])
def test_wrong_new_names(renames):
    """A new name that is not valid, or belongs to nothing, is an error."""
    with pytest.raises(UsageError, match="--rename"):
        plan("[context]\nbucket = 'b'\n[context.secrets]\nTOKEN = 'x'\n", renames=renames)


def test_cloud_secrets_are_entered_by_hand():
    """A secret that the legacy flow gets from Cloud, or that only the code names, is listed with its places."""
    toml = "[cloud]\nuse_local_secrets = false\n[context.secrets]\nLOCAL = 'x'\n"
    made = plan(toml, used={"REMOTE": ["flow.py:3"], "LOCAL": ["flow.py:4"]})
    assert [(each.old, each.new, each.used_at) for each in made.missing] == [("REMOTE", "remote", ["flow.py:3"])]
    assert "Cloud" in made.missing[0].reason
    made = plan(toml, version="0.6.6", used={"LOCAL": ["flow.py:4"]})  # it never reads a local secret then
    assert [(each.old, each.used_at) for each in made.missing] == [("LOCAL", ["flow.py:4"])]
    made = plan("[context.secrets]\nLOCAL = 'x'\n", used={"NOPE": ["flow.py:1"]})
    assert "does not define it" in made.missing[0].reason


def test_values_that_cannot_be_stored_or_change():
    """The plan says what differs: a changed type, a value without a JSON form, and an error of the legacy flow."""
    made = by_name(plan(environ={f"{S}A": "{1}", f"{S}B": "(1, 2)", f"{S}C": "1" * 5000}))
    assert "set is not JSON data" in made["A"].problem
    assert made["B"].changes == ["tuple becomes list"]
    assert made["B"].stored.data == [1, 2]
    assert all(made[name].changes or made[name].problem for name in "AB")


def test_an_invalid_configuration_is_an_error_of_the_plan():
    """A configuration with which Prefect cannot be imported gives a plan with the error and no items."""
    made = plan("[context.secrets]\nA = hunter2\n", used={"A": ["flow.py:1"]})
    assert made.items == []
    assert [each.reason for each in made.missing] == ["the configuration cannot be loaded"]
    assert "import prefect fails" in made.errors[0]
    assert "hunter2" not in made.errors[0]


def test_a_name_that_may_contain_a_value_is_not_used():
    """A line without quotes is a problem, and nothing of it is in the plan."""
    made = plan("[context.secrets]\nURL=user:hunter2@host?timeout=10\n")
    assert "hunter2" not in json.dumps(made.as_dict(Mask()))
    assert not any(item.ready for item in made.items)


def test_no_value_is_shown():
    """Neither ``repr`` nor the plain data of a plan contains a value or a fingerprint that a dictionary can reverse."""
    made = plan("[context]\nx = 'hunter1'\n[context.secrets]\nA = 'hunter2'\nB = 12345678\n")
    shown = json.dumps(made.as_dict(Mask())) + repr(made) + repr(made.items)
    assert not [value for value in ("hunter1", "hunter2", "12345678") if value in shown]


def test_texts_that_only_secret_decodes():
    """Secrets for which ``prefect.context.secrets`` holds another value than ``Secret.get`` returns are known."""
    assert texts_not_decoded(resolution("[context.secrets]\nA = 'null'\nB = 'x'\nC = 1\n")) == ["A"]
