"""Expansion, typing and references."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.resolution.dialects import dialect_for
from pytest_flowsecrets.resolution.layers import Origin, PrefectLoadError, Slot
from pytest_flowsecrets.resolution.loader.interpolate import (
    LoadContext,
    decode_escapes,
    expand,
    interpolate,
    is_reference,
    string_to_type,
    substitute,
)

ENVIRON = {
    "HOME": "/h/",
    "V": "1",
    "W": "$V",
    "X": "$W",
    "L": "$M",
    "M": "$L",
    "user": "u",
    "BIG": "$BIG$BIG$BIG$BIG$BIG$BIG",
}
AROUND = LoadContext(dialect_for("1.4.1"), ENVIRON, "/pw", {"root": "/root"})


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$V", "1"),
        ("${V}x", "1x"),
        ("$Vx", "$Vx"),
        ("$$V", "$1"),
        ("$", "$"),
        ("${}", "${}"),
        ("${V", "${V"),
        ("$5", "$5"),
        ("~", "/h"),
        ("~/x", "/h/x"),
        ("~root/x", "/root/x"),
        ("~nobody9/x", "~nobody9/x"),
        ("a~", "a~"),
        ("P$user!", "Pu!"),
    ],
)
def test_expand(text, expanded):
    """Variables and home directories are expanded as ``os.path`` does on POSIX."""
    assert expand(text, AROUND) == expanded


@pytest.mark.parametrize("text", ["${hunter2\ud800}", "~hunter2\ud800"])
def test_names_that_the_system_rejects(text):
    """A lone surrogate in the name of a variable or a user is an error, whose message stays hidden."""
    with pytest.raises(PrefectLoadError) as raised:
        expand(text, AROUND)
    assert raised.value.failure.type == "UnicodeEncodeError"
    assert raised.value.failure.safe_message == "(message hidden: it contains part of a value)"


def test_home_without_variable():
    """Without HOME the password database is used, and a home of / stays /."""
    assert expand("~/x", LoadContext(AROUND.dialect, {}, "/pw")) == "/pw/x"
    assert expand("~", LoadContext(AROUND.dialect, {"HOME": "/"})) == "/"


@pytest.mark.parametrize(
    ("text", "result"), [("$V", ("1", False)), ("$W", (1, True)), ("$X", (1, True)), ("$L", (None, True))]
)
def test_interpolate(text, result):
    """Two rounds or more type the result, and a value that never settles becomes None."""
    assert interpolate(text, AROUND) == result


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        ("$NAME", True),
        ("${NAME}", True),
        ("${context.secrets.A}", True),
        ("${${backend}.endpoint}", True),
        ("$NAME and more", False),
        ("x$NAME", False),
        ("${NAME:-default}", False),
        ("${ NAME }", False),
        ("$1", False),
        ("", False),
    ],
)
def test_is_reference(text, is_whole):
    """`is_reference` accepts a text that is one reference, without surrounding text and without syntax of shells."""
    assert is_reference(text) is is_whole


@pytest.mark.slow
def test_growth_is_cut_off():
    """Expansion of a text that multiplies itself stops before it fills the memory."""
    assert interpolate("$BIG", AROUND) == (None, True)


def test_bytes_are_not_typed_again():
    """Bytes from a chain of variables, which have an ``upper()``, do not change."""
    around = LoadContext(AROUND.dialect, {"B": "$C", "C": "$D", "D": "b'x'"})
    value, typed = interpolate("$B", around)
    assert (string_to_type(value, around), typed) == (b"x", True)


def test_references_that_multiply():
    """Substitution of references that multiply a text stops before it fills the memory."""
    slots = flat(A="${c.B}" * 2, B="x" * 2**24)
    substitute(slots)
    assert len(slots["c", "A"].value) < 2**26


@pytest.mark.parametrize("value", [1, None, True, [], {}])
def test_typing_twice_crashes(value):
    """Typing a value that is not a string gives Prefect's crash, as a value."""
    with pytest.raises(PrefectLoadError) as caught:
        string_to_type(value, AROUND)
    assert caught.value.failure.message == f"'{type(value).__name__}' object has no attribute 'upper'"


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("00", "00", 0),
        ("1.10", "1.10", 1.1),
        ("TRUE", True, True),
        ("inf", float("inf"), "inf"),
        ("-5", -5, -5),
        ("1_0", "1_0", 10),
        ("None", "None", None),
        ("x", "x", "x"),
        ("", "", ""),
        ("(1,)", "(1,)", (1,)),
    ],
)
def test_string_to_type(text, old, new):
    """Strings are typed by round trips up to 0.10.7, and as literals from 0.11.0."""
    before = LoadContext(dialect_for("0.10.7"), {})
    assert (string_to_type(text, before), string_to_type(text, AROUND)) == (old, new)


def test_decode_escapes():
    """Escapes are decoded and UTF-8 is garbled; the error about an invalid escape does not show the text."""
    assert decode_escapes(r"a\nb") == "a\nb"
    assert decode_escapes("é") == "Ã©"
    with pytest.raises(PrefectLoadError) as caught:
        decode_escapes("abc\\")
    assert caught.value.failure.type == "UnicodeDecodeError"
    assert "position" not in repr(caught.value.failure)


def flat(**values):
    return {("c", name): Slot(value, Origin("user", "f"), ("c", name)) for name, value in values.items()}


def test_substitute():
    """A whole reference keeps the type, a partial one becomes a string, and an unknown key disappears."""
    slots = flat(A="${c.N}", B="x${c.N}", C="${no}", D="[${c.${c.E}}]", E="N", N=5)
    substitute(slots)
    assert [slot.value for slot in slots.values()] == [5, "x5", "", "[5]", "N", 5]


def test_substitute_stops():
    """A reference to itself is replaced for ten rounds and no more."""
    slots = flat(A="x${c.A}")
    substitute(slots)
    assert slots["c", "A"].value == "x" * 1024 + "${c.A}"


def test_steps_hide_unknown_references():
    """Steps show the name in ``${...}`` only if it is a key, because it may be part of a password."""
    slots = flat(A="pa${wordx}", B="${c.A}")
    substitute(slots)
    assert "wordx" not in str([what for what, _, _ in slots["c", "A"].steps])
    assert "${c.A}" in str([what for what, _, _ in slots["c", "B"].steps])
