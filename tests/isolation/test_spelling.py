"""The encoding of values, and the comparison with the results."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import UsageError
from pytest_flowsecrets.isolation.secrets.encoding import as_text, is_document, is_unchanged, to_builtin


class Table(dict):
    """A table of Prefect."""


def test_text_is_taken_as_it_is_and_data_as_json():
    """Text stays unchanged, and data becomes JSON."""
    assert as_text("n", "x") == "x"
    assert as_text("n", {"a": [1, None, True]}) == '{"a": [1, null, true]}'
    assert as_text("n", None) == "null"


def test_other_values_are_refused_by_name_and_type():
    """Other values, including circular ones, raise an error with the name and the type."""
    circle = []
    circle.append(circle)
    for value in (b"hunter2", object(), {1, 2}, circle, {(1, 2): "x"}):
        with pytest.raises(UsageError, match=f"secret 'n': .* not {type(value).__name__}"):
            as_text("n", value)


@pytest.mark.parametrize(
    ("original", "result", "expected"),
    [
        ("x", "x", True),
        ("0", 0, False),
        ("x", "y", False),
        ('"x"', "x", False),
        (42, 42, True),
        (1, True, False),
        (1, 1.0, False),
        ({"a": [1]}, Table(a=[1]), True),
        ({"a": [1]}, Table(a=[2]), False),
        (None, None, True),
        ([1], (1,), True),
        (1, {1}, False),
        ("x", None, False),
        ({1: "x"}, {"1": "x"}, False),
        ([{"a": {2: 3}}], [{"a": {"2": 3}}], False),
    ],
)
def test_same(original, result, expected):
    """`is_unchanged` compares value and JSON type, and treats tables as dicts."""
    assert is_unchanged(original, result) is expected


def test_documents():
    """`is_document` accepts JSON objects and arrays."""
    assert is_document(' {"a": 1}')
    assert is_document("[1]")
    assert not is_document("1")
    assert not is_document({"a": 1})


def test_plain():
    """`to_builtin` converts nested tables and lists."""
    assert to_builtin(Table(a=[Table(b=1)], c=b"x")) == {"a": [{"b": 1}], "c": b"x"}
