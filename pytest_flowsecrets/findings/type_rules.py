"""Rules about types: a string that is read as a number, a boolean or a table, or that loses its quotes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Optional

from pytest_flowsecrets.findings.quoting import quotes_needed
from pytest_flowsecrets.resolution.layers import type_name
from pytest_flowsecrets.resolution.loader.interpolate import DECODED, FILLED, TAKEN

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.readings import Reading


def type_change(reading: Reading) -> str:
    """Describe the type that a text is read as.

    Args:
        reading: the text.
    """
    return f"a string of {len(reading.text)} characters is read as {type_name(reading.value)}"


def zeros(reading: Reading) -> Optional[str]:
    """Report ``0000``, which becomes 0."""
    if isinstance(reading.value, int) and re.fullmatch(r"0{2,}", reading.text.strip()):
        return f"all zeros: {type_change(reading)}, and its length is lost"
    return None


def phone(reading: Reading) -> Optional[str]:
    """Report ``+15551234567``, which becomes an int."""
    if _is_number(reading.value) and reading.text.strip().startswith("+"):
        return f"a leading + (a phone number?): {type_change(reading)}, and the + is lost"
    return None


def hexadecimal(reading: Reading) -> Optional[str]:
    """Report ``1234567e8``, which becomes a float."""
    if isinstance(reading.value, float) and re.fullmatch(r"\d+[eE]\d+", reading.text.strip()):
        return f"digits with one e (a hexadecimal token?): {type_change(reading)}"
    return None


def not_finite(reading: Reading) -> Optional[str]:
    """Report ``nan``, ``NaN`` and ``Infinity``."""
    if isinstance(reading.value, float) and reading.text.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return f"the name of a special number: {type_change(reading)}"
    return None


def boolean(reading: Reading) -> Optional[str]:
    """Report ``true``, which becomes True."""
    return type_change(reading) if isinstance(reading.value, bool) else None


def number(reading: Reading) -> Optional[str]:
    """Report any other number."""
    return type_change(reading) if _is_number(reading.value) else None


def quotes(reading: Reading) -> Optional[str]:
    """Report ``"word"``, which loses its quotes."""
    if not isinstance(reading.value, str) or reading.value == reading.text or not _untouched(reading):
        return None
    if quotes_needed(reading):
        return None
    return f"a string of {len(reading.text)} characters loses its quotes or escapes: {len(reading.value)} remain"


def python_only(reading: Reading) -> Optional[str]:
    """Report ``(1, 2)``, ``{1}``, ``b'x'``, ``5j`` and ``...``."""
    types = (tuple, set, frozenset, bytes, complex, type(...))
    return f"a Python literal: {type_change(reading)}" if isinstance(reading.value, types) else None


def json_text(reading: Reading) -> Optional[str]:
    """Report JSON with true, false or null, which Python cannot read: only ``Secret.get`` returns a dict for it."""
    dialect = reading.context.dialect
    structured = isinstance(reading.value, (dict, list)) and isinstance(reading.outcome.stored, str)
    would_be_typed = dialect.typing == "literal" and (dialect.types_files or not reading.from_file)
    if not structured or not would_be_typed or reading.has_step("typed"):
        return None
    return "JSON with true, false or null: Secret.get() decodes it, but prefect.context.secrets holds the string"


def structure(reading: Reading) -> Optional[str]:
    """Report a Python dict or list that is not JSON."""
    if not isinstance(reading.value, (dict, list)) or _is_json(reading.text):
        return None
    return f"Python syntax: {type_change(reading)}, but not before Prefect 0.11.0"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _untouched(reading: Reading) -> bool:
    return not reading.has_step(DECODED, TAKEN, FILLED) and not any(
        "expanded" in what for what, _, _ in reading.slot.steps
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
