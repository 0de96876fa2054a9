"""Find some values in some bytes: the positions of all of their forms, and whether what occurs is a leak."""

from __future__ import annotations

import re
from itertools import chain
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from pytest_flowsecrets.leaks.search.candidates import SHORTEST, WINDOW
from pytest_flowsecrets.leaks.search.encodings import Form, rare_forms_of
from pytest_flowsecrets.leaks.search.skeleton_tables import Seed, Table
from pytest_flowsecrets.leaks.search.skeletons import (
    EVERYTHING,
    LETTERS,
    MARKS,
    Alphabet,
    Skeleton,
    common,
    common_end,
)
from pytest_flowsecrets.leaks.search.spans import ELLIPSES, Span, fitting_part, is_leak, span_of, with_neighbours

ALPHABETS = LETTERS, MARKS, EVERYTHING
CHANGED = ""  # the kind of a raw form whose letters are separated by something else
_NONE: Tuple[Optional[Form], int] = None, -1


class Hit(NamedTuple):
    """A value in some bytes.

    Attributes:
        start: the first byte.
        end: the byte after the last one.
        value: the number of the value.
        kind: the kind of the form.
        note: ``truncated``, ``wrapped``, both or empty.
    """

    start: int
    end: int
    value: int
    kind: str
    note: str

    @property
    def form(self) -> str:
        """The kind with the note."""
        return f"{self.kind}, {self.note}" if self.note else self.kind


class ExactSearch:
    """The search for all forms of some values.

    Attributes:
        values: the numbers of the values, with their texts.
        is_ordered: whether each form belongs to the first of the values that have it.
    """

    def __init__(self) -> None:
        self.values: Dict[int, str] = {}
        self.is_ordered = True
        self._owner: Dict[bytes, Tuple[bool, int]] = {}  # whether a form is rare, and its value
        self._tables = tuple(map(Table, ALPHABETS))
        self._rare_tables = tuple(map(Table, ALPHABETS))
        self._tiny: Dict[bytes, Form] = {}
        self._tiny_pattern: Optional[re.Pattern[bytes]] = None
        self._rare: List[int] = []  # values whose rare forms are not added yet
        self._truncatable: List[Tuple[Form, int]] = []  # forms whose truncated forms are not added yet
        self._before_ellipsis: Dict[bytes, Tuple[Form, int]] = {}
        self._after_ellipsis: Dict[bytes, Tuple[Form, int]] = {}
        self._truncated_sizes: List[int] = []

    # -- adding --------------------------------------------------------------------------------------------------------

    def add(self, value: int, text: str, forms: Iterable[Form]) -> None:
        """Add a value with its forms."""
        self.values[value] = text
        self._rare.append(value)
        for form in forms:
            self._add(form, value, self._tables)

    def _add(self, form: Form, value: int, tables: Tuple[Table, ...]) -> None:
        rank = tables is self._rare_tables, value
        owner = self._owner.get(form.text)
        if owner is not None:
            self.is_ordered = self.is_ordered and owner <= rank
            return
        self._owner[form.text] = rank
        if is_truncatable(form):
            self._truncatable.append((form, value))
        if len(form.text) < SHORTEST:
            self._tiny[form.text] = form
            self._tiny_pattern = None
            return
        for table, key in zip(tables, keys_of(form)):
            if key:
                table.add(form, value, key)

    def _add_rare(self) -> None:
        pending, self._rare = self._rare, []
        for value in pending:
            for form in rare_forms_of(self.values[value]):
                self._add(form, value, self._rare_tables)

    def _add_truncated(self) -> None:
        pending, self._truncatable = self._truncatable, []
        sizes = {*self._truncated_sizes}
        for form, value in pending:
            begin, end = form.head, len(form.text) - form.tail
            for size in range(form.half_first, form.first):
                _keep_first(self._before_ellipsis, form.text[begin : begin + size], form, value)
            for size in range(form.half_last, form.last):
                _keep_first(self._after_ellipsis, form.text[end - size : end], form, value)
            sizes.update(range(form.half_first, form.first), range(form.half_last, form.last))
        self._truncated_sizes = sorted(sizes, reverse=True)

    # -- finding -------------------------------------------------------------------------------------------------------

    def hits(self, data: bytes, *, rare: bool) -> Iterator[Hit]:
        """Yield every hit in some bytes. Hits can overlap or contain each other, and occur more than once.

        Args:
            data: any bytes.
            rare: whether to search for rare forms, too.
        """
        if self._tiny:
            yield from self._tiny_hits(data)
        if rare and self._rare:
            self._add_rare()
        for table in chain(self._tables, self._rare_tables if rare else ()):
            if table:
                yield from self._hits_in(table, Skeleton(data, table.alphabet))
        for ellipsis in ELLIPSES:
            if ellipsis in data:
                yield from self._beside_ellipses(data, ellipsis)

    def _tiny_hits(self, data: bytes) -> Iterator[Hit]:
        if self._tiny_pattern is None:
            self._tiny_pattern = any_of(self._tiny)
        for match in self._tiny_pattern.finditer(data):
            yield Hit(*match.span(), self._owner[match.group()][1], self._tiny[match.group()].kind, "")

    def _hits_in(self, table: Table, skeleton: Skeleton) -> Iterator[Hit]:
        generator = table.seeds(skeleton.text)
        seeds = next(generator, None)
        while seeds is not None:
            end = None
            for seed in seeds:
                hit, end = self._at(skeleton, seed)
                if hit:
                    yield hit
                    break
            try:
                seeds = generator.send(end)
            except StopIteration:
                return

    def _at(self, skeleton: Skeleton, seed: Seed) -> Tuple[Optional[Hit], int]:
        """Return the hit that contains a seed and its end in the skeleton, if enough of the form is there."""
        entry, text = seed.entry, skeleton.text
        key = entry.key
        left = common_end(text[max(0, seed.at - seed.place) : seed.at], key[: seed.place])
        ahead = seed.place + seed.size
        right = seed.size + common(text[seed.at + seed.size : seed.at + len(key) - seed.place], key[ahead:])
        part = fitting_part(skeleton, seed, seed.place - left, seed.place + right)
        span = span_of(skeleton, seed, part) if part else None
        hit = self._hit_of(skeleton.data, entry.form, entry.value, span) if span else None
        return hit, part.last + seed.at - seed.place if part and hit else 0

    @staticmethod
    def _hit_of(data: bytes, form: Form, value: int, span: Span) -> Optional[Hit]:
        """Return a hit if a part of a form is a leak."""
        end = len(form.text) - form.tail
        whole = span.first <= form.head and span.last >= end
        if not whole and not is_leak(data, form, span, end):
            return None
        notes = [note for note, applies in (("truncated", not whole), ("wrapped", span.broken)) if applies]
        start, stop = with_neighbours(data, span, form) if whole else (span.start, span.end)
        is_changed = form.kind == "raw" and stop - start != span.last - span.first
        return Hit(start, stop, value, CHANGED if is_changed else form.kind, ", ".join(notes))

    def _beside_ellipses(self, data: bytes, ellipsis: bytes) -> Iterator[Hit]:
        """Yield truncated values that are too short to be a leak without the ellipsis next to them."""
        if self._truncatable:
            self._add_truncated()
        at = data.find(ellipsis)
        while at >= 0 and self._truncated_sizes:
            least = self._truncated_sizes[-1]
            if data[max(0, at - least) : at + len(ellipsis) + least].strip(b"."):  # not in the dots of passed tests
                yield from self._beside(data, at, at + len(ellipsis))
            at = data.find(ellipsis, at + 1)

    def _beside(self, data: bytes, start: int, end: int) -> Iterator[Hit]:
        for size in self._truncated_sizes:
            part = data[max(0, start - size) : start]
            form, value = self._before_ellipsis.get(part, _NONE)
            if form:
                yield Hit(start - len(part), start, value, form.kind, "truncated")
            part = data[end : end + size]
            form, value = self._after_ellipsis.get(part, _NONE)
            if form:
                yield Hit(end, end + len(part), value, form.kind, "truncated")


