"""Spans: which part of a form occurs in some bytes, also in several lines, and whether that part is a leak.

A value can be wrapped by a terminal, by ``textwrap`` (which drops blanks), by the indentation of a traceback, by
``pprint`` (which closes and opens quotes), by the cells of a table, and by the lines of base64. So the gaps between its
letters can contain escapes, line breaks, and the margins of lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Tuple

from pytest_flowsecrets.leaks.search.encodings import SHORTEST_END, Form
from pytest_flowsecrets.leaks.search.skeletons import Alphabet, Skeleton, common, common_end, is_continuation

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
    before, after = data[max(0, start - first) : start], data[end : end + len(text) - last]
    if form.kind == "base64":
        before, after = before.translate(_STANDARD), after.translate(_STANDARD)
    size = common(after, text[last:])
    end, last = end + size, last + size
    while first < last < len(text) and is_continuation(data, end):
        end, last = end - 1, last - 1
    size = common_end(before, text[:first])
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


# -- gaps between the letters of a value -------------------------------------------------------------------------------

_LONGEST = 400  # bytes of a break, and of a line between two parts of a value
# Line breaks and other controls, zero-width characters, soft hyphens.
_BREAK = re.compile(
    rb"[\n\r\x00\x08\x0b\x0c\x1b\x7f]|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf|\xc2\xad"
)
_QUOTES = b"'\"`\\"
_LOST = _QUOTES + b" \t\r\n"  # can be lost next to a break
_REPEATED = re.compile(rb"(.)\1+", re.DOTALL)
_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_BETWEEN_DIGITS = b" :-,_\t"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_LONGEST_SEPARATOR = 4  # bytes between two hexadecimal digits
_CERTAIN = 4  # letters that must follow in the next line


def is_broken(gap: bytes) -> bool:
    """Return whether a gap is a break, which can occur anywhere in a value."""
    return len(gap) <= _LONGEST and _BREAK.search(gap) is not None


def is_same_gap(gap: bytes, original: bytes, kind: str) -> bool:
    """Return whether a gap in a text can result from a gap in a form.

    Args:
        gap: the bytes between two letters of the text.
        original: the bytes between the same letters of the form.
        kind: the kind of the form.
    """
    if gap == original:
        return True
    if kind == "hex" and not original:
        return _separates_digits(gap)
    if kind == "base64" and gap.translate(_STANDARD) == original.translate(_STANDARD):
        return True
    if is_broken(gap):
        return _holds_in_order(gap, original.translate(None, _LOST))
    return bool(original and gap) and _simplified(gap) == _simplified(original)


def _separates_digits(gap: bytes) -> bool:
    return (not gap.strip(_BETWEEN_DIGITS) and len(gap) <= _LONGEST_SEPARATOR) or is_broken(gap)


def _holds_in_order(gap: bytes, expected: bytes) -> bool:
    """Return whether a gap contains some bytes in their order, possibly with others between them."""
    rest = iter(gap)
    return all(byte in rest for byte in expected)


def _simplified(gap: bytes) -> bytes:
    """Return a gap without backslashes, quotes, repeated characters and differences of character sets."""
    plain = gap.translate(None, _QUOTES).replace(b"+", b" ")
    return _REPEATED.sub(rb"\1", _NOT_ASCII.sub(b"\x80", plain))


def gaps_of(data: bytes, alphabet: Alphabet) -> Dict[int, bytes]:
    """Return each run of dropped bytes by the number of kept bytes before it."""
    gaps: Dict[int, bytes] = {}
    dropped = 0
    for match in alphabet.gap.finditer(data):
        gaps[match.start() - dropped] = match.group()
        dropped += len(match.group())
    return gaps


def differing(data: bytes, text: bytes, alphabet: Alphabet, kind: str) -> Tuple[List[int], bool]:
    """Compare the gaps between the same letters in some data and in a form.

    Returns:
        The numbers of letters before gaps that do not fit, in order; and whether one of the gaps is a break.
    """
    gaps, originals = gaps_of(data, alphabet), gaps_of(text, alphabet)
    bad = [
        number
        for number in {*gaps, *originals}
        if not is_same_gap(gaps.get(number, b""), originals.get(number, b""), kind)
    ]
    return sorted(bad), any(gap != originals.get(number) and is_broken(gap) for number, gap in gaps.items())


# -- the lines before and after ----------------------------------------------------------------------------------------


def follow(data: bytes, end: int, key: bytes, place: int, alphabet: Alphabet) -> Tuple[int, int]:
    """Continue a form in the next lines, whatever these begin with: a time, a name, the cells of a table.

    Args:
        data: the searched bytes.
        end: the end of the part so far.
        key: the skeleton of the form.
        place: the size of that part in the skeleton.
        alphabet: the alphabet of the skeleton.

    Returns:
        The new end in the data, and the new size in the skeleton.
    """
    while place < len(key):
        for begin, line in _lines_after(data, end):
            skeleton = Skeleton(line, alphabet)
            at = skeleton.text.find(key[place : place + _CERTAIN])
            size = common(skeleton.text[at:], key[place:]) if at >= 0 else 0
            if common_end(skeleton.text[: max(at, 0)], key[:place]) >= _CERTAIN:
                return end, place  # the line has the value on its own
            if size >= _CERTAIN or (size and skeleton.text == key[place:]):
                end, place = begin + skeleton.place(at + size - 1) + 1, place + size
                break
        else:
            break
    return end, place


def precede(data: bytes, start: int, key: bytes, place: int, alphabet: Alphabet) -> Tuple[int, int]:
    """Continue a form in the lines before; see ``follow``."""
    while place:
        for begin, line in _lines_before(data, start):
            skeleton = Skeleton(line, alphabet)
            end_of_part = key[max(0, place - _CERTAIN) : place]
            at = skeleton.text.rfind(end_of_part)
            size = common_end(skeleton.text[: at + len(end_of_part)], key[:place]) if at >= 0 else 0
            if at >= 0 and common(skeleton.text[at + len(end_of_part) :], key[place:]) >= _CERTAIN:
                return start, place  # the line has the value on its own
            if size >= _CERTAIN or (size and skeleton.text == key[:place]):
                start, place = begin + skeleton.place(at + len(end_of_part) - size), place - size
                break
        else:
            break
    return start, place


def _lines_after(data: bytes, end: int) -> Iterator[Tuple[int, bytes]]:
    """Yield the next two lines with their positions."""
    for _ in range(2):
        begin = data.find(b"\n", end, end + _LONGEST) + 1
        if not begin:
            return
        end = data.find(b"\n", begin, begin + _LONGEST)
        end = end if end >= 0 else begin + _LONGEST
        yield begin, data[begin:end]


def _lines_before(data: bytes, start: int) -> Iterator[Tuple[int, bytes]]:
    """Yield the previous two lines with their positions, the nearest first."""
    for _ in range(2):
        end = data.rfind(b"\n", max(0, start - _LONGEST), start)
        if end < 0:
            return
        start = data.rfind(b"\n", max(0, end - _LONGEST), end) + 1 or max(0, end - _LONGEST)
        yield start, data[start:end]
        start = max(0, start)
