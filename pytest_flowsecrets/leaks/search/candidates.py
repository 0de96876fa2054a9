"""Which values can occur in some bytes. This check is fast and stores little, so the exact search is rarely needed.

If a form occurs, whole or truncated, so do its first or last seven letters (its *windows*), or ten letters of its
middle. Seven letters contain four *words* of four letters, one of them at a position that is a multiple of four.
Therefore the letters of a text are read as an array of 32-bit numbers, and C code checks whether any of them is a word
of a form. With many values, only two words of each window are stored to save memory, and the text is read twice: from
its first and from its third letter.
"""

from __future__ import annotations

from array import array
from operator import length_hint
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Set, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.search.encodings import Form
    from pytest_flowsecrets.leaks.search.skeletons import Alphabet

WINDOW = 7  # letters; the fewest that identify one end of a form
SHORTEST = 5  # letters of a whole form
_WORD = 4
_FEW = 500  # values of which all words are stored
_SLICE = 10  # letters of the middle of a form
_BLOCK = 1 << 14  # letters that are checked at once
_MANY = 8  # values that share a word
_NEAR = 64  # letters between two places that one look-up covers


class Candidate(NamedTuple):
    """A place where a value can occur.

    Attributes:
        at: a position in the letters of the searched bytes.
        value: the number of the value.
        size: the number of letters of its form.
    """

    at: int
    value: int
    size: int


