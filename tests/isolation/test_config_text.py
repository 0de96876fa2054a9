"""The text of a config file: created from mappings, rejected with a position, compared with TOML 1.0."""

from __future__ import annotations

import datetime as dt

import pytest

from pytest_flowsecrets import ConfigSyntaxError, TomlDialectWarning, UsageError
from pytest_flowsecrets.isolation.home import config_text


def fault(text):
    with pytest.raises(ConfigSyntaxError) as caught:
        config_text.check(text, "config.toml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a = 1\nb = \n", 2, 5),
        ("[t\n", 1, 3),
        ('a = """open\nstring', 2, 7),
        ("", None, None),
        ("a = 1\na = 2\n", 2, 6),
        ("\ufeff[a]", 1, 1),
    ],
)
def test_the_place_of_a_fault(text, line, column):
    """The error holds the 1-based line and column of a fault, also at the end of the text."""
    if line is None:
        assert config_text.check(text, "config.toml") == {}
        return
    error = fault(text)
    assert (error.line, error.column) == (line, column)


HIDDEN = [
    'TOKEN "hunter2="\n',
    "TOKEN hunter2=abc",
    'A = "abc\nhunter2 = 5"',
    'PW = ["a",\nhunter2=5\n]',
    'token = "hunter2',
    "token = hunter2",
    "[context.secrets]\nfirst = 'hunter2'\ntoken = hunter2\nlast = 'hunter2'\n",
    "key = '''\nMIIEhunter2==\nhunter2 = hunter2\n[hunter2]\n'''\nbroken = hunter2\n",
    "key = '''\nhunter2 = hunter2\n",
    "list = [\n  'hunter2',\n  ['hunter2']\n  hunter2\n]\n",
    "hunter2==\n",
    "a = { b = 'hunter2', c = hunter2 }\n",
    "token = 'hunter2' hunter2",
    "[context.secrets]\n'my key' = hunter2 # hunter2\n",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_no_value_is_shown(text):
    """The excerpt shows no value, neither on the line of the fault nor on its neighbors."""
    error = fault(text)
    assert "hunter2" not in str(error)
    assert error.excerpt
    assert "^" in error.excerpt


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("[context.secrets]\nKEY = VALUE\n", "put the value in quotes: KEY = '...'"),
        ("KEY = 2fa-abc\n", "put the value in quotes: KEY = '...'"),
        ("'my key' = VALUE\n", "put the value in quotes: NAME = '...'"),
    ],
)
def test_a_value_without_quotes(text, advice):
    """For `KEY = VALUE`, as in Prefect's documentation, the message says to quote the value."""
    assert advice in str(fault(text))


def test_what_is_shown():
    """The excerpt shows tables, keys and punctuation, with a mark below the column."""
    error = fault("[context.secrets]\n'my key' = \"ab\" c\nplain = 'x'\n")
    assert error.excerpt.splitlines() == [
        "    1 | [context.secrets]",
        "    2 | 'my key' = \"••\" •",
        "      |                 ^",
        "    3 | ••••• • '•'",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb = [1, 'hunter2']\n", 2), ('a = ["""hunter2,\nhunter2"""]', None)],
)
def test_what_only_prefects_parser_refuses(text, line):
    """A text that only Prefect's parser rejects is an error, with a position if that parser reports one."""
    error = fault(text)
    assert (error.line is None) == (line is None)
    assert "hunter2" not in str(error)
    assert "TOML 1.0 allows this, but the parser of Prefect" in str(error)


def test_prefects_reading_counts_and_differences_are_told():
    """The result is that of Prefect's parser, and a warning names each key that differs, also in lists."""
    text = 'same = 1\nlist = [{a = \'""\'}]\nempty = "\\"\\""\nnan = nan\n["t\\u00e9.x"]\ny = 1\n'
    with pytest.warns(TomlDialectWarning) as caught:
        assert config_text.check(text, "config.toml")["empty"] == ""
    keys = sorted(str(warning.message).split("the key ")[1].split()[0] for warning in caught)
    assert keys == ["empty", "té.x"]


@pytest.mark.parametrize(
    ("text", "message"), [("clé = 1\n", "the key clé is no"), ("a = [\n1,,\n2]\n", "this line is no")]
)
def test_a_text_that_only_prefect_reads(text, message):
    """The warning names the key if the line has one."""
    with pytest.warns(TomlDialectWarning, match=message):
        config_text.check(text, "config.toml")


def test_windows_line_ends_are_those_of_a_text_file():
    """Line ends are converted as for a file that Prefect reads."""
    assert config_text.read(b"a = 1\r\nb = 2\r\n") == {"a": 1, "b": 2}
    assert config_text.check("a = 1\r\n", "config.toml") == {"a": 1}


def test_a_mapping_becomes_toml():
    """A mapping with every TOML type becomes TOML text."""
    mapping = {
        "text": 'quo"ted \\ and\nlines',
        "when": dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc),
        "numbers": [1, 2],
        "context": {"secrets": {"my secret": "x", "": "empty", "a.b": {"c": 1}}},
    }
    assert config_text.read(config_text.to_text(mapping)) == mapping


@pytest.mark.parametrize("wrong", [{"a": None}, {"a": object()}, {"a": {"b": [None]}}, {"a": b"x"}, 5, None, ["x"]])
def test_what_cannot_be_written(wrong):
    """A mapping that TOML cannot represent raises one clear error without the value."""
    with pytest.raises(UsageError) as caught:
        config_text.to_text(wrong)
    assert "\n" not in str(caught.value)
