"""Rules about values: one small function each, by the cause of the surprise.

Rules of one group exclude each other, and the first that applies is taken: the special case stands before the general
one. Messages tell types and lengths, never a value.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, NamedTuple, Optional

from pytest_flowsecrets.resolution.advice import Finding, Reading, Rule, versions_of
from pytest_flowsecrets.resolution.layers import type_name
from pytest_flowsecrets.resolution.spellings import escaped, shielded, spelling_of
from pytest_flowsecrets.resolution.values import DECODED, FILLED, TAKEN

_NAME = re.compile(r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})", re.ASCII)
_REFERENCE = re.compile(r"\$\{[^${}\n][^${}]*\}")


class ValueRule(NamedTuple):
    """A rule about values.

    Attributes:
        id: ``FS020``.
        group: rules of one group exclude each other.
        severity: ``error``, ``warning`` or ``note``.
        applies: gives the message, or None.
        advice: said where no spelling was found.
    """

    id: str
    group: str
    severity: str
    applies: Rule
    advice: str


def value_findings(reading: Reading) -> List[Finding]:
    """Apply all rules about values to one text.

    Args:
        reading: the text, and what becomes of it.
    """
    found: Dict[str, Finding] = {}
    for rule in VALUE_RULES:
        if rule.group in found:
            continue
        message = rule.applies(reading)
        if message is not None:
            found[rule.group] = _finding(rule, reading, message)
    return list(found.values())


def _finding(rule: ValueRule, reading: Reading, message: str) -> Finding:
    changed = (reading.value != reading.text or rule.group == "variable") and rule.severity != "note"
    label, text = (spelling_of(reading) if changed else None) or ("", None)
    place = "the TOML string's text" if reading.from_file else "the variable's text"
    advice = f"for the text as it stands, make {place} {label}" if label else rule.advice
    if changed and not label:
        advice = f"{advice}; no other spelling gives this text in Prefect {reading.around.dialect.version}"
    versions = versions_of(reading, lambda other: rule.applies(other) is not None)
    return Finding(rule.id, rule.severity, reading.name, reading.slot.origin, message, versions, advice, text)


def _becomes(reading: Reading) -> str:
    return f"a text of {len(reading.text)} characters becomes {type_name(reading.value)}"


def crash_typed_twice(reading: Reading) -> Optional[str]:
    """A variable whose expansion took two rounds is typed there, and typing it again crashes."""
    error = reading.outcome.error
    if error is None or not error.message.endswith("object has no attribute 'upper'") or "NoneType" in error.message:
        return None
    return "a variable that leads to a variable that looks like a number or a boolean: import prefect fails"


def endless(reading: Reading) -> Optional[str]:
    """Expansion that does not end within ten rounds."""
    error = reading.outcome.error
    if error is not None and "'NoneType' object has no attribute 'upper'" in error.message:
        return "the variables that it names lead back to themselves: import prefect fails"
    if reading.value is None and any(after is None and "expanded" in what for what, _, after in reading.slot.steps):
        return "the variables that it names lead back to themselves: the secret is None"
    return None


def broken_escape(reading: Reading) -> Optional[str]:
    """Up to 0.13.14 a backslash in a variable starts an escape."""
    error = reading.outcome.error
    decoding = reading.around.dialect.unicode_escape and not reading.from_file and not reading.slot.steps
    if decoding and error is not None and error.type in ("UnicodeDecodeError", "UnicodeEncodeError"):
        return f"the text cannot be decoded ({error.type}): import prefect fails"
    return None


def get_fails(reading: Reading) -> Optional[str]:
    """Errors out of ``Secret.get`` itself."""
    error = reading.outcome.error
    return None if error is None else f"Secret.get() or import prefect fails with {error.type}"


def backslash(reading: Reading) -> Optional[str]:
    r"""``a\nb`` in a variable becomes two lines up to 0.13.14."""
    if reading.took(DECODED) and "\\" in reading.text and not escaped(reading):
        return "a backslash in a variable is read as an escape"
    return None


def mojibake(reading: Reading) -> Optional[str]:
    """Up to 0.13.14 a variable's UTF-8 bytes are read as Latin-1."""
    if reading.took(DECODED) and not reading.text.isascii():
        return "characters beyond ASCII in a variable are mangled"
    return None


def variable_expanded(reading: Reading) -> Optional[str]:
    """``$NAME`` of a variable that is set."""
    names = [found.strip("${}") for found in _NAME.findall(reading.text)]
    if any(name in reading.around.environ for name in names):
        return "$name in it is replaced by the value of that variable, which is set"
    plain = any(f"${{{name}}}" not in reading.text for name in names)
    return "$name in it is replaced wherever a variable of that name is set" if plain else None


