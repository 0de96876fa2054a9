"""The marker ``secrets`` and ``local_secrets`` on Prefect 2.20 and 3."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import warnings

import pytest
from prefect import flow, task
from prefect.blocks.core import Block
from prefect.blocks.system import Secret

from pytest_flowsecrets import FakeCloud, IsolationEnded, SecretChangedWarning, UsageError, isolated_prefect
from tests.prefect3.compat import IS_TYPED, VERSION

NAME, BLOCK = "GITHUB_ACCESS_TOKEN", "github-access-token"


@task
def load_in_task():
    return Secret.load(BLOCK).get()


@flow
def load_in_flow():
    return Secret.load(BLOCK).get(), load_in_task()


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="x-identifier")
def test_an_identifier_names_a_block_in_lower_case_with_dashes():
    """``GITHUB_ACCESS_TOKEN`` is the block ``github-access-token``, by ``Secret.load`` and by ``Block.load``."""
    assert Secret.load(BLOCK).get() == "x-identifier"
    assert Block.load(f"secret/{BLOCK}").get() == "x-identifier"


@pytest.mark.secrets({"github-access-token": "x-mapping"})
def test_a_mapping_names_the_block_itself(local_secrets):
    """Both spellings of the name read the same secret in ``local_secrets``."""
    assert load_in_flow() == ("x-mapping", "x-mapping")
    assert local_secrets[NAME] == local_secrets[BLOCK] == "x-mapping"
    assert NAME in local_secrets
    assert BLOCK in local_secrets
    assert list(local_secrets) == [BLOCK]


@pytest.mark.secrets({"github-access-token": "x-async"})
def test_blocks_load_in_an_event_loop(local_secrets):
    """``await Secret.load``, ``aload`` where it exists, and ``local_secrets`` work while a loop runs."""

    async def main():
        block = await Secret.load(BLOCK)
        values = [block.get(), (await Block.load(f"secret/{BLOCK}")).get(), local_secrets[NAME]]
        local_secrets["OTHER"] = "set in a loop"
        values.append((await Secret.load("other")).get())
        if hasattr(Secret, "aload"):
            values.append((await Secret.aload(BLOCK)).get())
        return values

    values = asyncio.run(main())
    assert set(values) == {"x-async", "set in a loop"}


def test_a_secret_of_another_test_does_not_exist(local_secrets):
    """Without a marker there is no block, and ``local_secrets`` is empty."""
    with pytest.raises(ValueError, match="Unable to find block document"):
        Secret.load(BLOCK)
    assert dict(local_secrets) == {}


TEXTS = ["plain", "42", "true", "null", "1e3", " 7 ", '"q"', "0000", "007", "-", '{"a": 1}', "[1, 2]", "é\n"]
DATA = ["", 42, 1.5, True, None, [1, "two"], {"a": {"b": None}}]


@pytest.mark.filterwarnings("ignore::pytest_flowsecrets.SecretChangedWarning")
@pytest.mark.parametrize("value", [*TEXTS, *(DATA if IS_TYPED else [])], ids=repr)
def test_local_secrets_reads_what_get_returns(local_secrets, value):
    """The value and its type are those of the real ``Secret.load(name).get()``."""
    local_secrets["X"] = value
    result = Secret.load("x").get()
    assert local_secrets["X"] == result
    assert type(local_secrets["X"]) is type(result)


@pytest.mark.filterwarnings("ignore::pytest_flowsecrets.SecretChangedWarning")
@pytest.mark.parametrize("value", [*TEXTS, *(DATA if IS_TYPED else [42])], ids=repr)
def test_a_secret_is_stored_as_the_client_stores_it(local_secrets, value):
    """``Secret(value=…).save()`` stores the same value as ``local_secrets[…] = value``, and reads the same."""
    local_secrets["ours"] = value
    Secret(value=value).save("theirs")
    assert Secret.load("ours").get() == Secret.load("theirs").get() == local_secrets["theirs"]


@pytest.mark.skipif(IS_TYPED, reason="Prefect 3 stores any JSON data")
def test_an_empty_text_is_one_clear_error(local_secrets):
    """The client of Prefect 2.20 saves an empty text as null, and ``Secret.load`` fails."""
    Secret(value="").save("theirs")
    with pytest.raises(RuntimeError, match="Unable to load"):
        Secret.load("theirs")
    with pytest.raises(UsageError, match=r"secret 'x': a Secret block of Prefect 2.* cannot hold an empty text"):
        local_secrets["X"] = ""


@pytest.mark.skipif(IS_TYPED, reason="Prefect 3 stores any JSON data")
@pytest.mark.parametrize("value", [[1], {"a": 1}], ids=repr)
def test_data_that_a_block_cannot_hold_is_one_clear_error(local_secrets, value):
    """Prefect 2.20 stores text only. The error names the secret and the next step."""
    with pytest.raises(UsageError, match=r"^secret 'x': a Secret block of Prefect 2.* cannot hold .*json.dumps"):
        local_secrets["x"] = value
    assert "x" not in local_secrets


def test_a_secret_that_a_flow_saves_is_in_local_secrets(local_secrets):
    """``Secret(...).save`` of the code under test is visible, and so is a later change."""
    Secret(value="first").save("saved")
    assert local_secrets["SAVED"] == "first"
    Secret(value="second").save("saved", overwrite=True)
    assert dict(local_secrets) == {"saved": "second"}


# -- changing ----------------------------------------------------------------------------------------------------------


def test_local_secrets_is_a_mapping(local_secrets):
    """Set, update, delete and clear change what a flow reads, in both spellings."""
    local_secrets.update({"A_B": "1a", "c": "x"}, D="y")
    assert (sorted(local_secrets), len(local_secrets)) == (["a-b", "c", "d"], 3)
    local_secrets["a-b"] = "changed"
    assert Secret.load("a-b").get() == "changed"
    del local_secrets["A_B"]
    with pytest.raises(KeyError, match="A_B"):
        del local_secrets["A_B"]
    with pytest.raises(KeyError, match="nope"):
        local_secrets["nope"]
    assert 42 not in local_secrets
    assert repr(local_secrets) == "<LocalSecrets ['c', 'd']>"
    local_secrets.clear()
    assert dict(local_secrets) == {}


@pytest.mark.secrets(TOKEN="before")
def test_a_secret_rotates(local_secrets):
    """``rotate`` changes a value now, or when the time has come."""
    local_secrets.rotate("TOKEN", "now")
    assert Secret.load("token").get() == "now"
    local_secrets.rotate("token", "tomorrow", at=dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=1))
    assert Secret.load("token").get() == "now"
    with pytest.raises(KeyError):
        local_secrets.rotate("other", "x")


@pytest.mark.parametrize("name", ["my secret", "a.b", "é", "a/b", "", 7])
def test_a_name_that_no_block_can_have_is_one_clear_error(local_secrets, name):
    """The error says which names are possible, and nothing is stored."""
    with pytest.raises(UsageError, match="name"):
        local_secrets[name] = "hidden-value"
    assert dict(local_secrets) == {}


def test_names_that_collide_are_one_clear_error(local_secrets):
    """Two names for the same block are refused, and the error names both."""
    with pytest.raises(UsageError, match="'A_B' and 'a-b' stand for the same Secret block, 'a-b'"):
        local_secrets.update({"A_B": "x", "a-b": "y"})
    with pytest.raises(UsageError, match="'X' and 'x' stand for"), isolated_prefect({"X": "1", "x": "2"}):
        pass


def test_data_that_is_not_json_is_one_clear_error(local_secrets):
    """The error names the secret and the type."""
    with pytest.raises(UsageError, match="secret 'x'"):
        local_secrets["x"] = object()


# -- warnings and explanations -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not IS_TYPED, reason="Prefect 2.20 stores text only")
def test_a_changed_value_warns_with_the_way_to_keep_it(local_secrets):
    """Text that Prefect decodes as JSON warns once. With the advice, the flow gets the text."""
    with pytest.warns(SecretChangedWarning, match=r"set str, Secret.load\('x'\).get\(\) returns int; .*exact"):
        local_secrets["X"] = "0x".replace("0x", "42")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        local_secrets["x"] = "43"  # reported before
        local_secrets["kept"] = json.dumps("42")
        local_secrets["document"] = '{"a": 1}'
        local_secrets["text"] = "0042"
        local_secrets["number"] = 42
    assert Secret.load("kept").get() == "42"


@pytest.mark.skipif(IS_TYPED, reason="Prefect 3 stores any JSON data")
def test_a_number_that_becomes_text_warns(local_secrets):
    """Prefect 2.20 turns a number into text, and the warning says so."""
    with pytest.warns(SecretChangedWarning, match="set int, .* returns str; this version stores text only"):
        local_secrets["X"] = 42
    assert Secret.load("x").get() == "42"


@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="ghp-hidden")
def test_explain_names_the_mapping_and_hides_the_value(local_secrets):
    """``explain`` shows the block, the API and the types, and never a value."""
    text = local_secrets.explain(NAME)
    assert f"the Secret block {BLOCK!r} of Prefect {VERSION}" in text
    assert "lower case, with a dash for each underscore" in text
    assert "PREFECT_API_URL=http://127.0.0.1:" in text
    assert f"Secret.load({BLOCK!r}).get() returns str" in text
    assert "ghp-hidden" not in text
    assert "there is no such block" in local_secrets.explain("other")
    assert "lower case" not in local_secrets.explain(BLOCK)


def test_explain_names_a_variable_without_effect(local_secrets, monkeypatch):
    """``explain`` says that Prefect does not read a variable of the legacy line."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__TOKEN", "hunter2")
    text = local_secrets.explain("TOKEN")
    assert "ignored PREFECT__CONTEXT__SECRETS__TOKEN: only Prefect 0.5 to 1.4 reads it; use local_secrets" in text
    assert "there is no such block" in text
    assert "hunter2" not in text


