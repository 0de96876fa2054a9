"""Rules about values: one small function for each cause.

The rules of a group exclude each other, and the first one that applies wins, so special cases come before general
ones. Messages contain types and lengths, never a value.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Dict, List, NamedTuple, Optional, Tuple, cast

from pytest_flowsecrets.findings.model import Finding
from pytest_flowsecrets.findings.quoting import escapes_needed, find_spelling
from pytest_flowsecrets.findings.readings import Check, Reading, versions_of
from pytest_flowsecrets.findings.rules import RULES
from pytest_flowsecrets.findings.type_rules import (
    boolean,
    hexadecimal,
    json_text,
    not_finite,
    number,
    phone,
    python_only,
    quotes,
    structure,
    type_change,
    zeros,
)
from pytest_flowsecrets.resolution.layers import Notation, type_name
from pytest_flowsecrets.resolution.line_syntax import describe_line, shell_line, toml_line
from pytest_flowsecrets.resolution.loader.interpolate import DECODED, FILLED, NO_KEY, TAKEN, is_reference

_NAME = re.compile(r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})", re.ASCII)
_REFERENCE = re.compile(r"\$\{[^${}\n][^${}]*\}")


#: Secrets that Prefect itself reads as tables: the credentials of boto3 and of Google.
TABLES = ("AWS_CREDENTIALS", "GCP_CREDENTIALS")


class ValueRule(NamedTuple):
    """A rule about values.

    Attributes:
        id: the id, such as ``FS020``.
        group: the name of a group of rules that exclude each other.
        applies: a function that returns the message, or None if the rule does not apply.
        advice: the advice if there is no spelling to suggest.
    """

    id: str
    group: str
    applies: Check
    advice: str


def value_findings(reading: Reading) -> List[Finding]:
    """Apply all rules about values to one text.

    Args:
        reading: the text and the value that a flow gets for it.
    """
    by_group: Dict[str, Finding] = {}
    for rule in VALUE_RULES:
        if rule.group in by_group:
            continue
        message = rule.applies(reading)
        if message is not None:
            by_group[rule.group] = _finding(rule, reading, message)
    return list(by_group.values())


def _finding(rule: ValueRule, reading: Reading, message: str) -> Finding:
    advice, spelling, line = _advice(rule, reading)
    versions = versions_of(reading, lambda other: rule.applies(other) is not None)
    origin = reading.slot.origin
    return Finding(rule.id, RULES[rule.id].severity, reading.name, origin, message, versions, advice, spelling, line)


def _advice(rule: ValueRule, reading: Reading) -> Tuple[str, Optional[str], Optional[str]]:
    """Return the advice, the text to write and the line that writes it; the last two may be None."""
    if rule.group == "table":
        return (_TOML_TABLE.format(reading.name) if reading.from_file else rule.advice), None, None
    if _is_only_reference(reading):
        return "set the variable, or correct the value of the variable or key that it names", None, None
    if RULES[rule.id].severity == "note" or (reading.value == reading.text and rule.group != "variable"):
        return rule.advice, None, None
    spelling, notation = find_spelling(reading), _notation(reading)
    if spelling is None:
        version = reading.context.dialect.version
        return f"{rule.advice}; no other spelling gives this value in Prefect {version}", None, None
    how = describe_line(spelling, reading.text, notation) or f"write {spelling.label}"
    return f"to get the value as written, {how}", spelling.text, notation(spelling.text)


def _notation(reading: Reading) -> Notation:
    """Return the function that writes another text in the place of this one."""
    if reading.from_file:
        return partial(toml_line, str(reading.slot.key[-1]))
    variable = reading.slot.origin.place
    notations = getattr(reading.context.environ, "notations", {})
    return cast("Notation", notations.get(variable) or partial(shell_line, variable))


def crash_typed_twice(reading: Reading) -> Optional[str]:
    """Report a variable that needs two rounds of expansion: the second conversion of its value crashes."""
    error = reading.outcome.error
    if error is None or not error.message.endswith("object has no attribute 'upper'") or "NoneType" in error.message:
        return None
    return "refers to a variable that refers to a value like a number or a boolean: import prefect fails"


def endless(reading: Reading) -> Optional[str]:
    """Report expansion that does not end within ten rounds."""
    error = reading.outcome.error
    if error is not None and "'NoneType' object has no attribute 'upper'" in error.message:
        return "the variables that it names refer back to themselves: import prefect fails"
    if reading.value is None and any(after is None and "expanded" in what for what, _, after in reading.slot.steps):
        return "the variables that it names refer back to themselves: the secret is None"
    return None


def broken_escape(reading: Reading) -> Optional[str]:
    """Report an invalid escape: up to 0.13.14 a backslash in a variable starts an escape."""
    error = reading.outcome.error
    decoding = reading.context.dialect.unicode_escape and not reading.from_file and not reading.slot.steps
    if decoding and error is not None and error.type in ("UnicodeDecodeError", "UnicodeEncodeError"):
        return f"the string cannot be decoded ({error.type}): import prefect fails"
    return None


def get_fails(reading: Reading) -> Optional[str]:
    """Report any other error of ``Secret.get`` or of the import of Prefect."""
    error = reading.outcome.error
    return None if error is None else f"Secret.get() or import prefect fails with {error.type}"


def backslash(reading: Reading) -> Optional[str]:
    r"""Report ``a\nb`` in a variable, which becomes two lines up to 0.13.14."""
    if reading.has_step(DECODED) and "\\" in reading.text and not escapes_needed(reading):
        return "a backslash in a variable is read as an escape"
    return None


def mojibake(reading: Reading) -> Optional[str]:
    """Report non-ASCII text: up to 0.13.14 the UTF-8 bytes of a variable are read as Latin-1."""
    if reading.has_step(DECODED) and not reading.text.isascii():
        return "non-ASCII characters in a variable are garbled"
    return None


def variable_expanded(reading: Reading) -> Optional[str]:
    """Report ``$NAME`` within a text; a text that is only a reference is intended if the variable is set."""
    names = [name.strip("${}") for name in _NAME.findall(reading.text)]
    if _is_only_reference(reading):
        return _unset_variable(reading) if names else None
    if any(name in reading.context.environ for name in names):
        return "$name in it is replaced by the value of that variable, which is set"
    if all(f"${{{name}}}" in reading.text for name in names):
        return None  # the rules about ${...}
    return "$name in it is replaced wherever a variable of that name is set"


def _unset_variable(reading: Reading) -> Optional[str]:
    if reading.value != reading.text or not _is_complete(reading):
        return None
    return "the variable that it names is not set, so the flow gets the reference itself"


def resolved_reference(reading: Reading) -> Optional[str]:
    """Report ``${...}`` within a text that names a key, or a variable that may be set."""
    if _is_only_reference(reading) or not reading.has_step(TAKEN, FILLED):
        return None
    names = _REFERENCE.findall(reading.text)
    if _has_unknown_key(reading) and (_is_complete(reading) or any(_NAME.fullmatch(name) is None for name in names)):
        return None
    return "${name} in it is replaced by the variable or key of that name, and removed if there is neither"


def reference(reading: Reading) -> Optional[str]:
    """Report ``${...}`` that is neither in the environment nor in the configuration, and is removed."""
    if _has_unknown_key(reading):
        if _is_only_reference(reading) and not _is_complete(reading) and _names_a_value_elsewhere(reading):
            return None
        return "${...} is looked up in the configuration, and removed if there is no such key"
    inside = isinstance(reading.value, (dict, list)) and _REFERENCE.search(reading.text)
    return "${...} inside a literal is kept, but is removed if the string is not a Python literal" if inside else None


def _has_unknown_key(reading: Reading) -> bool:
    """Return whether a ``${...}`` in the text names no key of the configuration."""
    return any(what.endswith(NO_KEY) for what, _, _ in reading.slot.steps)


def _is_only_reference(reading: Reading) -> bool:
    """Return whether a text is only a reference, and its dollar is not escaped for another tool."""
    escaped_names = getattr(reading.context.environ, "escaped", ())
    return is_reference(reading.text) and reading.slot.origin.place not in escaped_names


def _names_a_value_elsewhere(reading: Reading) -> bool:
    """Return whether a reference may name a variable, or a key of another file."""
    name = reading.text[2:-1]
    return (
        _NAME.fullmatch(reading.text) is not None
        or "${" in name
        or name.startswith("context.secrets.")
        or ("." in name and not reading.from_file)
    )


def _is_complete(reading: Reading) -> bool:
    """Return whether all variables are known: those of a process are, those of a single file are not."""
    return bool(getattr(reading.context.environ, "complete", True))


def home(reading: Reading) -> Optional[str]:
    """Report a leading ``~``, which stands for a home directory."""
    expands = reading.text.startswith("~") and any("expanded" in what for what, _, _ in reading.slot.steps)
    return "a leading ~ is replaced by a home directory" if expands else None


def nothing(reading: Reading) -> Optional[str]:
    """Report ``None`` and ``null``, which become None."""
    is_none = reading.outcome.kind == "value" and reading.value is None and not endless(reading)
    return f"{type_change(reading)}: the secret looks as if it were missing" if is_none else None


def credentials(reading: Reading) -> Optional[str]:
    """Report ``AWS_CREDENTIALS`` that is a string: from 0.11.0 Prefect reads the context's raw value as a table."""
    raw = reading.context.dialect.at_least("0.11.0")
    value = reading.outcome.stored if raw else reading.value
    if reading.name.upper() not in TABLES or "$" in reading.text or reading.outcome.error is not None:
        return None
    if value is None or isinstance(value, dict):
        return None
    return f"Prefect's storages, results and tasks need a table here, and fail because this is {type_name(value)}"


