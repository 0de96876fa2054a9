"""Names in messages: masks for those that may contain values, and the name that resembles a missing one.

If a value is not quoted, Prefect's parser (``toml`` 0.10.2) reads everything up to the last ``=`` of the line as the
name: ``URL=user:password@host?timeout=10`` defines the secret ``URL=user:password@host?timeout``. TOML 1.0 rejects such
a line. Part of a name is shown only if TOML 1.0 reads the same part as a name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Dict, FrozenSet, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.resolution.dialects import DIALECTS
from pytest_flowsecrets.resolution.packaged_defaults import packaged_defaults
from pytest_flowsecrets.resolution.reserved_keys import every_forbidden_name
from pytest_flowsecrets.resolution.toml_positions import Position

Key = Tuple[str, ...]

HIDDEN = "•••"
_SEPARATORS = re.compile(r"[-_.\s]+")
_NAME = re.compile(r"[\w-]+|\"[^\"=]*\"|'[^'=]*'", re.ASCII)


class StandardReading(NamedTuple):
    """A text as TOML 1.0 reads it.

    Attributes:
        data: the tables, without the invalid lines.
        text: the text, with its invalid lines left blank.
        faults: the 1-based numbers of the invalid lines.
    """

    data: Mapping[str, Any]
    text: str
    faults: Tuple[int, ...]


class Doubt(NamedTuple):
    """A name that may contain a value.

    Attributes:
        key: the configuration key, with each doubtful part masked.
        name: the name that the text seems to define, or ``""``.
        line: the 1-based line.
        column: the 1-based column.
    """

    key: Key
    name: str
    line: int
    column: int


def mask_names(
    data: Mapping[str, Any], text: str, standard: StandardReading
) -> Tuple[Mapping[str, Any], Dict[Key, Doubt]]:
    """Mask the parts of keys that may contain a value.

    Args:
        data: the tables as Prefect reads them.
        text: the text.
        standard: the text as TOML 1.0 reads it.

    Returns:
        The same tables with masked names, and the keys whose last part is masked.
    """
    lines = text.split("\n")
    known = set(_parts(standard.data)) | always_names() | {_first_name(lines[line - 1]) for line in standard.faults}
    unknown = set(_parts(data)) - known
    known.update(part for part in unknown if part.strip() in known or _unescape(part) in known)
    if known.issuperset(unknown):
        return data, {}
    masking = _Masking(lines, known, standard.faults)
    return masking.table(data, (), None), masking.doubts


class _Masking:
    def __init__(self, lines: List[str], known: Any, faults: Tuple[int, ...]) -> None:
        self.lines, self.known, self.faults = lines, known, faults
        self.doubts: Dict[Key, Doubt] = {}

    def table(self, data: Mapping[str, Any], parent: Key, outer: Optional[Doubt]) -> Dict[str, Any]:
        """Return a table with masked names; ``outer`` is the doubtful name of a table that contains it."""
        masked: Dict[str, Any] = {}
        for part, value in data.items():
            doubt, name = outer, part
            if part not in self.known:
                doubt = self.doubt_inside(outer, parent) if outer else self.doubt(part, parent)
                name = doubt.key[-1]
                self.doubts[doubt.key] = doubt
            masked[name] = self.table(value, (*parent, name), doubt) if isinstance(value, dict) else value
        return masked

    def doubt(self, part: str, parent: Key) -> Doubt:
        line, column = self.place(part)
        first = part.partition("=")[0].strip()
        name = first if line in self.faults and _NAME.fullmatch(first) else ""
        label = f"{name}={HIDDEN}" if name else HIDDEN
        return Doubt(self.new_key(parent, f"{label} (line {line})"), name.strip("\"'"), line, column)

    def doubt_inside(self, outer: Doubt, parent: Key) -> Doubt:
        return Doubt(self.new_key(parent, HIDDEN), outer.name, outer.line, outer.column)

    def new_key(self, parent: Key, label: str) -> Key:
        while (*parent, label) in self.doubts:
            label += "•"
        return (*parent, label)

    def place(self, part: str) -> Tuple[int, int]:
        numbers = [*self.faults, *range(1, len(self.lines) + 1)]
        line = next((number for number in numbers if part in self.lines[number - 1]), 1)
        return line, max(self.lines[line - 1].find(part), 0) + 1


def masked_name(name: str) -> str:
    """Mask the part of a name after a ``=``, which is part of the value if the value is not quoted in the file.

    Args:
        name: the name of a secret in the real Prefect.
    """
    first, equals, _ = name.partition("=")
    return f"{first.strip()}={HIDDEN}" if equals else name


def position_of(doubt: Doubt) -> Position:
    """Return the place where a doubtful name is written.

    Args:
        doubt: the doubtful name.
    """
    return Position(doubt.line, doubt.column, dotted=False, last=doubt.line)


def _parts(data: Mapping[str, Any]) -> Iterator[str]:
    for part, value in data.items():
        yield part
        if isinstance(value, dict):
            yield from _parts(value)


def _unescape(part: str) -> Any:
    """Return a quoted key with its escapes decoded. Prefect's parser keeps them."""
    import tomli

    try:
        return tomli.loads(f'key = "{part}"')["key"]
    except ValueError:
        return None


def _first_name(line: str) -> str:
    """Return the text before the first ``=`` of a line, which is the name in a statement."""
    first, equals, _ = line.partition("=")
    return first.strip().strip("\"'") if equals else ""


@lru_cache(maxsize=None)
def always_names() -> FrozenSet[str]:
    """Return words that are never values: the names of Prefect's own settings, and the names that it rejects."""
    settings = {part for dialect in DIALECTS for part in _parts(packaged_defaults(dialect))}
    return every_forbidden_name() | settings | {"context", "secrets"}


# -- near names --------------------------------------------------------------------------------------------------------


class Near(NamedTuple):
    """An existing name that resembles a missing one.

    Attributes:
        name: the existing name.
        difference: how it differs from the missing one, in a few words.
    """

    name: str
    difference: str

    @property
    def message(self) -> str:
        """The name and the difference, for a message."""
        return f"{masked_name(self.name)!r} is similar: {self.difference}"


def nearest_name(name: str, names: Iterable[str]) -> Optional[Near]:
    """Return the name that resembles a missing name most, or None.

    Args:
        name: the missing name.
        names: the existing names.
    """
    others = [other for other in names if other != name]
    for other in others:
        if other.casefold() == name.casefold():
            return Near(other, "only upper and lower case differ")
    for other in others:
        if _letters(other) == _letters(name):
            return Near(other, "a separator (_ or -) differs")
    from difflib import get_close_matches

    by_letters = {_letters(other): other for other in others}
    match = next(iter(get_close_matches(_letters(name), by_letters, n=1, cutoff=0.75)), None)
    return None if match is None else Near(by_letters[match], "a letter or a word differs")


def _letters(name: str) -> str:
    return _SEPARATORS.sub("", name).casefold()
