"""How much of a form stands at a place, line breaks and colours inside it passed over.

A value is broken by a wrapping terminal, by ``textwrap`` (which drops the blanks there), by the indentation of a
traceback, by ``pprint`` (which closes and opens quotes), by the lines of base64, and by the colours of a diff.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Tuple

JOINT = re.compile(rb"\n|\\[\\]*[nr]|\x1b\[[0-9;]*m|&#1[03];")  # what every break holds
# What a break can consist of: joints, blanks, the markers of tracebacks and diffs, the quotes and commas of pprint. One
# loop over tokens that begin differently, so that no text makes it slow.
_GAP = re.compile(rb"(?:\x1b\[[0-9;]*m|&#1[03];|\\[\\]*[nr]?|[ \t\r\n'\",bE>|+?-])*")
GAP_BYTES = b" \t\r\n'\",bE>|+?-\\"
_LONG_TOKEN = re.compile(rb"(?:\x1b\[[0-9;]*m|&#1[03];)\Z")
_BLANK = b" \t\r\n"
_REACH = 200  # bytes; no break is longer
_SURE = 3  # bytes that have to go on after a break


class Span(NamedTuple):
    """A part of a form in some bytes.

    Attributes:
        start: where it begins in the bytes.
        end: where it ends.
        first: where it begins in the form.
        last: where it ends in the form.
        broken: whether a break was passed over.
    """

    start: int
    end: int
    first: int
    last: int
    broken: bool


def extend(data: bytes, at: int, text: bytes, place: int) -> Span:
    """Go both ways from where byte ``place`` of a form stands, or would stand but for a break, at ``at``."""
    if data.startswith(text, at - place) and at >= place:
        return Span(at - place, at - place + len(text), 0, len(text), broken=False)
    start, first, before = _left(data, at, text, place)
    end, last, after = _right(data, at, text, place)
    return Span(start, end, first, last, before or after)


def _right(data: bytes, at: int, text: bytes, place: int) -> Tuple[int, int, bool]:
    broken = False
    while True:
        same = _common(data[at : at + len(text) - place], text[place:])
        at, place = at + same, place + same
        beyond = _over_break(data, at, text, place) if place < len(text) else None
        if beyond is None:
            while place < len(text) and at < len(data) and data[at] & 0xC0 == 0x80:  # noqa: PLR2004 - inside a character
                at, place = at - 1, place - 1
            return at, place, broken
        at, place, broken = *beyond, True


def _over_break(data: bytes, at: int, text: bytes, place: int) -> Optional[Tuple[int, int]]:
    """Where data and form go on after a break at ``at``; blanks of the form may be lost in it."""
    while place and at and data[at - 1] in _BLANK and text[place - 1] in _BLANK:
        at, place = at - 1, place - 1
    gap = _GAP.match(data, at, at + _REACH)
    joint = JOINT.search(data, at, gap.end()) if gap else None
    if not gap or not joint:
        return None
    while place < len(text) and text[place] in _BLANK:
        place += 1
    wanted = text[place : place + _SURE]
    goal = data.find(wanted, joint.end(), gap.end() + len(wanted))
    return (goal, place) if wanted and goal >= 0 else None


def _left(data: bytes, at: int, text: bytes, place: int) -> Tuple[int, int, bool]:
    broken = False
    while True:
        near = data[max(0, at - place) : at]
        same = _common(near[::-1], text[:place][::-1])
        at, place = at - same, place - same
        beyond = _back_over_break(data, at, text, place) if place else None
        if beyond is None:
            while place and at < len(data) and data[at] & 0xC0 == 0x80:  # noqa: PLR2004 - inside a character
                at, place = at + 1, place + 1
            return at, place, broken
        at, place, broken = *beyond, True


def _back_over_break(data: bytes, at: int, text: bytes, place: int) -> Optional[Tuple[int, int]]:
    while place < len(text) and at < len(data) and data[at] in _BLANK and text[place] in _BLANK:
        at, place = at + 1, place + 1
    begin = _gap_before(data, at)
    joint = JOINT.search(data, begin, at)
    if not joint:
        return None
    while place and text[place - 1] in _BLANK:
        place -= 1
    wanted = text[max(0, place - _SURE) : place]
    goal = data.find(wanted, max(0, begin - len(wanted)), joint.start())
    return (goal + len(wanted), place) if wanted and goal >= 0 else None


def _gap_before(data: bytes, at: int) -> int:
    """Where the gap begins that ends at ``at``."""
    lowest = max(0, at - _REACH)
    while at > lowest:
        if data[at - 1] in GAP_BYTES:
            at -= 1
        elif data[at - 1] in b"nr" and data[at - 2 : at - 1] == b"\\":
            at -= 2
        else:
            token = _LONG_TOKEN.search(data, max(lowest, at - 12), at) if data[at - 1] in b"m;" else None
            if not token:
                break
            at = token.start()
    return at


def _common(one: bytes, other: bytes) -> int:
    """How many bytes two texts have in common at their beginnings."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    return next(place for place in range(size) if one[place] != other[place])
