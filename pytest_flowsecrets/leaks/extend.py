"""How much of a form stands at a place, line breaks and colours inside it passed over.

A value is broken by a wrapping terminal, by ``textwrap`` (which drops the blanks there), by the indentation of a
traceback, by ``pprint`` (which closes and opens quotes), by the lines of base64, and by the colours of a diff.
"""

from __future__ import annotations

import re
from os.path import commonprefix
from typing import List, NamedTuple, Optional, Tuple

_COLOUR = rb"\x1b\[[0-9;]*m"
_LINE = rb"(?:%b|[ \t])*,?b?['\"]?\\?[ \t]*\r?\n" % _COLOUR
_INDENT = rb"(?:%b|[ \t]+|[E>|+?-](?=[ \t\x1b]))*b?['\"]?" % _COLOUR
BREAK = re.compile(rb"(?:%b|(?:\\+[nr])+[ \t]*|(?:%b)+%b)+" % (_COLOUR, _LINE, _INDENT))
_BREAK_BEFORE = re.compile(rb"(?:%b)\Z" % BREAK.pattern)
JOINT = re.compile(rb"\n|\\[\\]*[nr]|%b" % _COLOUR)  # what every break holds
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
    found = BREAK.match(data, at)
    if not found:
        return None
    while place < len(text) and text[place] in _BLANK:
        place += 1
    wanted = text[place : place + _SURE]
    for goal in _goals(data, found.start(), found.end()):
        if wanted and data.startswith(wanted, goal):
            return goal, place
    return None


def _goals(data: bytes, start: int, end: int) -> List[int]:
    """The places at which a text can go on after a break: a marker or a quote at its end may belong to the text."""
    goals = [end]
    while end > start + 1 and data[end - 1] not in b"\nm":
        end -= 1
        goals.append(end)
    return goals


def _left(data: bytes, at: int, text: bytes, place: int) -> Tuple[int, int, bool]:
    broken = False
    while True:
        near = data[max(0, at - place) : at]
        same = _common(near[::-1], text[:place][::-1])
        at, place = at - same, place - same
        beyond = _back_over_break(data, at, text, place) if place else None
        if beyond is None:
            while place and data[at] & 0xC0 == 0x80:  # noqa: PLR2004 - inside a character
                at, place = at + 1, place + 1
            return at, place, broken
        at, place, broken = *beyond, True


def _back_over_break(data: bytes, at: int, text: bytes, place: int) -> Optional[Tuple[int, int]]:
    while place < len(text) and at < len(data) and data[at] in _BLANK and text[place] in _BLANK:
        at, place = at + 1, place + 1
    found = _BREAK_BEFORE.search(data, max(0, at - _REACH), at)
    if not found:
        return None
    while place and text[place - 1] in _BLANK:
        place -= 1
    wanted = text[max(0, place - _SURE) : place]
    goals = range(found.start(), min(found.start() + _SURE, found.end()))  # a quote or a comma may belong to the text
    for goal in goals:
        if wanted and data.endswith(wanted, 0, goal):
            return goal, place
    return None


def _common(one: bytes, other: bytes) -> int:
    if one == other:
        return len(one)
    return len(commonprefix([one, other]))
