"""Rules about types: a text that comes out as a number, a boolean, a table, or without its quotes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Optional

from pytest_flowsecrets.findings.quoting import shielded
from pytest_flowsecrets.resolution.layers import type_name
from pytest_flowsecrets.resolution.loader.interpolate import DECODED, FILLED, TAKEN

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Reading


def becomes(reading: Reading) -> str:
    """Tell what a text becomes.

    Args:
        reading: the text.
    """
    return f"a text of {len(reading.text)} characters becomes {type_name(reading.value)}"


def zeros(reading: Reading) -> Optional[str]:
    """``0000`` becomes 0."""
    if isinstance(reading.value, int) and re.fullmatch(r"0{2,}", reading.text.strip()):
        return f"all zeros: {becomes(reading)}, and the length is lost"
    return None


def phone(reading: Reading) -> Optional[str]:
    """``+15551234567`` becomes an int."""
    if _is_number(reading.value) and reading.text.strip().startswith("+"):
        return f"a leading + (a phone number?): {becomes(reading)}, and the + is lost"
    return None


def hexadecimal(reading: Reading) -> Optional[str]:
    """``1234567e8`` becomes a float."""
    if isinstance(reading.value, float) and re.fullmatch(r"\d+[eE]\d+", reading.text.strip()):
        return f"digits with one e (a hexadecimal token?): {becomes(reading)}"
    return None


def not_finite(reading: Reading) -> Optional[str]:
    """``nan``, ``NaN``, ``Infinity``."""
    if isinstance(reading.value, float) and reading.text.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return f"the name of a number that is none: {becomes(reading)}"
    return None


def boolean(reading: Reading) -> Optional[str]:
    """``true`` becomes True."""
    return becomes(reading) if isinstance(reading.value, bool) else None


def number(reading: Reading) -> Optional[str]:
    """Any other number."""
    return becomes(reading) if _is_number(reading.value) else None


def quotes(reading: Reading) -> Optional[str]:
    """``"word"`` loses its quotes."""
    if not isinstance(reading.value, str) or reading.value == reading.text or not _untouched(reading):
        return None
    if shielded(reading):
        return None
    return f"a text of {len(reading.text)} characters loses its quotes or escapes: {len(reading.value)} are left"


def python_only(reading: Reading) -> Optional[str]:
    """``(1, 2)``, ``{1}``, ``b'x'``, ``5j``, ``...``."""
    odd = (tuple, set, frozenset, bytes, complex, type(...))
    return f"a Python literal: {becomes(reading)}" if isinstance(reading.value, odd) else None


def json_text(reading: Reading) -> Optional[str]:
    """JSON with true, false or null is no Python literal: the raw context holds a text, ``Secret.get`` a dict."""
    dialect = reading.around.dialect
    structured = isinstance(reading.value, (dict, list)) and isinstance(reading.outcome.stored, str)
    would_be_typed = dialect.typing == "literal" and (dialect.types_files or not reading.from_file)
    if not structured or not would_be_typed or reading.took("typed"):
        return None
    return "JSON with true, false or null: Secret.get() decodes it, but who reads prefect.context.secrets gets a text"


def structure(reading: Reading) -> Optional[str]:
    """A Python dict or list that is no JSON."""
    if not isinstance(reading.value, (dict, list)) or _is_json(reading.text):
        return None
    return f"Python syntax: {becomes(reading)}, which no release before 0.11.0 does"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _untouched(reading: Reading) -> bool:
    return not reading.took(DECODED, TAKEN, FILLED) and not any("expanded" in what for what, _, _ in reading.slot.steps)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
