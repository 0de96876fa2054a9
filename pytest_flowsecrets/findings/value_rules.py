"""Rules about values: one small function each, by the cause of the surprise.

Rules of one group exclude each other, and the first that applies is taken: the special case stands before the general
one. Messages tell types and lengths, never a value.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Dict, List, NamedTuple, Optional, Tuple, cast

from pytest_flowsecrets.findings.model import Finding, Reading, Rule, versions_of
from pytest_flowsecrets.findings.quoting import escaped, spelling_of
from pytest_flowsecrets.findings.type_rules import (
    becomes,
    boolean,
    hexadecimal,
    json_text,
    not_finite,
    number,
    phone,
    python_only,
    quotes,
    structure,
    zeros,
)
from pytest_flowsecrets.resolution.layers import Notation, type_name
from pytest_flowsecrets.resolution.line_syntax import described, shell_line, toml_line
from pytest_flowsecrets.resolution.loader.interpolate import DECODED, FILLED, NO_KEY, TAKEN, is_reference

_NAME = re.compile(r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})", re.ASCII)
_REFERENCE = re.compile(r"\$\{[^${}\n][^${}]*\}")


#: Secrets that Prefect itself reads as tables: boto3's and Google's credentials.
TABLES = ("AWS_CREDENTIALS", "GCP_CREDENTIALS")


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
    advice, spelling, line = _advice(rule, reading)
    versions = versions_of(reading, lambda other: rule.applies(other) is not None)
    origin = reading.slot.origin
    return Finding(rule.id, rule.severity, reading.name, origin, message, versions, advice, spelling, line)


def _advice(rule: ValueRule, reading: Reading) -> Tuple[str, Optional[str], Optional[str]]:
    """What to write; then the text itself and the line that writes it, where they are known."""
    if rule.group == "table":
        return (_TOML_TABLE.format(reading.name) if reading.from_file else rule.advice), None, None
    if _is_meant(reading):
        return "set the variable, or correct the value of the variable or key that it names", None, None
    if rule.severity == "note" or (reading.value == reading.text and rule.group != "variable"):
        return rule.advice, None, None
    spelling, notation = spelling_of(reading), _notation(reading)
    if spelling is None:
        version = reading.around.dialect.version
        return f"{rule.advice}; no other spelling gives this text in Prefect {version}", None, None
    how = described(spelling, reading.text, notation) or f"make the text {spelling.label}"
    return f"for the text as it stands, {how}", spelling.text, notation(spelling.text)


def _notation(reading: Reading) -> Notation:
    """How the place where a text is written writes another one."""
    if reading.from_file:
        return partial(toml_line, str(reading.slot.key[-1]))
    variable = reading.slot.origin.place
    notations = getattr(reading.around.environ, "notations", {})
    return cast("Notation", notations.get(variable) or partial(shell_line, variable))


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
    """``$NAME`` of a variable that is set, within a text; a text that is nothing else is meant so."""
    names = [found.strip("${}") for found in _NAME.findall(reading.text)]
    if _is_meant(reading):
        lost = names and reading.value == reading.text and _is_complete(reading)
        return "the variable that it names is not set: the name stays" if lost else None
    if any(name in reading.around.environ for name in names):
        return "$name in it is replaced by the value of that variable, which is set"
    plain = any(f"${{{name}}}" not in reading.text for name in names)
    return "$name in it is replaced wherever a variable of that name is set" if plain else None


def resolved_reference(reading: Reading) -> Optional[str]:
    """``${...}`` within a text, which leads to a key, or to a variable that may be set."""
    if _is_meant(reading) or not reading.took(TAKEN, FILLED):
        return None
    lost = any(what.endswith(NO_KEY) for what, _, _ in reading.slot.steps)
    names = _REFERENCE.findall(reading.text)
    if lost and (_is_complete(reading) or any(_NAME.fullmatch(name) is None for name in names)):
        return None
    return "${name} in it is replaced by the variable or key of that name, and removed where there is neither"


def reference(reading: Reading) -> Optional[str]:
    """``${...}`` is looked up in the environment and in the configuration, and removed if it is in neither."""
    if any(what.endswith(NO_KEY) for what, _, _ in reading.slot.steps):
        if _is_meant(reading) and not _is_complete(reading) and _names_a_value_elsewhere(reading):
            return None
        return "${...} is looked up in the configuration, and removed if there is no such key"
    inside = isinstance(reading.value, (dict, list)) and _REFERENCE.search(reading.text)
    return (
        "${...} inside of a literal stays, but is removed as soon as the text is no Python literal" if inside else None
    )


def _is_meant(reading: Reading) -> bool:
    """Whether a text is nothing but a reference, and its dollar was not escaped for another tool."""
    escaped_names = getattr(reading.around.environ, "escaped", ())
    return is_reference(reading.text) and reading.slot.origin.place not in escaped_names


def _names_a_value_elsewhere(reading: Reading) -> bool:
    """Whether a variable, or a key of another file, may have the name in a text that is nothing but a reference."""
    name = reading.text[2:-1]
    return (
        _NAME.fullmatch(reading.text) is not None
        or "${" in name
        or name.startswith("context.secrets.")
        or ("." in name and not reading.from_file)
    )


def _is_complete(reading: Reading) -> bool:
    """Whether all variables are known, as those of a process are, and those of a single file are not."""
    return bool(getattr(reading.around.environ, "complete", True))


def home(reading: Reading) -> Optional[str]:
    """A leading ``~`` is a home directory."""
    expands = reading.text.startswith("~") and any("expanded" in what for what, _, _ in reading.slot.steps)
    return "a leading ~ is replaced by a home directory" if expands else None


def nothing(reading: Reading) -> Optional[str]:
    """``None`` and ``null`` become None."""
    is_none = reading.outcome.kind == "value" and reading.value is None and not endless(reading)
    return f"{becomes(reading)}: the secret looks as if it were missing" if is_none else None


def credentials(reading: Reading) -> Optional[str]:
    """``AWS_CREDENTIALS`` that is a text: from 0.11.0 Prefect reads the raw value of the context as a table."""
    raw = reading.around.dialect.at_least("0.11.0")
    value = reading.outcome.stored if raw else reading.value
    if reading.name.upper() not in TABLES or "$" in reading.text or reading.outcome.error is not None:
        return None
    if value is None or isinstance(value, dict):
        return None
    return f"Prefect's storages, results and tasks need a table here and fail with {type_name(value)}"


def trailing_newline(reading: Reading) -> Optional[str]:
    """A newline at the end, mostly out of a file or a pipe."""
    if isinstance(reading.value, str) and reading.value == reading.text and reading.text.endswith(("\n", "\r")):
        return "ends with a newline, which stays part of the secret"
    return None


def empty(reading: Reading) -> Optional[str]:
    """Nothing at all: a flow gets a text that is false."""
    return "the secret is empty: a flow gets '', and no error" if not reading.text else None


_QUOTE = "let whoever uses it call str(), or write it in another way"
_NO_ESCAPE = "no $name and no leading ~ can be escaped in the configuration itself: choose another secret"
_ESCAPE = "double each backslash, or put the secret into config.toml"
_TOML_TABLE = "write it as a table of the file, [context.secrets.{}]"
_PYTHON_TABLE = 'write {"NAME": "value"} with each name and text in quotes, and True, False, None for true, false, null'
_RENAME = "choose another value"
# fmt: off
VALUE_RULES = (
    ValueRule("FS040", "failure", "error", crash_typed_twice, "give the value itself"),
    ValueRule("FS041", "failure", "error", endless, "give the value itself"),
    ValueRule("FS042", "failure", "error", broken_escape, _ESCAPE),
    ValueRule("FS043", "failure", "error", get_fails, _RENAME),
    ValueRule("FS030", "variable", "warning", variable_expanded, _NO_ESCAPE),
    ValueRule("FS037", "reference", "note", resolved_reference, _NO_ESCAPE),
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
    ValueRule("FS038", "empty", "warning", empty, "give it a value, or leave it out"),
    ValueRule("FS062", "table", "error", credentials, _PYTHON_TABLE),
    ValueRule("FS036", "newline", "warning", trailing_newline, "take the newline away, as printf and `tr -d '\\n'` do"),
)
# fmt: on
