"""Decoders: other ways to read some bytes, with a mapping to the original positions.

Encoders can choose: ``&#39;``, ``&#039;`` and ``&#x27;`` are one character, and quoting can be applied three times.
Therefore the decoded text is searched, too. One pattern decodes all common encodings, so JSON in HTML in JSON needs
three passes instead of every order of decoders. Most texts contain no encoding, which a search for single bytes shows
quickly.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import islice
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Pattern, Tuple, Union

Places = Callable[[int, int], Tuple[int, int]]
Replacement = Union[bytes, Callable[["re.Match[bytes]"], bytes]]

_MAX_PASSES = 5
_CACHE_SIZE = 10_000  # encoded characters

# Colors and links of terminals; escapes of Python, JSON, C, YAML and shells; URLs; HTML and XML.
_ENCODED = re.compile(
    rb"\x1b(?:\[[0-9;:]{0,40}[A-Za-z]|\][0-9]{1,4};[^\x07\x1b]{0,2000}(?:\x07|\x1b\\))"
    rb"|\\(?:[xX][0-9A-Fa-f]{2}|u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}"
    rb"|u\{[0-9A-Fa-f]{1,6}\}|U[0-9A-Fa-f]{8}|[0-3][0-7]{2}|[\x00-\xff])"
    rb"|%[0-9A-Fa-f]{2}"
    rb"|&(?:#[0-9]{1,20}|#[xX][0-9A-Fa-f]{1,20}|[A-Za-z][A-Za-z0-9]{1,30});"
)
_HEX_OR_NAME = re.compile(rb"%[0-9A-Fa-f]{2}|&[#A-Za-z]")
_SIGNS = b"\\\x1b\x08%&0="  # a text without these bytes contains no encoded characters
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
    """Another way to read some bytes.

    Attributes:
        data: the decoded bytes.
        kind: the encoding if there is only one, or an empty string.
        places: maps a beginning and an end in ``data`` to the original positions.
    """

    data: bytes
    kind: str
    places: Places


class _Decoder(NamedTuple):
    """A decoder.

    Attributes:
        pattern: matches what is encoded.
        replacement: the decoded bytes, or a function that returns them.
        kind: the name of the encoding, or an empty string if there are several.
    """

    pattern: Pattern[bytes]
    replacement: Replacement
    kind: str


def is_plain(data: bytes) -> bool:
    """Return whether a short text can only be read as it is."""
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
    """Return whether lines can begin like those of a traceback or of bytes in several lines."""
    return b"\nE " in data or b" b'" in data or b' b"' in data


def views(data: bytes, *, quotable: bool, margin: int) -> Iterator[View]:
    """Yield every other way to read some bytes, or only the parts that differ.

    Args:
        data: any bytes.
        quotable: whether quoted-printable changes a registered value.
        margin: the number of bytes around a decoded character that a partial view must include.
    """
    base = View(data, "", _same)
    if _has_margin(data):
        stripped = _substituted(base, _MARGIN, b"\n", "")
        if stripped:
            yield stripped
            base = stripped
    yield from _decoded(base, margin)
    for decoder in _rare_decoders(data, quotable=quotable):
        yield from _parts(base, decoder, margin)


def _rare_decoders(data: bytes, *, quotable: bool) -> Iterator[_Decoder]:
    """Yield the decoders that change some bytes and that are not part of the common pattern."""
    if b"\\" in data:
        yield _Decoder(_CSS, _css, "escaped")
    if b"\x08" in data:
        yield _Decoder(_OVERTYPED, b"", "")
    if quotable and b"=" in data and _QUOTED_SURELY.search(data):
        yield _Decoder(_QUOTED_PRINTABLE, _quoted, "quoted-printable")
    if b"0x" in data:
        yield _Decoder(_OCTETS, _octet, "hex")
    if _may_be_dumped(data):
        yield _Decoder(_DUMPED, _dumped, "hex")


def _same(start: int, end: int) -> Tuple[int, int]:
    return start, end


def _decoded(view: View, margin: int) -> Iterator[View]:
    """Decode repeatedly. After the first pass, only the parts that the previous pass changed can decode further."""
    current = [view]
    for _ in range(_MAX_PASSES):
        current = [part for each in current if _may_be_encoded(each.data) for part in _parts(each, _COMMON, margin)]
        yield from current


def _may_be_encoded(data: bytes) -> bool:
    return b"\\" in data or b"\x1b" in data or ((b"%" in data or b"&" in data) and bool(_HEX_OR_NAME.search(data)))


_DUMP_START = re.compile(rb"^[ \t]{0,8}(?:0x)?[0-9A-Fa-f]{4,16}:?[ \t]{1,4}[0-9A-Fa-f]{2}[ :0-9A-Fa-f-]", re.MULTILINE)


def _may_be_dumped(data: bytes) -> bool:
    return b"0 " in data and _DUMP_START.search(data) is not None if len(data) < 1 << 12 else _has_dump(data)


def _has_dump(data: bytes) -> bool:
    """Return whether the address of the first or second line of a hex dump occurs."""
    return (b"0000 " in data or b"0000:" in data) and _DUMP_START.search(data) is not None


# -- decoders ----------------------------------------------------------------------------------------------------------


class _Decoded(Dict[bytes, bytes]):
    """A cache of decoded characters. There are few different ones, so a lookup is faster than decoding."""

    def __missing__(self, encoded: bytes) -> bytes:
        if len(self) >= _CACHE_SIZE:
            self.clear()
        self[encoded] = text = _decode_one(encoded)
        return text


_CACHE = _Decoded()


def _decode(match: re.Match[bytes]) -> bytes:
    return _CACHE[match.group()]


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
    """Decode what follows a backslash."""
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
    """Yield a view with every match replaced. If matches are rare, yield only their surroundings."""
    data = view.data
    for start, end in _regions(data, decoder.pattern, margin) or [(0, len(data))]:
        part = view if end - start == len(data) else _part(view, start, end)
        decoded = _substituted(part, *decoder)
        if decoded:
            yield decoded


def _regions(data: bytes, pattern: Pattern[bytes], margin: int) -> List[Tuple[int, int]]:
    """Return the surroundings of matches in order, or nothing if they make up half of the data or more."""
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
    """Return a view with every match replaced, or None if nothing changes. Positions are computed on demand."""
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
    """A piece that was replaced or kept.

    Attributes:
        now: its beginning in the new bytes.
        start: its beginning in the old bytes.
        end: its end there.
        replaced: whether it was replaced.
    """

    now: int
    start: int
    end: int
    replaced: bool


def _pieces(data: bytes, pattern: Pattern[bytes], replacement: Replacement) -> Iterator[_Piece]:
    position = now = 0
    for match in pattern.finditer(data):
        yield _Piece(now, position, match.start(), replaced=False)
        now += match.start() - position
        yield _Piece(now, match.start(), match.end(), replaced=True)
        text = replacement if isinstance(replacement, bytes) else replacement(match)
        now, position = now + len(text), match.end()
    yield _Piece(now, position, len(data), replaced=False)
