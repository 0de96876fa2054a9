"""The reader of ``.env`` files, compared with python-dotenv."""

from __future__ import annotations

import io

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_flowsecrets.commands.files.env_files import env_items

INDENTATION = st.sampled_from(["", "  ", "export ", "\n", "# comment\n", "\n\t"])
VALUES = st.text("ab'\"\\ #$n", max_size=8)


@given(st.lists(st.tuples(INDENTATION, VALUES), max_size=5))
def test_the_values_are_those_of_python_dotenv(lines):
    """Every variable has the value that python-dotenv reads, and the position of its name."""
    text = "".join(f"{before}A{number}={value}\n" for number, (before, value) in enumerate(lines))
    assume(not any(binding.error for binding in parse_stream(io.StringIO(text))))
    items = list(env_items(text))
    assert {item.name: item.value for item in items} == dotenv_values(stream=io.StringIO(text), interpolate=False)
    rows = text.split("\n")
    assert all(rows[item.line - 1][item.column - 1 :].startswith(f"{item.name}=") for item in items)


def test_statements_that_python_dotenv_cannot_read():
    """A broken quote belongs to the value, and the lines after it are read."""
    text = "A='0000\nB='x' y\n\n  C=\"\nD=1 # c"
    assert [(item.name, item.value, item.line, item.column) for item in env_items(text)] == [
        ("A", "'0000", 1, 1),
        ("B", "'x' y", 2, 1),
        ("C", '"', 4, 3),
        ("D", "1", 5, 1),
    ]


def test_positions_of_values_with_several_lines():
    """A variable has the lines of its value, and the next one starts after them."""
    items = list(env_items('\n# c\nexport A="x\ny"\r\nB=1\r\n'))
    assert [(item.name, item.value, item.lines, item.column) for item in items] == [
        ("A", "x\ny", (3, 4), 8),
        ("B", "1", (5, 5), 1),
    ]
