"""Windows that a line break has torn: each line ends with the first part of one, or the next begins with the last.

Only what stands next to a break is looked at: its last and its first four bytes, without what may stand around a text
there. Most runs know far more secrets than they print lines, so the tables are made for the first text with a break.
"""

from __future__ import annotations

from itertools import accumulate, compress, count, repeat
from operator import itemgetter
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Tuple

from pytest_flowsecrets.leaks.extend import JOINT
from pytest_flowsecrets.leaks.forms import Form

Torn = Dict[bytes, List[Tuple[Form, int, bytes]]]  # a word; form, place in it, and what goes on beyond the break

_WORD = 4
_BEYOND = 3  # bytes that are looked at on the other side of a break
_EDGE = b" \t\r'\"\\,"  # what stands between a text and the end of its line
_MARGIN = b" \t>|E+?-'\"b"  # what stands between the beginning of a line and a text
_last_four, _first_four = itemgetter(slice(-_WORD, None)), itemgetter(slice(_WORD))


def _numbers_of(things: Iterable[Any], wanted: Mapping[Any, Any]) -> List[int]:
    """The numbers of those things that are wanted, found by C code alone."""
    return [*compress(count(), map(wanted.__contains__, things))]


class Breaks:
    """The windows that were added, at all places where they can be torn."""

    def __init__(self) -> None:
        self._waiting: List[Tuple[Form, int, int]] = []
        self._ends: Torn = {}
        self._starts: Torn = {}

    def add(self, form: Form, start: int, stop: int) -> None:
        """Look for one more window, ``start`` to ``stop`` of a form."""
        self._waiting.append((form, start, stop))

    def candidates(self, data: bytes) -> Iterator[Tuple[int, Form, int]]:
        """Where a form may stand that is broken: a place in the bytes, the form, the place in it."""
        odd = _is_odd(data)
        if not (odd or is_broken(data)):
            return
        self._tear_waiting()
        lines = JOINT.split(data) if odd else data.split(b"\n")
        lefts = [*map(bytes.rstrip, lines, repeat(_EDGE))]
        rights = [*map(bytes.lstrip, lines, repeat(_MARGIN))]
        ending = _numbers_of(map(_last_four, lefts), self._ends)
        starting = _numbers_of(map(_first_four, rights), self._starts)
        if not (ending or starting):
            return
        begins = [0, *accumulate(map((1).__add__, map(len, lines)))]
        if odd:
            begins = [0, *(found.end() for found in JOINT.finditer(data))]
        for number in ending:
            rest = rights[number + 1] if number + 1 < len(lines) else b""
            for form, place, beyond in self._ends[lefts[number][-_WORD:]]:
                if rest.startswith(beyond):
                    yield begins[number] + len(lefts[number]), form, place
        for number in starting:
            rest = lefts[number - 1] if number else b""
            for form, place, beyond in self._starts[rights[number][:_WORD]]:
                if rest.endswith(beyond):
                    yield begins[number] + len(lines[number]) - len(rights[number]), form, place

    def _tear_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for form, start, stop in waiting:
            self._tear(form, start, stop)

    def _tear(self, form: Form, start: int, stop: int) -> None:
        """For each place where a window can be broken, the word before it or after it."""
        text, ends, starts = form.text, self._ends, self._starts
        near = text[max(0, start - _WORD) : stop + _WORD]
        if near.translate(None, _EDGE + _MARGIN) != near:
            self._tear_oddly(form, start, stop)
            return
        for place in range(start + _WORD, stop):
            torn = (form, place, text[place : place + _BEYOND])
            ends.setdefault(text[place - _WORD : place], []).append(torn)
        for place in range(start + 1, min(start + _WORD, stop - _WORD + 1)):
            torn = (form, place, text[max(0, place - _BEYOND) : place])
            starts.setdefault(text[place : place + _WORD], []).append(torn)

    def _tear_oddly(self, form: Form, start: int, stop: int) -> None:
        """The same for a window in which something looks like the edge of a line."""
        text = form.text
        for place in range(start + 1, stop):
            before, after = text[:place].rstrip(_EDGE), text[place:].lstrip(_MARGIN)
            if place - start >= _WORD:
                self._ends.setdefault(before[-_WORD:], []).append((form, len(before), after[:_BEYOND]))
            elif stop - place >= _WORD:
                at = len(text) - len(after)
                self._starts.setdefault(after[:_WORD], []).append((form, at, before[-_BEYOND:]))


def is_broken(data: bytes) -> bool:
    """Whether there is a line break, but at the end, where nothing goes on behind it."""
    return data.find(b"\n", 0, -1) >= 0


def _is_odd(data: bytes) -> bool:
    """Whether there may be colours, entities or escaped breaks. One byte is looked for faster than several."""
    return (
        b"\x1b" in data or (b"&" in data and b"&#1" in data) or (b"\\" in data and (b"\\n" in data or b"\\r" in data))
    )
