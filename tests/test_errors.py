"""The errors: their messages, and their round trip through pickle."""

from __future__ import annotations

import pickle

import pytest

from pytest_flowsecrets import errors

ALL = [
    errors.FlowSecretsError("told"),
    errors.UsageError("told"),
    errors.PrefectNotInstalled("a fixture"),
    errors.UnsupportedPrefect("2.0.0"),
    errors.ConfigSyntaxError("config.toml", 3, 7, "Invalid value", "    3 | A = •••"),
    errors.ConfigSyntaxError("config.toml", None, None, "Invalid value"),
    errors.SecretRejected("secret 'items'", "1.4.1", "ValueError"),
    errors.IsolationEnded("told"),
    errors.CloudUnreachable("told"),
    errors.WriteOnlySecret("X"),
    errors.SecretReceived("X", ["create_flow: variables.input", "write_run_logs: variables"]),
    errors.SecretChangedWarning("told"),
    errors.TomlDialectWarning("told"),
    errors.UnknownPrefectVersion("2.0"),
]


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_they_pickle(error):
    """Pickling keeps the class, the text and the data, as pytest-xdist needs."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_they_have_one_base():
    """``except FlowSecretsError`` catches every intentional error of this package."""
    for error in ALL:
        assert isinstance(error, (errors.FlowSecretsError, UserWarning))


def test_a_place_without_line_and_column():
    """The message works without a line and a column."""
    assert str(ALL[5]).startswith("config.toml: Invalid value; ")
    assert str(ALL[4]).startswith("config.toml:3:7: Invalid value; ")
    assert str(ALL[4]).endswith("\n    3 | A = •••")


@pytest.mark.parametrize("noun", ["an int", "a str", "an ECSRun", "a UniversalRun", "an object", "a NoneType"])
def test_articles(noun):
    """The names of types get the article that their first sound needs."""
    assert errors.with_article(noun.partition(" ")[2]) == noun
