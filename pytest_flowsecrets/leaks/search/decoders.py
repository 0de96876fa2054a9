"""Decoders: other ways to read some bytes, each with the places where everything stood before.

Encoders have a choice: ``&#39;``, ``&#039;`` and ``&#x27;`` are one character, and quoting can be done three times. So
a text in which encodings stand is also searched with them decoded. One pattern decodes all common ones, so that JSON in
HTML in JSON needs three passes and not every order of decoders. Most texts hold none; a search for single bytes shows
that quickly.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import islice
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Pattern, Tuple, Union

Places = Callable[[int, int], Tuple[int, int]]
Replacement = Union[bytes, Callable[["re.Match[bytes]"], bytes]]

_DEEPEST = 5  # times that an encoding is decoded
_MOST_SEEN = 10_000  # encoded characters that are remembered

# Colours and links of terminals; escapes of Python, JSON, C, YAML and shells; URLs; HTML and XML.
_ENCODED = re.compile(
    rb"\x1b(?:\[[0-9;:]{0,40}[A-Za-z]|\][0-9]{1,4};[^\x07\x1b]{0,2000}(?:\x07|\x1b\\))"
    rb"|\\(?:[xX][0-9A-Fa-f]{2}|u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}"
    rb"|u\{[0-9A-Fa-f]{1,6}\}|U[0-9A-Fa-f]{8}|[0-3][0-7]{2}|[\x00-\xff])"
    rb"|%[0-9A-Fa-f]{2}"
    rb"|&(?:#[0-9]{1,20}|#[xX][0-9A-Fa-f]{1,20}|[A-Za-z][A-Za-z0-9]{1,30});"
)
_HEX_OR_NAME = re.compile(rb"%[0-9A-Fa-f]{2}|&[#A-Za-z]")
_SIGNS = b"\\\x1b\x08%&0="  # a text without these bytes holds no encoded characters
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"a": b"\a", b"0": b"\0"}

_MARGIN = re.compile(rb"\n(?:E(?= )|[ >+?-]{0,40}b(?=['\"]))")
_OVERTYPED = re.compile(rb"[^\x08]\x08")
_CSS = re.compile(rb"\\(?:([0-9A-Fa-f]{6})|([0-9A-Fa-f]{1,5})[ \t\n])")
_QUOTED_PRINTABLE = re.compile(rb"=(?:([0-9A-F]{2})|[ \t]{0,20}\r?\n)")
_QUOTED_SURELY = re.compile(rb"=(?:3D|[89A-F][0-9A-F]=|[ \t]{0,20}\r?\n)")
_DUMPED = re.compile(
    rb"^[ \t]{0,8}(?:0x)?[0-9A-Fa-f]{4,16}:?[ \t]{1,4}"
    rb"((?:[0-9A-Fa-f]{2}[ :-]{0,3}){1,32})(?:[ \t|].{0,80})?(?:\r?\n|\Z)",
    re.MULTILINE,
)
_OCTETS = re.compile(rb"0x([0-9A-Fa-f]{2})(?:, ?)?")


class View(NamedTuple):
    """Some bytes, read in another way.

    Attributes:
        data: the decoded bytes.
        kind: the encoding, where it is only one; else empty.
        places: maps a beginning and an end in ``data`` to those in the bytes as they were.
    """

    data: bytes
    kind: str
    places: Places


class _Decoder(NamedTuple):
    """What is replaced, by what, and the name of the encoding; empty if there are several."""

    pattern: Pattern[bytes]
    replacement: Replacement
    kind: str


def is_plain(data: bytes) -> bool:
    """Return whether there is no other way to read a short text."""
    if _has_margin(data):
        return False
    if len(data.translate(None, _SIGNS)) == len(data):
        return True
    return not (
        _may_be_encoded(data)
        or b"\x08" in data
        or b"0x" in data
        or (b"=" in data and _QUOTED_SURELY.search(data))
        or _may_be_dumped(data)
    )


def _has_margin(data: bytes) -> bool:
    """Return whether lines may begin as those of a traceback or of bytes in several lines."""
    return b"\nE " in data or b" b'" in data or b' b"' in data


def views(data: bytes, *, quotable: bool, margin: int) -> Iterator[View]:
    """Yield every other way to read these bytes, or the parts of them that differ.

    Args:
        data: any bytes.
        quotable: whether quoted-printable changes a known value.
        margin: how many bytes around a decoded character a view has to show, if it shows only a part.
    """
    base = View(data, "", _same)
    if _has_margin(data):
        stripped = _substituted(base, _MARGIN, b"\n", "")
        if stripped:
            yield stripped
            base = stripped
    yield from _decoded(base, margin)
    if b"\\" in data:
        yield from _parts(base, _Decoder(_CSS, _css, "escaped"), margin)
    if b"\x08" in data:
        yield from _parts(base, _Decoder(_OVERTYPED, b"", ""), margin)
    if quotable and b"=" in data and _QUOTED_SURELY.search(data):
        yield from _parts(base, _Decoder(_QUOTED_PRINTABLE, _quoted, "quoted-printable"), margin)
    if b"0x" in data:
        yield from _parts(base, _Decoder(_OCTETS, _octet, "hex"), margin)
    if _may_be_dumped(data):
        yield from _parts(base, _Decoder(_DUMPED, _dumped, "hex"), margin)


def _same(start: int, end: int) -> Tuple[int, int]:
    return start, end


def _decoded(view: View, margin: int) -> Iterator[View]:
    """Decode as often as something is left to decode. It can only be where the decoding before changed something."""
    current = [view]
    for _ in range(_DEEPEST):
        current = [part for each in current if _may_be_encoded(each.data) for part in _parts(each, _COMMON, margin)]
        yield from current


def _may_be_encoded(data: bytes) -> bool:
    return b"\\" in data or b"\x1b" in data or ((b"%" in data or b"&" in data) and bool(_HEX_OR_NAME.search(data)))


_DUMP_START = re.compile(rb"^[ \t]{0,8}(?:0x)?[0-9A-Fa-f]{4,16}:?[ \t]{1,4}[0-9A-Fa-f]{2}[ :0-9A-Fa-f-]", re.MULTILINE)


def _may_be_dumped(data: bytes) -> bool:
    return b"0 " in data and _DUMP_START.search(data) is not None if len(data) < 1 << 12 else _has_dump(data)


def _has_dump(data: bytes) -> bool:
    """Return whether an address of a dump's first or second line is there, as others follow it."""
    return (b"0000 " in data or b"0000:" in data) and _DUMP_START.search(data) is not None