def trailing_newline(reading: Reading) -> Optional[str]:
    """Report a newline at the end, which often comes from a file or a pipe."""
    if isinstance(reading.value, str) and reading.value == reading.text and reading.text.endswith(("\n", "\r")):
        return "ends with a newline, which is part of the secret"
    return None


def empty(reading: Reading) -> Optional[str]:
    """Report an empty text: the flow gets an empty string."""
    return "the secret is empty: a flow gets '' and no error" if not reading.text else None


_QUOTE = "call str() where the flow uses it, or write it in another way"
_NO_ESCAPE = "$name and a leading ~ cannot be escaped in the configuration: choose another secret"
_ESCAPE = "double each backslash, or put the secret into config.toml"
_TOML_TABLE = "write it as a table in the file: [context.secrets.{}]"
_PYTHON_TABLE = (
    'write {"NAME": "value"} with all names and strings in quotes, and True, False, None for true, false, null'
)
_RENAME = "choose another value"
_NO_NEWLINE = "remove the newline, for example with printf or `tr -d '\\n'`"
# fmt: off
VALUE_RULES = (
    ValueRule("FS040", "failure", crash_typed_twice, "write the value itself"),
    ValueRule("FS041", "failure", endless, "write the value itself"),
    ValueRule("FS042", "failure", broken_escape, _ESCAPE),
    ValueRule("FS043", "failure", get_fails, _RENAME),
    ValueRule("FS030", "variable", variable_expanded, _NO_ESCAPE),
    ValueRule("FS037", "reference", resolved_reference, _NO_ESCAPE),
    ValueRule("FS031", "reference", reference, _NO_ESCAPE),
    ValueRule("FS032", "home", home, _NO_ESCAPE),
    ValueRule("FS033", "escape", backslash, _ESCAPE),
    ValueRule("FS034", "ascii", mojibake, "put the secret into config.toml"),
    ValueRule("FS021", "type", zeros, _QUOTE),
    ValueRule("FS022", "type", phone, _QUOTE),
    ValueRule("FS023", "type", hexadecimal, _QUOTE),
    ValueRule("FS024", "type", boolean, _QUOTE),
    ValueRule("FS025", "type", nothing, _RENAME),
    ValueRule("FS026", "type", not_finite, _QUOTE),
    ValueRule("FS020", "type", number, _QUOTE),
    ValueRule("FS027", "type", quotes, _QUOTE),
    ValueRule("FS028", "type", python_only, _QUOTE),
    ValueRule("FS029", "type", json_text, "to get a dict there too, write True, False and None"),
    ValueRule("FS035", "type", structure, "write JSON"),
    ValueRule("FS038", "empty", empty, "give it a value, or remove it"),
    ValueRule("FS062", "table", credentials, _PYTHON_TABLE),
    ValueRule("FS036", "newline", trailing_newline, _NO_NEWLINE),
)
# fmt: on
