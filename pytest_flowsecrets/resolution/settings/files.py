"""Files with settings (``.env``, ``prefect.toml``, ``pyproject.toml``, ``profiles.toml``) and the places of keys."""

from __future__ import annotations

import io
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.resolution.layers import Origin
from pytest_flowsecrets.resolution.toml_positions import positions_of
from pytest_flowsecrets.resolution.toml_reader import decode, loads, refuse_deep

Key = Tuple[str, ...]


class BrokenFile(Exception):  # noqa: N818
    """A file that Prefect cannot read, as ``file:line:column`` and the reason, without a part of the text."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place, self.reason = place, reason

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class TomlFile:
    """A TOML file.

    Args:
        place: the name of the file, for messages.
        source: its bytes.
        is_standard: whether Prefect reads it as TOML 1.0, not with ``toml`` 0.10.2.

    Raises:
        BrokenFile: the parser rejects it.
    """

    def __init__(self, place: str, source: bytes, *, is_standard: bool) -> None:
        self.place, self._text = place, _decoded(place, source)
        self.data = _parsed(place, self._text, is_standard=is_standard)
        self._positions: Optional[Mapping[Key, Any]] = None

    def origin(self, kind: str, key: Key) -> Origin:
        """Return the place of a key.

        Args:
            kind: the kind of the source.
            key: the key.
        """
        if self._positions is None:
            self._positions = positions_of(self._text)
        position = self._positions.get(key)
        line, column = (position.line, position.column) if position else (None, None)
        return Origin(kind, self.place, line, column, key)

    def table(self, key: Key) -> Mapping[str, Any]:
        """Return the table under a key, or an empty one.

        Args:
            key: the key.

        Raises:
            BrokenFile: a value that is no table stands there.
        """
        table = self.data
        for length, name in enumerate(key, 1):
            table = table.get(name, {})
            if not isinstance(table, dict):
                raise BrokenFile(str(self.origin("", key[:length])), f"{'.'.join(key[:length])} must be a table")
        return table


def _decoded(place: str, source: bytes) -> str:
    try:
        return decode(source)
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise BrokenFile(f"{place}:{line}", "not UTF-8") from None


def _parsed(place: str, text: str, *, is_standard: bool) -> Dict[str, Any]:
    from pytest_flowsecrets.resolution.toml_reader import legacy_fault, syntax_fault

    try:
        if is_standard:
            import tomli

            refuse_deep(text)
            return tomli.loads(text)
        return loads(text)
    except Exception:  # noqa: BLE001 (toml 0.10.2 also raises IndexError, TypeError and others)
        fault = syntax_fault(text) or legacy_fault(text)
    where = ":".join(str(part) for part in (place, fault and fault.line, fault and fault.column) if part)
    raise BrokenFile(where, f"not valid TOML: {fault.reason if fault else 'rejected by the parser'}")


class Variable(NamedTuple):
    """A variable of a ``.env`` file.

    Attributes:
        name: the name.
        value: its value, or None for a line without ``=``.
        origin: its place.
    """

    name: str
    value: Optional[str]
    origin: Origin


def dotenv_variables(place: str, source: bytes, environ: Mapping[str, str]) -> Iterator[Variable]:
    """Yield the variables of a ``.env`` file as python-dotenv reads them, with ``${NAME}`` filled in.

    Args:
        place: the name of the file, for messages.
        source: its bytes.
        environ: the environment, in which references are looked up.

    Raises:
        BrokenFile: it is not UTF-8.
    """
    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    known: Dict[str, Optional[str]] = {}
    number = 1
    for binding in parse_stream(io.StringIO(_decoded(place, source))):
        statement = binding.original.string
        before = statement[: len(statement) - len(statement.lstrip())]
        line = number + before.count("\n")
        number += statement.count("\n")
        if binding.key is None:
            continue
        value = binding.value
        if value is not None:
            names = {**environ, **known}
            value = "".join(atom.resolve(names) for atom in parse_variables(value))
        known[binding.key] = value
        yield Variable(binding.key, value, Origin("dotenv", binding.key, line, 1, file=place))


#: Returns the bytes of a file, or None if there is none.
Reader = Callable[[str], Optional[bytes]]
