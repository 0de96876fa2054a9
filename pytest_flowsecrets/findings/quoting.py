"""How to write a value so that a flow gets exactly that value.

The candidates are tried in turn, from simple to complex, and each one is resolved before it is suggested. A user who
follows a suggestion has quotes and escapes in the configuration that are necessary. The rules about quotes and escapes
call :func:`quotes_needed` and :func:`escapes_needed` to ignore those.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Optional

from pytest_flowsecrets.findings.readings import Reading, evaluate_text
from pytest_flowsecrets.resolution.loader.interpolate import DECODED

_DOLLAR, _SLASH = "\\u0024", "\\"
# Doubled backslashes and escapes of non-ASCII characters: nobody writes these by accident in a path or a password.
_INTENDED_ESCAPES = re.compile(
    r"(?:[^\\]|\\\\|\\x[89a-f][0-9a-f]|\\u(?!00[0-7])[0-9a-f]{4}|\\U(?!000000[0-7])[0-9a-f]{8})*",
    re.IGNORECASE | re.DOTALL,
)


class Spelling(NamedTuple):
    """A way to write a value.

    Attributes:
        label: a description for the user.
        expression: the same as a Python expression of ``value``.
        text: the text to write. It contains the value.
    """

    label: str
    expression: str
    text: str

    def __repr__(self) -> str:
        return f"<Spelling {self.label!r}>"


_UNKNOWN: Any = object()


def find_spelling(reading: Reading, value: Any = _UNKNOWN) -> Optional[Spelling]:
    """Return a spelling that gives a flow the intended value.

    Args:
        reading: a text that a flow gets as another value.
        value: the value that the flow should get: a string, or JSON data whose JSON is the text of the reading. By
            default, the table or list that the text is as JSON, else the text as a string.

    Returns:
        The first spelling that works, or None.
    """
    expression = "value" if value is _UNKNOWN or isinstance(value, str) else "json.dumps(value)"
    if value is _UNKNOWN:
        decoded = _json_of(reading.text)
        value = decoded if isinstance(decoded, (dict, list)) else reading.text
    candidates = _strings if isinstance(value, str) else _structures
    return next((each for each in candidates(reading, expression) if _gives(reading, each.text, value)), None)


def exact_text(reading: Reading) -> Optional[str]:
    """Return the text to write so that a flow gets the text of a reading itself, or None if there is none.

    Args:
        reading: the text that the flow should get, in the place where it is written.
    """
    if _gives(reading, reading.text, reading.text):
        return reading.text
    spelling = find_spelling(reading, reading.text)
    return None if spelling is None else spelling.text


def is_deliberate(reading: Reading, value: Any) -> bool:
    """Return whether a text is a deliberate spelling of the value that a flow gets for it.

    Args:
        reading: the text.
        value: the value that the flow gets: a string, or JSON data. Plain JSON is not a deliberate spelling of data.
    """
    if isinstance(value, str):
        return _is_one_of(reading.text, _json_strings(replace(reading, text=value))) or _quotes_or_escapes(
            reading, value
        )
    target = replace(reading, text=_json_text(value))
    return reading.text != target.text and _is_one_of(reading.text, _structures(target, ""))


def _json_strings(target: Reading) -> Iterator[Spelling]:
    plain = _json_string(target, "")
    yield from _quoted(plain, target)
    yield from _quoted(_dollars(plain), target)


def _quotes_or_escapes(reading: Reading, value: str) -> bool:
    target = replace(reading, text=value)
    escapes = _INTENDED_ESCAPES.fullmatch(reading.text) and _is_one_of(reading.text, _escapes(target, ""))
    is_spelling = escapes or _is_one_of(reading.text, _quoted(_python_string(target, ""), target))
    return bool(is_spelling) and not _gives(reading, value, value)


def _is_one_of(text: str, spellings: Iterable[Spelling]) -> bool:
    return any(spelling.text == text for spelling in spellings)


def _gives(reading: Reading, text: str, value: Any) -> bool:
    result = _anywhere(reading, text).outcome
    if result.kind != "value":
        return False
    if isinstance(value, str):
        return type(result.value) is str and result.value == value
    return _json_text(result.value) == _json_text(value)


def _json_text(value: Any) -> str:
    """Return a value as JSON, or ``""`` if it is not JSON data."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return ""


