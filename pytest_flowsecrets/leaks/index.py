"""Finding known values, in any of their forms, in one pass over some bytes whatever the number of values.

A form that stands in a text, whole or cut, brings its first or its last few bytes, its *windows*. A window of seven
bytes or more holds, wherever it stands, four bytes whose place is a multiple of four. So the bytes are read as an array
of 32-bit numbers, and numbers that are in no window, no *anchors*, are passed over by C code at a few nanoseconds each.
Only where an anchor is found the windows are looked up, and only where a window is found the form is compared.

Breaks, which tear windows, are looked at apart.
"""

from __future__ import annotations

import re
import sys
from array import array
from itertools import chain
from operator import length_hint
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from pytest_flowsecrets.leaks.breaks import Breaks, is_broken
from pytest_flowsecrets.leaks.extend import GAP_BYTES, Span, extend
from pytest_flowsecrets.leaks.extensions import forms_by_encoders
from pytest_flowsecrets.leaks.forms import Form, forms_of
from pytest_flowsecrets.leaks.views import LETTERS, is_plain, views

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.structure import Part

Place = Tuple[Form, int]  # a place in a form
Places = Dict[bytes, List[Place]]
Anchors = Dict[int, Tuple[Tuple[int, int], ...]]  # where in windows, and how long these are

_WORD = 4
_SEVEN = 7  # bytes; the shortest window that is sure to hold a whole aligned word
_CHUNK = 1 << 14  # bytes, a multiple of the word
_ELLIPSES = b"...", "…".encode()
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"


class Hit(NamedTuple):
    """A value found in some bytes, from ``start`` to ``end``.

    ``value`` is its number in the order of adding, ``note`` says ``cut``, ``over lines``, both or nothing.
    """

    start: int
    end: int
    value: int
    kind: str
    note: str


