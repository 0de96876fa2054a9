"""What may stand between the letters of a value: escaping, line breaks, and whatever lines begin and end with.

A value is broken by a wrapping terminal, by ``textwrap`` (which drops the blanks there), by the indentation of a
traceback, by ``pprint`` (which closes and opens quotes), by the borders of a table, and by the lines of base64.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Tuple

from pytest_flowsecrets.leaks.search.skeletons import Alphabet, Skeleton, common, common_end

_LONGEST = 400  # bytes; no break is longer, and no line between two parts of a value
# Line breaks and other controls, zero-width characters, soft hyphens.
_BREAK = re.compile(
    rb"[\n\r\x00\x08\x0b\x0c\x1b\x7f]|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf|\xc2\xad"
)
_QUOTES = b"'\"`\\"
_LOST = _QUOTES + b" \t\r\n"  # may be missing beside a break
_REPEATED = re.compile(rb"(.)\1+", re.DOTALL)
_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_BETWEEN_DIGITS = b" :-,_\t"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SURE = 4  # letters; so many have to go on in the next line


def is_broken(gap: bytes) -> bool:
    """Return whether a gap can break a value anywhere."""
    return len(gap) <= _LONGEST and _BREAK.search(gap) is not None


def is_same_gap(gap: bytes, original: bytes, kind: str) -> bool:
    """Return whether a gap in a text can be what became of one in a form.

    Args:
        gap: what stands between two letters of the text.
        original: what stands between the same letters of the form.
        kind: the kind of the form.
    """
    if gap == original:
        return True
    if kind == "hex" and not original:
        return (not gap.strip(_BETWEEN_DIGITS) and len(gap) <= _SURE) or is_broken(gap)
    if kind == "base64" and gap.translate(_STANDARD) == original.translate(_STANDARD):
        return True
    if is_broken(gap):
        rest = iter(gap)
        return all(byte in rest for byte in original.translate(None, _LOST))
    return bool(original and gap) and _simplified(gap) == _simplified(original)


def _simplified(gap: bytes) -> bytes:
    """Return a gap without what escaping adds: backslashes, quotes, doubled characters, other character sets."""
    plain = gap.translate(None, _QUOTES).replace(b"+", b" ")
    return _REPEATED.sub(rb"\1", _NOT_ASCII.sub(b"\x80", plain))


def gaps_of(data: bytes, alphabet: Alphabet) -> Dict[int, bytes]:
    """Return each run of dropped bytes by the number of kept bytes before it."""
    gaps: Dict[int, bytes] = {}
    dropped = 0
    for found in alphabet.gap.finditer(data):
        gaps[found.start() - dropped] = found.group()
        dropped += len(found.group())
    return gaps


def differing(data: bytes, text: bytes, alphabet: Alphabet, kind: str) -> Tuple[List[int], bool]:
    """Compare what stands between the same letters in some data and in a form.

    Returns:
        The numbers of letters before gaps that do not fit, in order; and whether a break is among the gaps.
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
    """Find where a form goes on in the next lines, whatever these begin with: a time, a name, the cells of a table.

    Args:
        data: the bytes that are searched.
        end: where the part that was found ends.
        key: the skeleton of the form.
        place: how much of it was found.
        alphabet: that of the key.

    Returns:
        Where the form ends in the data, and how much of its skeleton was found.
    """
    while place < len(key):
        for begin, line in _lines_after(data, end):
            skeleton = Skeleton(line, alphabet)
            at = skeleton.text.find(key[place : place + _SURE])
            size = common(skeleton.text[at:], key[place:]) if at >= 0 else 0
            if size >= _SURE or (size and skeleton.text == key[place:]):
                end, place = begin + skeleton.place(at + size - 1) + 1, place + size
                break
        else:
            break
    return end, place


def precede(data: bytes, start: int, key: bytes, place: int, alphabet: Alphabet) -> Tuple[int, int]:
    """Find where a form begins in the lines before; as ``follow``."""
    while place:
        for begin, line in _lines_before(data, start):
            skeleton = Skeleton(line, alphabet)
            wanted = key[max(0, place - _SURE) : place]
            at = skeleton.text.rfind(wanted)
            size = common_end(skeleton.text[: at + len(wanted)], key[:place]) if at >= 0 else 0
            if size >= _SURE or (size and skeleton.text == key[:place]):
                start, place = begin + skeleton.place(at + len(wanted) - size), place - size
                break
        else:
            break
    return start, place


def _lines_after(data: bytes, end: int) -> Iterator[Tuple[int, bytes]]:
    """Yield the next two lines, each with its place."""
    for _ in range(2):
        begin = data.find(b"\n", end, end + _LONGEST) + 1
        if not begin:
            return
        end = data.find(b"\n", begin, begin + _LONGEST)
        end = end if end >= 0 else begin + _LONGEST
        yield begin, data[begin:end]


def _lines_before(data: bytes, start: int) -> Iterator[Tuple[int, bytes]]:
    """Yield the two lines before, the nearest first, each with its place."""
    for _ in range(2):
        end = data.rfind(b"\n", max(0, start - _LONGEST), start)
        if end < 0:
            return
        start = data.rfind(b"\n", max(0, end - _LONGEST), end) + 1 or max(0, end - _LONGEST)
        yield start, data[start:end]
        start = max(0, start)
