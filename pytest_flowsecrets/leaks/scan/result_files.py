"""The layers of a result that Prefect 2.20 or 3 stored: base64 around a compressed or pickled value, often inside JSON.

The search for leaks decodes one level of base64. A value that was in base64 before it was pickled needs a second one.
"""

from __future__ import annotations

import base64
import json
from typing import Iterator, Optional

_FIELDS = "result", "data"  # of a ``ResultRecord`` of Prefect 3, and of a ``PersistedResultBlob`` of Prefect 2
_MAX_LAYERS = 6  # base64, compression, base64, and as many for a serializer of the user
_MODULES = {b"\x1f\x8b": "gzip", b"\x78": "zlib", b"BZh": "bz2", b"\xfd7zXZ": "lzma"}


def layers_of(data: bytes) -> Iterator[bytes]:
    """Yield what a result file contains, decoded once more each time. A result that is not encoded has no layers."""
    layer: Optional[bytes] = _serialized(data)
    for _ in range(_MAX_LAYERS):
        layer = _decoded(layer) if layer else None
        if not layer:
            return
        yield layer


def _serialized(data: bytes) -> bytes:
    """Return the serialized value in a result file. Some releases keep what describes it in another file."""
    try:
        record = json.loads(data)
    except ValueError:
        return data
    fields = [record[name] for name in _FIELDS if isinstance(record.get(name), str)] if isinstance(record, dict) else []
    return fields[0].encode() if fields else data


def _decoded(data: bytes) -> Optional[bytes]:
    """Return data decompressed or decoded from base64, or None if they are neither."""
    from importlib import import_module

    module = next((name for magic, name in _MODULES.items() if data.startswith(magic)), None)
    try:
        if module is not None:
            decompressed: bytes = import_module(module).decompress(data)
            return decompressed
        return base64.b64decode(b"".join(data.split()), validate=True)
    except Exception:  # noqa: BLE001 - each module has its own errors
        return None
