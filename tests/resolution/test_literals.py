"""`literal` reads literals as the requested Python does."""

from __future__ import annotations

import ast
import math
import sys
import warnings

import pytest

from pytest_flowsecrets.resolution.loader.python_literals import literal


def read(text, python):
    try:
        return literal(text, python)
    except Exception as error:  # noqa: BLE001
        return type(error) and "no literal"


@pytest.mark.parametrize(
    ("text", "python", "value"),
    [
        (" 5", (3, 9), "no literal"),
        (" 5", (3, 10), 5),
        ("...", (3, 7), "no literal"),
        ("...", (3, 8), ...),
        ("set()", (3, 8), "no literal"),
        ("set()", (3, 9), set()),
        ("set(5)", (3, 9), "no literal"),
        ("555-1234", (3, 6), -679),
        ("555-1234", (3, 7), "no literal"),
        ("--5", (3, 6), 5),
        ("--5", (3, 8), "no literal"),
        ("[]+[]", (3, 6), "no literal"),
    ],
)
def test_python_versions(text, python, value):
    """The Python version determines what is a literal."""
    assert read(text, python) == value


@pytest.mark.parametrize(
    "text", ["set(1)", "dict()", "{**{}}", "{[]: 1}", "not 1", "-True", "1+2", "f'x'", "a.b", "Truex", "u'"]
)
def test_no_literals(text):
    """Calls, unpacking, unhashable keys, operators and names are not literals."""
    assert read(text, (3, 8)) == "no literal"


@pytest.mark.parametrize(
    ("opening", "closing", "old", "middle"),
    [("(", ")", 92, 99), ("[", "]", 92, 99), ("{'(':", "}", 92, 105), ("{1:[", "]}", 46, 51)],
)
def test_depth(opening, closing, old, middle):
    """Up to Python 3.8 the depth of brackets is smaller; those in strings and comments are ignored."""
    for python, deepest in (((3, 7), old), ((3, 8), middle)):
        assert read(opening * deepest + "1" + closing * deepest, python) != "no literal"
        assert read(opening * (deepest + 1) + "1" + closing * (deepest + 1), python) == "no literal"
        assert read(f"1  # {opening * (deepest + 1)}", python) == 1
    assert read("[" + "'((',[],()," * 100 + "]", (3, 8)) != "no literal"
    assert read("]" + "[" * 95, (3, 8)) == "no literal"


def test_unknown_escapes_do_not_warn():
    """An unknown escape raises no warning, even if warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert literal(r"'\d'", (3, 8)) == r"\d"


hypothesis = pytest.importorskip("hypothesis")
from pytest_flowsecrets.strategies import env_texts  # noqa: E402


@hypothesis.given(text=env_texts())
def test_running_python(text):
    """For the running Python, `literal` agrees with ``ast.literal_eval``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = ast.literal_eval(text)
        except Exception:  # noqa: BLE001
            expected = "no literal"
    actual = read(text, sys.version_info[:2])
    if isinstance(expected, (float, complex)) and expected != expected:  # noqa: PLR0124
        assert type(actual) is type(expected)
        assert math.isnan(actual.real) or math.isnan(actual.imag)
    else:
        assert repr(actual) == repr(expected)
