"""Encode secrets as text, as an operator writes them, and compare them with the values that a flow gets."""

from __future__ import annotations

import json
from typing import Any, Mapping

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import SECRETS_PREFIX

#: The end of a warning about keys that are not text.
TEXT_KEYS = "JSON has text keys only: write the keys as text"


class exact(str):  # noqa: N801 - used as a function
    """A text that a flow gets as exactly this text, on every version of Prefect.

    Prefect turns the secret ``4711`` into a number and ``{"a": 1}`` into a table. With ``exact("4711")`` as the value
    of a marker or of ``local_secrets``, the text is written with the quotes and escapes that this version needs.

    Args:
        value: the text.

    Raises:
        UsageError: the value is not text.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> exact:  # noqa: PYI034 - `Self` needs Python 3.11
        """Check the value."""
        __tracebackhide__ = True
        checked: object = value
        if not isinstance(checked, str):
            kind = type(checked).__name__
            raise UsageError(f"exact() takes text, not {kind}: write exact(str(value)), or omit exact()")
        return super().__new__(cls, value)

    def __repr__(self) -> str:
        return f"exact({super().__repr__()})"


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
    """Return whether a flow gets the value of the test with the same type. JSON turns keys into text."""
    if not has_text_keys(value):
        return False
    try:
        return json.dumps(to_builtin(result), sort_keys=True) == json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return False


def has_text_keys(value: Any) -> bool:
    """Return whether all keys of a value, in any depth, are text."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and has_text_keys(element) for key, element in value.items())
    return not isinstance(value, (list, tuple)) or all(map(has_text_keys, value))


def is_document(text: Any) -> bool:
    """Return whether a text looks like a JSON object or array."""
    return isinstance(text, str) and text.lstrip()[:1] in ("{", "[")
