"""Masked copies of data: of pytest's reports, their tracebacks, and anything in them.

An object that contains a secret is replaced by a masked copy of the same structure, so every ``--tb`` style still
works. The objects to which a report refers can belong to a test, so they never change.
"""

from __future__ import annotations

from abc import ABCMeta
from dataclasses import is_dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

Clean = Callable[[Any], Any]
_CONTAINERS = list, tuple, set, frozenset, Mapping


def mask_data(value: Any, clean: Clean) -> Any:
    """Return data with every text masked, or the same object if there is nothing to mask.

    Nothing changes in place: containers and objects that contain a secret are copied. Only objects of which reports
    consist are searched: dataclasses, classes of attrs, and classes with ``toterminal``.
    """
    return _Walk(clean).masked(value)


def mask_longrepr(longrepr: Any, clean: Clean, source: OwnSource) -> Any:
    """Return a traceback with its parts masked, and then its text: a class can join texts in its own way."""
    longrepr = _Walk(clean, source).masked(longrepr)
    if longrepr is None or isinstance(longrepr, (str, tuple)):
        return longrepr
    text = str(longrepr)
    masked = clean(text)
    return longrepr if masked is text else masked


def mask_in_place(thing: Any, clean: Clean) -> None:
    """Mask an object that pytest passes to a hook and that the hook cannot replace. What it refers to is copied."""
    masked = mask_data(thing, clean)
    if masked is not thing:
        vars(thing).update(vars(masked))


class _Node(NamedTuple):
    """A container or an object in the data, with its parts.

    Attributes:
        value: the original, which stays alive as long as its id is in use.
        parts: the elements; the keys followed by the values of a mapping; the values of an object's attributes.
        names: the names of an object's attributes.
    """

    value: Any
    parts: List[Any]
    names: List[str]


class _Walk:
    """A walk through data, which can refer to itself.

    The first pass reads the data and notes which nodes lead to a secret. The second pass copies only these.
    """

    def __init__(self, clean: Clean, source: Optional[OwnSource] = None) -> None:
        self._clean = clean
        self._source = source
        self._own_lines: Dict[int, Set[str]] = {}  # lines of the test's file by the id of the lines of an entry
        self._texts: Dict[int, Tuple[Any, Any]] = {}  # the text and the masked text by the id of the text
        self._lines: Dict[int, List[str]] = {}  # masked lines by the id of their list
        self._nodes: Dict[int, _Node] = {}
        self._users: Dict[int, List[int]] = {}  # for each node, the nodes that refer to it
        self._changed: Set[int] = set()
        self._copies: Dict[int, Any] = {}

    def masked(self, value: Any) -> Any:
        """Return the data masked, or the same object if there is nothing to mask."""
        self._read(value)
        pending = list(self._changed)
        while pending:
            users = set(self._users.get(pending.pop(), ())) - self._changed
            self._changed |= users
            pending += users
        return self._copied(value)

    def _read(self, value: Any) -> None:
        if isinstance(value, (str, bytes)):
            masked = self._clean(value)
            self._texts[id(value)] = value, masked
            if masked is not value:
                self._changed.add(id(value))
        elif id(value) not in self._nodes and _is_node(value):
            node = self._nodes[id(value)] = _node_of(value)
            if self._source and "lines" in node.names:
                self._own_lines[id(value.lines)] = self._source.lines_of(value)
            if isinstance(value, list) and (_is_lines(value) or self._own_lines.get(id(value))):
                self._read_lines(value)
                return
            for part in node.parts:
                self._users.setdefault(id(part), []).append(id(value))
                self._read(part)

    def _read_lines(self, lines: List[str]) -> None:
        """Mask the lines of a text together, because a value can span them."""
        glue = "" if all(line.endswith("\n") for line in lines) else "\n"
        text = glue.join(lines)
        own = self._own_lines.get(id(lines))
        if self._source and own:
            self._clean(glue.join(line for line in lines if not is_source(line, own)))
            masked = self._source.mask(text)
        else:
            masked = self._clean(text)
        if masked is not text:
            shown = masked.splitlines(keepends=True) if glue == "" else masked.split("\n")
            self._lines[id(lines)] = [str(line) for line in shown]
            self._changed.add(id(lines))

    def _copied(self, value: Any) -> Any:
        if id(value) not in self._changed:
            return value
        if id(value) in self._texts:
            return self._texts[id(value)][1]
        if id(value) not in self._copies:
            self._copies[id(value)] = self._copy(self._nodes[id(value)])
        return self._copies[id(value)]

    def _copy(self, node: _Node) -> Any:
        """Return a masked copy. A copy that can refer to itself is stored before it is filled."""
        value = node.value
        if isinstance(value, (tuple, set, frozenset)):
            return self._copy_at_once(value, node.parts)
        if isinstance(value, list):
            return self._copy_list(value, node.parts)
        copy: Any = {} if isinstance(value, Mapping) else _empty(value)
        self._copies[id(value)] = copy
        parts = tuple(map(self._copied, node.parts))
        if isinstance(value, Mapping):
            half = len(parts) // 2
            copy.update(zip(parts[:half], parts[half:]))
        for name, part in zip(node.names, parts):
            object.__setattr__(copy, name, part)  # some of the classes are frozen
        return copy

    def _copy_at_once(self, value: Any, parts: Iterable[Any]) -> Any:
        """Return a copy of a tuple or a set, which must be complete when it is created."""
        copies = tuple(map(self._copied, parts))
        if isinstance(value, tuple):
            return tuple.__new__(_class_of_copies(type(value)), copies) if hasattr(value, "_fields") else copies
        return (set if isinstance(value, set) else frozenset)(copies)

    def _copy_list(self, value: List[Any], parts: Iterable[Any]) -> List[Any]:
        copy: List[Any] = []
        self._copies[id(value)] = copy
        copy += self._lines.get(id(value)) or map(self._copied, parts)
        return copy


