"""Tables of the skeletons of all forms. One pass over a text finds them, whatever their number.

If a form occurs in a text, whole or truncated, so do its first or last seven letters, its *windows*, or twelve letters
of its middle. Any seven letters contain four whose position is a multiple of four. Therefore a skeleton is read as an
array of 32-bit numbers. C code skips the numbers that are not in a window (not *anchors*) at a few nanoseconds each.
Windows are looked up only at an anchor, and forms are compared only at a window.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import compress
from operator import length_hint
from typing import TYPE_CHECKING, Dict, Generator, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from pytest_flowsecrets.leaks.search.encodings import SHORTEST_END
from pytest_flowsecrets.leaks.search.skeletons import Alphabet, common, common_end

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.search.encodings import Form

_WORD = 4
_WINDOW = 7  # letters; the fewest that always contain an aligned word
_SHORTEST = 5  # letters; the fewest that contain one in one of two passes
_PAIR = 2 * _WORD
_MORE = 2  # letters next to a pair; the rest of a slice can be punctuation
_CHUNK = 1 << 14  # bytes, a multiple of the word
_MOST_PLACES = 4  # positions of the same eight letters in the middle of forms
_MOST_SLICES = 4_000  # of one form


class Entry:
    """A form in a table, with its skeleton."""

    __slots__ = ("_places", "form", "key", "value")

    def __init__(self, form: Form, value: int, key: bytes) -> None:
        self.form, self.value, self.key = form, value, key
        self._places: List[int] = []

    def places(self, alphabet: Alphabet) -> List[int]:
        """Return the position in the form of each letter of the skeleton."""
        if not self._places:
            self._places = [*compress(range(len(self.form.text)), self.form.text.translate(alphabet.kept))]
        return self._places


class Seed(NamedTuple):
    """A place where a form can occur.

    Attributes:
        entry: the form.
        at: the position in the skeleton of the text.
        place: the same position in the skeleton of the form.
        size: the number of letters from there that are the same.
    """

    entry: Entry
    at: int
    place: int
    size: int


Seeds = Generator[Iterator[Seed], Optional[int], None]


class Group:
    """The entries with the same window, sorted so that the most similar of thousands is found at once.

    Args:
        entries: entries with the beginning of the window in the key, or its end if ``backwards``.
        backwards: whether the window is at the end of the forms.
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
        """Yield the entries that can occur where the window begins: whole ones first, then the most similar."""
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
        alphabet: the characters of the skeletons.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self._anchors: Set[int] = set()
        self._windows: Dict[bytes, List[Tuple[Entry, int, bool]]] = {}
        self._groups: Dict[bytes, List[Group]] = {}  # of the windows that have occurred
        self._slices: Dict[bytes, List[Tuple[Entry, int]]] = {}
        self._short: Dict[bytes, List[Entry]] = {}
        self._short_anchors: Set[int] = set()
        self._ordinary: Set[bytes] = set()  # surroundings of slices that are too short

    def __bool__(self) -> bool:
        return bool(self._anchors or self._short)

    # -- adding --------------------------------------------------------------------------------------------------------

    def add(self, form: Form, value: int, key: bytes) -> None:
        """Add a form whose skeleton ``key`` has five letters or more."""
        entry = Entry(form, value, key)
        if len(key) < _WINDOW:
            self._short_anchors.update(array("I", key[:_WORD] + key[1 : _WORD + 1]))
            self._short.setdefault(key, []).append(entry)
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
        self._ordinary.clear()

    def _add_window(self, window: bytes, entry: Entry, place: int, *, backwards: bool) -> None:
        entries = self._windows.get(window)
        if entries is None:  # the anchors first, so that an interruption cannot leave a window without them
            self._anchors.update(array("I", window[:4] + window[1:5] + window[2:6] + window[3:]))
            entries = self._windows[window] = []
        entries.append((entry, place, backwards))
        if self._groups:
            self._groups.pop(window, None)

    def _groups_of(self, window: bytes) -> List[Group]:
        """Return the groups of a window. They are created on demand, because few windows ever occur."""
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
        """Add each part of eight letters. Of the longest values only some are added, so their slices must be longer."""
        key, slices = entry.key, self._slices
        step = 1 + (end - begin) // _MOST_SLICES
        for place in range(begin + 1, end - _PAIR, step):
            pair = key[place : place + _PAIR]
            entries = slices.get(pair)
            if entries is None:
                slices[pair] = [(entry, place)]
            elif len(entries) < _MOST_PLACES:
                entries.append((entry, place))
        for shift in range(_WORD):
            rest = key[begin + shift : end]
            self._anchors.update(array("I", rest[: len(rest) & -_WORD]))

    # -- searching -----------------------------------------------------------------------------------------------------

    def passes(self, data: bytes) -> bool:
        """Return whether a quick check shows that a short text contains no form."""
        text = data.translate(None, self.alphabet.dropped)
        if not self._short and self._anchors.isdisjoint(array("I", text[: len(text) & -_WORD])):
            return True
        return next(self.seeds(text), None) is None

    def seeds(self, text: bytes) -> Seeds:
        """Yield the forms that can occur at each position of a skeleton, the most probable ones first.

        The caller sends the end of each match, inside which the same forms are not searched again.
        """
        yield from self._long_seeds(text)
        if self._short:
            yield from self._short_seeds(text)

    def _long_seeds(self, text: bytes) -> Seeds:
        ends: Dict[int, int] = {}  # of the last match of each group
        inside = 0  # end of the last match
        windows, slices = self._windows, self._slices
        for at in self._places(text, self._anchors, 0):
            around = text[at - _WORD : at + _PAIR + _WORD] if at else b"\0" * _WORD + text[: _PAIR + _WORD]
            if around in self._ordinary:
                continue
            has_window = (
                around[1:8] in windows or around[2:9] in windows or around[3:10] in windows or around[4:11] in windows
            )
            if has_window:
                inside = yield from self._window_seeds(text, at, ends, inside)
            if around[_WORD : _WORD + _PAIR] in slices:
                inside = yield from self._slice_seeds(around, at, inside, is_ordinary=not has_window)

    def _slice_seeds(
        self, around: bytes, at: int, inside: int, *, is_ordinary: bool
    ) -> Generator[Iterator[Seed], Optional[int], int]:
        """Yield the forms whose middle can occur at an anchor. Return the end of the last match.

        Args:
            around: the bytes around the anchor.
            at: the position of the anchor.
            inside: the end of the last match so far.
            is_ordinary: whether the bytes contain nothing else, so that they can be skipped if they occur again.
        """
        if at < inside:
            return inside
        seeds = self._sliced(around, at, self._slices[around[_WORD : _WORD + _PAIR]])
        if seeds:
            inside = max(inside, (yield iter(seeds)) or 0)
        elif is_ordinary:
            self._skip_later(around)
        return inside

    def _window_seeds(
        self, text: bytes, at: int, ends: Dict[int, int], inside: int
    ) -> Generator[Iterator[Seed], Optional[int], int]:
        """Yield the forms with a window at an anchor. Return the end of the last match."""
        for start in range(max(0, at - _WINDOW + _WORD), at + 1):
            window = text[start : start + _WINDOW]
            for group in self._groups_of(window) if window in self._windows else ():
                if start + _WINDOW > inside if group.backwards else start >= ends.get(id(group), 0):
                    end = (yield group.seeds(text, start)) or 0
                    if end:
                        ends[id(group)] = end
                        inside = max(inside, end)
        return inside

    def _sliced(self, around: bytes, at: int, entries: List[Tuple[Entry, int]]) -> List[Seed]:
        """Return the forms of which a part of the middle that is long enough can occur at a position."""
        before, after = around[:_WORD], around[_WORD + _PAIR :]
        return [
            Seed(entry, at, place, _PAIR)
            for entry, place in entries
            if self._is_slice(
                entry,
                place - common_end(before, entry.key[:place]),
                place + _PAIR + common(after, entry.key[place + _PAIR :]),
                place,
            )
        ]

    def _skip_later(self, around: bytes) -> None:
        """Skip a slice with these surroundings from now on, because it is too short. Most such slices are alike."""
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
        return places[high - 1] + 1 - places[low] >= max(entry.form.slice - 1, SHORTEST_END)

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
        """Yield the positions of anchors."""
        none_in = anchors.isdisjoint
        for at in range(shift, len(text) - _WORD + 1, _CHUNK):
            words = array("I", text[at : at + (min(_CHUNK, len(text) - at) & -_WORD)])
            rest = iter(words.tolist())
            while not none_in(rest):  # it stops after an anchor
                yield at + (len(words) - length_hint(rest) - 1) * _WORD