class WordTable:
    """The words of the forms in one alphabet, with the numbers of their values.

    Args:
        alphabet: the letters.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self._values: Dict[int, int] = {}
        self._more_values: Dict[int, List[int]] = {}  # of the words that several values share
        self._keys: Dict[int, bytes] = {}  # the letters of all forms of each value, separated by NUL
        self._windows: Dict[int, Tuple[int, Dict[bytes, List[int]]]] = {}  # of the words of many values that occurred
        self._short: Set[int] = set()  # values with a form that has no window
        self._step = _WORD  # letters from a word of a text to the next one

    def __bool__(self) -> bool:
        return bool(self._values)

    def add(self, form: Form, value: int, key: bytes) -> None:
        """Add a form whose letters are ``key``."""
        keys = self._keys.get(value, b"\0")
        self._keys[value] = keys if b"\0%b\0" % key in keys else b"%b%b\0" % (keys, key)
        if len(key) < WINDOW:
            self._short.add(value)
        if self._short or len(self._keys) > _FEW:
            self._step = _WORD // 2
        for word in self._words_of(form, key):
            known = self._values.setdefault(word, value)
            if known != value:
                others = self._more_values.setdefault(word, [known])
                if others[-1] != value:
                    others.append(value)

    def _words_of(self, form: Form, key: bytes) -> array[int]:
        step, places = self._step, {0}
        if len(key) >= WINDOW:
            begin, end = ends_of(form, key, self.alphabet)
            places = {begin, end - WINDOW} if form.last or form.tail else {begin}
            if form.slice:
                # Any ten letters contain `step` words that begin at consecutive positions.
                places.update(range(begin, end - WINDOW, _SLICE - _WORD - step + 2))
        return _words(b"".join(key[at + shift : at + shift + _WORD] for at in places for shift in range(step)))

    def excludes(self, data: bytes) -> bool:
        """Return whether a short text contains no form."""
        letters = data.translate(None, self.alphabet.dropped)
        words = _words(letters) + _words(letters[self._step :]) if self._step < _WORD else _words(letters)
        return self._values.keys().isdisjoint(words) or next(self.candidates(data), None) is None

    def candidates(self, data: bytes) -> Iterator[Candidate]:
        """Yield the places where values can occur, without those whose surroundings differ from every form."""
        letters = data.translate(None, self.alphabet.dropped)
        recent: Dict[int, Candidate] = {}
        shared: Set[Tuple[int, bytes]] = set()  # words and windows of many values that have occurred
        for begin in range(0, len(letters), _BLOCK):
            for start in range(begin, begin + _WORD, self._step):
                for at in self._anchors(letters, start):
                    yield from self._at(letters, at, recent, shared)

    def _anchors(self, letters: bytes, start: int) -> Iterator[int]:
        """Yield the positions of words in a block, with at least one more letter of a form before or after the word."""
        words = _words(letters[start : start + _BLOCK]).tolist()
        rest, none_in, size = iter(words), self._values.keys().isdisjoint, len(words)
        while not none_in(rest):  # it stops after a word of a form
            number = size - length_hint(rest) - 1
            at, word = start + number * _WORD, words[number]
            keys = self._keys[self._values[word]]
            if (
                letters[at : at + SHORTEST] in keys
                or letters[at - 1 : at - 1 + SHORTEST] in keys
                or word in self._more_values
            ):
                yield at

    def _at(
        self, letters: bytes, at: int, recent: Dict[int, Candidate], shared: Set[Tuple[int, bytes]]
    ) -> Iterator[Candidate]:
        """Yield the values of a word whose forms have the same letters around it, or that have occurred just before."""
        word = _words(letters[at : at + _WORD])[0]
        if len(self._more_values.get(word, ())) > _MANY:
            yield from self._at_shared(letters, at, word, shared)
            return
        around = letters[max(0, at - WINDOW + _WORD) : at + WINDOW]
        right, left = letters[at : at + SHORTEST], letters[at - 1 : at - 1 + SHORTEST]
        for value in self._more_values.get(word) or (self._values[word],):
            last = recent.get(value)
            if last is not None and last.at - _NEAR < at < last.at + _NEAR:
                recent[value] = last._replace(at=at)
                yield recent[value]
                continue
            keys = self._keys[value]
            size = self._size_of_form(value, around) if right in keys or left in keys else 0
            if size:
                recent[value] = Candidate(at, value, size)
                yield recent[value]

    def _at_shared(self, letters: bytes, at: int, word: int, shared: Set[Tuple[int, bytes]]) -> Iterator[Candidate]:
        """Yield the values of a word of many values. Of the values that share a window, only the first is repeated."""
        windows = self._windows_of(word)
        for first in range(max(0, at - WINDOW + _WORD), at + 1):
            for size in (WINDOW, SHORTEST):
                window = letters[first : first + size]
                values = windows.get(window, ())
                for value in values[:1] if (word, window) in shared else values:
                    yield Candidate(at, value, len(self._keys[value]))
                shared.add((word, window))

    def _windows_of(self, word: int) -> Dict[bytes, List[int]]:
        """Return the values of a word by the letters of their forms around it."""
        values = self._more_values[word]
        count, windows = self._windows.get(word, (0, {}))
        letters = array("I", [word]).tobytes()
        for value in values[count:]:
            keys, size = self._keys[value], SHORTEST if value in self._short else WINDOW
            at = keys.find(letters)
            while at >= 0:
                for first in range(max(0, at - size + _WORD), at + 1):
                    same = windows.setdefault(keys[first : first + size], [])
                    if not same or same[-1] != value:
                        same.append(value)
                at = keys.find(letters, at + 1)
        self._windows[word] = len(values), windows
        return windows

    def _size_of_form(self, value: int, around: bytes) -> int:
        """Return the number of letters of a form that some letters are in, or 0."""
        keys = self._keys[value]
        size = SHORTEST if value in self._short else WINDOW
        for first in range(len(around) - size + 1):
            place = keys.find(around[first : first + size])
            if place >= 0:
                # Without dropped bytes, a form can contain NUL itself.
                return keys.index(b"\0", place) - keys.rindex(b"\0", 0, place) if self.alphabet.dropped else len(keys)
        return 0


def ends_of(form: Form, key: bytes, alphabet: Alphabet) -> Tuple[int, int]:
    """Return where the part of a form without its public beginning and end begins and ends in its letters."""
    begin = len(form.text[: form.head].translate(None, alphabet.dropped)) if form.head else 0
    end = len(key) - (len(form.text[-form.tail :].translate(None, alphabet.dropped)) if form.tail else 0)
    return (begin, end) if end - begin >= WINDOW else (0, len(key))


def _words(letters: bytes) -> array[int]:
    return array("I", letters[: len(letters) & -_WORD])
