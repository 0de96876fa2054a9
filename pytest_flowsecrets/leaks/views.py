"""Other ways to read some bytes: without colours, or with one encoding taken off.

The forms say what an encoder makes of a value. But many encoders may choose: ``&#39;``, ``&#039;`` and ``&#x27;`` are
one character, Go's JSON writes an escape where Python's writes ``&``, and quoting can be done three times. So bytes in
which such an encoding stands are also looked through with it taken off. What tells that one does is looked for at the
speed of ``bytes.find``, as most texts have none.
"""

from __future__ import annotations

import re
import string
import sys
from bisect import bisect_right
from typing import Callable, Iterator, List, NamedTuple, Pattern, Tuple

Read = Callable[["re.Match[bytes]"], bytes]

_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_QUOTED = re.compile(rb"%(?:25)+|(?:%[0-9A-Fa-f]{2}){4,}")
_REFERENCE = re.compile(rb"&(?:#0*([0-9]{1,7})|#[xX]0*([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));")
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}
_ESCAPE = re.compile(rb"\\+(?:x([0-9A-Fa-f]{2})|(?:u00|U000000)([0-9A-Fa-f]{2})|([0-3][0-7]{2}))")
_NESTED = re.compile(rb"\\([\\\"'/])")
_ZERO = re.compile(rb"\x00|\\+(?:x00|u0000)")
# One, two or four bytes at once, as ``bytes.hex`` and ``xxd`` have them.
_PAIRS = re.compile(
    rb"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}){1,4}([:\- ])"
    rb"(?:(?:[0-9A-Fa-f]{2}\1){5,}[0-9A-Fa-f]{2}|(?:(?:[0-9A-Fa-f]{2}){2}\1){2,}(?:[0-9A-Fa-f]{2}){1,2}"
    rb"|(?:[0-9A-Fa-f]{8}\1)+(?:[0-9A-Fa-f]{2}){1,4})(?!\w)"
)
_DEEPEST = 3  # times that one thing is taken off
# Of each byte what it is among pairs of hexadecimal digits.
_KINDS = bytes(
    ord("0") if chr(byte) in "0123456789abcdefABCDEF" else ord(":") if chr(byte) in ":- " else ord(".")
    for byte in range(256)
)
_RUNS = b":".join([b"00"] * 7), b":".join([b"0000"] * 3), b":".join([b"00000000"] * 2)
_ODD = b"\x1b", b"\\", b"\x00"
LETTERS = b"%&#;\\\x1b\x00:- " + string.ascii_letters.encode() + string.digits.encode()  # that encodings consist of


class View(NamedTuple):
    """Some bytes, read in another way.

    Attributes:
        data: what is read.
        kind: the encoding that was taken off; empty if it says nothing about the form.
        places: gives beginning and end in the bytes as they were of a beginning and an end in ``data``.
    """

    data: bytes
    kind: str
    places: Callable[[int, int], Tuple[int, int]]


def is_plain(data: bytes) -> bool:
    """Whether there is surely no other way to read a short text."""
    odd = any(byte in data for byte in _ODD) or _is_quoted(data) or _has_references(data)
    return not (odd or _has_pairs(data))


def views(data: bytes) -> Iterator[View]:
    """Every other way to read these bytes. A byte is looked for faster than two, so that is what is asked first."""
    if b"\x1b" in data and b"\x1b[" in data:
        yield _view(data, _COLOUR, lambda _: b"", "")
    if _is_quoted(data):
        yield _view(data, _QUOTED, _unquoted, "url")
    if _has_references(data):
        yield _view(data, _REFERENCE, _referred, "html")
    if b"\\" in data:
        yield from _without_backslashes(data)
    if b"\x00" in data or (b"\\" in data and (b"\\x00" in data or b"\\u0000" in data)):
        yield _view(data, _ZERO, lambda _: b"", "utf-16")
    if _has_pairs(data):
        yield _view(data, _PAIRS, lambda found: bytes.fromhex(re.sub("[:-]", " ", found.group().decode())), "hex")


def _is_quoted(data: bytes) -> bool:
    return b"%" in data and _QUOTED.search(data) is not None


def _has_references(data: bytes) -> bool:
    return b"&" in data and (b"&#" in data or b"&amp;" in data)


def _has_pairs(data: bytes) -> bool:
    kinds = data.translate(_KINDS)
    return any(run in kinds for run in _RUNS)


def _without_backslashes(data: bytes) -> Iterator[View]:
    if _ESCAPE.search(data):
        yield _view(data, _ESCAPE, _escaped, "escaped")
    view = View(data, "escaped", lambda start, end: (start, end))
    for _ in range(_DEEPEST):
        if b"\\\\" not in view.data:
            return
        inner = _view(view.data, _NESTED, lambda found: found.group(1), "escaped")
        view = inner._replace(places=_both(inner.places, view.places))
        yield view


def _both(
    inner: Callable[[int, int], Tuple[int, int]], outer: Callable[[int, int], Tuple[int, int]]
) -> Callable[[int, int], Tuple[int, int]]:
    return lambda start, end: outer(*inner(start, end))


def _view(data: bytes, pattern: Pattern[bytes], read: Read, kind: str) -> View:
    """The bytes with every match replaced. What stood where is asked for only if something is found."""
    made: List[Tuple[List[int], List[_Piece]]] = []

    def places(start: int, end: int) -> Tuple[int, int]:
        if not made:
            pieces = [*_pieces(data, pattern, read)]
            made.append(([piece.now for piece in pieces], pieces))
        begins, pieces = made[0]
        first, last = (pieces[bisect_right(begins, place) - 1] for place in (start, end - 1))
        return (
            first.start if first.replaced else first.start + start - first.now,
            last.end if last.replaced else last.start + end - last.now,
        )

    return View(pattern.sub(read, data), kind, places)


class _Piece(NamedTuple):
    """What was replaced or kept: where it begins now, and where it began and ended."""

    now: int
    start: int
    end: int
    replaced: bool


def _pieces(data: bytes, pattern: Pattern[bytes], read: Read) -> Iterator[_Piece]:
    done = now = 0
    for found in pattern.finditer(data):
        yield _Piece(now, done, found.start(), replaced=False)
        now += found.start() - done
        yield _Piece(now, found.start(), found.end(), replaced=True)
        now, done = now + len(read(found)), found.end()
    yield _Piece(now, done, len(data), replaced=False)


def _referred(found: re.Match[bytes]) -> bytes:
    decimal, hexadecimal, name = found.groups()
    if name:
        return _NAMED[name]
    number = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(number).encode("utf-8", "surrogatepass") if number <= sys.maxunicode else found.group()


def _unquoted(found: re.Match[bytes]) -> bytes:
    digits = found.group().replace(b"%", b"")
    return b"%" if found.group().startswith(b"%25") else bytes.fromhex(digits.decode())


def _escaped(found: re.Match[bytes]) -> bytes:
    byte, character, octal = found.groups()
    return bytes([int(byte, 16) if byte else int(octal, 8)]) if not character else chr(int(character, 16)).encode()