def reference(reading: Reading) -> Optional[str]:
    """``${...}`` is looked up in the configuration, and removed if it is not there."""
    if reading.took(TAKEN, FILLED):
        return "${...} is looked up in the configuration, and removed if there is no such key"
    inside = isinstance(reading.value, (dict, list)) and _REFERENCE.search(reading.text)
    return (
        "${...} inside of a literal stays, but is removed as soon as the text is no Python literal" if inside else None
    )


def home(reading: Reading) -> Optional[str]:
    """A leading ``~`` is a home directory."""
    expands = reading.text.startswith("~") and any("expanded" in what for what, _, _ in reading.slot.steps)
    return "a leading ~ is replaced by a home directory" if expands else None


def zeros(reading: Reading) -> Optional[str]:
    """``0000`` becomes 0."""
    if isinstance(reading.value, int) and re.fullmatch(r"0{2,}", reading.text.strip()):
        return f"all zeros: {_becomes(reading)}, and the length is lost"
    return None


def phone(reading: Reading) -> Optional[str]:
    """``+15551234567`` becomes an int."""
    if _is_number(reading.value) and reading.text.strip().startswith("+"):
        return f"a leading + (a phone number?): {_becomes(reading)}, and the + is lost"
    return None


def hexadecimal(reading: Reading) -> Optional[str]:
    """``1234567e8`` becomes a float."""
    if isinstance(reading.value, float) and re.fullmatch(r"\d+[eE]\d+", reading.text.strip()):
        return f"digits with one e (a hexadecimal token?): {_becomes(reading)}"
    return None


def not_finite(reading: Reading) -> Optional[str]:
    """``nan``, ``NaN``, ``Infinity``."""
    if isinstance(reading.value, float) and reading.text.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return f"the name of a number that is none: {_becomes(reading)}"
    return None


def boolean(reading: Reading) -> Optional[str]:
    """``true`` becomes True."""
    return _becomes(reading) if isinstance(reading.value, bool) else None


def nothing(reading: Reading) -> Optional[str]:
    """``None`` and ``null`` become None."""
    is_none = reading.outcome.kind == "value" and reading.value is None and not endless(reading)
    return f"{_becomes(reading)}: the secret looks as if it were missing" if is_none else None


def number(reading: Reading) -> Optional[str]:
    """Any other number."""
    return _becomes(reading) if _is_number(reading.value) else None


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
    return f"a Python literal: {_becomes(reading)}" if isinstance(reading.value, odd) else None


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
    return f"Python syntax: {_becomes(reading)}, which no release before 0.11.0 does"


def trailing_newline(reading: Reading) -> Optional[str]:
    """A newline at the end, mostly out of a file or a pipe."""
    if isinstance(reading.value, str) and reading.value == reading.text and reading.text.endswith(("\n", "\r")):
        return "ends with a newline, which stays part of the secret"
    return None


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


_QUOTE = "let whoever uses it call str(), or write it in another way"
_NO_ESCAPE = "no $name and no leading ~ can be escaped in the configuration itself: choose another secret"
_ESCAPE = "double each backslash, or put the secret into config.toml"
_RENAME = "choose another value"
# fmt: off
VALUE_RULES = (
    ValueRule("FS040", "failure", "error", crash_typed_twice, "give the value itself"),
    ValueRule("FS041", "failure", "error", endless, "give the value itself"),
    ValueRule("FS042", "failure", "error", broken_escape, _ESCAPE),
    ValueRule("FS043", "failure", "error", get_fails, _RENAME),
    ValueRule("FS030", "variable", "warning", variable_expanded, _NO_ESCAPE),
    ValueRule("FS031", "reference", "error", reference, _NO_ESCAPE),
    ValueRule("FS032", "home", "error", home, _NO_ESCAPE),
    ValueRule("FS033", "escape", "error", backslash, _ESCAPE),
    ValueRule("FS034", "ascii", "error", mojibake, "put the secret into config.toml"),
    ValueRule("FS021", "type", "error", zeros, _QUOTE),
    ValueRule("FS022", "type", "error", phone, _QUOTE),
    ValueRule("FS023", "type", "error", hexadecimal, _QUOTE),
    ValueRule("FS024", "type", "warning", boolean, _QUOTE),
    ValueRule("FS025", "type", "error", nothing, _RENAME),
    ValueRule("FS026", "type", "warning", not_finite, _QUOTE),
    ValueRule("FS020", "type", "warning", number, _QUOTE),
    ValueRule("FS027", "type", "error", quotes, _QUOTE),
    ValueRule("FS028", "type", "error", python_only, _QUOTE),
    ValueRule("FS029", "type", "note", json_text, "for a dict there too, write True, False and None"),
    ValueRule("FS035", "type", "warning", structure, "write JSON"),
    ValueRule("FS036", "newline", "warning", trailing_newline, "take the newline away, as printf and `tr -d '\\n'` do"),
)
# fmt: on
