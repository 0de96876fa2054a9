"""How the operator would have to write a value so that the flow gets exactly that value.

The surprises (typing, expansion, escapes, JSON decoding) differ from version to version, so nothing is assumed: each
way of writing is tried on the real Prefect.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from pytest_flowsecrets.errors import UsageError


def _doubled(write: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: write(value).replace("\\", "\\\\")


_WAYS: Dict[str, Callable[[Any], str]] = {
    "json.dumps(value)": json.dumps,
    "repr(json.dumps(value))": lambda value: repr(json.dumps(value)),
    "repr(repr(json.dumps(value)))": lambda value: repr(repr(json.dumps(value))),
}
# Up to 0.13.14 a variable's backslashes are escapes.
_WAYS.update({f"{way}.replace('\\\\', '\\\\\\\\')": _doubled(write) for way, write in list(_WAYS.items())})


def as_text(name: str, value: Any) -> str:
    """A secret as the operator would write it: text as it is, anything else as JSON.

    Raises:
        UsageError: the value is neither text nor JSON data.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise UsageError(
            f"secret {name!r}: a value is text or JSON data (number, bool, None, list, dict with text keys), "
            f"not {type(value).__name__}"
        ) from None


def plain(value: Any) -> Any:
    """A value with Prefect's tables and lists turned into Python's."""
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(element) for element in value]
    return value


def same(given: Any, got: Any) -> bool:
    """Whether the flow gets what the test gave, in value and JSON type; a text may be given in a quoted way."""
    if isinstance(given, str):
        return isinstance(got, str) and (given == got or any(given == write(got) for write in _WAYS.values()))
    try:
        return json.dumps(plain(got), sort_keys=True) == json.dumps(given, sort_keys=True)
    except (TypeError, ValueError):
        return False


def is_document(text: Any) -> bool:
    """Whether a text is meant as a JSON object or array."""
    return isinstance(text, str) and text.lstrip()[:1] in ("{", "[")


def right_way(value: Any, get: Callable[[str], Any]) -> Optional[str]:
    """A Python expression of ``value`` that is to be given instead, or None where no known way gives it back.

    Args:
        value: what the flow should get.
        get: gives, for a text, what the flow would get if the secret was written so; may raise.
    """
    for way, write in _WAYS.items():
        try:
            got = get(write(value))
        except Exception:  # noqa: BLE001, S112 - a way that Prefect refuses is no way
            continue
        if type(got) is type(value) and plain(got) == value:
            return way
    return None
