"""How a text has to be written so that a flow gets it as it stands.

Candidates are tried in turn, from the plain to the ugly; what is suggested has been resolved first. Who follows a
suggestion has quotes and escapes in the configuration for a reason, which the rules about quotes and escapes ask here
(:func:`shielded`, :func:`escaped`), so that they keep silent about it.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Optional

from pytest_flowsecrets.findings.model import Reading, alone
from pytest_flowsecrets.resolution.loader.interpolate import DECODED

_DOLLAR, _SLASH = "\\u0024", "\\"
# Doubled backslashes, and escapes of what is not ASCII: nobody writes these for a path or a password.
_MEANT = re.compile(
    r"(?:[^\\]|\\\\|\\x[89a-f][0-9a-f]|\\u(?!00[0-7])[0-9a-f]{4}|\\U(?!000000[0-7])[0-9a-f]{8})*",
    re.IGNORECASE | re.DOTALL,
)


class Spelling(NamedTuple):
    """A way to write a value.

    Attributes:
        label: how it is written, for people.
        expression: the same as a Python expression of ``value``.
        text: what to write; it holds the value.
    """

    label: str
    expression: str
    text: str

    def __repr__(self) -> str:
        return f"<Spelling {self.label!r}>"


_UNKNOWN: Any = object()


def spelling_of(reading: Reading, value: Any = _UNKNOWN) -> Optional[Spelling]:
    """Find a spelling that gives a flow the intended value.

    Args:
        reading: a text that a flow gets as something else.
        value: what the flow should get: text, or JSON data whose JSON is the reading's text. Without it, the text as a
            string, or the table or list that it is as JSON.

    Returns:
        The first spelling that works; None where there is none.
    """
    expression = "value" if value is _UNKNOWN or isinstance(value, str) else "json.dumps(value)"
    if value is _UNKNOWN:
        decoded = _json_of(reading.text)
        value = decoded if isinstance(decoded, (dict, list)) else reading.text
    ways = _strings if isinstance(value, str) else _structures
    return next((way for way in ways(reading, expression) if _gives(reading, way.text, value)), None)


def deliberate(reading: Reading, value: Any) -> bool:
    """Tell whether a text is a spelling of what a flow gets for it, so that its writer meant that value.

    Args:
        reading: the text.
        value: what the flow gets: text, or JSON data, for which the plain JSON is no spelling.
    """
    if isinstance(value, str):
        return _is_one_of(reading.text, _json_strings(replace(reading, text=value))) or _quotes_or_escapes(
            reading, value
        )
    aim = replace(reading, text=_json_text(value))
    return reading.text != aim.text and _is_one_of(reading.text, _structures(aim, ""))


def _json_strings(aim: Reading) -> Iterator[Spelling]:
    plain = _json_string(aim, "")
    yield from _quoted(plain, aim)
    yield from _quoted(_dollars(plain), aim)


def _quotes_or_escapes(reading: Reading, value: str) -> bool:
    aim = replace(reading, text=value)
    escapes = _MEANT.fullmatch(reading.text) and _is_one_of(reading.text, _escapes(aim, ""))
    spelled = escapes or _is_one_of(reading.text, _quoted(_python_string(aim, ""), aim))
    return bool(spelled) and not _gives(reading, value, value)


def _is_one_of(text: str, ways: Iterable[Spelling]) -> bool:
    return any(way.text == text for way in ways)


def _gives(reading: Reading, text: str, value: Any) -> bool:
    result = _anywhere(reading, text).outcome
    if result.kind != "value":
        return False
    if isinstance(value, str):
        return type(result.value) is str and result.value == value
    return _json_text(result.value) == _json_text(value)


def _json_text(value: Any) -> str:
    """A value as JSON; ``""`` where it is no JSON data."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return ""


def shielded(reading: Reading) -> bool:
    """Tell whether quotes are there for a reason: what they hold would come out as something else without them.

    Args:
        reading: a text that loses its quotes.
    """
    bare = _anywhere(reading, reading.value).value
    return not (isinstance(bare, str) and bare == reading.value)


def escaped(reading: Reading) -> bool:
    """Tell whether backslashes are there for a reason: what they stand for would come out as something else.

    Args:
        reading: a variable's text of a release that decodes escapes.
    """
    if not _MEANT.fullmatch(reading.text):
        return False
    decoded = next(after for what, _, after in reading.slot.steps if what == DECODED)
    if isinstance(reading.value, (dict, list)) and _json_of(decoded) != reading.value:
        return False  # a table that only Python reads, in which backslashes mean something once more
    bare = _anywhere(reading, decoded)
    return type(bare.value) is not type(reading.value) or bare.value != reading.value


def _anywhere(reading: Reading, text: str) -> Reading:
    """Another text in the same place, whatever variables are set there: a good spelling does not depend on luck."""
    around = replace(reading.around, environ=_Everything(reading.around.environ))
    return alone(reading.name, text, reading.slot, around)


def _structures(reading: Reading, expression: str) -> Iterator[Spelling]:
    yield from _escapes(reading, expression)
    dollars = _dollars(Spelling("the same", expression, reading.text))
    yield dollars
    if not reading.from_file:
        yield _doubled(dollars, f"{dollars.label}, and then each backslash doubled")


def _strings(reading: Reading, expression: str) -> Iterator[Spelling]:
    yield from _escapes(reading, expression)
    json_string = _json_string(reading, expression)
    yield from _quoted(_dollars(json_string) if "$" in reading.text else json_string, reading)
    yield from _quoted(_python_string(reading, expression), reading)


def _quoted(spelling: Spelling, reading: Reading) -> Iterator[Spelling]:
    """Yield a string in quotes, alone and up to twice inside a Python string."""
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
        yield _doubled(Spelling("", expression, reading.text), "the same with each backslash doubled")
        label = "the same with backslashes doubled, and \\u escapes beyond ASCII"
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


class _Everything(Dict[str, str]):
    """An environment in which every variable is set that a shell could set: not ``$5``."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, default if default is None or name[:1].isdigit() else "set")
