"""How a text has to be written so that a flow gets it as it stands.

Candidates are tried in turn, from the plain to the ugly; what is suggested has been resolved first. Who follows a
suggestion has quotes and escapes in the configuration for a reason, which the rules about quotes and escapes ask here
(:func:`shielded`, :func:`escaped`), so that they keep silent about it.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, Dict, Iterator, Optional, Tuple

from pytest_flowsecrets.resolution.advice import Reading, alone
from pytest_flowsecrets.resolution.values import DECODED

_DOLLAR = "\\u0024"
# Doubled backslashes, and escapes of what is not ASCII: nobody writes these for a path or a password.
_MEANT = re.compile(
    r"(?:[^\\]|\\\\|\\x[89a-f][0-9a-f]|\\u(?!00[0-7])[0-9a-f]{4}|\\U(?!000000[0-7])[0-9a-f]{8})*",
    re.IGNORECASE | re.DOTALL,
)


def spelling_of(reading: Reading) -> Optional[Tuple[str, str]]:
    """Find a spelling that gives what was meant: the text as a string, or the table or list that it is as JSON.

    Args:
        reading: a text that comes out as something else.

    Returns:
        How it is spelled, for people, and the spelling; None where there is none.
    """
    meant = _json_of(reading.text)
    if not isinstance(meant, (dict, list)):
        meant = reading.text
    candidates = _strings(reading) if meant is reading.text else _structures(reading)
    for label, text in candidates:
        value = _anywhere(reading, text).value
        if isinstance(value, type(meant)) and value == meant:
            return label, text
    return None


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


def _structures(reading: Reading) -> Iterator[Tuple[str, str]]:
    yield from _escapes(reading)
    dollars = reading.text.replace("$", _DOLLAR)
    yield f"the same with {_DOLLAR} for each $", dollars
    if not reading.from_file:
        yield f"the same with {_DOLLAR} for each $, and then each backslash doubled", _doubled(dollars)


def _strings(reading: Reading) -> Iterator[Tuple[str, str]]:
    yield from _escapes(reading)
    quoted = json.dumps(reading.text).replace("$", _DOLLAR)
    json_string = f"a JSON string with {_DOLLAR} for each $" if "$" in reading.text else "a JSON string"
    for label, text, shape in (
        (json_string, quoted, '"..."'),
        ("a Python string", repr(reading.text), "'...'"),
    ):
        spelled = text
        for wrapping in ("", " inside a Python string", " inside two Python strings"):
            yield f"{label}{wrapping}: {shape}", spelled
            if not reading.from_file:
                yield f"{label}{wrapping}, each backslash doubled: {_doubled(shape)}", _doubled(spelled)
            spelled, shape = repr(spelled), repr(shape)  # noqa: PLW2901 (wrapped once more)


def _escapes(reading: Reading) -> Iterator[Tuple[str, str]]:
    if not reading.from_file:
        yield "the same with each backslash doubled", _doubled(reading.text)
        yield "the same with backslashes doubled, and \\u escapes beyond ASCII", ascii(reading.text)[1:-1]


def _doubled(text: str) -> str:
    return text.replace("\\", "\\\\")


def _json_of(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class _Everything(Dict[str, str]):
    """An environment in which every variable is set that a shell could set: not ``$5``."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, default if default is None or name[:1].isdigit() else "set")
