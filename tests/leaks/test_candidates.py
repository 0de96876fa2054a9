"""The fast check for candidates: it must not miss a value that the exact search finds."""

from __future__ import annotations

import json
import random
import string
import textwrap

import pytest

from pytest_flowsecrets.leaks.formats.secret_parts import Part
from pytest_flowsecrets.leaks.search.encodings import forms_of, rare_forms_of
from pytest_flowsecrets.leaks.search.exact_search import ExactSearch
from pytest_flowsecrets.leaks.search.index import Index, has_run

_LETTERS = string.ascii_letters + string.digits
_ALPHABETS = (
    _LETTERS,
    _LETTERS + "!#$%&*+-/:;<=>?@^_|~",
    string.punctuation,
    "0123456789abcdef",
    "aä漢😀xyz'\"\\ \n",
    "ab",
)


def _values(chance, count):
    sizes = 3, 6, 7, 8, 10, 12, 16, 32, 48
    texts = ("".join(chance.choices(chance.choice(_ALPHABETS), k=chance.choice(sizes))) for _ in range(count))
    return [*dict.fromkeys(texts)]


def _planted(chance, value):
    """Return a value in a form, wrapped, truncated or as a slice."""
    place = chance.randrange(len(value))
    texts = [
        lambda: value,
        lambda: chance.choice(forms_of(value)).text.decode("latin-1"),
        lambda: chance.choice(rare_forms_of(value) or forms_of(value)).text.decode("latin-1"),
        lambda: chance.choice([f"{value[: place + 1]}...", f"...{value[place:]}", f"{value[: place + 1]}…"]),
        lambda: value[place : place + chance.randint(6, 16)],
        lambda: "\n    ".join(textwrap.wrap(value, chance.randint(4, 12)) or [value]),
        lambda: "".join(f"{letter}\n{' ' * chance.randrange(40)}" for letter in value),
        lambda: json.dumps(value),
    ]
    return chance.choice(texts)()


@pytest.mark.parametrize("count", [1, 40, 260])
def test_the_exact_search_for_all_values_finds_nothing_more(count):
    """Every hit of an exact search for all values in the whole text is a hit of the index, for any number of values."""
    chance = random.Random(count)
    values = _values(chance, count)
    index, exact = Index(), ExactSearch()
    for number, value in enumerate(values):
        index.add(Part(value), sliced=True)
        exact.add(number, value, forms_of(value))
    hits = 0
    for _ in range(60):
        noise = lambda: "".join(chance.choices(chance.choice(_ALPHABETS), k=chance.randrange(40)))  # noqa: E731
        pieces = (piece for _ in range(4) for piece in (noise(), _planted(chance, chance.choice(values))))
        data = "".join(pieces).encode("utf-8", "surrogatepass")
        expected = {hit[:3] for hit in exact.hits(data, rare=has_run(data))}
        assert expected <= {hit[:3] for hit in index.find(data)}, (values, data)
        hits += len(expected)
    assert hits > 50


def test_a_value_is_attributed_to_the_first_secret_that_has_it():
    """A value that is also the base64 of another one has the name of the first secret, whichever occurs first."""
    from base64 import b64encode

    plain = "correcthorsebatterystaple99"
    first, second = b64encode(plain.encode()).decode(), plain
    index = Index()
    for value in (first, second):
        index.add(Part(value), sliced=True)
    assert {hit.value for hit in index.find(f"log: {second}".encode())} == {1}
    assert {hit.value for hit in index.find(f"log: {first}".encode())} == {0}


def test_the_forms_of_few_values_are_kept():
    """After texts with more values than are kept, a text with an earlier value is still searched correctly."""
    chance = random.Random(7)
    values = ["".join(chance.choices(_LETTERS, k=32)) for _ in range(450)]
    index = Index()
    for value in values:
        index.add(Part(value), sliced=True)
    for number in (*range(450), 3, 449):
        assert {hit.value for hit in index.find(f"a {values[number]} b".encode())} == {number}
    assert {hit.value for hit in index.find("\n".join(values).encode())} == {*range(450)}


def test_values_with_a_common_beginning():
    """Each of many values that begin alike is found by its own rest, and the beginning alone is none of them."""
    chance = random.Random(9)
    values = [f"commonbeginning{''.join(chance.choices(_LETTERS, k=20))}" for _ in range(60)]
    index = Index()
    for value in values:
        index.add(Part(value), sliced=True)
    for number, value in enumerate(values):
        assert {hit.value for hit in index.find(f"commonbeg {value[15:]} of it".encode())} == {number}
    assert {hit.value for hit in index.find(" ".join(values).encode())} == {*range(60)}
    assert not index.find(b"a common begin with nothing after it")
