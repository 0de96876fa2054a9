"""Secrets as text, as an operator would write them, and the comparison with what a flow gets."""

from __future__ import annotations

import json
from typing import Any, Mapping, Sequence

from pytest_flowsecrets.errors import UsageError


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


def same(value: Any, result: Any) -> bool:
    """Whether a flow gets the value of a test, text or JSON data, in value and type."""
    try:
        return json.dumps(plain(result), sort_keys=True) == json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return False


def is_document(text: Any) -> bool:
    """Whether a text is meant as a JSON object or array."""
    return isinstance(text, str) and text.lstrip()[:1] in ("{", "[")
