"""Compressed payloads inside a text: gzip or zlib in base64, as Prefect's clients send flows."""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from typing import Iterator, Tuple

# gzip; zlib of level 6; of 0 and 1, 2 to 5, and 7 to 9, where the third digit tells two bits of what follows too. Each
# beginning costs a pass over the text, so the third digits are looked at apart.
_BEGINNINGS = {"H4sI": "", "eJ": "wxyz", "eA": "EFGH", "eF": "4567", "eN": "opqr"}
_BODY = re.compile(r"(?:[A-Za-z0-9+/_-]+(?:\\[rn]|[ \t]*\r?\n[ \t]*)*){1,20000}={0,2}")
_NOT_DIGITS = re.compile(r"\\[rn]|[\s=]+")
_SMALLEST, _PROBE, _LARGEST = 24, 120, 16_000_000  # digits; digits tried first; bytes of what comes out
_GZIP_OR_ZLIB = 47


def payloads(text: str) -> Iterator[Tuple[int, int, bytes]]:
    """Where each payload begins and ends, and what is in it, as far as it can be read."""
    for beginning, digits_after in _BEGINNINGS.items():
        at = text.find(beginning)
        while at >= 0:
            end = at + len(beginning)
            fits = not digits_after or text[end : end + 1] in digits_after
            if fits and _content(text[at : at + _PROBE])[0]:  # most that begins so is no payload, and may be long
                body = _BODY.match(text, at)
                content, digits = _content(body.group() if body else "")
                end = _end(text, at, digits)
                yield at, end, content
            at = text.find(beginning, end)


def _content(text: str) -> Tuple[bytes, int]:
    """What a text in base64 unpacks to, and how many digits of it that took."""
    found = _BODY.match(text)
    digits = _NOT_DIGITS.sub("", found.group() if found else "").replace("-", "+").replace("_", "/")
    if len(digits) % 4 == 1:  # the text behind it may look like digits too
        digits = digits[:-1]
    unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        data = b64decode(digits + "=" * (-len(digits) % 4)) if len(digits) >= _SMALLEST else b""
        content = unpack.decompress(data, _LARGEST)
    except (ValueError, zlib.error):
        return b"", 0
    return content, -(-4 * (len(data) - len(unpack.unused_data)) // 3)


def _end(text: str, start: int, digits: int) -> int:
    """The place behind so many digits and the padding."""
    end = start
    while digits > 0:
        gap = _NOT_DIGITS.match(text, end)
        end, digits = (gap.end(), digits) if gap else (end + 1, digits - 1)
    while text.startswith("=", end):
        end += 1
    return end
