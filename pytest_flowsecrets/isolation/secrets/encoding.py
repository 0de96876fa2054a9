"""Encode secrets as text, as an operator writes them, and compare them with the values that a flow gets."""

from __future__ import annotations

import json
from typing import Any, Mapping

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import SECRETS_PREFIX


def validate_name(name: object) -> str:
    """Return the name of a secret if it is valid.

    Args:
        name: the name that the test uses.

    Raises:
        UsageError: the name is not text, is empty, or is the name of a variable.
    """
    if not isinstance(name, str):
        raise UsageError(f"the name of a secret must be text, not {type(name).__name__}")
    if not name:
        raise UsageError("the name of a secret is empty: use the name that the flow asks for")
    if name.startswith(SECRETS_PREFIX):
        secret = name[len(SECRETS_PREFIX) :]
        raise UsageError(f"{name!r} is the name of a variable: use the name of the secret, {secret!r}")
    return name


def as_text(name: str, value: Any) -> str:
    """Return a secret as an operator writes it: text unchanged, anything else as JSON.

    Raises:
        UsageError: the value is neither text nor JSON data.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise UsageError(
            f"secret {name!r}: the value must be text or JSON data (number, bool, None, list, dict with text keys), "
            f"not {type(value).__name__}"
        ) from None


def to_builtin(value: Any) -> Any:
    """Convert Prefect's tables and lists to the built-in types of Python."""
    if isinstance(value, Mapping):
        return {key: to_builtin(value[key]) for key in value}
    if isinstance(value, tuple):
        return tuple(to_builtin(element) for element in value)
    return [to_builtin(element) for element in value] if isinstance(value, list) else value


def is_unchanged(value: Any, result: Any) -> bool:
    """Return whether a flow gets the value of the test with the same type."""
    try:
        return json.dumps(to_builtin(result), sort_keys=True) == json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return False


def is_document(text: Any) -> bool:
    """Return whether a text looks like a JSON object or array."""
    return isinstance(text, str) and text.lstrip()[:1] in ("{", "[")
