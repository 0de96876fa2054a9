"""The forms in which a secret's value is looked for in what an API was sent."""

from __future__ import annotations

import base64
import html
import json
from typing import Any, Callable, Iterator, List
from urllib.parse import quote, quote_plus

_SHORT = 6  # characters; what is shorter stands in any text, so it has to be the whole text
_LONG = 20_000  # characters; of what is longer, only the forms that a whole text has in JSON are looked for
_LEAF = 8  # characters; a shorter text within a table or list is no secret by itself


def forms_of(value: Any) -> List[str]:
    """Every form, each once: as it is, as JSON, escaped, quoted for URLs and HTML, in base64 at any offset, in hex."""
    return list(dict.fromkeys(form for text in _texts(value) for form in _forms(text)))


def finder(forms: List[str]) -> Callable[[str], bool]:
    """Whether a text holds one of the forms; a short one has to be the whole text."""
    short = {form for form in forms if len(form) < _SHORT}
    long = [form for form in forms if len(form) >= _SHORT]
    return lambda text: text in short or any(form in text for form in long)


def any_of(finders: List[Callable[[str], bool]]) -> Callable[[str], bool]:
    """Whether one of several finds something in a text."""
    return lambda text: any(finds(text) for finds in finders)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        return
    for separators in ((", ", ": "), (",", ":")):
        yield json.dumps(value, separators=separators)
        yield json.dumps(value, separators=separators, ensure_ascii=False)
    yield repr(value)
    yield from (leaf for leaf in _leaves(value) if len(leaf) >= _LEAF)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)


def _forms(text: str) -> Iterator[str]:
    data = text.encode("utf-8", "surrogatepass")
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    if not _SHORT <= len(text) <= _LONG:
        return
    yield repr(text)[1:-1]
    yield html.escape(text)
    yield quote(data, safe="")
    yield quote(data)
    yield quote_plus(data)
    yield data.hex()
    yield data.hex().upper()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + data).decode()
        inner = encoded[-(-8 * offset // 6) : 8 * (offset + len(data)) // 6]  # what no neighbour changes
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
