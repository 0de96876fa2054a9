"""Finding known values, in any of their forms, whatever their number."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Tuple

from pytest_flowsecrets.leaks.search.compressed import begins, payload
from pytest_flowsecrets.leaks.search.decoders import is_plain, views
from pytest_flowsecrets.leaks.search.encodings import CUT, Form, forms_of, rare_forms_of
from pytest_flowsecrets.leaks.search.extensions import forms_by_encoders
from pytest_flowsecrets.leaks.search.line_breaks import differing, follow, precede
from pytest_flowsecrets.leaks.search.skeleton_tables import Seed, Table
from pytest_flowsecrets.leaks.search.skeletons import EVERYTHING, LETTERS, MARKS, Alphabet, Skeleton, common, common_end

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.formats.parts import Part

_WINDOW, _SHORTEST = 7, 5  # letters of a skeleton
_RUN = b"x" * 24  # a text without such a run of characters holds no base32 and no base85
_RUNS = bytes(ord("x") if 32 < byte < 127 else ord(" ") for byte in range(256))  # noqa: PLR2004 - ASCII
_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789_./:=-[]"  # a run of these alone is no base32 nor base85
_MARGIN = 2_000  # bytes around a decoded character, in which a value may be that stands there in several lines
_DEEPEST = 3  # payloads inside each other
_ELLIPSES = b"...", "…".encode()
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_DIGITS_85 = bytes(range(33, 127))
_CHANGED_BY_QUOTED_PRINTABLE = re.compile(rb"[=\x80-\xff\t\r\n ]")
_NONE: Tuple[Optional[Form], int] = None, -1
_CHANGED = ""  # the kind of a raw form between whose letters something else stands
_IN_LINES = re.compile(rb"[\n\r\x08\x1b]")
_ENTITY, _QUOTED = re.compile(rb"&[#A-Za-z]"), re.compile(rb"%[0-9A-Fa-f]{2}")


class Hit(NamedTuple):
    """A value found in some bytes, from ``start`` to ``end``.

    ``value`` is its number in the order of adding, ``note`` says ``cut``, ``over lines``, both or nothing.
    """

    start: int
    end: int
    value: int
    kind: str
    note: str


class _Span(NamedTuple):
    """A part of a form in some bytes: where it is there, which part it is, and whether a break is inside."""

    start: int
    end: int
    first: int
    last: int
    broken: bool


class Index:
    """The values that were added, in all their forms."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0  # form
        self.letters = {*b" \t\r\n'\",|>+?-\\%&#;=\x1b\x08"}  # of all forms, and of what can stand between their parts
        self._owner: Dict[bytes, int] = {}
        self._tables = Table(LETTERS), Table(MARKS), Table(EVERYTHING)
        self._rare_tables = Table(LETTERS), Table(MARKS), Table(EVERYTHING)
        self._used: List[Table] = []  # those that are not empty
        self._tiny: Dict[bytes, Form] = {}
        self._tiny_pattern: Optional[re.Pattern[bytes]] = None
        self._quotable = False
        self._rare: List[Tuple[str, int]] = []  # values whose rare forms are not there yet
        self._cuttable: List[Tuple[Form, int]] = []  # forms whose cuts beside an ellipsis are not there yet
        self._before_ellipsis: Dict[bytes, Tuple[Form, int]] = {}
        self._after_ellipsis: Dict[bytes, Tuple[Form, int]] = {}
        self._halves: List[int] = []

    # -- adding --------------------------------------------------------------------------------------------------------

    def add(self, part: Part, *, sliced: bool = False) -> None:
        """Look for one more text; also for slices of its middle, if that is asked for."""
        forms = forms_of(part.text, head=part.head, tail=part.tail, whole=part.whole, sliced=sliced)
        for form in chain(forms, forms_by_encoders(part.text)):
            self._add(form, self.count, self._tables)
        self._used = [table for table in self._tables if table]
        self._quotable = self._quotable or _CHANGED_BY_QUOTED_PRINTABLE.search(forms[0].text) is not None
        self._rare.append((part.text, self.count))
        self.count += 1

    def _add(self, form: Form, value: int, tables: Tuple[Table, ...]) -> None:
        if form.text in self._owner:
            return
        self._owner[form.text] = value
        self.longest = max(self.longest, len(form.text))
        self.letters.update(form.text)
        if not form.whole and (form.half_first < form.first or form.half_last < form.last):
            self._cuttable.append((form, value))
        for table in tables:
            key = form.text.translate(None, table.alphabet.dropped)
            if len(key) >= _WINDOW or (len(key) >= _SHORTEST and table is not tables[0]):
                table.add(form, value, key)
                if _is_even(form, table.alphabet):
                    return
        if len(form.text) < _SHORTEST:
            self._tiny[form.text] = form
            self._tiny_pattern = None

    def _add_rare(self) -> None:
        waiting, self._rare = self._rare, []
        for value, number in waiting:
            for form in rare_forms_of(value):
                self._add(form, number, self._rare_tables)

    def _add_cuts(self) -> None:
        waiting, self._cuttable = self._cuttable, []
        sizes = {*self._halves}
        for form, value in waiting:
            begin, end = form.head, len(form.text) - form.tail
            for size in range(form.half_first, form.first):
                self._before_ellipsis.setdefault(form.text[begin : begin + size], (form, value))
            for size in range(form.half_last, form.last):
                self._after_ellipsis.setdefault(form.text[end - size : end], (form, value))
            sizes.update(range(form.half_first, form.first), range(form.half_last, form.last))
        self._halves = sorted(sizes, reverse=True)

    # -- finding -------------------------------------------------------------------------------------------------------

    def passes(self, data: bytes) -> bool:
        """Return whether a glance shows that nothing is in a short text, which most are."""
        for table in self._used:
            if not table.passes(data):
                return False
        if self._tiny or _has_run(data) or not is_plain(data):
            return False
        return not any(ellipsis in data and next(self._beside_ellipses(data, ellipsis), None) for ellipsis in _ELLIPSES)

    def find(self, data: bytes, *, depth: int = 0) -> List[Hit]:
        """Return every hit, in the order of their beginnings, the longest first; some lie inside others or overlap.

        Args:
            data: any bytes.
            depth: how many payloads they come out of; those in the bytes themselves are looked into from 1 on.
        """
        hits: Dict[Tuple[int, int, int], Hit] = {}
        packed = self._in_payloads(data, depth) if depth else ()
        for hit in chain(self._hits(data), self._in_views(data, depth), packed):
            kind = _encoding_of(data[hit.start : hit.end]) if hit.kind == _CHANGED else hit.kind
            hits.setdefault(hit[:3], hit._replace(kind=kind))
        return sorted(hits.values(), key=lambda hit: (hit.start, -hit.end, hit.value))

    def _in_payloads(self, data: bytes, depth: int) -> Iterator[Hit]:
        done = 0
        for place in begins(data) if depth < _DEEPEST else ():
            end, content = (place >= done and payload(data, place)) or (place, b"")
            done = max(done, end)
            for number in self.values_in(content, depth + 1):
                yield Hit(place, end, number, "compressed", "")

    def values_in(self, content: bytes, depth: int = 1) -> List[int]:
        """Return the numbers of the values that are in a payload."""
        return sorted({hit.value for hit in self.find(content, depth=depth)}) if content else []

    def _in_views(self, data: bytes, depth: int) -> Iterator[Hit]:
        for view in views(data, quotable=self._quotable, margin=_MARGIN + 2 * self.longest):
            for hit in chain(self._hits(view.data), self._in_payloads(view.data, depth)):
                start, end = view.places(hit.start, hit.end)
                kind = view.kind if hit.kind in ("raw", _CHANGED) else hit.kind
                yield hit._replace(start=start, end=end, kind=kind or _CHANGED)

    def _hits(self, data: bytes) -> Iterator[Hit]:
        if self._tiny:
            yield from self._tiny_hits(data)
        has_run = _has_run(data)
        if has_run and self._rare:
            self._add_rare()
        for table in chain(self._used, self._rare_tables if has_run else ()):
            if table:
                yield from self._hits_in(table, Skeleton(data, table.alphabet))
        for ellipsis in _ELLIPSES:
            if ellipsis in data:
                yield from self._beside_ellipses(data, ellipsis)

    def _tiny_hits(self, data: bytes) -> Iterator[Hit]:
        if self._tiny_pattern is None:
            ordered = sorted(self._tiny, key=len, reverse=True)
            self._tiny_pattern = re.compile(b"|".join(map(re.escape, ordered)))
        for found in self._tiny_pattern.finditer(data):
            yield Hit(*found.span(), self._owner[found.group()], self._tiny[found.group()].kind, "")

    def _hits_in(self, table: Table, skeleton: Skeleton) -> Iterator[Hit]:
        generator = table.seeds(skeleton.text)
        seeds = next(generator, None)
        while seeds is not None:
            end = None
            for seed in seeds:
                hit, end = self._at(table, skeleton, seed)
                if hit:
                    yield hit
                    break
            try:
                seeds = generator.send(end)
            except StopIteration:
                return

    def _at(self, table: Table, skeleton: Skeleton, seed: Seed) -> Tuple[Optional[Hit], int]:
        """Return the hit of which a seed is a part, if so much of the form is there, and its end in the skeleton."""
        entry, text = seed.entry, skeleton.text
        key = entry.key
        left = common_end(text[max(0, seed.at - seed.place) : seed.at], key[: seed.place])
        ahead = seed.place + seed.size
        right = seed.size + common(text[seed.at + seed.size : seed.at + len(key) - seed.place], key[ahead:])
        parts = self._span(table, skeleton, seed, left, right)
        if not parts:
            return None, 0
        span, last = parts
        hit = self._judged(skeleton.data, entry.form, entry.value, span)
        return hit, last if hit else 0

    @staticmethod
    def _span(table: Table, skeleton: Skeleton, seed: Seed, left: int, right: int) -> Optional[Tuple[_Span, int]]:
        """Return the part of a form that is there with the right punctuation, and its end in the skeleton."""
        data, alphabet, form = skeleton.data, table.alphabet, seed.entry.form
        key, places = seed.entry.key, seed.entry.places(table.alphabet)
        low, high = seed.place - left, seed.place + right  # in the key
        shift = seed.at - seed.place
        start, end = skeleton.span(low + shift, high + shift)
        broken = False
        inside = form.text[places[low] : places[high - 1] + 1]
        if data[start:end] != inside:
            bad, broken = differing(data[start:end], inside, alphabet, form.kind)
            before = [number for number in bad if number <= left]
            after = [number for number in bad if number > left]
            if after and after[0] < left + seed.size:
                return None
            high = low + after[0] if after else high
            low = low + before[-1] if before else low
            start, end = skeleton.span(low + shift, high + shift)
        last = high + shift
        if low and high < len(key) and places[high - 1] + 1 - places[low] < max(form.slice - 1, CUT):
            return None  # too little of the middle to look for the rest in other lines
        if low:
            start, low_ = precede(data, start, key, low, alphabet)
            broken, low = broken or low_ < low, low_
        if high < len(key):
            end, high_ = follow(data, end, key, high, alphabet)
            broken, high = broken or high_ > high, high_
        return _with_edges(data, _Span(start, end, places[low], places[high - 1] + 1, broken), form), last

    @staticmethod
    def _judged(data: bytes, form: Form, value: int, span: _Span) -> Optional[Hit]:
        """Return a hit, if so much of the form is there that it is a leak."""
        end = len(form.text) - form.tail
        whole = span.first <= form.head and span.last >= end
        if not whole and not _is_cut(data, form, span, end):
            return None
        notes = [note for note, is_so in (("cut", not whole), ("over lines", span.broken)) if is_so]
        start, stop = _with_neighbours(data, span, form) if whole else (span.start, span.end)
        is_changed = form.kind == "raw" and stop - start != span.last - span.first
        return Hit(start, stop, value, _CHANGED if is_changed else form.kind, ", ".join(notes))

    def _beside_ellipses(self, data: bytes, ellipsis: bytes) -> Iterator[Hit]:
        """Find cuts that are too short to be told from other texts, but for the ellipsis."""
        if self._cuttable:
            self._add_cuts()
        at = data.find(ellipsis)
        while at >= 0 and self._halves:
            least = self._halves[-1]
            if data[max(0, at - least) : at + len(ellipsis) + least].strip(b"."):  # no dots of tests that have passed
                yield from self._beside(data, at, at + len(ellipsis))
            at = data.find(ellipsis, at + 1)

    def _beside(self, data: bytes, start: int, end: int) -> Iterator[Hit]:
        for size in self._halves:
            part = data[max(0, start - size) : start]
            form, value = self._before_ellipsis.get(part, _NONE)
            if form:
                yield Hit(start - len(part), start, value, form.kind, "cut")
            part = data[end : end + size]
            form, value = self._after_ellipsis.get(part, _NONE)
            if form:
                yield Hit(end, end + len(part), value, form.kind, "cut")


