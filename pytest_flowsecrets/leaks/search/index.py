"""Find registered values in all their forms. The time does not depend on the number of values.

For each value, only a few words of its forms are stored (``candidates``). The exact search looks for the values that
can occur, near the places where they can occur.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from pytest_flowsecrets.leaks.search.candidates import SHORTEST, Candidate, WordTable
from pytest_flowsecrets.leaks.search.compressed import begins, payload
from pytest_flowsecrets.leaks.search.decoders import is_plain, views
from pytest_flowsecrets.leaks.search.encodings import Form, forms_of, rare_forms_of
from pytest_flowsecrets.leaks.search.exact_search import (
    ALPHABETS,
    CHANGED,
    ExactSearch,
    Hit,
    any_of,
    is_truncatable,
    keys_of,
)
from pytest_flowsecrets.leaks.search.extensions import forms_by_encoders
from pytest_flowsecrets.leaks.search.skeletons import Skeleton
from pytest_flowsecrets.leaks.search.spans import ELLIPSES

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.formats.secret_parts import Part

_RUN = b"x" * 24  # base32 and base85 need a run of so many characters
_RUNS = bytes(ord("x") if 32 < byte < 127 else ord(" ") for byte in range(256))  # noqa: PLR2004 - ASCII
_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789_./:=-[]"  # a run of these characters alone is neither base32 nor base85
_MARGIN = 2_000  # bytes around a decoded character that can contain a value in several lines
_GAP = 400  # bytes between two letters of a value in several lines
_NEAR = 64  # letters between two places in the same region
_MAX_DEPTH = 3  # of nested payloads
_MOST_EXACT = 200  # values whose forms are kept for the next text
_HEAD = 4  # bytes next to an ellipsis
_CHANGED_BY_QUOTED_PRINTABLE = re.compile(rb"[=\x80-\xff\t\r\n ]")
_IN_LINES = re.compile(rb"[\n\r\x08\x1b]")
_ENTITY, _QUOTED = re.compile(rb"&[#A-Za-z]"), re.compile(rb"%[0-9A-Fa-f]{2}")


class _Place(NamedTuple):
    """A place where a value can occur, in bytes."""

    start: int
    end: int
    value: int


class Index:
    """The values to search for, in all their forms.

    Attributes:
        count: the number of values.
        longest: the length of the longest form in bytes.
        letters: the bytes of all forms, and the bytes that can separate their parts.
    """

    def __init__(self) -> None:
        self.longest = 0
        self.letters = {*b" \t\r\n'\",|>+?-\\%&#;=\x1b\x08"}
        self._parts: List[Tuple[Part, bool]] = []  # and whether slices of the middle are leaks
        self._words, self._rare_words = ([*map(WordTable, ALPHABETS)] for _ in range(2))
        self._used: List[WordTable] = []  # the tables that are not empty
        self._used_rare: List[WordTable] = []
        self._tiny: Dict[bytes, int] = {}
        self._tiny_pattern: Optional[re.Pattern[bytes]] = None
        self._quotable = False
        self._without_rare: List[int] = []  # values whose rare forms are not added yet
        self._truncatable: List[int] = []  # values whose truncated forms are not added yet
        self._beside: Dict[Tuple[bool, bytes], List[int]] = {}  # values by what can be before or after an ellipsis
        self._beside_sizes: Set[int] = set()
        self._exact = ExactSearch()

    @property
    def count(self) -> int:
        """The number of values."""
        return len(self._parts)

    # -- adding --------------------------------------------------------------------------------------------------------

    def add(self, part: Part, *, sliced: bool = False) -> None:
        """Add a text. With ``sliced``, slices of its middle are leaks, too."""
        number = len(self._parts)
        self._parts.append((part, sliced))
        forms = self._forms_of(number)
        for form in forms:
            self._add(form, number, self._words)
        self._used = [table for table in self._words if table]
        self._quotable = self._quotable or _CHANGED_BY_QUOTED_PRINTABLE.search(forms[0].text) is not None
        self._without_rare.append(number)
        if any(map(is_truncatable, forms)):
            self._truncatable.append(number)

    def _forms_of(self, number: int) -> List[Form]:
        part, sliced = self._parts[number]
        forms = forms_of(part.text, head=part.head, tail=part.tail, whole=part.whole, sliced=sliced)
        return [*forms, *forms_by_encoders(part.text)]

    def _add(self, form: Form, number: int, tables: Iterable[WordTable]) -> None:
        self.longest = max(self.longest, len(form.text))
        self.letters.update(form.text)
        if len(form.text) < SHORTEST:
            self._tiny.setdefault(form.text, number)
            self._tiny_pattern = None
            return
        for table, key in zip(tables, keys_of(form)):
            if key:
                table.add(form, number, key)

    def _add_rare(self) -> None:
        for number in self._without_rare:
            for form in rare_forms_of(self._parts[number][0].text):
                self._add(form, number, self._rare_words)
        self._without_rare.clear()
        self._used_rare = [table for table in self._rare_words if table]

    def _add_truncated(self) -> None:
        for number in self._truncatable:
            for form in filter(is_truncatable, self._forms_of(number)):
                begin, end = form.head, len(form.text) - form.tail
                for size in range(form.half_first, form.first):
                    head = form.text[begin : begin + size][:_HEAD]
                    self._beside.setdefault((True, head), []).append(number)
                    self._beside_sizes.add(size)
                for size in range(form.half_last, form.last):
                    tail = form.text[end - size : end][-_HEAD:]
                    self._beside.setdefault((False, tail), []).append(number)
                    self._beside_sizes.add(size)
        self._truncatable.clear()

    # -- finding -------------------------------------------------------------------------------------------------------

    def passes(self, data: bytes) -> bool:
        """Return whether a quick check shows that a short text contains no value, which is the usual case."""
        for table in self._used:
            if not table.excludes(data):
                return False
        return not self._tiny and is_plain(data) and not self._has_rare(data) and not any(self._beside_ellipses(data))

    def _has_rare(self, data: bytes) -> bool:
        """Return whether a rare form can occur in a short text."""
        if not has_run(data):
            return False
        self._add_rare()
        return not all(table.excludes(data) for table in self._used_rare)

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
            kind = _encoding_of(data[hit.start : hit.end]) if hit.kind == CHANGED else hit.kind
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
                kind = view.kind if hit.kind in ("raw", CHANGED) else hit.kind
                yield hit._replace(start=start, end=end, kind=kind or CHANGED)

    def _hits(self, data: bytes) -> Iterator[Hit]:
        """Yield every hit in some bytes as they are, without decoding."""
        rare = has_run(data)
        if rare:
            self._add_rare()
        places = [*self._places(data, rare=rare)]
        if not places:
            return
        exact = self._exact_search({place.value for place in places})
        for start, end in _merged(places):
            for hit in exact.hits(data[start:end], rare=rare):
                yield hit._replace(start=start + hit.start, end=start + hit.end)

    def _exact_search(self, values: Set[int]) -> ExactSearch:
        """Return a search for some values, and perhaps for others."""
        new = values.difference(self._exact.values)
        if new and self._exact.values and len(self._exact.values) + len(new) > _MOST_EXACT:
            self._exact, new = ExactSearch(), values
        self._add_exact(new)
        if not self._exact.is_ordered:
            known, self._exact = self._exact.values, ExactSearch()
            self._add_exact(known)
        return self._exact

    def _add_exact(self, values: Iterable[int]) -> None:
        for number in sorted(values):
            self._exact.add(number, self._parts[number][0].text, self._forms_of(number))

    def _places(self, data: bytes, *, rare: bool) -> Iterator[_Place]:
        """Yield the places where values can occur, with the surroundings that can contain the rest of them."""
        for table in chain(self._used, self._used_rare if rare else ()):
            skeleton: Optional[Skeleton] = None
            for first, last in _grouped(table.candidates(data)):
                skeleton = skeleton or Skeleton(data, table.alphabet)
                for candidate in (first, last):
                    place, margin = skeleton.place(candidate.at), _NEAR + _GAP * candidate.size
                    yield _Place(place - margin, place + margin, candidate.value)
        if self._tiny:
            self._tiny_pattern = self._tiny_pattern or any_of(self._tiny)
            for match in self._tiny_pattern.finditer(data):
                yield _Place(match.start() - _NEAR, match.end() + _NEAR, self._tiny[match.group()])
        yield from self._beside_ellipses(data)

    def _beside_ellipses(self, data: bytes) -> Iterator[_Place]:
        """Yield the places next to an ellipsis where a truncated value can occur."""
        for ellipsis in ELLIPSES:
            at = data.find(ellipsis)
            if at >= 0 and self._truncatable:
                self._add_truncated()
            while at >= 0 and self._beside:
                end = at + len(ellipsis)
                least = min(self._beside_sizes)
                if data[max(0, at - least) : end + least].strip(b"."):  # not in the dots of passed tests
                    for value in self._values_beside(data, at, end):
                        yield _Place(at - _NEAR, end + _NEAR, value)
                at = data.find(ellipsis, at + 1)

    def _values_beside(self, data: bytes, start: int, end: int) -> Iterator[int]:
        for size in self._beside_sizes:
            yield from self._beside.get((True, data[max(0, start - size) : start][:_HEAD]), ())
            yield from self._beside.get((False, data[end : end + size][-_HEAD:]), ())


def _grouped(candidates: Iterable[Candidate]) -> Iterator[Tuple[Candidate, Candidate]]:
    """Yield the first and the last of the candidates with the same value that are near each other."""
    open_groups: Dict[int, Tuple[Candidate, Candidate]] = {}
    for candidate in candidates:
        group = open_groups.get(candidate.value)
        if group is None or abs(candidate.at - group[1].at) >= _NEAR:
            if group is not None:
                yield group
            group = candidate, candidate
        open_groups[candidate.value] = group[0], candidate
    yield from open_groups.values()


def _merged(places: Iterable[_Place]) -> List[Tuple[int, int]]:
    """Return the regions that contain some places, in order."""
    regions: List[Tuple[int, int]] = []
    for start, end, _ in sorted(places):
        if regions and start <= regions[-1][1]:
            regions[-1] = regions[-1][0], max(regions[-1][1], end)
        else:
            regions.append((max(0, start), end))
    return regions


def has_run(data: bytes) -> bool:
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