def quotes_needed(reading: Reading) -> bool:
    """Return whether the quotes are necessary: without them the flow gets another value.

    Args:
        reading: a text that loses its quotes.
    """
    bare = _anywhere(reading, reading.value).value
    return not (isinstance(bare, str) and bare == reading.value)


def escapes_needed(reading: Reading) -> bool:
    """Return whether the backslashes are necessary: without them the flow gets another value.

    Args:
        reading: the text of a variable, in a release that decodes escapes.
    """
    if not _INTENDED_ESCAPES.fullmatch(reading.text):
        return False
    decoded = next(after for what, _, after in reading.slot.steps if what == DECODED)
    if isinstance(reading.value, (dict, list)) and _json_of(decoded) != reading.value:
        return False  # a table that only Python reads, where backslashes are escapes once more
    bare = _anywhere(reading, decoded)
    return type(bare.value) is not type(reading.value) or bare.value != reading.value


def _anywhere(reading: Reading, text: str) -> Reading:
    """Evaluate another text in the same place, with all variables set: a spelling must work in any environment."""
    context = replace(reading.context, environ=_AllVariables(reading.context.environ))
    return evaluate_text(reading.name, text, reading.slot, context)


def _structures(reading: Reading, expression: str) -> Iterator[Spelling]:
    yield from _escapes(reading, expression)
    dollars = _dollars(Spelling("the value", expression, reading.text))
    yield dollars
    if not reading.from_file:
        yield _doubled(dollars, f"{dollars.label}, and then each backslash doubled")


def _strings(reading: Reading, expression: str) -> Iterator[Spelling]:
    yield from _escapes(reading, expression)
    json_string = _json_string(reading, expression)
    yield from _quoted(_dollars(json_string) if "$" in reading.text else json_string, reading)
    yield from _quoted(_python_string(reading, expression), reading)


def _quoted(spelling: Spelling, reading: Reading) -> Iterator[Spelling]:
    """Yield a quoted string by itself, inside a Python string, and inside two Python strings."""
    name, expression, text = spelling
    shape = f"{text[0]}...{text[0]}"
    for wrapping in ("", " inside a Python string", " inside two Python strings"):
        wrapped = Spelling(f"{name}{wrapping}: {shape}", expression, text)
        yield wrapped
        if not reading.from_file:
            yield _doubled(wrapped, f"{name}{wrapping}, each backslash doubled: {shape.replace(_SLASH, _SLASH * 2)}")
        expression, text, shape = f"repr({expression})", repr(text), repr(shape)


def _json_string(reading: Reading, expression: str) -> Spelling:
    return Spelling("a JSON string", f"json.dumps({expression})", json.dumps(reading.text))


def _python_string(reading: Reading, expression: str) -> Spelling:
    return Spelling("a Python string", f"repr({expression})", repr(reading.text))


def _escapes(reading: Reading, expression: str) -> Iterator[Spelling]:
    if not reading.from_file:
        yield _doubled(Spelling("", expression, reading.text), "the value with each backslash doubled")
        label = "the value with each backslash doubled and \\u escapes for non-ASCII characters"
        yield Spelling(label, f"ascii({expression})[1:-1]", ascii(reading.text)[1:-1])


def _dollars(spelling: Spelling) -> Spelling:
    label, expression, text = spelling
    expression = f"{expression}.replace('$', '\\{_DOLLAR}')"
    return Spelling(f"{label} with {_DOLLAR} for each $", expression, text.replace("$", _DOLLAR))


def _doubled(spelling: Spelling, label: str) -> Spelling:
    expression = f"{spelling.expression}.replace('\\\\', '\\\\\\\\')"
    return Spelling(label, expression, spelling.text.replace(_SLASH, _SLASH * 2))


def _json_of(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class _AllVariables(Dict[str, str]):
    """An environment in which each variable that a shell can set has a value; ``$5`` is not one of them."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, default if default is None or name[:1].isdigit() else "set")
