"""Warnings about changed values: the advice works on the real Prefect and causes no further warning."""

from __future__ import annotations

import json
import os
import re
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_flowsecrets import SecretChangedWarning, exact, isolated_prefect
from pytest_flowsecrets.errors import FlowSecretsError
from tests.compat import VERSION, needs_prefect

PIECES = [
    "$HOME",
    "${HOME}",
    "$5",
    "${cloud.api}",
    "~",
    "/",
    "\\",
    "\\n",
    "'",
    '"',
    "0",
    "1e5",
    "true",
    "None",
    "\n",
    "ü",
    "x",
    " ",
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)
DATA = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=3,
)


def advice_for(secrets, give, value):
    """Return the spelling in the warning about a value, None without a warning, or "" without a spelling."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        give(secrets, value)
    messages = [str(warning.message) for warning in caught if warning.category is SecretChangedWarning]
    if not messages:
        return None
    expression = re.search(
        "to keep the value, set it to (.*?)(; in a variable of your own, .*)?$", messages[0], re.DOTALL
    )
    return expression.group(1) if expression else ""


def by_mapping(secrets, value):
    """Set an item of the mapping."""
    secrets["name"] = value


def by_setenv(secrets, value):
    """Set a variable."""
    secrets.setenv("name", value)


def by_file(secrets, value):
    """Write config.toml."""
    secrets.write_config({"context": {"secrets": {"name": value}}})


@pytest.mark.slow
@needs_prefect
@pytest.mark.parametrize("give", [by_mapping, by_setenv, by_file])
@example(value="pa$HOME!x")
@example(value="0000")
@example(value="~\n'\"")
@example(value="C:\\\\new")
@given(value=TEXTS)
def test_the_advice_gives_the_text(give, value):
    """On every route, the advised spelling gives the text without a further warning."""
    with isolated_prefect() as secrets:
        try:
            expression = advice_for(secrets, give, value)
        except FlowSecretsError:
            return
        if expression:
            spelling = eval(expression, {"exact": exact, "json": json, "value": value})
            with isolated_prefect() as others:
                assert advice_for(others, give, spelling) is None, expression
                assert others["name"] == value


@pytest.mark.slow
@needs_prefect
@given(value=DATA.filter(lambda value: not isinstance(value, str)))
def test_the_advice_gives_the_data(value):
    """JSON data keeps its value and type if a spelling for it exists."""
    with isolated_prefect() as secrets:
        try:
            expression = advice_for(secrets, by_mapping, value)
        except FlowSecretsError:
            return
        if expression:
            with isolated_prefect() as others:
                assert (
                    advice_for(others, by_mapping, eval(expression, {"exact": exact, "json": json, "value": value}))
                    is None
                )
                assert json.dumps(others["name"], sort_keys=True) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("value", ['"it"', r"a\\b", '"pa$unset-name"', '{"a": "\\u0024HOME"}'.replace("\\", "\\\\")])
def test_a_deliberate_spelling_is_no_surprise(value):
    """Quotes and escapes that represent exactly the result cause no warning."""
    with isolated_prefect() as secrets:
        assert advice_for(secrets, by_setenv, value) is None


@pytest.mark.skipif(VERSION is not None and VERSION < (0, 11), reason="the quotes stay")
@pytest.mark.parametrize(("value", "warns"), [("'it'", True), ("'\"x\"'", False), ("'\"7'", True)])
def test_lost_quotes_are_a_surprise_unless_they_have_a_reason(value, warns):
    """Lost Python quotes cause a warning unless the text in them is a JSON string."""
    with isolated_prefect() as secrets:
        assert bool(advice_for(secrets, by_mapping, value)) is warns


def test_nothing_is_tried_out_in_the_environment(monkeypatch):
    """The advice comes from the model, without a write to the environment."""
    writes = []
    put = os.environ.__class__.__setitem__
    monkeypatch.setattr(os.environ.__class__, "__setitem__", lambda *pair: (writes.append(pair[1:]), put(*pair))[1])
    with isolated_prefect() as secrets:
        assert advice_for(secrets, by_mapping, "42")
    assert {text for name, text in writes if name.endswith("__name")} == {"42"}


def test_a_spelling_in_a_warning_is_no_known_secret(pytester):
    """A test may print the advised spelling, because it is not a registered secret."""
    pytester.makepyfile(
        """
        import warnings

        def test_it(local_secrets):
            with warnings.catch_warnings(record=True):
                warnings.simplefilter("always")
                local_secrets["PORT"] = "0000"
            print({"port": "0000"})
            print('"0000"')
        """
    )
    result = pytester.runpytest_subprocess("--flowsecrets-leaks=fail")
    result.assert_outcomes(passed=1)


def test_a_whole_reference_is_meant(local_secrets, monkeypatch, recwarn):
    """A text that consists of one reference causes no warning, in a file or a variable."""
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_abcdef")
    text = '[context.secrets]\nA = "$GITHUB_TOKEN"\nB = "${GITHUB_TOKEN}"\nC = "${context.secrets.A}"\n'
    local_secrets.write_config(text)
    local_secrets["D"] = "$GITHUB_TOKEN"
    assert {local_secrets[name] for name in "ABCD"} == {"ghp_abcdef"}
    assert not [warning for warning in recwarn if issubclass(warning.category, SecretChangedWarning)]