def _keep_first(parts: Dict[bytes, Tuple[Form, int]], text: bytes, form: Form, value: int) -> None:
    """Add a truncated form, unless it belongs to a value with a smaller number, too."""
    if value < parts.get(text, (form, value + 1))[1]:
        parts[text] = form, value


def any_of(texts: Iterable[bytes]) -> re.Pattern[bytes]:
    """Return a pattern of the longest of some texts that occurs at a position."""
    return re.compile(b"|".join(map(re.escape, sorted(texts, key=len, reverse=True))))


def is_truncatable(form: Form) -> bool:
    """Return whether a part of a form that is a leak next to an ellipsis is none without it."""
    return not form.whole and (form.half_first < form.first or form.half_last < form.last)


def keys_of(form: Form) -> Iterator[bytes]:
    """Yield the letters of a form in each alphabet, or nothing if the alphabet is not needed to find the form.

    Further alphabets are needed if some of its parts have too few letters.
    """
    is_found = False
    for alphabet in ALPHABETS:
        key = form.text.translate(None, alphabet.dropped)
        is_long = len(key) >= (WINDOW if alphabet is LETTERS else SHORTEST)
        yield key if is_long and not is_found else b""
        is_found = is_found or (is_long and _finds_both_ends(form, alphabet))


def _finds_both_ends(form: Form, alphabet: Alphabet) -> bool:
    """Return whether both windows of a form have enough letters of an alphabet to be found by these letters alone."""
    if form.text.isalnum() or not (form.least_first or form.least_last):
        return True
    begin, end = form.head, len(form.text) - form.tail
    windows = form.text[begin : begin + form.first], form.text[end - form.last : end]
    return all(len(window.translate(None, alphabet.dropped)) >= WINDOW for window in windows)
