"""The skeletons of all forms, and the search for them in one pass, whatever their number.

A form that stands in a text, whole or truncated, brings its first or its last seven letters, its *windows*, or twelve
of its middle. Seven letters hold, wherever they stand, four whose place is a multiple of four. So a skeleton is read as
an array of 32-bit numbers, and those that are in no window, no *anchors*, are passed over by C code at a few
nanoseconds each. Only at an anchor the windows are looked up, and only at a window forms are compared.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import compress
from operator import length_hint
from typing import TYPE_CHECKING, Dict, Generator, Iterator, List, NamedTuple, Optional, Set, Tuple

from pytest_flowsecrets.leaks.extend import Alphabet, common, common_end

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.forms import Form

_WORD = 4
_WINDOW = 7  # letters; the fewest that are sure to hold a whole aligned word
_SHORTEST = 5  # letters; the fewest that hold one in one of two passes
_PAIR = 2 * _WORD
_MORE = 2  # letters that have to stand beside a pair; the rest of a slice may be punctuation
_CHUNK = 1 << 14  # bytes, a multiple of the word
_MOST_PLACES = 4  # in the middle of forms, for the same eight letters
_MOST_SLICES = 4_000  # of one form


class Entry:
    """A form in a table, with its skeleton."""

    __slots__ = ("_places", "form", "key", "value")

    def __init__(self, form: Form, value: int, key: bytes) -> None:
        self.form, self.value, self.key = form, value, key
        self._places: List[int] = []

    def places(self, alphabet: Alphabet) -> List[int]:
        """Return the place in the form of each letter of the skeleton."""
        if not self._places:
            self._places = [*compress(range(len(self.form.text)), self.form.text.translate(alphabet.kept))]
        return self._places


class Seed(NamedTuple):
    """Where a form may stand: a letter of a text is that of a form, with ``size`` more."""

    entry: Entry
    at: int
    place: int
    size: int


Seeds = Generator[Iterator[Seed], Optional[int], None]


class Group:
    """The entries that have one window, ordered, so that the most similar one of thousands is found at once.

    Args:
        backwards: whether the window is the end of the forms.
    """

    def __init__(self, *, backwards: bool) -> None:
        self.backwards = backwards
        self._entries: Dict[bytes, List[Tuple[Entry, int]]] = {}
        self._ordered: List[bytes] = []
        self._sizes: List[int] = []

    def add(self, entry: Entry, place: int) -> None:
        """Add an entry whose window begins, or ends, at ``place``."""
        rest = entry.key[:place][::-1] if self.backwards else entry.key[place:]
        same = self._entries.setdefault(rest, [])
        if len(same) < _MOST_PLACES:
            same.append((entry, place))
        self._ordered = []

    def seeds(self, text: bytes, start: int) -> Iterator[Seed]:
        """Yield the entries that can stand where the window begins: first whole ones, then the most similar."""
        if not self._ordered:
            self._ordered = sorted(self._entries)
            self._sizes = sorted({*map(len, self._ordered)}, reverse=True)
        longest, end = self._sizes[0], start + _WINDOW
        near = text[max(0, end - longest) : end][::-1] if self.backwards else text[start : start + longest]
        for size in self._sizes:
            yield from self._with_rest(near[:size], start) if size <= len(near) else ()
        number = bisect_left(self._ordered, near)
        around = self._ordered[max(0, number - 1) : number + 1]
        best = max(around, key=lambda rest: common(rest, near))
        if common(best, near) < len(best):
            yield from self._with_rest(best, start)

    def _with_rest(self, rest: bytes, start: int) -> Iterator[Seed]:
        for entry, place in self._entries.get(rest, ()):
            yield Seed(entry, start, place - _WINDOW if self.backwards else place, _WINDOW)


class Table:
    """The forms of one alphabet.

    Args:
        alphabet: what skeletons consist of.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self._anchors: Set[int] = set()
        self._words: Set[bytes] = set()  # the anchors of windows
        self._windows: Dict[bytes, List[Group]] = {}
        self._slices: Dict[bytes, List[Tuple[Entry, int]]] = {}
        self._short: Dict[bytes, List[Entry]] = {}
        self._short_anchors: Set[int] = set()
        self._ordinary: Set[bytes] = set()  # surroundings of slices in which no long one stands

    def __bool__(self) -> bool:
        return bool(self._anchors or self._short)

    # -- adding --------------------------------------------------------------------------------------------------------

    def add(self, form: Form, value: int, key: bytes) -> None:
        """Look for one more form, whose skeleton is ``key``, of five letters or more."""
        entry = Entry(form, value, key)
        if len(key) < _WINDOW:
            self._short.setdefault(key, []).append(entry)
            self._short_anchors.update(array("I", key[:_WORD] + key[1 : _WORD + 1]))
            return
        dropped = self.alphabet.dropped
        begin = len(form.text[: form.head].translate(None, dropped)) if form.head else 0
        end = len(key) - (len(form.text[-form.tail :].translate(None, dropped)) if form.tail else 0)
        if end - begin < _WINDOW:
            begin, end = 0, len(key)
        self._add_window(key[begin : begin + _WINDOW], entry, begin, backwards=False)
        if form.last or form.tail:
            self._add_window(key[end - _WINDOW : end], entry, end, backwards=True)
        if form.slice:
            self._add_slices(entry, begin, end)

    def _add_window(self, window: bytes, entry: Entry, place: int, *, backwards: bool) -> None:
        groups = self._windows.get(window)
        if groups is None:
            groups = self._windows[window] = []
            words = window[:_WORD], window[1:5], window[2:6], window[3:]
            self._words.update(words)
            self._anchors.update(array("I", b"".join(words)))
        group = next((group for group in groups if group.backwards is backwards), None)
        if group is None:
            group = Group(backwards=backwards)
            groups.append(group)
        group.add(entry, place)

    def _add_slices(self, entry: Entry, begin: int, end: int) -> None:
        """Let each part of eight letters be found; of the longest values only some, so slices of these are longer."""
        key, slices = entry.key, self._slices
        step = 1 + (end - begin) // _MOST_SLICES
        for place in range(begin + 1, end - _PAIR, step):
            pair = key[place : place + _PAIR]
            known = slices.get(pair)
            if known is None:
                slices[pair] = [(entry, place)]
            elif len(known) < _MOST_PLACES:
                known.append((entry, place))
        for shift in range(_WORD):
            rest = key[begin + shift : end]
            self._anchors.update(array("I", rest[: len(rest) & -_WORD]))

    # -- searching -----------------------------------------------------------------------------------------------------

    def passes(self, data: bytes) -> bool:
        """Return whether a glance shows that nothing is in a short text."""
        text = data.translate(None, self.alphabet.dropped)
        if not self._anchors.isdisjoint(array("I", text[: len(text) & -_WORD])):
            return False
        return not self._short or all(
            self._short_anchors.isdisjoint(array("I", text[shift : shift + (len(text) - shift & -_WORD)]))
            for shift in (0, 2)
        )

    def seeds(self, text: bytes) -> Seeds:
        """Yield for each place of a skeleton where forms may stand those that may, the most probable first.

        The caller sends where a find ends, as the same forms are not looked for inside it.
        """
        done: Dict[int, int] = {}
        inside = 0  # where the last find ends
        words, windows, slices = self._words, self._windows, self._slices
        for at in self._places(text, self._anchors, 0):
            if text[at : at + _WORD] in words:
                for start in range(max(0, at - _WINDOW + _WORD), at + 1):
                    for group in windows.get(text[start : start + _WINDOW], ()):
                        if start + _WINDOW > inside if group.backwards else start >= done.get(id(group), 0):
                            end = (yield group.seeds(text, start)) or 0
                            if end:
                                done[id(group)] = end
                                inside = max(inside, end)
            known = slices.get(text[at : at + _PAIR]) if at >= inside else None
            seeds = self._sliced(text, at, known) if known else None
            if seeds:
                inside = max(inside, (yield iter(seeds)) or 0)
        if self._short:
            yield from self._short_seeds(text)

    def _sliced(self, text: bytes, at: int, known: List[Tuple[Entry, int]]) -> List[Seed]:
        """Return where a part of the middle stands that is long enough. What is around most of them is alike."""
        around = text[max(0, at - _WORD) : at + _PAIR + _WORD]
        if around in self._ordinary:
            return []
        seeds = [
            Seed(entry, at, place, _PAIR)
            for entry, place in known
            if common_end(text[max(0, at - _WORD) : at], entry.key[:place])
            + common(text[at + _PAIR : at + _PAIR + _WORD], entry.key[place + _PAIR :])
            >= _MORE
        ]
        if not seeds:
            if len(self._ordinary) >= _MOST_SLICES:
                self._ordinary.clear()
            self._ordinary.add(around)
        return seeds

    def _short_seeds(self, text: bytes) -> Seeds:
        sizes = sorted({*map(len, self._short)}, reverse=True)
        for shift in (0, 2):
            for at in self._places(text, self._short_anchors, shift):
                for start in range(max(0, at - 1), at + 1):
                    for size in sizes:
                        entries = self._short.get(text[start : start + size], ())
                        if entries:
                            yield (Seed(entry, start, 0, len(entry.key)) for entry in entries)

    @staticmethod
    def _places(text: bytes, anchors: Set[int], shift: int) -> Iterator[int]:
        """Yield where anchors stand."""
        none_in = anchors.isdisjoint
        for at in range(shift, len(text) - _WORD + 1, _CHUNK):
            words = array("I", text[at : at + (min(_CHUNK, len(text) - at) & -_WORD)])
            rest = iter(words.tolist())
            while not none_in(rest):  # it stops behind an anchor
                yield at + (len(words) - length_hint(rest) - 1) * _WORD
