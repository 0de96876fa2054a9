"""The gaps between the letters of a value: escapes, line breaks, and the margins of lines.

A value can be wrapped by a terminal, by ``textwrap`` (which drops blanks), by the indentation of a traceback, by
``pprint`` (which closes and opens quotes), by the cells of a table, and by the lines of base64.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

from pytest_flowsecrets.leaks.search.skeletons import Alphabet, Skeleton, common, common_end

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


# -- the next line -----------------------------------------------------------------------------------------------------


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