def _is_even(form: Form, alphabet: Alphabet) -> bool:
    """Return whether both windows of a form have so many letters of an alphabet that they are found by these alone."""
    if form.text.isalnum() or not (form.least_first or form.least_last):
        return True
    begin, end = form.head, len(form.text) - form.tail
    windows = form.text[begin : begin + form.first], form.text[end - form.last : end]
    return all(len(window.translate(None, alphabet.dropped)) >= _WINDOW for window in windows)


def _has_run(data: bytes) -> bool:
    """Return whether there is a run of characters that can be base32 or base85.

    A run of lower-case letters, digits and the punctuation of paths is neither, as half of base85's digits are others.
    """
    if len(data) < len(_RUN):
        return False
    runs = data.translate(_RUNS)
    at = runs.find(_RUN)
    while at >= 0:
        end = runs.find(b" ", at)
        end = end if end >= 0 else len(data)
        if data[at:end].translate(None, _PLAIN):
            return True
        at = runs.find(_RUN, end)
    return False


def _is_cut(data: bytes, form: Form, span: _Span, end: int) -> bool:
    """Return whether a part of a form is a leak."""
    if form.whole:
        return False
    if form.slice and span.last - span.first >= form.slice:
        return True
    is_first = span.first <= form.head and span.last >= form.head + form.first
    is_last = span.last >= end and span.first <= end - form.last
    return bool(
        (is_first and form.least_first and span.last >= form.head + form.least_first)
        or (is_last and form.least_last and span.first <= end - form.least_last)
        or (is_first and form.first and data.startswith(_ELLIPSES, span.end))
        or (is_last and form.last and data.endswith(_ELLIPSES, max(0, span.start - 4), span.start))
    )


