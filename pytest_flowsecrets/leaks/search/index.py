"""Find registered values in all their forms. The time does not depend on the number of values."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from pytest_flowsecrets.leaks.search.compressed import begins, payload
from pytest_flowsecrets.leaks.search.decoders import is_plain, views
from pytest_flowsecrets.leaks.search.encodings import Form, forms_of, rare_forms_of
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
from pytest_flowsecrets.leaks.search.spans import ELLIPSES, Span, fitting_part, is_leak, span_of, with_neighbors

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.formats.secret_parts import Part

_WINDOW, _SHORTEST = 7, 5  # letters of a skeleton
_RUN = b"x" * 24  # base32 and base85 need a run of so many characters
_RUNS = bytes(ord("x") if 32 < byte < 127 else ord(" ") for byte in range(256))  # noqa: PLR2004 - ASCII
_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789_./:=-[]"  # a run of these characters alone is neither base32 nor base85
_MARGIN = 2_000  # bytes around a decoded character that can contain a value in several lines
_MAX_DEPTH = 3  # of nested payloads
_CHANGED_BY_QUOTED_PRINTABLE = re.compile(rb"[=\x80-\xff\t\r\n ]")
_NONE: Tuple[Optional[Form], int] = None, -1
_CHANGED = ""  # the kind of a raw form whose letters are separated by something else
_IN_LINES = re.compile(rb"[\n\r\x08\x1b]")
_ENTITY, _QUOTED = re.compile(rb"&[#A-Za-z]"), re.compile(rb"%[0-9A-Fa-f]{2}")


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


class Index:
    """The values to search for, in all their forms. Only one thread may use an index at a time.

    Attributes:
        longest: the length of the longest form in bytes.
        letters: the bytes of all forms, and the bytes that can separate their parts.
    """

    def __init__(self) -> None:
        self.longest = 0
        self.letters = {*b" \t\r\n'\",|>+?-\\%&#;=\x1b\x08"}
        self._known: Set[bytes] = set()  # all forms
        self._tables = Table(LETTERS), Table(MARKS), Table(EVERYTHING)
        self._rare_tables = Table(LETTERS), Table(MARKS), Table(EVERYTHING)
        self._used: List[Table] = []  # the tables that are not empty
        self._tiny: Dict[bytes, Tuple[Form, int]] = {}
        self._tiny_pattern: Optional[re.Pattern[bytes]] = None
        self._quotable = False
        self._rare: List[Tuple[str, int]] = []  # values whose rare forms are not added yet
        self._truncatable: List[Tuple[Form, int]] = []  # forms whose truncated forms are not added yet
        self._before_ellipsis: Dict[bytes, Tuple[Form, int]] = {}
        self._after_ellipsis: Dict[bytes, Tuple[Form, int]] = {}
        self._truncated_sizes: List[int] = []

    # -- adding --------------------------------------------------------------------------------------------------------

    def add(self, part: Part, value: int, encoded: Iterable[Form] = (), *, sliced: bool = False) -> None:
        """Add a text. After an interruption, the same text can be added again.

        Args:
            part: the text.
            value: its number.
            encoded: the forms that encoders from hooks create.
            sliced: whether slices of its middle are leaks, too.
        """
        forms = forms_of(part.text, head=part.head, tail=part.tail, whole=part.whole, sliced=sliced)
        for form in chain(forms, encoded):
            self._add(form, value, self._tables)
        self._used = [table for table in self._tables if table]
        self._quotable = self._quotable or _CHANGED_BY_QUOTED_PRINTABLE.search(forms[0].text) is not None
        self._rare.append((part.text, value))

    def _add(self, form: Form, value: int, tables: Tuple[Table, ...]) -> None:
        if form.text in self._known:
            return
        self.longest = max(self.longest, len(form.text))
        self.letters.update(form.text)
        if not form.whole and (form.half_first < form.first or form.half_last < form.last):
            self._truncatable.append((form, value))
        if len(form.text) < _SHORTEST:
            self._tiny[form.text] = form, value
            self._tiny_pattern = None
        else:
            _add_to_tables(form, value, tables)
        self._known.add(form.text)

    def _add_rare(self) -> None:
        for value, number in self._rare:
            for form in rare_forms_of(value):
                self._add(form, number, self._rare_tables)
        self._rare = []

    def _add_truncated(self) -> None:
        sizes = {*self._truncated_sizes}
        for form, value in self._truncatable:
            begin, end = form.head, len(form.text) - form.tail
            for size in range(form.half_first, form.first):
                self._before_ellipsis.setdefault(form.text[begin : begin + size], (form, value))
            for size in range(form.half_last, form.last):
                self._after_ellipsis.setdefault(form.text[end - size : end], (form, value))
            sizes.update(range(form.half_first, form.first), range(form.half_last, form.last))
        self._truncated_sizes = sorted(sizes, reverse=True)
        self._truncatable = []

    # -- finding -------------------------------------------------------------------------------------------------------

    def passes(self, data: bytes) -> bool:
        """Return whether a quick check shows that a short text contains no value, which is the usual case."""
        for table in self._used:
            if not table.passes(data):
                return False
        if self._tiny or _has_run(data) or not is_plain(data):
            return False
        for ellipsis in ELLIPSES:
            if ellipsis in data and next(self._beside_ellipses(data, ellipsis), None):
                return False
        return True

    def find(self, data: bytes, *, depth: int = 0) -> List[Hit]:
        """Return every hit, ordered by position, the longest first. Hits can overlap or contain each other.

        Args:
            data: any bytes.
            depth: the number of compressed payloads around the bytes. From 1 on, payloads in the bytes are searched,
                too.
        """
        hits: Dict[Tuple[int, int, int], Hit] = {}
        packed = self._in_payloads(data, depth) if depth else ()
        for hit in chain(self._hits(data), self._in_views(data, depth), packed):
            kind = _encoding_of(data[hit.start : hit.end]) if hit.kind == _CHANGED else hit.kind
            hits.setdefault(hit[:3], hit._replace(kind=kind))
        return sorted(hits.values(), key=lambda hit: (hit.start, -hit.end, hit.value))

    def _in_payloads(self, data: bytes, depth: int) -> Iterator[Hit]:
        position = 0
        for place in begins(data) if depth < _MAX_DEPTH else ():
            end, content = (place >= position and payload(data, place)) or (place, b"")
            position = max(position, end)
            for number in self.values_in(content, depth + 1):
                yield Hit(place, end, number, "compressed", "")

    def values_in(self, content: bytes, depth: int = 1) -> List[int]:
        """Return the numbers of the values in a payload."""
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
        for ellipsis in ELLIPSES:
            if ellipsis in data:
                yield from self._beside_ellipses(data, ellipsis)

    def _tiny_hits(self, data: bytes) -> Iterator[Hit]:
        if self._tiny_pattern is None:
            ordered = sorted(self._tiny, key=len, reverse=True)
            self._tiny_pattern = re.compile(b"|".join(map(re.escape, ordered)))
        for match in self._tiny_pattern.finditer(data):
            form, value = self._tiny[match.group()]
            yield Hit(*match.span(), value, form.kind, "")

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
        start, stop = with_neighbors(data, span, form) if whole else (span.start, span.end)
        is_changed = form.kind == "raw" and stop - start != span.last - span.first
        return Hit(start, stop, value, _CHANGED if is_changed else form.kind, ", ".join(notes))

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


def _add_to_tables(form: Form, value: int, tables: Tuple[Table, ...]) -> None:
    """Add a form to the first table that can find it, and to further ones if some of its parts have too few letters."""
    for table in tables:
        key = form.text.translate(None, table.alphabet.dropped)
        if len(key) >= _WINDOW or (len(key) >= _SHORTEST and table is not tables[0]):
            table.add(form, value, key)
            if _finds_both_ends(form, table.alphabet):
                return


def _finds_both_ends(form: Form, alphabet: Alphabet) -> bool:
    """Return whether both windows of a form have enough letters of an alphabet to be found by these letters alone."""
    if form.text.isalnum() or not (form.least_first or form.least_last):
        return True
    begin, end = form.head, len(form.text) - form.tail
    windows = form.text[begin : begin + form.first], form.text[end - form.last : end]
    return all(len(window.translate(None, alphabet.dropped)) >= _WINDOW for window in windows)


def _has_run(data: bytes) -> bool:
    """Return whether some bytes contain a run of characters that can be base32 or base85.

    A run of lower-case letters, digits and the punctuation of paths is neither: half of the digits of base85 are
    others.
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


def _encoding_of(data: bytes) -> str:
    """Return the name of the encoding in which a value occurs in some bytes."""
    if b"\0" in data or b"\\x00" in data or b"\\u0000" in data:
        return "utf-16"
    if _ENTITY.search(data):
        return "html"
    if _QUOTED.search(data):
        return "url"
    return "raw" if _IN_LINES.search(data) and b"\\" not in data else "escaped"
