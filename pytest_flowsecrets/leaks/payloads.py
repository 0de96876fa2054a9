"""Compressed payloads inside a text: gzip or zlib in base64, as Prefect's clients send flows."""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from typing import Iterator, Tuple

_BEGINNINGS = "H4sI", "eJw", "eJx", "eJy", "eJz", "eAE", "eNo", "eF4"  # gzip; zlib of levels 6, 1, 9 and 2 to 5
_BODY = re.compile(r"(?:[A-Za-z0-9+/_-]+(?:\\[rn]|\s)*){1,20000}={0,2}")
_SMALLEST, _PROBE, _LARGEST = 24, 120, 16_000_000  # digits; digits tried first; bytes of what comes out
_GZIP_OR_ZLIB = 47


def payloads(text: str) -> Iterator[Tuple[int, int, bytes]]:
    """Where each payload begins and ends, and what is in it, as far as it can be read."""
    for beginning in _BEGINNINGS:
        at = text.find(beginning)
        while at >= 0:
            end = at + len(beginning)
            if _content(text[at : at + _PROBE]):  # most that begins so is no payload, and may be long
                body = _BODY.match(text, at)
                if body:
                    end = body.end()
                    yield at, end, _content(body.group())
            at = text.find(beginning, end)


def _content(body: str) -> bytes:
    found = _BODY.match(body)
    digits = re.sub(r"\\[rn]|\s|=", "", found.group() if found else "").replace("-", "+").replace("_", "/")
    if len(digits) < _SMALLEST:
        return b""
    try:
        data = b64decode(digits[: len(digits) & -4])
        return zlib.decompressobj(_GZIP_OR_ZLIB).decompress(data, _LARGEST)
    except (ValueError, zlib.error):
        return b""