def _with_edges(data: bytes, span: _Span, form: Form) -> _Span:
    """Return a span with the punctuation at the ends of a form, and no part of a character."""
    start, end, first, last, broken = span
    while last < len(form.text) and end < len(data) and data[end] == form.text[last]:
        end, last = end + 1, last + 1
    while last < len(form.text) and end < len(data) and data[end] & 0xC0 == 0x80 and last > first:  # noqa: PLR2004
        end, last = end - 1, last - 1
    while first and start and data[start - 1] == form.text[first - 1]:
        start, first = start - 1, first - 1
    while first and data[start] & 0xC0 == 0x80 and first < last:  # noqa: PLR2004 - inside a character
        start, first = start + 1, first + 1
    return _Span(start, end, first, last, broken)


def _with_neighbours(data: bytes, span: _Span, form: Form) -> Tuple[int, int]:
    """Return a span with the digits that a value shares with what is encoded before and after it, and the padding."""
    start, end = span.start, span.end
    digits = _DIGITS_85 if form.kind == "base85" else _DIGITS
    for _ in range(form.before):
        if start and data[start - 1] in digits:
            start -= 1
    for _ in range(form.after):
        if end < len(data) and data[end] in digits:
            end += 1
    while form.after and end < len(data) and data[end] in b"=":
        end += 1
    return start, end


def _encoding_of(data: bytes) -> str:
    """Return what the encoding is called in which a value stands in some bytes."""
    if b"\0" in data or b"\\x00" in data or b"\\u0000" in data:
        return "utf-16"
    if _ENTITY.search(data):
        return "html"
    if _QUOTED.search(data):
        return "url"
    return "raw" if _IN_LINES.search(data) and b"\\" not in data else "escaped"
