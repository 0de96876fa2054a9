"""Where a secret may be defined, and the values that come out.

Every value travels with its :class:`Origin`. Nothing here shows a value in its ``repr``: layers, tables and lists of a
resolution print names, types and lengths only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Set, Tuple, Union

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.masked_names import Doubt
    from pytest_flowsecrets.resolution.toml_positions import Position

#: Writes a text as a line of a file; None where the file has no way to write it.
Notation = Callable[[str], Optional[str]]
#: Weakest first. A layer of a later kind beats one of an earlier kind.
KINDS = ("defaults", "user", "backend", "env", "context")


@dataclass(frozen=True)
class Origin:
    """Where a value was written.

    Attributes:
        kind: one of :data:`KINDS`.
        place: file, or name of the variable, or ``prefect.context``.
        line: 1-based line in the file, or None.
        column: 1-based column in the file, or None.
        key: the configuration key that was written.
        file: for a variable out of a file, that file.
        lines: first and last line of all that belongs to it, where a comment about it may stand.
    """

    kind: str
    place: str
    line: Optional[int] = None
    column: Optional[int] = None
    key: Tuple[str, ...] = ()
    file: str = ""
    lines: Optional[Tuple[int, int]] = field(default=None, compare=False)

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file or self.place, self.line, self.column) if part is not None)
        return f"{where} {self.place}" if self.file else where


class Environment(Dict[str, str]):
    """Variables out of files, which know where they are written.

    Attributes:
        places: file, line and column by name.
        escaped: names of variables with a dollar that was escaped, so that it is meant as it is.
        notations: how the file writes another value for a variable; by default as a shell does.
        complete: whether a variable that is not among them is not set; False for the variables of one file.
    """

    def __init__(self, *given: Any, complete: bool = True) -> None:
        super().__init__(*given)
        self.places: Dict[str, Tuple[str, int, int]] = {}
        self.escaped: Set[str] = set()
        self.notations: Dict[str, Notation] = {}
        self.complete = complete

    def __repr__(self) -> str:
        return f"<Environment of {len(self)}>"


def variable(environ: Mapping[str, str], name: str, key: Tuple[str, ...] = ()) -> Origin:
    """Tell where a variable was written.

    Args:
        environ: the environment.
        name: the variable.
        key: the configuration key that it sets.
    """
    places = environ.places if isinstance(environ, Environment) else {}
    file, line, column = places.get(name, ("", None, None))
    return Origin("env", name, line, column, key, file)


@dataclass(frozen=True, repr=False)
class Layer:
    """One file's worth of configuration.

    Attributes:
        kind: ``defaults``, ``user`` or ``backend``.
        data: nested mappings, as the TOML parser gives them.
        place: the file, for messages.
        failure: what Prefect's TOML parser raises for this text, if it does.
        find: gives line and column of a key; asked only when a position is to be shown.
        doubts: the names in ``data`` that are masked, because they may hold a value.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""
    failure: Optional[Failure] = None
    find: Optional[Callable[[Tuple[str, ...]], Optional[Position]]] = None
    doubts: Mapping[Tuple[str, ...], Doubt] = field(default_factory=dict)

    def origin(self, key: Tuple[str, ...]) -> Origin:
        """Tell where a key of this layer was written.

        Args:
            key: parts of the key.
        """
        position = self.find(key) if self.find else None
        if position is None:
            return Origin(self.kind, self.place or self.kind, key=key)
        lines = position.line, position.last
        return Origin(self.kind, self.place or self.kind, position.line, position.column, key, lines=lines)

    def __repr__(self) -> str:
        return f"<Layer {self.kind} {self.place}>"


@dataclass(frozen=True, repr=False)
class Failure:
    """An error that Prefect raises, as a value.

    Attributes:
        type: name of the exception's class.
        message: its text, which can hold a value; shown only when values may be shown.
        where: the variable, file or key that caused it, as far as known.
        reveals: the text holds something of a value.
    """

    type: str
    message: str
    where: str = ""
    reveals: bool = False

    @property
    def safe_message(self) -> str:
        """The text, or a note in its place if it would show a value."""
        return "(text hidden: it holds a part of a value)" if self.reveals else self.message

    def __repr__(self) -> str:
        return f"<Failure {self.type}: {self.safe_message}>"


class Refused(Exception):  # noqa: N818 (carries a Failure between our own modules)
    """Prefect raises an error here."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Table(Dict[Any, Any]):
    """A table of the resolved configuration: Prefect's ``Config``."""

    def __repr__(self) -> str:
        return f"<Config: {', '.join(sorted(str(key) for key in self))}>"

    __str__ = __repr__


class PlainBox(Table):
    """A dict inside a list of lists under python-box 3 and 4 (Prefect 0.6.6 to 0.13.7): a bare ``Box``."""


class Items(List[Any]):
    """A list of the resolved configuration from 0.6.6 on: python-box's ``BoxList``."""

    def __repr__(self) -> str:
        return f"<BoxList of {len(self)}>"

    __str__ = __repr__


def type_name(value: Any) -> str:
    """Name the type that a value has in a flow.

    Args:
        value: any value of a resolution.
    """
    if isinstance(value, Table):
        return "Box" if isinstance(value, PlainBox) else "Config"
    return "BoxList" if isinstance(value, Items) else type(value).__name__


def object_name(value: Any) -> str:
    """Name the type of a value as Python's own errors do, which give those of ``datetime`` with their module.

    Args:
        value: any value of a resolution.
    """
    module = "datetime." if type(value).__module__ == "datetime" else ""
    return module + type_name(value)


class Slot:
    """A configuration key's value on its way through the steps, with its origin and those that it beat."""

    __slots__ = ("beaten", "key", "source", "steps", "value", "written")

    def __init__(self, value: Any, source: Union[Layer, Origin], key: Tuple[str, ...]) -> None:
        self.value = self.written = value
        self.source = source  # a Layer's position of this key is looked up only when it is asked for
        self.key = key
        self.steps: List[Tuple[str, Any, Any]] = []
        self.beaten: List[Slot] = []

    @property
    def origin(self) -> Origin:
        """Where the value was written."""
        return self.source.origin(self.key) if isinstance(self.source, Layer) else self.source

    @property
    def kind(self) -> str:
        """Kind of the layer that the value was written in."""
        return self.source.kind

    def become(self, step: str, value: Any) -> None:
        """Take a new value, and keep what happened.

        Args:
            step: what changed the value.
            value: the new value.
        """
        self.steps.append((step, self.value, value))
        self.value = value

    def __repr__(self) -> str:
        return f"<Slot {'.'.join(str(part) for part in self.key)} from {self.kind}>"
