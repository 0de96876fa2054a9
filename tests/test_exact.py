"""``exact``: a flow gets exactly this text, whatever Prefect would do with it."""

from __future__ import annotations

import pickle
import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_flowsecrets import UsageError, exact, isolated_prefect
from pytest_flowsecrets.strategies import env_texts
from pytest_flowsecrets.versions import uses_rest_api
from tests.compat import VERSION, needs_prefect

HARD = [
    "4711",
    "",
    "true",
    "None",
    '{"a": 1}',
    "[1]",
    '"x"',
    "'x'",
    "$HOME",
    "${cloud.api}",
    "~/x",
    "C:\\new",
    "a\\\\b",
    "1e5",
    " 1 ",
    "\n",
    "\t7\r\n",
    "ü",
    "🔑",
    "$5",
    "\u2028",
    "b'x'",
    "\\u0024",
    "nan",
    "0x1F",
    "'''7'''",
    "A\0B",
    "\x1b",
]
TEXTS = env_texts() | st.text(max_size=20)


def results(secrets, name):
    """Return the results of all ways in which a flow reads a secret."""
    import prefect

    if uses_rest_api():
        from prefect.blocks.system import Secret

        return secrets[name], Secret.load(name.lower()).get()
    return secrets[name], prefect.client.Secret(name).get()


def can_hold(text):
    """Return whether this Prefect can hold a text at all."""
    if not uses_rest_api():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON in a request has no lone surrogates
        return False
    return text != "" or VERSION >= (3, 0, 0)


@needs_prefect
@pytest.mark.parametrize("name", ["TOKEN", "token"])
def test_hard_texts(name):
    """Numbers, tables, quotes, references, escapes and control characters stay as they are, without a warning."""
    texts = list(filter(can_hold, HARD))
    with isolated_prefect() as secrets, warnings.catch_warnings():
        warnings.simplefilter("error")
        for text in texts:
            secrets[name] = exact(text)
            for result in results(secrets, name):
                assert (type(result), result) == (str, text)


@needs_prefect
@pytest.mark.skipif(uses_rest_api(), reason="no variable defines a secret of Prefect 2.20 or 3")
def test_setenv():
    """A variable gets the quotes that it needs."""
    with isolated_prefect() as secrets:
        secrets.setenv("token", exact("4711"))
        assert secrets["token"] == "4711"


@needs_prefect
@settings(max_examples=60)
@example(text="$'\\\"")
@given(text=TEXTS.filter(can_hold))
def test_every_text(isolated, text):
    """Every text reaches the flow unchanged."""
    isolated["token"] = exact(text)
    result = isolated["token"]
    assert (type(result), result) == (str, text)


@pytest.fixture(scope="module")
def isolated():
    with isolated_prefect() as secrets:
        yield secrets


@needs_prefect
def test_several_at_once():
    """Texts in variables and in the file do not influence each other."""
    texts = {f"name{number}": text for number, text in enumerate(filter(can_hold, HARD))}
    with isolated_prefect({name: exact(text) for name, text in texts.items()}) as secrets:
        assert {name: secrets[name] for name in texts} == texts


@needs_prefect
@pytest.mark.skipif(uses_rest_api(), reason="these are the routes of Prefect 0.5.5 to 1.4.1")
@pytest.mark.secrets(token=exact("4711"), other=exact('{"a": "$HOME"}'))
@pytest.mark.secret_routes("context", "config_file:raw", "config_file:interpolated", "env", "agent", "cloud")
def test_routes(secret_route):
    """On every route a flow gets the text."""
    from prefect.client import Secret

    assert [Secret(name).get() for name in ("token", "other")] == ["4711", '{"a": "$HOME"}']


def test_it_is_text_and_pickles():
    """It is equal to the text, its repr shows where it comes from, and it can be pickled."""
    value = exact("4711")
    assert value == "4711"
    assert repr(value) == "exact('4711')"
    again = pickle.loads(pickle.dumps(value))
    assert (type(again), again) == (exact, value)


@pytest.mark.parametrize("value", [4711, None, b"4711", {"a": 1}])
def test_only_text(value):
    """Other values are an error that names their type."""
    with pytest.raises(UsageError, match=f"takes text, not {type(value).__name__}: write"):
        exact(value)
