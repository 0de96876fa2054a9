"""The text of a config file: made from mappings, refused with a place and without values, compared with TOML 1.0."""

from __future__ import annotations

import datetime as dt

import pytest

from pytest_flowsecrets import ConfigSyntaxError, TomlDialectWarning, UsageError
from pytest_flowsecrets.isolation import config_text


def fault(text, parser=None):
    with pytest.raises(ConfigSyntaxError) as caught:
        config_text.check(text, "config.toml", parser)
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a = 1\nb = \n", 2, 5),
        ("[t\n", 1, 3),
        ('a = """open\nstring', 2, 7),
        ("", None, None),
        ("a = 1\na = 2\n", 2, 6),
        ("\ufeffa = 1", 1, 1),
    ],
)
def test_the_place_of_a_fault(text, line, column):
    """1-based line and column, at the end of the text too."""
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
    'A = """\nhunter2 = \x01x\n"""',
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
    """Neither in the line of the fault nor in its neighbours."""
    error = fault(text)
    assert "hunter2" not in str(error)
    assert error.excerpt
    assert "^" in error.excerpt


def test_what_is_shown():
    """The structure: tables, keys and punctuation, with a mark under the column."""
    error = fault("[context.secrets]\n'my key' = \"ab\" c\nplain = 'x'\n")
    assert error.excerpt.splitlines() == [
        "    1 | [context.secrets]",
        "    2 | 'my key' = \"••\" •",
        "      |                 ^",
        "    3 | ••••• • '•'",
    ]


def test_a_parser_of_prefect_that_says_no_place():
    """Any exception of it is a fault of the text."""

    def parser(text):
        raise IndexError("hunter2")

    error = fault("a = 1\n", parser)
    assert (error.line, error.column, error.excerpt) == (None, None, "")
    assert "hunter2" not in str(error)
    assert str(error).startswith("config.toml: TOML 1.0 allows this, but the parser of Prefect")


def test_prefects_reading_counts_and_differences_are_told():
    """By key: changed in value or in type, missing, added; inside of lists too."""

    def parser(text):
        return {"same": 1, "typed": True, "table": {"x": 2}, "list": [{"a": 2}], "added": 1, "nan": float("nan")}

    text = "same = 1\ntyped = 1\ngone = 1\nlist = [{a = 1}]\nnan = nan\n[table]\nx = 1\n"
    with pytest.warns(TomlDialectWarning) as told:
        assert config_text.check(text, "config.toml", parser)["typed"] is True
    keys = sorted(str(warning.message).split("the key ")[1].split()[0] for warning in told)
    assert keys == ["added", "gone", "list", "table.x", "typed"]


@pytest.mark.parametrize("text", ["clé = 1\n", "just words\n"])
def test_a_text_that_only_prefect_reads(text):
    """The key is named where the line has one."""
    with pytest.warns(TomlDialectWarning, match="no TOML 1.0"):
        assert config_text.check(text, "config.toml", lambda text: {"a": 1}) == {"a": 1}


def test_windows_line_ends_are_those_of_a_text_file():
    """Prefect's parser is given what it would read from a file."""
    seen = []
    config_text.read("a\r\nb\rc\n", lambda text: seen.append(text) or {})
    assert seen == ["a\nb\nc\n"]
    assert config_text.read("a = 1\r\n", None) == {"a": 1}


def test_a_mapping_becomes_toml():
    """With everything that TOML knows."""
    mapping = {
        "text": 'quo"ted \\ and\nlines',
        "when": dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc),
        "numbers": [1, 2.5, True],
        "context": {"secrets": {"my secret": "x", "": "empty", "a.b": {"c": 1}}},
    }
    assert config_text.read(config_text.to_text(mapping), None) == mapping


@pytest.mark.parametrize("wrong", [{"a": None}, {"a": object()}, {"a": {"b": [None]}}, {"a": b"x"}, 5, None, ["x"]])
def test_what_cannot_be_written(wrong):
    """One clear line without the value."""
    with pytest.raises(UsageError) as caught:
        config_text.to_text(wrong)
    assert "\n" not in str(caught.value)