# -- decoders ----------------------------------------------------------------------------------------------------------


class _Decoded(Dict[bytes, bytes]):
    """What encoded characters stand for. There are few different ones, so that a look-up is faster than decoding."""

    def __missing__(self, encoded: bytes) -> bytes:
        if len(self) >= _MOST_SEEN:
            self.clear()
        self[encoded] = text = _decode_one(encoded)
        return text


_SEEN = _Decoded()


def _decode(match: re.Match[bytes]) -> bytes:
    return _SEEN[match.group()]


def _decode_one(encoded: bytes) -> bytes:
    first = encoded[:1]
    if first == b"\x1b":
        return b""
    if first == b"%":
        return bytes([int(encoded[1:], 16)])
    if first == b"&":
        from html import unescape

        return unescape(encoded.decode()).encode("utf-8", "surrogatepass")
    return _unescaped(encoded[1:])


def _unescaped(rest: bytes) -> bytes:
    """Decode what stands behind a backslash."""
    if len(rest) == 1:
        return _CONTROLS.get(rest, rest)
    if rest[:1] in b"xX":
        return bytes([int(rest[1:], 16)])
    if rest[:1] not in b"uU":
        return bytes([int(rest, 8)])
    if b"\\" in rest:
        high, low = int(rest[1:5], 16), int(rest[7:], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00).encode()
    return _character(int(rest[1:].strip(b"{}"), 16)) or b"\\" + rest


def _character(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass") if number < 0x110000 else b""  # noqa: PLR2004 - Unicode's end


def _css(match: re.Match[bytes]) -> bytes:
    return _character(int(match.group(1) or match.group(2), 16)) or match.group()


def _quoted(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match.group(1).decode()) if match.group(1) else b""


def _octet(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match.group(1).decode())


def _dumped(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(re.sub(rb"[ :-]+", b"", match.group(1)).decode())


_COMMON = _Decoder(_ENCODED, _decode, "")

# -- places ------------------------------------------------------------------------------------------------------------


def _parts(view: View, decoder: _Decoder, margin: int) -> Iterator[View]:
    """Yield a view with every match replaced; if matches are rare, only what is around each of them."""
    data = view.data
    for start, end in _regions(data, decoder.pattern, margin) or [(0, len(data))]:
        part = view if end - start == len(data) else _part(view, start, end)
        decoded = _substituted(part, *decoder)
        if decoded:
            yield decoded


def _regions(data: bytes, pattern: Pattern[bytes], margin: int) -> List[Tuple[int, int]]:
    """Return the surroundings of matches, in order; nothing if these are no less than half of the data."""
    most = len(data) // (4 * margin)
    matches = [*islice(pattern.finditer(data), most)] if most else []
    regions: List[Tuple[int, int]] = []
    for match in matches if len(matches) < most else ():
        start, end = max(0, match.start() - margin), min(len(data), match.end() + margin)
        if regions and start <= regions[-1][1]:
            regions[-1] = regions[-1][0], end
        else:
            regions.append((start, end))
    return regions


def _part(view: View, start: int, end: int) -> View:
    return View(view.data[start:end], view.kind, lambda first, last: view.places(first + start, last + start))


def _substituted(view: View, pattern: Pattern[bytes], replacement: Replacement, kind: str) -> Optional[View]:
    """Return a view with every match replaced; None if none changes. The places are computed when they are needed."""
    data = pattern.sub(replacement, view.data)
    if data == view.data:
        return None
    tables: List[Tuple[List[int], List[_Piece]]] = []

    def places(start: int, end: int) -> Tuple[int, int]:
        if not tables:
            pieces = [*_pieces(view.data, pattern, replacement)]
            tables.append(([piece.now for piece in pieces], pieces))
        begins, pieces = tables[0]
        first, last = (pieces[bisect_right(begins, place) - 1] for place in (start, end - 1))
        return view.places(
            first.start if first.replaced else first.start + start - first.now,
            last.end if last.replaced else last.start + end - last.now,
        )

    return View(data, kind, places)


class _Piece(NamedTuple):
    """What was replaced or kept: where it begins now, and where it began and ended."""

    now: int
    start: int
    end: int
    replaced: bool


def _pieces(data: bytes, pattern: Pattern[bytes], replacement: Replacement) -> Iterator[_Piece]:
    done = now = 0
    for found in pattern.finditer(data):
        yield _Piece(now, done, found.start(), replaced=False)
        now += found.start() - done
        yield _Piece(now, found.start(), found.end(), replaced=True)
        text = replacement if isinstance(replacement, bytes) else replacement(found)
        now, done = now + len(text), found.end()
    yield _Piece(now, done, len(data), replaced=False)
