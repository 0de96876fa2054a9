"""Extract the texts of a request, each with its path."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any, Iterator, Mapping, Tuple

TextAt = Tuple[str, str]  # the path of a text, and the text

_MAX_DECOMPRESSED = 64 * 1024 * 1024  # bytes of one compressed text that are searched
_MAX_DEPTH = 50


def texts_in(path: str, headers: Mapping[str, str], body: bytes) -> Iterator[TextAt]:
    """Yield the URL path, the headers, and all names and texts of the body, including nested JSON and packed flows."""
    yield "path", path
    for name, value in headers.items():
        if name != "authorization":  # the key itself
            yield f"header {name}", value
    text = body.decode("utf-8", "replace")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        yield "body", text
    else:
        yield from _texts_of(content, "", 0)


def _texts_of(value: Any, path: str, depth: int) -> Iterator[TextAt]:
    if depth > _MAX_DEPTH:
        yield path, json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"a name in {path or 'the body'}", key
            yield from _texts_of(inner, f"{path}.{key}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts_of(inner, f"{path}[{number}]", depth + 1)
    elif isinstance(value, str):
        yield path, value
        yield from _encoded_texts(value, path, depth)
    elif value is not None:
        yield path, json.dumps(value)


def _encoded_texts(text: str, path: str, depth: int) -> Iterator[TextAt]:
    """Yield the texts of JSON in a text, such as ``variables``, and of a compressed text, such as a flow."""
    if text[:1] in ("{", "[", '"'):
        try:
            yield from _texts_of(json.loads(text), path, depth + 1)
        except (ValueError, RecursionError):
            return
    elif text.startswith(("H4sI", "eJ", "eN", "eA")):  # gzip and zlib in base64
        decompressed = _decompress(text)
        if decompressed:
            yield path, decompressed
            yield from _encoded_texts(decompressed, path, depth + 1)


def _decompress(text: str) -> str:
    try:
        data = base64.b64decode(text)
        decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # detects gzip and zlib
        return decompressor.decompress(data, _MAX_DECOMPRESSED).decode("utf-8", "replace")
    except (binascii.Error, ValueError, zlib.error):
        return ""
