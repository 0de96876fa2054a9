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
from typing import TYPE_CHECKING, Dict, Generator, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from pytest_flowsecrets.leaks.search.encodings import CUT
from pytest_flowsecrets.leaks.search.skeletons import Alphabet, common, common_end

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.search.encodings import Form

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
        entries: each with the place where the window begins in its key, or ends, if it is at the end.
        backwards: whether the window is the end of the forms.
    """

    def __init__(self, entries: Iterable[Tuple[Entry, int]], *, backwards: bool) -> None:
        self.backwards = backwards
        self._entries: Dict[bytes, List[Tuple[Entry, int]]] = {}
        for entry, place in entries:
            rest = entry.key[:place][::-1] if backwards else entry.key[place:]
            same = self._entries.setdefault(rest, [])
            if len(same) < _MOST_PLACES:
                same.append((entry, place))
        self._ordered = sorted(self._entries)
        self._sizes = sorted({*map(len, self._ordered)}, reverse=True)

    def seeds(self, text: bytes, start: int) -> Iterator[Seed]:
        """Yield the entries that can stand where the window begins: first whole ones, then the most similar."""
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
        self._windows: Dict[bytes, List[Tuple[Entry, int, bool]]] = {}
        self._groups: Dict[bytes, List[Group]] = {}  # those of the windows that were seen
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
        self._ordinary.clear()
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
        known = self._windows.get(window)
        if known is None:
            known = self._windows[window] = []
            self._anchors.update(array("I", window[:4] + window[1:5] + window[2:6] + window[3:]))
        elif self._groups:
            self._groups.pop(window, None)
        known.append((entry, place, backwards))

    def _groups_of(self, window: bytes) -> List[Group]:
        """Return what has a window. Few windows are ever seen, so groups are made when they are."""
        groups = self._groups.get(window)
        if groups is None:
            groups = self._groups[window] = []
            for direction in (False, True):
                entries = [
                    (entry, place) for entry, place, backwards in self._windows[window] if backwards is direction
                ]
                if entries:
                    groups.append(Group(entries, backwards=direction))
        return groups

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
        if not self._short and self._anchors.isdisjoint(array("I", text[: len(text) & -_WORD])):
            return True
        return next(self.seeds(text), None) is None

    def seeds(self, text: bytes) -> Seeds:
        """Yield for each place of a skeleton where forms may stand those that may, the most probable first.

        The caller sends where a find ends, as the same forms are not looked for inside it.
        """
        done: Dict[int, int] = {}
        inside = 0  # where the last find ends
        windows, slices = self._windows, self._slices
        for at in self._places(text, self._anchors, 0):
            around = text[at - _WORD : at + _PAIR + _WORD] if at else b"\0" * _WORD + text[: _PAIR + _WORD]
            if around in self._ordinary:
                continue
            has_window = (
                around[1:8] in windows or around[2:9] in windows or around[3:10] in windows or around[4:11] in windows
            )
            if has_window:
                inside = yield from self._window_seeds(text, at, done, inside)
            if around[_WORD : _WORD + _PAIR] in slices and at >= inside:
                seeds = self._sliced(around, at, slices[around[_WORD : _WORD + _PAIR]])
                if seeds:
                    inside = max(inside, (yield iter(seeds)) or 0)
                elif not has_window:
                    self._pass_over(around)
        if self._short:
            yield from self._short_seeds(text)

    def _window_seeds(
        self, text: bytes, at: int, done: Dict[int, int], inside: int
    ) -> Generator[Iterator[Seed], Optional[int], int]:
        """Yield what can stand where a window has an anchor; return where the last find ends."""
        for start in range(max(0, at - _WINDOW + _WORD), at + 1):
            window = text[start : start + _WINDOW]
            for group in self._groups_of(window) if window in self._windows else ():
                if start + _WINDOW > inside if group.backwards else start >= done.get(id(group), 0):
                    end = (yield group.seeds(text, start)) or 0
                    if end:
                        done[id(group)] = end
                        inside = max(inside, end)
        return inside

    def _sliced(self, around: bytes, at: int, known: List[Tuple[Entry, int]]) -> List[Seed]:
        """Return what can stand there with a part of its middle that is long enough."""
        before, after = around[:_WORD], around[_WORD + _PAIR :]
        return [
            Seed(entry, at, place, _PAIR)
            for entry, place in known
            if self._is_slice(
                entry,
                place - common_end(before, entry.key[:place]),
                place + _PAIR + common(after, entry.key[place + _PAIR :]),
                place,
            )
        ]

    def _pass_over(self, around: bytes) -> None:
        """Remember that a slice with these letters around it is too short. Most of them are alike."""
        if len(self._ordinary) >= _MOST_SLICES:
            self._ordinary.clear()
        self._ordinary.add(around)

    def _is_slice(self, entry: Entry, low: int, high: int, place: int) -> bool:
        """Return whether a part of a form, from one letter to another, can be long enough."""
        if high - low < _PAIR + _MORE:
            return False
        if place - low == _WORD or high - place == _PAIR + _WORD or not low or high == len(entry.key):
            return True
        places = entry.places(self.alphabet)
        return places[high - 1] + 1 - places[low] >= max(entry.form.slice - 1, CUT)

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
