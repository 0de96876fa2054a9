"""Compressed payloads in a text: gzip, zlib, bzip2 and xz, as bytes, in base64 (as Prefect sends flows) or in hex."""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple, Union

# The first three digits of zlib in base64, for the levels 6, 0 and 1, 2 to 5, and 7 to 9. The third digit contains two
# bits of the data. Each search costs a pass over the text, so the second digits are mapped to one digit first.
_ZLIB_DIGITS = {b"eJ": b"wxyz", b"eA": b"EFGH", b"eF": b"4567", b"eN": b"opqr"}
_AS_ONE = bytes.maketrans(b"AFN", b"JJJ")
_BODY = re.compile(rb"(?:\\[rn]|[ \t]*\r?\n[ \t]*)*(?:[A-Za-z0-9+/_-]+(?:\\[rn]|[ \t]*\r?\n[ \t]*)*)+={0,2}")
_HEX_BODY = re.compile(rb"[0-9A-Fa-f]+")
_NOT_DIGITS = re.compile(rb"\\[rn]|[\s=]+")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SMALLEST, _PROBE, _CHUNK = 24, 120, 1 << 12  # digits; characters in the first chunk and in later ones
_SHORT = 1 << 10  # characters
_GAP = 200  # characters; no break between two lines is longer
_LARGEST = 16_000_000  # bytes of the unpacked content, and of a block of bzip2
_GZIP_OR_ZLIB = 47


class _Kind(NamedTuple):
    """A kind of payload.

    Attributes:
        magic: the bytes at its beginning.
        encoding: ``base64``, ``hex`` or an empty string.
        module: the module that unpacks it.
    """

    magic: bytes
    encoding: str
    module: str


_KINDS = (
    _Kind(b"H4sI", "base64", "zlib"),
    _Kind(b"QlpoO", "base64", "bz2"),
    _Kind(b"QlpoN", "base64", "bz2"),
    _Kind(b"/Td6WFoA", "base64", "lzma"),
    _Kind(b"_Td6WFoA", "base64", "lzma"),
    _Kind(b"1f8b08", "hex", "zlib"),
    _Kind(b"1F8B08", "hex", "zlib"),
    _Kind(b"425a6839314159", "hex", "bz2"),
    _Kind(b"fd377a585a00", "hex", "lzma"),
    _Kind(b"\x1f\x8b\x08", "", "zlib"),
    _Kind(b"x\x9c", "", "zlib"),
    _Kind(b"x\xda", "", "zlib"),
    _Kind(b"x\x5e", "", "zlib"),
    _Kind(b"x\x01", "", "zlib"),
    _Kind(b"BZh91AY&SY", "", "bz2"),
    _Kind(b"\xfd7zXZ\x00", "", "lzma"),
)
_ENCODED_KINDS = tuple(kind for kind in _KINDS if kind.encoding)
# One pattern is faster for short texts, a search for each beginning is faster for long ones.
_BEGINS = re.compile(
    rb"e(?:J[wxyz]|A[EFGH]|F[4567]|N[opqr])|" + b"|".join(re.escape(kind.magic) for kind in _ENCODED_KINDS)
)
_ZLIB = _Kind(b"eJ", "base64", "zlib")


def begins(data: bytes, *, binary: bool = True) -> List[int]:
    """Return the positions at which payloads can begin, in order.

    Args:
        data: any bytes.
        binary: whether to include payloads that are not encoded. A text has none.
    """
    if not binary and (len(data) < _SMALLEST or (len(data) < _SHORT and not _BEGINS.search(data))):
        return []
    kinds = _KINDS if binary else _ENCODED_KINDS
    places = [place for kind in kinds if _may_hold(data, kind.magic) for place in _places_of(kind.magic, data)]
    return sorted([*places, *_zlib_places(data)])


def _zlib_places(data: bytes) -> Iterator[int]:
    """Yield the positions of the beginnings of zlib in base64."""
    for place in _places_of(b"eJ", data.translate(_AS_ONE)):
        digit = data[place + 2 : place + 3]
        if digit and digit in _ZLIB_DIGITS[data[place : place + 2]]:
            yield place


def _may_hold(data: bytes, magic: bytes) -> bool:
    """Return whether the second byte of a short beginning occurs. The search for one byte is very fast."""
    return len(magic) > 3 or magic[1:2] in data  # noqa: PLR2004 - short beginnings


def _places_of(part: bytes, data: bytes) -> Iterator[int]:
    at = data.find(part)
    while at >= 0:
        yield at
        at = data.find(part, at + len(part))


def payload(text: Union[str, bytes], start: int) -> Optional[Tuple[int, bytes]]:
    """Return the end of the payload that begins at ``start`` and its content, as far as it is readable.

    The payload is read in chunks: most texts that begin like a payload are none, and much text can follow one.

    Returns:
        None if no payload begins there.
    """
    head = _ascii(text[start : start + 16])
    kind = next((kind for kind in _KINDS if head.startswith(kind.magic)), _ZLIB)
    if isinstance(text, str) and not kind.encoding:
        return None  # a text does not contain raw bytes
    read = {"base64": _read_base64, "hex": _read_hex, "": _read_bytes}[kind.encoding]
    return read(text, start, _unpacker(kind.module), 0 if kind.module == "zlib" else _LARGEST)


