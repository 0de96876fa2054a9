"""Spans: which part of a form occurs in some bytes, and whether that part is a leak."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Optional, Tuple

from pytest_flowsecrets.leaks.search.encodings import SHORTEST_END, Form
from pytest_flowsecrets.leaks.search.line_breaks import differing, follow, precede
from pytest_flowsecrets.leaks.search.skeletons import Skeleton, common, common_end, is_continuation

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.search.skeleton_tables import Seed

ELLIPSES = b"...", "…".encode()
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_DIGITS_85 = bytes(range(33, 127))
_PADDING = re.compile(rb"=*")


class Span(NamedTuple):
    """A part of a form in some bytes.

    Attributes:
        start: the first byte.
        end: the byte after the last one.
        first: the beginning of the part in the form, or in the skeleton of the form.
        last: its end there.
        broken: whether the part contains a break.
    """

    start: int
    end: int
    first: int
    last: int
    broken: bool


def fitting_part(skeleton: Skeleton, seed: Seed, low: int, high: int) -> Optional[Span]:
    """Return the part of a form, from one letter of its key to another, whose punctuation fits.

    Returns:
        A span that counts letters of the key; None if the punctuation of the seed itself does not fit.
    """
    form, places = seed.entry.form, seed.entry.places(skeleton.alphabet)
    shift = seed.at - seed.place
    start, end = skeleton.span(low + shift, high + shift)
    inside = form.text[places[low] : places[high - 1] + 1]
    if skeleton.data[start:end] == inside:
        return Span(start, end, low, high, broken=False)
    bad, broken = differing(skeleton.data[start:end], inside, skeleton.alphabet, form.kind)
    left = seed.place - low
    before = max((number for number in bad if number <= left), default=0)
    after = min((number for number in bad if number > left), default=high - low)
    if after < left + seed.size:
        return None
    low, high = low + before, low + after
    start, end = skeleton.span(low + shift, high + shift)
    return Span(start, end, low, high, broken)


def span_of(skeleton: Skeleton, seed: Seed, part: Span) -> Optional[Span]:
    """Return the whole part of a form that is there, also in other lines and with the punctuation at its ends.

    Returns:
        A span that counts bytes of the form; None if so little is there that other lines are not searched.
    """
    form, key, places = seed.entry.form, seed.entry.key, seed.entry.places(skeleton.alphabet)
    size = places[part.last - 1] + 1 - places[part.first]
    if part.first and part.last < len(key) and size < max(form.slice - 1, SHORTEST_END):
        return None
    start, end, low, high, broken = _in_other_lines(skeleton, key, part)
    return _with_edges(skeleton.data, Span(start, end, places[low], places[high - 1] + 1, broken), form)


def _in_other_lines(skeleton: Skeleton, key: bytes, part: Span) -> Span:
    """Return a part of a key together with what precedes and follows it in other lines."""
    start, end, low, high, broken = part
    if low:
        start, low = precede(skeleton.data, start, key, low, skeleton.alphabet)
    if high < len(key):
        end, high = follow(skeleton.data, end, key, high, skeleton.alphabet)
    return Span(start, end, low, high, broken or (low, high) != (part.first, part.last))


def _with_edges(data: bytes, span: Span, form: Form) -> Span:
    """Return a span with the punctuation at the ends of a form, but without a part of a character."""
    start, end, first, last, broken = span
    text = form.text
    if data[end : end + 1] == text[last : last + 1]:
        size = common(data[end : end + len(text) - last], text[last:])
        end, last = end + size, last + size
    while first < last < len(text) and is_continuation(data, end):
        end, last = end - 1, last - 1
    if first and data[start - 1 : start] == text[first - 1 : first]:
        size = common_end(data[max(0, start - first) : start], text[:first])
        start, first = start - size, first - size
    while 0 < first < last and is_continuation(data, start):
        start, first = start + 1, first + 1
    return Span(start, end, first, last, broken)


def with_neighbors(data: bytes, span: Span, form: Form) -> Tuple[int, int]:
    """Return a span with its padding and the digits that a value shares with what is encoded before and after it."""
    digits = _DIGITS_85 if form.kind == "base85" else _DIGITS
    before, after = data[max(0, span.start - form.before) : span.start], data[span.end : span.end + form.after]
    start = span.start - len(before) + len(before.rstrip(digits))
    end = span.end + len(after) - len(after.lstrip(digits))
    padding = _PADDING.match(data, end) if form.after else None
    return start, padding.end() if padding else end


def is_leak(data: bytes, form: Form, span: Span, end: int) -> bool:
    """Return whether a part of a form is a leak."""
    if form.whole:
        return False
    if form.slice and span.last - span.first >= form.slice:
        return True
    return _is_leaking_start(data, form, span) or _is_leaking_end(data, form, span, end)


def _is_leaking_start(data: bytes, form: Form, span: Span) -> bool:
    size = span.last - form.head
    if span.first > form.head or size < form.first:
        return False
    if form.least_first and size >= form.least_first:
        return True
    return form.first > 0 and data.startswith(ELLIPSES, span.end)


def _is_leaking_end(data: bytes, form: Form, span: Span, end: int) -> bool:
    size = end - span.first
    if span.last < end or size < form.last:
        return False
    if form.least_last and size >= form.least_last:
        return True
    return form.last > 0 and data.endswith(ELLIPSES, max(0, span.start - 4), span.start)
