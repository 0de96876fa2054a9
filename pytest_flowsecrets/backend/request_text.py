"""A request taken apart into the texts that it holds, each with the way to it."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any, Iterator, Mapping, Tuple

Piece = Tuple[str, str]  # the way to a text, and the text

_UNPACKED = 64 * 1024 * 1024  # of one compressed text; what is longer is looked at up to there
_DEPTH = 50


def pieces(path: str, headers: Mapping[str, str], body: bytes) -> Iterator[Piece]:
    """Every text in a request: path, headers, and the names and texts of its body, JSON and flows inside them too."""
    yield "path", path
    for name, value in headers.items():
        if name != "authorization":  # the key itself
            yield f"header {name}", value
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        yield "body", text
    else:
        yield from _inside(found, "", 0)


def _inside(value: Any, way: str, depth: int) -> Iterator[Piece]:
    if depth > _DEPTH:
        yield way, json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"a name in {way or 'the body'}", key
            yield from _inside(inner, f"{way}.{key}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _inside(inner, f"{way}[{number}]", depth + 1)
    elif isinstance(value, str):
        yield way, value
        yield from _packed(value, way, depth)
    elif value is not None:
        yield way, json.dumps(value)


def _packed(text: str, way: str, depth: int) -> Iterator[Piece]:
    """JSON in a text, as ``variables`` are, and what is compressed, as flows are."""
    if text[:1] in ("{", "[", '"'):
        try:
            yield from _inside(json.loads(text), way, depth + 1)
        except (ValueError, RecursionError):
            return
    elif text.startswith(("H4sI", "eJ", "eN", "eA")):  # gzip and zlib in base64
        unpacked = _unpacked(text)
        if unpacked:
            yield way, unpacked
            yield from _packed(unpacked, way, depth + 1)


def _unpacked(text: str) -> str:
    try:
        packed = base64.b64decode(text)
        unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either of the two
        return unpack.decompress(packed, _UNPACKED).decode("utf-8", "replace")
    except (binascii.Error, ValueError, zlib.error):
        return ""
