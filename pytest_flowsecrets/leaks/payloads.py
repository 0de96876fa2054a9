"""Compressed payloads inside a text: gzip or zlib in base64, as Prefect's clients send flows."""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from typing import Iterator, List, Optional, Tuple, Union

# gzip; zlib of level 6; of 0 and 1, 2 to 5, and 7 to 9, where the third digit tells two bits of what follows too. Each
# text that is searched for costs a pass, so the second digits of zlib are made one, and what was found is looked at.
_GZIP = b"H4sI"
_ZLIB = {b"eJ": b"wxyz", b"eA": b"EFGH", b"eF": b"4567", b"eN": b"opqr"}
_AS_ONE = bytes.maketrans(b"AFN", b"JJJ")
_BODY = re.compile(rb"(?:\\[rn]|[ \t]*\r?\n[ \t]*)*(?:[A-Za-z0-9+/_-]+(?:\\[rn]|[ \t]*\r?\n[ \t]*)*)+={0,2}")
_NOT_DIGITS = re.compile(rb"\\[rn]|[\s=]+")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SMALLEST, _PROBE, _CHUNK = 24, 120, 1 << 12  # digits; characters read at first, and then at once
_GAP = 200  # characters; no break between two lines is longer
_LARGEST = 16_000_000  # bytes of what comes out
_GZIP_OR_ZLIB = 47


def begins(data: bytes) -> List[int]:
    """Where payloads may begin."""
    found = [*_places_of(_GZIP, data)]
    for at in _places_of(b"eJ", data.translate(_AS_ONE)):
        digit = data[at + 2 : at + 3]
        if digit and digit in _ZLIB[data[at : at + 2]]:
            found.append(at)
    return found


def _places_of(part: bytes, data: bytes) -> Iterator[int]:
    at = data.find(part)
    while at >= 0:
        yield at
        at = data.find(part, at + len(part))


def payload(text: Union[str, bytes], start: int) -> Optional[Tuple[int, bytes]]:
    """Where the payload ends that begins at ``start``, if one does, and what is in it, as far as it can be read.

    It is read in chunks, as most that begins so is none, and what goes on behind one can be long.
    """
    unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
    content, rest, end, size = b"", b"", start, _PROBE
    while not unpack.eof and len(content) < _LARGEST:
        chunk = _ascii(text[end : end + size])
        body = _BODY.match(chunk)
        fresh = _NOT_DIGITS.sub(b"", body.group()) if body else b""
        if not body or (len(fresh) < _SMALLEST and end == start):
            break
        is_last = len(chunk) < size or body.end() < size - _GAP
        digits = rest + fresh
        usable = digits[: len(digits) - (len(digits) % 4 == 1)] if is_last else digits[: len(digits) & -4]
        try:
            data = b64decode(usable.translate(_STANDARD) + b"=" * (-len(usable) % 4))
            content += unpack.decompress(data, _LARGEST - len(content))
        except (ValueError, zlib.error):
            break
        used = -(-4 * (len(data) - len(unpack.unused_data)) // 3) - len(rest)
        if is_last or unpack.eof:
            end += _end(chunk, used)
            break
        rest, end, size = digits[len(usable) :], end + body.end(), _CHUNK
    return (end, content) if content else None


def _ascii(text: Union[str, bytes]) -> bytes:
    """A byte for each character; what is none of ASCII is no digit."""
    return text.encode("ascii", "replace") if isinstance(text, str) else text


def _end(chunk: bytes, digits: int) -> int:
    """The place behind so many digits and the padding."""
    end = 0
    while digits > 0:
        gap = _NOT_DIGITS.match(chunk, end)
        end, digits = (gap.end(), digits) if gap else (end + 1, digits - 1)
    while chunk.startswith(b"=", end):
        end += 1
    return end
