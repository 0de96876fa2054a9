"""Names in Prefect's reading of a TOML text that may hold values, and the masked names that stand in for them.

Prefect's parser (``toml`` 0.10.2) takes all of a line up to its last ``=`` for a name where the value is not quoted:
``URL=user:password@host?timeout=10`` defines the secret ``URL=user:password@host?timeout``. TOML 1.0 refuses such a
line. A part of a name counts as a name only where TOML 1.0 reads the same part as a name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Dict, FrozenSet, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.resolution.dialects import DIALECTS
from pytest_flowsecrets.resolution.packaged_defaults import packaged_defaults
from pytest_flowsecrets.resolution.reserved_keys import every_forbidden_name
from pytest_flowsecrets.resolution.toml_positions import Position

Key = Tuple[str, ...]

HIDDEN = "•••"
_NAME = re.compile(r"[\w-]+|\"[^\"=]*\"|'[^'=]*'", re.ASCII)


class StandardReading(NamedTuple):
    """What TOML 1.0 reads in a text.

    Attributes:
        data: the tables; those of the other lines where the text has faults.
        text: the text, with its faulty lines blank.
        faults: 1-based lines that were blanked.
    """

    data: Mapping[str, Any]
    text: str
    faults: Tuple[int, ...]


class Doubt(NamedTuple):
    """A name that may hold a value.

    Attributes:
        key: the configuration key, with each doubtful part masked.
        name: the name that the text seems to define, or ``""``.
        line: 1-based line.
        column: 1-based column.
    """

    key: Key
    name: str
    line: int
    column: int


def mask_names(
    data: Mapping[str, Any], text: str, standard: StandardReading
) -> Tuple[Mapping[str, Any], Dict[Key, Doubt]]:
    """Replace the parts of keys that may hold a value.

    Args:
        data: Prefect's reading.
        text: the text.
        standard: what TOML 1.0 reads in it.

    Returns:
        The same tables under masked names, and the doubtful keys: those whose last part is masked.
    """
    lines = text.split("\n")
    known = set(_parts(standard.data)) | always_names() | {_first_name(lines[line - 1]) for line in standard.faults}
    strange = set(_parts(data)) - known
    known.update(part for part in strange if part.strip() in known or _unescaped(part) in known)
    if known.issuperset(strange):
        return data, {}
    masking = _Masking(lines, known, standard.faults)
    return masking.table(data, (), None), masking.doubts


class _Masking:
    def __init__(self, lines: List[str], known: Any, faults: Tuple[int, ...]) -> None:
        self.lines, self.known, self.faults = lines, known, faults
        self.doubts: Dict[Key, Doubt] = {}

    def table(self, data: Mapping[str, Any], parent: Key, above: Optional[Doubt]) -> Dict[str, Any]:
        masked: Dict[str, Any] = {}
        for part, value in data.items():
            doubt, name = above, part
            if part not in self.known:
                doubt = self.doubt(part, parent, above)
                name = doubt.key[-1]
                self.doubts[doubt.key] = doubt
            masked[name] = self.table(value, (*parent, name), doubt) if isinstance(value, dict) else value
        return masked

    def doubt(self, part: str, parent: Key, above: Optional[Doubt]) -> Doubt:
        line, column = (above.line, above.column) if above else self.place(part)
        first = part.partition("=")[0].strip()
        meant = first if not above and line in self.faults and _NAME.fullmatch(first) else ""
        label = f"{meant}={HIDDEN}" if meant else HIDDEN
        if not above:
            label = f"{label} (line {line})"
        while (*parent, label) in self.doubts:
            label += "•"
        return Doubt((*parent, label), meant.strip("\"'") or (above.name if above else ""), line, column)

    def place(self, part: str) -> Tuple[int, int]:
        numbers = [*self.faults, *range(1, len(self.lines) + 1)]
        line = next((number for number in numbers if part in self.lines[number - 1]), 1)
        return line, max(self.lines[line - 1].find(part), 0) + 1


def masked_name(name: str) -> str:
    """Mask what follows a ``=`` in a name: a part of a value, where the name comes out of a file without quotes.

    Args:
        name: a secret's name, as the real Prefect has it.
    """
    first, equals, _ = name.partition("=")
    return f"{first.strip()}={HIDDEN}" if equals else name


def position_of(doubt: Doubt) -> Position:
    """Return where a doubtful name is written.

    Args:
        doubt: the doubtful name.
    """
    return Position(doubt.line, doubt.column, dotted=False, last=doubt.line)


def _parts(data: Mapping[str, Any]) -> Iterator[str]:
    for part, value in data.items():
        yield part
        if isinstance(value, dict):
            yield from _parts(value)


def _unescaped(part: str) -> Any:
    """Return a quoted key with its escapes decoded; Prefect's parser keeps them."""
    import tomli

    try:
        return tomli.loads(f'key = "{part}"')["key"]
    except ValueError:
        return None


def _first_name(line: str) -> str:
    """Return what stands before the first ``=`` of a line, where a statement has its name."""
    first, equals, _ = line.partition("=")
    return first.strip().strip("\"'") if equals else ""


@lru_cache(maxsize=None)
def always_names() -> FrozenSet[str]:
    """Return words that are never values: Prefect's own settings, and the names that it refuses."""
    settings = {part for dialect in DIALECTS for part in _parts(packaged_defaults(dialect))}
    return every_forbidden_name() | settings | {"context", "secrets"}