def _is_node(value: Any) -> bool:
    return not isinstance(value, type) and (isinstance(value, _CONTAINERS) or has_parts(value))


def _node_of(value: Any) -> _Node:
    if isinstance(value, Mapping):
        items = list(value.items())
        return _Node(value, [key for key, _ in items] + [part for _, part in items], [])
    if isinstance(value, (list, tuple, set, frozenset)):
        return _Node(value, list(value), [])
    attributes = attributes_of(value)
    return _Node(value, list(attributes.values()), list(attributes))


def has_parts(value: Any) -> bool:
    """Return whether an object is a dataclass, of a class of attrs (as in pytest-subtests), or has ``toterminal``."""
    kind = type(value)  # an instance can be a mock, which has every attribute and records each access
    return is_dataclass(kind) or hasattr(kind, "__attrs_attrs__") or hasattr(kind, "toterminal")


def _is_lines(value: List[Any]) -> bool:
    return len(value) > 1 and all(isinstance(part, str) for part in value)


def _empty(value: Any) -> Any:
    """Return a new object of the same class. No code of the class runs, neither now nor when the object is deleted."""
    return object.__new__(_class_of_copies(type(value)))


class _Unfinalized:
    """Overrides the hooks of a class that run when it is subclassed and when an object is deleted."""

    __slots__ = ()

    def __init_subclass__(cls, **_: Any) -> None:
        """Skip the hook of the original class."""

    def __del__(self) -> None:
        """Leave alone what the copy shares with the original, such as a socket."""


def _class_of_copies(kind: Any) -> Any:
    """Return a class itself, or a subclass without its ``__del__``.

    Raises:
        TypeError: the class allows no subclass, or has a metaclass whose code would run.
    """
    if not hasattr(kind, "__del__"):
        return kind
    if type(kind) not in (type, ABCMeta):
        raise TypeError("no copy without the code of its metaclass")
    return type(kind)(kind.__name__, (_Unfinalized, kind), {"__slots__": (), "__module__": kind.__module__})


def attributes_of(value: Any) -> Dict[str, Any]:
    """Return the attributes of an object, from its dictionary and its slots."""
    slots = [vars(kind).get("__slots__", ()) for kind in type(value).__mro__]
    names = [name for names in slots for name in ([names] if isinstance(names, str) else names)]
    slot_values = {name: getattr(value, name) for name in names if not name.startswith("__") and hasattr(value, name)}
    return {**slot_values, **getattr(value, "__dict__", {})}


# -- the source of a test ----------------------------------------------------------------------------------------------
#
# A traceback shows lines of a test's own file. A secret in them is a literal, and not a leak.

_ERROR = "E   "  # prefix of the traceback lines that show the error; the prefix of source lines has the same length


class OwnSource(NamedTuple):
    """The source of the test that a report is about.

    Attributes:
        path: the file of the test, relative to the root directory, with slashes.
        mask: masks a text without recording a finding.
    """

    path: str
    mask: Callable[[Any], Any]

    def lines_of(self, entry: Any) -> Set[str]:
        """Return the lines of the test's file, without indentation, if an entry of a traceback is in this file."""
        shown = getattr(getattr(entry, "reprfileloc", None), "path", None)
        if not isinstance(shown, str) or not self.path:
            return set()
        import linecache
        from pathlib import Path

        path = Path(shown).absolute()
        if not path.as_posix().endswith(f"/{self.path}"):
            return set()
        return {line.strip() for line in linecache.getlines(str(path))}


def is_source(line: str, own: Set[str]) -> bool:
    """Return whether a line of a traceback shows a line of the source.

    Args:
        line: the line of the traceback.
        own: the lines of the source, without indentation.
    """
    return not line.startswith(_ERROR) and line[len(_ERROR) :].strip() in own