def _unpacker(module: str) -> Any:
    if module == "zlib":
        return zlib.decompressobj(_GZIP_OR_ZLIB)
    if module == "bz2":
        import bz2

        return bz2.BZ2Decompressor()
    import lzma

    return lzma.LZMADecompressor()


class _Unpacked:
    """The unpacked part of a payload.

    Args:
        unpacker: the decompressor.
        header_limit: the number of bytes that it can take before it returns content.
    """

    def __init__(self, unpacker: Any, header_limit: int) -> None:
        self._unpacker, self._header_limit = unpacker, header_limit
        self.content = b""
        self.size = 0  # bytes of input
        self.failed = False

    def add(self, data: bytes) -> bool:
        """Unpack more bytes. Return whether more can follow."""
        first = not self.size
        self.size += len(data)
        try:
            self.content += self._unpacker.decompress(data, _LARGEST - len(self.content))
        except (ValueError, EOFError, OSError, zlib.error, _lzma_error()):
            self.failed = True
            return False
        can_follow = bool(self.content) or first or self.size < self._header_limit  # otherwise a header without end
        return can_follow and not self._unpacker.eof and len(self.content) < _LARGEST

    @property
    def used(self) -> int:
        """The number of bytes that belong to the payload."""
        return self.size - len(self._unpacker.unused_data)


def _lzma_error() -> Any:
    import sys

    lzma = sys.modules.get("lzma")
    return lzma.LZMAError if lzma else ValueError


def _read_bytes(text: Any, start: int, unpacker: Any, header_limit: int) -> Optional[Tuple[int, bytes]]:
    unpacked = _Unpacked(unpacker, header_limit)
    end = start
    while end < len(text) and unpacked.add(text[end : end + _CHUNK]):
        end += _CHUNK
    return (start + unpacked.used, unpacked.content) if unpacked.content else None


def _read_hex(text: Any, start: int, unpacker: Any, header_limit: int) -> Optional[Tuple[int, bytes]]:
    unpacked = _Unpacked(unpacker, header_limit)
    end, more = start, True
    while more:
        body = _HEX_BODY.match(_ascii(text[end : end + _CHUNK]))
        digits = body.group()[: len(body.group()) & -2].decode() if body else ""
        more = bool(digits) and unpacked.add(bytes.fromhex(digits)) and len(digits) == _CHUNK
        end += len(digits)
    return (start + 2 * unpacked.used, unpacked.content) if unpacked.content else None


class _Base64Chunk(NamedTuple):
    """A chunk of text.

    Attributes:
        digits: the digits of base64 at its beginning, without line breaks and padding.
        end: where they end in the chunk.
        is_last: whether no digits follow in the next chunk.
    """

    digits: bytes
    end: int
    is_last: bool


def _base64_chunk(chunk: bytes, size: int) -> _Base64Chunk:
    body = _BODY.match(chunk)
    if not body:
        return _Base64Chunk(b"", 0, is_last=True)
    is_last = len(chunk) < size or body.end() < size - _GAP
    return _Base64Chunk(_NOT_DIGITS.sub(b"", body.group()), body.end(), is_last)


def _decodable(digits: bytes, *, is_last: bool) -> bytes:
    """Return the digits that form whole bytes: groups of four, and two or three more at the end."""
    return digits[: len(digits) - (len(digits) % 4 == 1)] if is_last else digits[: len(digits) & -4]


def _read_base64(text: Any, start: int, unpacker: Any, header_limit: int) -> Optional[Tuple[int, bytes]]:
    unpacked = _Unpacked(unpacker, header_limit)
    rest, end, size, smallest, more = b"", start, _PROBE, _SMALLEST, True
    while more:
        chunk = _ascii(text[end : end + size])
        digits, chunk_end, is_last = _base64_chunk(chunk, size)
        if not digits or len(digits) < smallest:
            break
        digits = rest + digits
        usable = _decodable(digits, is_last=is_last)
        before = unpacked.size
        more = unpacked.add(b64decode(usable.translate(_STANDARD) + b"=" * (-len(usable) % 4))) and not is_last
        if unpacked.failed:
            break
        if more:
            rest, end, size, smallest = digits[len(usable) :], end + chunk_end, _CHUNK, 1
        else:
            end += _end(chunk, -(-4 * (unpacked.used - before) // 3) - len(rest))
    return (end, unpacked.content) if unpacked.content else None


def _ascii(text: Union[str, bytes]) -> bytes:
    """Return a byte for each character. Characters that are not ASCII become question marks, which are not digits."""
    return text.encode("ascii", "replace") if isinstance(text, str) else text


def _end(chunk: bytes, digits: int) -> int:
    """Return the position after a number of digits and the padding."""
    end = 0
    while digits > 0:
        gap = _NOT_DIGITS.match(chunk, end)
        end, digits = (gap.end(), digits) if gap else (end + 1, digits - 1)
    while chunk.startswith(b"=", end):
        end += 1
    return end