class Index:
    """The values that were added, in all their forms."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0  # form
        self.widest = 0  # window
        self.letters = {*GAP_BYTES, *LETTERS}  # of all forms, of what may stand between their parts, and of encodings
        self._owner: Dict[bytes, int] = {}
        self._windows: Places = {}
        self._anchors: Anchors = {}
        self._second: Anchors = {}
        self._tiny: Dict[bytes, Form] = {}
        self._tiny_pattern: Optional[re.Pattern[bytes]] = None
        self._breaks = Breaks()
        self._before_ellipsis: Places = {}
        self._after_ellipsis: Places = {}
        self._halves: Set[int] = set()

    # -- adding -------------------------------------------------------------------------------------------------------

    def add(self, part: Part) -> None:
        """Look for one more text."""
        forms = forms_of(part.text, head=part.head, tail=part.tail, whole=part.whole)
        for form in chain(forms, forms_by_encoders(part.text)):
            if form.text not in self._owner:
                self._owner[form.text] = self.count
                self.longest = max(self.longest, len(form.text))
                self.letters.update(form.text)
                self._add(form)
        self.count += 1

    def _add(self, form: Form) -> None:
        if len(form.text) <= _WORD + 1:
            self._tiny[form.text] = form
            ordered = sorted(self._tiny, key=len, reverse=True)
            self._tiny_pattern = re.compile(b"|".join(map(re.escape, ordered)))
            return
        begin, end = form.head, len(form.text) - form.tail
        for start, stop in {(begin, begin + form.first), (end - form.last, end)}:
            self.widest = max(self.widest, stop - start)
            places = self._windows.setdefault(form.text[start:stop], [])
            places.append((form, start))
            if len(places) == 1:
                self._add_anchors(form.text[start:stop])
            if not form.nested:
                self._breaks.add(form, start, stop)
        if form.whole:
            return
        self._halves.update(range(form.half_first, form.first), range(form.half_last, form.last))
        for size in range(form.half_first, form.first):
            self._before_ellipsis.setdefault(form.text[begin : begin + size], []).append((form, begin + size))
        for size in range(form.half_last, form.last):
            self._after_ellipsis.setdefault(form.text[end - size : end], []).append((form, end - size))

    def _add_anchors(self, window: bytes) -> None:
        """Words of a window, so many that one of them is aligned (in the text, or two bytes later), wherever it is."""
        where, count = (self._anchors, _WORD) if len(window) >= _SEVEN else (self._second, 2)
        for offset in range(min(count, len(window) - _WORD + 1)):
            number = int.from_bytes(window[offset : offset + _WORD], sys.byteorder)
            known, place = where.get(number, ()), (offset, len(window))
            if place not in known:
                where[number] = (*known, place)

    # -- finding ------------------------------------------------------------------------------------------------------

    def passes(self, data: bytes) -> bool:
        """Whether a glance shows that nothing is in a short text, which most are: nothing near any form, no oddity."""
        words = array("I", data[: len(data) & -_WORD])
        return (
            self._anchors.keys().isdisjoint(words)
            and not (self._second or self._tiny or is_broken(data))
            and not any(ellipsis in data for ellipsis in _ELLIPSES)
            and is_plain(data)
        )

    def find(self, data: bytes) -> List[Hit]:
        """Every hit, in the order of their beginnings, the longest first; some lie inside others, some overlap."""
        found: Dict[Tuple[int, int, int], Hit] = {}
        for hit in chain(self._hits(data), self._in_views(data)):
            found.setdefault(hit[:3], hit)
        return sorted(found.values(), key=lambda hit: (hit.start, -hit.end, hit.value))

    def _in_views(self, data: bytes) -> Iterator[Hit]:
        for view in views(data):
            for hit in self._hits(view.data):
                start, end = view.places(hit.start, hit.end)
                yield hit._replace(
                    start=start, end=end, kind=view.kind if hit.kind == "raw" and view.kind else hit.kind
                )

    def _hits(self, data: bytes) -> List[Hit]:
        tiny = self._tiny_pattern.finditer(data) if self._tiny_pattern else ()
        hits = [Hit(*each.span(), self._owner[each.group()], self._tiny[each.group()].kind, "") for each in tiny]
        for at, places in self._candidates(data):
            # Many forms of one value begin alike, so whole ones are looked for first: that is one comparison each.
            whole = [place for place in places if data.startswith(place[0].text, at - place[1]) and at >= place[1]]
            for form, place in self._longest(whole) if whole else places:
                hit = self._judged(data, form, extend(data, at, form.text, place))
                if hit:
                    hits.append(hit)
        for ellipsis in _ELLIPSES if self._halves else ():
            if ellipsis in data:
                hits += self._beside_ellipses(data, ellipsis)
        return hits

    def _longest(self, places: Iterable[Place]) -> Iterable[Place]:
        """Of each value its longest form."""
        ordered = sorted(places, key=lambda place: len(place[0].text))
        return {self._owner[form.text]: (form, place) for form, place in ordered}.values()

    def _judged(self, data: bytes, form: Form, span: Span) -> Optional[Hit]:
        """A hit, if so much of the form is there that it is a leak."""
        end = len(form.text) - form.tail
        whole = span.first <= form.head and span.last >= end
        if not whole:
            if form.whole:
                return None
            is_first = span.first <= form.head and span.last >= form.head + form.first
            is_last = span.last >= end and span.first <= end - form.last
            trailing = is_first and data.startswith(_ELLIPSES, span.end)
            leading = is_last and data.endswith(_ELLIPSES, max(0, span.start - _WORD), span.start)
            long_first = is_first and form.least_first and span.last >= form.head + form.least_first
            long_last = is_last and form.least_last and span.first <= end - form.least_last
            if not (long_first or long_last or trailing or leading):
                return None
        notes = [note for note, is_so in (("cut", not whole), ("over lines", span.broken)) if is_so]
        start, stop = _with_neighbours(data, span, form) if whole else (span.start, span.end)
        return Hit(start, stop, self._owner[form.text], form.kind, ", ".join(notes))

    def _candidates(self, data: bytes) -> Iterator[Tuple[int, Sequence[Place]]]:
        if self._anchors:
            yield from self._scan(data, self._anchors, 0)
            for at, form, place in self._breaks.candidates(data):
                yield at, [(form, place)]
        for shift in (0, 2) if self._second else ():
            yield from self._scan(data, self._second, shift)

    def _scan(self, data: bytes, anchors: Anchors, shift: int) -> Iterator[Tuple[int, Sequence[Place]]]:
        none_in = anchors.keys().isdisjoint
        for at in range(shift, len(data) - _WORD + 1, _CHUNK):
            words = array("I", data[at : at + (min(_CHUNK, len(data) - at) & -_WORD)]).tolist()
            rest = iter(words)
            while not none_in(rest):  # it stops behind an anchor
                number = len(words) - length_hint(rest) - 1
                yield from self._look_up(data, at + number * _WORD, anchors[words[number]])

    def _look_up(
        self, data: bytes, at: int, offsets: Iterable[Tuple[int, int]]
    ) -> Iterator[Tuple[int, Sequence[Place]]]:
        for offset, size in offsets:
            start = at - offset
            places = self._windows.get(data[start : start + size]) if start >= 0 else None
            if places:
                yield start, places

    def _beside_ellipses(self, data: bytes, ellipsis: bytes) -> Iterator[Hit]:
        """Cuts that are too short to be told from other texts, but for the ellipsis."""
        at = data.find(ellipsis)
        while at >= 0:
            yield from self._beside(data, at, at + len(ellipsis))
            at = data.find(ellipsis, at + 1)

    def _beside(self, data: bytes, start: int, end: int) -> Iterator[Hit]:
        for size in self._halves:
            for form, place in self._before_ellipsis.get(data[max(0, start - size) : start], ()):
                span = extend(data, start, form.text[:place], place)
                yield Hit(span.start, start, self._owner[form.text], form.kind, "cut")
            for form, place in self._after_ellipsis.get(data[end : end + size], ()):
                rest = form.text[place:]
                span = extend(data, end, rest, 0)
                yield Hit(end, span.end, self._owner[form.text], form.kind, "cut")


def _with_neighbours(data: bytes, span: Span, form: Form) -> Tuple[int, int]:
    """With the digits that a value shares with what is encoded before and after it, and the padding."""
    start, end = span.start, span.end
    if form.before and start and data[start - 1] in _DIGITS:
        start -= 1
    if form.after and end < len(data) and data[end] in _DIGITS:
        end += 1
    while form.after and end < len(data) and data[end] in b"=":
        end += 1
    return start, end
