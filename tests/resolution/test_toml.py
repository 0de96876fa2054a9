"""TOML texts become layers, and differences between Prefect's parser and the standard are found."""

from __future__ import annotations

import pytest
import tomli

from pytest_flowsecrets.resolution.toml_positions import positions_of
from pytest_flowsecrets.resolution.toml_reader import decode, differences, legacy_fault, read_layer, syntax_fault

TEXT = """# c A = 1
top = "A"  # A
[context.secrets] # A
A = "A" # B
"my key" = \"\"\"x
y\"\"\" # t
B.c.d = 1
  B.c."e" = 2
I = {a = 1, b = {c = 2}}
L = [
  1, # one
]

[context.secrets.db]
user = "u"
[[arr]]
x = 1
[[arr]]
y = 2
["a.b" . c]
'z' = 1
"""


def test_positions():
    """Each key has its line and column, and dotted keys are marked."""
    positions = positions_of(TEXT)
    expected = {
        ("top",): (2, 1, False),
        ("context", "secrets"): (3, 2, False),
        ("context", "secrets", "A"): (4, 1, False),
        ("context", "secrets", "my key"): (5, 1, False),
        ("context", "secrets", "B", "c", "d"): (7, 5, True),
        ("context", "secrets", "B", "c", "e"): (8, 7, True),
        ("context", "secrets", "I", "a"): (9, 6, False),
        ("context", "secrets", "I", "b", "c"): (9, 18, False),
        ("context", "secrets", "L"): (10, 1, False),
        ("context", "secrets", "db", "user"): (15, 1, False),
        ("arr", "x"): (17, 1, False),
        ("arr", "y"): (19, 1, False),
        ("a.b", "c", "z"): (21, 1, False),
    }
    assert {key: tuple(positions[key])[:3] for key in expected} == expected


def test_last_lines():
    """The last line of a value is known, also inside arrays of tables."""
    positions = positions_of('A = """\nx\n"""  # c\nB = [\n 1]\nC = 1\n[[D]]\nE = 1\n[[D]]\nE = """\n"""\n')
    assert {key: at.last for key, at in positions.items()} == {
        ("A",): 3,
        ("B",): 5,
        ("C",): 6,
        ("D",): 7,
        ("D", "E"): 8,
    }


def test_positions_of_what_cannot_be_read():
    """A text that tomlkit cannot read has no positions, and raises no error."""
    assert positions_of("[a\n") == {}


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("[a", 1, 3),
        ("a = b\n", 1, 5),
        ('a = "secret', 1, 12),
        ("a = 1\na = 2", 2, 6),
        ("x = 'a\n", 2, 1),
        ("é = 1", 1, 1),
    ],
)
def test_syntax_fault(text, line, column):
    """A fault has its position, and its reason contains no part of the text."""
    fault = syntax_fault(text)
    assert (fault.line, fault.column) == (line, column)
    assert "secret" not in fault.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('a = "b\n"', "Illegal character '\\n'"),
        ("hunter2 hunter2", "Expected '=' after a key in a key/value pair"),
        ("[hunter2]\n[hunter2]", "Cannot declare this name twice"),
        ("a = {hunter2 = 1, hunter2 = 2}", "Duplicate inline table key this name"),
        ("'(hunter2\"' = 1\n['(hunter2\"'.b]\n", "Cannot overwrite a value"),
    ],
)
def test_reasons(text, reason):
    """The reason contains what the parser expected, and what it found only if that cannot be part of a value."""
    assert syntax_fault(text).reason == reason


def test_no_fault():
    """Valid TOML has no fault; excessive nesting is a fault without a position."""
    assert syntax_fault(TEXT) is None
    assert syntax_fault("a = " + "[" * 20_000 + "]" * 20_000).reason == "nested too deeply"
    assert syntax_fault("a = '" + "[" * 20_000 + "'") is None
    assert syntax_fault("[[a]]\n" * 20_000) is None
    assert read_layer("a = " + "[" * 20_000).failure.type == "RecursionError"


def test_layer_after_a_fault():
    """A layer that cannot be read has Prefect's failure and no data, and its repr shows neither."""
    layer = read_layer("[context.secrets]\nA = hunter2", place="f")
    assert (layer.failure.type, dict(layer.data)) == ("TomlDecodeError", {})
    assert "hunter2" not in repr(layer) + repr(layer.failure)
    assert read_layer(b"a = '\xe9'").failure.type == "UnicodeDecodeError"


def test_line_ends():
    """Line endings are normalized as Prefect's parser does."""
    assert decode(b"a\r\nb\rc\n") == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a = 1\nb = 'x'", []),
        ("a = nan", []),
        ("b = '\"\"'\nc = 1", []),
        ('b = "\\"\\""', [(("b",), False)]),
        ('"x\\u00e9.y" = 1', [(("xé.y",), True)]),
        ('a = [{b = "\\"\\""}]', [(("a",), False)]),
        ("a = [[nan], [1.0]]", []),
    ],
)
def test_differences(text, keys):
    """`differences` contains only keys that the two parsers read differently, also inside lists."""
    assert differences(text) == keys


@pytest.mark.parametrize(("text", "line"), [("a = [1, 'x']", 1), ("\nb = [1, 'x']", 2), ('a = ["""x,\ny"""]', None)])
def test_what_only_prefects_parser_refuses(text, line):
    """The fault has the line that Prefect's parser reports, if it reports one."""
    assert legacy_fault(text).line == line


def test_no_fault_of_prefects_parser():
    """A text that Prefect's parser reads has no fault, whatever the standard says."""
    assert legacy_fault("é = 1") is None


hypothesis = pytest.importorskip("hypothesis")
from pytest_flowsecrets.strategies import config_tomls  # noqa: E402


@pytest.mark.slow
@hypothesis.given(text=config_tomls())
def test_both_parsers(text):
    """If there is no difference, tomli and Prefect's parser give the same data."""
    hypothesis.assume("nan" not in text and not legacy_fault(text) and not syntax_fault(text))
    if not differences(text):
        assert read_layer(text).data == tomli.loads(text)
