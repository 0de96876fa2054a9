"""Skeletons: some bytes without those that escaping, wrapping and quoting add or change.

A value that is escaped, doubled, wrapped or put into a table keeps its letters and digits in their order. A search
therefore compares letters and digits alone, and checks the gaps between them only where these agree (``spans``).
Values with too few letters have a skeleton that keeps punctuation.
"""

from __future__ import annotations

import re
from itertools import accumulate, compress
from typing import Dict, Iterable, List, NamedTuple, Pattern, Tuple

_BLOCK = 1 << 12  # bytes whose positions are computed together
_MOST_BLOCKS = 64


class Alphabet(NamedTuple):
    """The bytes of a skeleton.

    Attributes:
        dropped: the bytes that it leaves out.
        kept: maps each byte to whether the skeleton keeps it.
        gap: matches a run of dropped bytes.
    """

    dropped: bytes
    kept: bytes
    gap: Pattern[bytes]


def _alphabet(dropped: Iterable[int]) -> Alphabet:
    out = bytes(sorted(dropped))
    kept = bytes(byte not in out for byte in range(256))
    return Alphabet(out, kept, re.compile(b"[" + re.escape(out) + b"]+" if out else rb"(?!)"))


LETTERS = _alphabet(byte for byte in range(256) if not (byte < 0x80 and chr(byte).isalnum()))  # noqa: PLR2004 - ASCII
EVERYTHING = _alphabet([])
MARKS = _alphabet([*range(33), 127, *b"'\"`\\"])


class Skeleton:
    """Some bytes without those that an alphabet drops.

    Args:
        data: any bytes.
        alphabet: decides which bytes are kept.

    Attributes:
        text: the kept bytes.
    """

    def __init__(self, data: bytes, alphabet: Alphabet) -> None:
        self.data, self.alphabet = data, alphabet
        self.text = data.translate(None, alphabet.dropped)
        self._counts: List[int] = []
        self._blocks: Dict[int, List[int]] = {}

    def place(self, number: int) -> int:
        """Return the position in the data of the kept byte with a number."""
        if len(self.data) == len(self.text):
            return number
        if not self._counts:
            dropped = self.alphabet.dropped
            sizes = (
                len(self.data[at : at + _BLOCK].translate(None, dropped)) for at in range(0, len(self.data), _BLOCK)
            )
            self._counts = [0, *accumulate(sizes)]
        block = _last_at_most(self._counts, number)
        return self._places_in(block)[number - self._counts[block]]

    def _places_in(self, block: int) -> List[int]:
        if block not in self._blocks:
            if len(self._blocks) >= _MOST_BLOCKS:
                self._blocks.clear()
            begin = block * _BLOCK
            part = self.data[begin : begin + _BLOCK]
            kept = compress(range(begin, begin + len(part)), part.translate(self.alphabet.kept))
            self._blocks[block] = list(kept)
        return self._blocks[block]

    def span(self, first: int, last: int) -> Tuple[int, int]:
        """Return the beginning and the end in the data of some kept bytes."""
        return self.place(first), self.place(last - 1) + 1


def _last_at_most(counts: List[int], number: int) -> int:
    from bisect import bisect_right

    return bisect_right(counts, number) - 1


def is_continuation(data: bytes, place: int) -> bool:
    """Return whether a byte continues a character of UTF-8."""
    return place < len(data) and data[place] & 0xC0 == 0x80  # noqa: PLR2004 - the two highest bits


def common(one: bytes, other: bytes) -> int:
    """Return the length of the common beginning of two texts, after a logarithmic number of comparisons."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low + 1 < high:  # the first `low` bytes are equal, the first `high` are not
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def common_end(one: bytes, other: bytes) -> int:
    """Return the length of the common end of two texts."""
    size = min(len(one), len(other))
    return common(one[len(one) - size :][::-1], other[len(other) - size :][::-1])
