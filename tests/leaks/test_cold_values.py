"""Values that are found by sorted arrays: the results are the same as with tables, and they need little memory."""

from __future__ import annotations

import base64
import gc
import gzip
import random
import string
import tracemalloc

import pytest

from pytest_flowsecrets.leaks.search import index
from pytest_flowsecrets.leaks.search.encodings import forms_of, rare_forms_of
from pytest_flowsecrets.leaks.search.finder import Finder

LETTERS = string.ascii_letters + string.digits
KINDS = {
    "letters": lambda chance: text_of(chance, LETTERS, 32),
    "punctuation": lambda chance: text_of(chance, LETTERS + "!#$%&()*+-./:;<=>?@[]^_{|}~ äß", 24),
    "few letters": lambda chance: text_of(chance, "-+*/", 9) + text_of(chance, LETTERS, 4),
    "short": lambda chance: text_of(chance, LETTERS, 6),
    "a common beginning": lambda chance: "ghp_common_" + text_of(chance, LETTERS, 16),
    "a URL": lambda chance: f"https://user:{text_of(chance, LETTERS, 16)}@host.example/x",
}


def text_of(chance: random.Random, characters: str, size: int) -> str:
    """Return a random text."""
    return "".join(chance.choice(characters) for _ in range(size))


def finders(monkeypatch, values):
    """Return a finder whose values are all in tables, and one that keeps five of them there."""
    names = {value: (f"NAME_{number}",) for number, value in enumerate(values)}
    tables = Finder(names)
    monkeypatch.setattr(index, "MOST_HOT", 5)
    return tables, Finder(names)


def disguises(value):
    """Yield texts that contain a value as a whole or in part."""
    for form in (*forms_of(value), *rare_forms_of(value)):
        yield form.text.decode("utf-8", "replace")
    half = len(value) // 2
    yield from (repr(value), value[:half] + "\n" + value[half:], value[:half] + "...", "…" + value[half:])
    yield from (value[:5] + "...", "..." + value[-5:], value[:9], value[-9:], value[4:18], value[3:9])


@pytest.mark.parametrize("kind", KINDS)
def test_cold_values_are_found_as_hot_ones_are(monkeypatch, kind):
    """Each form of each value has the same matches, whether or not the value is in the tables."""
    chance = random.Random(kind)
    values = [KINDS[kind](chance) for _ in range(14)]
    tables, cold = finders(monkeypatch, values)
    for value in values:
        for text in disguises(value):
            whole = f"{text_of(chance, LETTERS, 3)} {text}, {text_of(chance, LETTERS, 30)}"
            assert cold.find(whole) == tables.find(whole)


def test_a_cold_value_is_found_in_compressed_and_long_texts(monkeypatch):
    """A cold value is found in a long text and in its payloads."""
    chance = random.Random(1)
    values = [text_of(chance, LETTERS, 32) for _ in range(20)]
    tables, cold = finders(monkeypatch, values)
    filler = text_of(chance, LETTERS + " \n", 20_000)
    text = f"{filler}{values[0]}{filler}{base64.b64encode(gzip.compress(values[1].encode())).decode()} {values[2]}"
    assert cold.find(text) == tables.find(text)
    assert {name for match in cold.find(text) for name in match.names} >= {"NAME_0", "NAME_1", "NAME_2"}


def test_a_later_value_does_not_hide_a_cold_one(monkeypatch):
    """A value that becomes cold and is found again stays known, however often that happens."""
    chance = random.Random(2)
    values = [text_of(chance, LETTERS, 32) for _ in range(20)]
    _, cold = finders(monkeypatch, values)
    for _ in range(2):
        for number, value in enumerate(values):
            cold.update({text_of(chance, LETTERS, 32): ("OTHER",)})
            assert [match.names for match in cold.find(value)] == [(f"NAME_{number}",)]


def test_the_memory_of_a_value(monkeypatch):
    """Each further value takes less than 2 kB."""
    monkeypatch.setattr(index, "MOST_HOT", 20)
    chance = random.Random(3)
    finder = Finder({})

    def add(count):
        for _ in range(count):
            finder.update({text_of(chance, LETTERS, 32): ("NAME",)})
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = add(41)
        assert (add(60) - before) / 60 < 2_000
    finally:
        tracemalloc.stop()
