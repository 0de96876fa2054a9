"""The layers that can define a secret, and the values of a resolution.

Every value has an :class:`Origin`. No ``repr`` here shows a value: layers, tables and lists of a resolution print only
names, types and lengths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Set, Tuple, Union

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.shown_names import Doubt
    from pytest_flowsecrets.resolution.toml_positions import Position

#: A function that writes a text as a line of a file. It returns None if the file has no way to write the text.
Notation = Callable[[str], Optional[str]]
#: Weakest first: a layer of a later kind overrides one of an earlier kind.
KINDS = ("defaults", "user", "backend", "env", "context")


@dataclass(frozen=True)
class Origin:
    """The place where a value is written.

    Attributes:
        kind: one of :data:`KINDS`.
        place: the file, the name of the variable, or ``prefect.context``.
        line: the 1-based line in the file, or None.
        column: the 1-based column in the file, or None.
        key: the configuration key.
        file: the file of a variable that comes from a file.
        lines: the first and the last line of the value, on which a comment can refer to it.
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
    """Variables from files, with their positions.

    Attributes:
        places: file, line and column by name.
        escaped: names of variables with an escaped dollar, which is part of the value.
        notations: functions that write another value for a variable, by name. The default is the notation of a shell.
        complete: whether all other variables are unset. False for the variables of a single file.
    """

    def __init__(self, *variables: Any, complete: bool = True) -> None:
        super().__init__(*variables)
        self.places: Dict[str, Tuple[str, int, int]] = {}
        self.escaped: Set[str] = set()
        self.notations: Dict[str, Notation] = {}
        self.complete = complete

    def __repr__(self) -> str:
        return f"<Environment of {len(self)}>"


def variable(environ: Mapping[str, str], name: str, key: Tuple[str, ...] = ()) -> Origin:
    """Return the place where a variable is written.

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
    """The configuration in one file.

    Attributes:
        kind: ``defaults``, ``user`` or ``backend``.
        data: nested mappings, as returned by the TOML parser.
        place: the file, for messages.
        failure: the error that Prefect's TOML parser raises for this text, or None.
        find: returns the line and column of a key. It is called only if a position is needed.
        doubts: the names in ``data`` that are masked because they may contain a value.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""
    failure: Optional[Failure] = None
    find: Optional[Callable[[Tuple[str, ...]], Optional[Position]]] = None
    doubts: Mapping[Tuple[str, ...], Doubt] = field(default_factory=dict)

    def origin(self, key: Tuple[str, ...]) -> Origin:
        """Return the place where a key of this layer is written.

        Args:
            key: the parts of the key.
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
        type: the name of the exception class.
        message: the message, which can contain a value. It is shown only if values may be shown.
        where: the variable, file or key that causes the error, if it is known.
        reveals: whether the message contains part of a value.
    """

    type: str
    message: str
    where: str = ""
    reveals: bool = False

    @property
    def safe_message(self) -> str:
        """The message, or a note in its place if it would show a value."""
        return "(message hidden: it contains part of a value)" if self.reveals else self.message

    def __repr__(self) -> str:
        return f"<Failure {self.type}: {self.safe_message}>"


class PrefectLoadError(Exception):
    """Prefect raises an error at this point of loading its configuration."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Table(Dict[Any, Any]):
    """A table of the resolved configuration: Prefect's ``Config``."""

    def __repr__(self) -> str:
        return f"<Config: {', '.join(sorted(str(key) for key in self))}>"

    __str__ = __repr__


class PlainBox(Table):
    """A dict inside a list of lists with python-box 3 and 4 (Prefect 0.6.6 to 0.13.7): a bare ``Box``."""


class Items(List[Any]):
    """A list of the resolved configuration from 0.6.6 on: python-box's ``BoxList``."""

    def __repr__(self) -> str:
        return f"<BoxList of {len(self)}>"

    __str__ = __repr__


def type_name(value: Any) -> str:
    """Return the name of the type that a value has in a flow.

    Args:
        value: any value of a resolution.
    """
    if isinstance(value, Table):
        return "Box" if isinstance(value, PlainBox) else "Config"
    return "BoxList" if isinstance(value, Items) else type(value).__name__


def object_name(value: Any) -> str:
    """Return the name of the type of a value as Python's errors write it: ``datetime`` types with their module.

    Args:
        value: any value of a resolution.
    """
    module = "datetime." if type(value).__module__ == "datetime" else ""
    return module + type_name(value)


class Slot:
    """The value of a configuration key, with its origin, its steps and the values that it overrides."""

    __slots__ = ("key", "overridden", "source", "steps", "value", "written")

    def __init__(self, value: Any, source: Union[Layer, Origin], key: Tuple[str, ...]) -> None:
        self.value = self.written = value
        self.source = source  # the position of the key in a Layer is looked up only if it is needed
        self.key = key
        self.steps: List[Tuple[str, Any, Any]] = []
        self.overridden: List[Slot] = []

    @property
    def origin(self) -> Origin:
        """Where the value is written."""
        return self.source.origin(self.key) if isinstance(self.source, Layer) else self.source

    @property
    def kind(self) -> str:
        """The kind of the layer in which the value is written."""
        return self.source.kind

    def record_step(self, step: str, value: Any) -> None:
        """Change the value and record the change.

        Args:
            step: a description of the change.
            value: the new value.
        """
        self.steps.append((step, self.value, value))
        self.value = value

    def __repr__(self) -> str:
        return f"<Slot {'.'.join(str(part) for part in self.key)} from {self.kind}>"