# -- features of the other line ----------------------------------------------------------------------------------------


def test_features_of_the_legacy_line_are_one_clear_error(local_secrets, prefect_home):
    """The error names the feature and both versions."""

    def set_flag():
        local_secrets.use_local_secrets = True

    for feature, use in {
        "local_secrets.setenv": lambda: local_secrets.setenv("X", "y"),
        "local_secrets.unsetenv": lambda: local_secrets.unsetenv("X"),
        "local_secrets.use_local_secrets": set_flag,
        "prefect_home.write_config": lambda: local_secrets.write_config(""),
        "prefect_home.write_backend": lambda: prefect_home.write_backend(""),
        "FakeCloud": lambda: FakeCloud().__enter__(),
    }.items():
        with pytest.raises(UsageError, match=f"^{feature} is for Prefect 0.5.5 to 1.4.1"):
            use()
    with pytest.raises(UsageError, match=r"is for Prefect 0.5.5 to 1.4.1, and Prefect .* is installed"):
        local_secrets.use_local_secrets


def test_fixtures_of_the_legacy_line_are_one_clear_error(run_tests):
    """The error of the test names the fixture, and shows no traceback."""
    result = run_tests(
        """
import pytest

def test_clock(flow_clock): pass
"""
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*flow_clock is for Prefect 0.5.5 to 1.4.1*"])
    assert "Traceback" not in result.stdout.str()


def test_local_secrets_end_with_their_isolation():
    """After the end of the isolation, the mapping raises an error."""
    with isolated_prefect({"X": "y"}) as secrets:
        assert secrets["x"] == "y"
    with pytest.raises(IsolationEnded):
        secrets["x"]
