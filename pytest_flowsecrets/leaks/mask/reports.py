"""Mask pytest's objects: reports with their tracebacks and sections, warnings, and any data.

Only the report itself changes: an attribute that contains a secret is replaced by a masked copy of the same structure,
so every ``--tb`` style still works. The objects to which a report refers can belong to a test, so they never change.
"""

from __future__ import annotations

from abc import ABCMeta
from dataclasses import is_dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from pytest_flowsecrets.leaks.mask.masker import OWN_SOURCE
from pytest_flowsecrets.leaks.mask.own_source import OwnSource, is_source
from pytest_flowsecrets.leaks.mask.pytest_items import set_nodeid, without_parameters

Clean = Callable[[Any], Any]
_CONTAINERS = list, tuple, set, frozenset, Mapping
_PLACES = {
    "longrepr": "failure",
    "wasxfail": "reason",
    "location": "id",
    "keywords": "id",
    "user_properties": "property",
}

_HARMLESS = frozenset(
    {"outcome", "when", "duration", "start", "stop", "worker_id", "node", "item_index", "testrun_uid"}
)
_LIVE = frozenset({"call", "result", "item", "_id", "nodeid"})  # reporters do not show these


def mask_report(report: Any, clean: Callable[[Any, str], Any], withheld: str) -> None:
    """Replace each attribute of a report that contains a secret by a masked copy, except its id.

    Args:
        report: the report of a test or a collector, or a similar object of a plugin.
        clean: masks a text, given its place.
        withheld: replaces an object that raises an error.
    """
    for name, value in list(vars(report).items()):
        if name in _LIVE or name in _HARMLESS:
            continue
        place = _PLACES.get(name, f"report {name}")
        try:
            if name == "longrepr":
                sources = OwnSource(str(report.nodeid).partition("::")[0], _at(clean, OWN_SOURCE))
                masked = _mask_longrepr(value, _at(clean, _place_of(report, place)), sources)
            elif name == "sections":
                masked = _mask_sections(value, clean)
            else:
                masked = mask_data(value, _at(clean, place))
        except Exception:  # noqa: BLE001 - an object of a plugin can raise anything
            masked = _withheld(value, withheld)
        if masked is not value:
            setattr(report, name, masked)


def withhold_report(report: Any, withheld: str) -> None:
    """Replace everything in a report that can contain a secret by a note."""
    set_nodeid(report, without_parameters(str(report.nodeid), withheld))
    for name, value in list(vars(report).items()):
        if value and name not in _LIVE and name not in _HARMLESS:
            setattr(report, name, _withheld_attribute(name, value, withheld))


def _withheld_attribute(name: str, value: Any, withheld: str) -> Any:
    if name == "location":
        return (*value[:2], without_parameters(value[2], withheld))
    if name == "sections":
        return [(title if title.startswith("Captured ") else "", withheld) for title, _ in value]
    return _withheld(value, withheld)


def withhold_object(thing: Any, withheld: str) -> None:
    """Replace every text in an object that pytest created by a note."""
    for name, value in list(vars(thing).items()):
        setattr(thing, name, _withheld_parts(value, withheld))


def _withheld_parts(value: Any, withheld: str) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_withheld_parts(part, withheld) for part in value)
    if _has_parts(value):
        withhold_object(value, withheld)
    return withheld if isinstance(value, str) else value


def _withheld(value: Any, withheld: str) -> Any:
    if isinstance(value, tuple):  # the location and reason of a skip
        return _withheld_parts(value, withheld)
    return [] if isinstance(value, list) else {} if isinstance(value, dict) else withheld


def _place_of(report: Any, place: str) -> str:
    return "reason" if getattr(report, "outcome", "") == "skipped" else place


def _at(clean: Callable[[Any, str], Any], place: str) -> Clean:
    return lambda text: clean(text, place)


def _mask_sections(sections: Any, clean: Callable[[Any, str], Any]) -> Any:
    """Mask captured output. The place is derived from the title of the section."""
    masked = []
    for title, content in sections:
        place = title.lower().rsplit(" ", 1)[0] if title.startswith("Captured ") else f"section {title}"
        masked.append((clean(title, "section"), clean(content, place)))
    changed = any(old[1] is not new[1] or old[0] is not new[0] for old, new in zip(sections, masked))
    return masked if changed else sections


def _mask_longrepr(longrepr: Any, clean: Clean, source: OwnSource) -> Any:
    """Mask the parts of a traceback, and then its text: a class can join texts in its own way."""
    longrepr = _Walk(clean, source).masked(longrepr)
    if longrepr is None or isinstance(longrepr, (str, tuple)):
        return longrepr
    text = str(longrepr)
    masked = clean(text)
    return longrepr if masked is text else masked


def mask_data(value: Any, clean: Clean) -> Any:
    """Return data with every text masked, or the same object if there is nothing to mask.

    Nothing changes in place: containers and objects that contain a secret are copied. Only objects of which reports
    consist are searched: dataclasses, classes of attrs, and classes with ``toterminal``.
    """
    return _Walk(clean).masked(value)


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
    return not isinstance(value, type) and (isinstance(value, _CONTAINERS) or _has_parts(value))


def _node_of(value: Any) -> _Node:
    if isinstance(value, Mapping):
        items = list(value.items())
        return _Node(value, [key for key, _ in items] + [part for _, part in items], [])
    if isinstance(value, (list, tuple, set, frozenset)):
        return _Node(value, list(value), [])
    attributes = attributes_of(value)
    return _Node(value, list(attributes.values()), list(attributes))


def _has_parts(value: Any) -> bool:
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


def mask_warning(recorded: Any, clean: Clean) -> None:
    """Mask a ``warnings.WarningMessage``: its text, its source line and its file name."""
    message = recorded.message
    text = str(message)
    masked = clean(text)
    if masked is not text:
        recorded.message = masked if isinstance(message, str) else _another(recorded.category, masked)
    if recorded.line is None:
        import linecache

        line = linecache.getline(recorded.filename, recorded.lineno).strip()
        masked_line = clean(line)
        if masked_line is not line:
            recorded.line = masked_line
    recorded.filename = clean(recorded.filename)


def _another(category: Any, text: str) -> Warning:
    """Return a warning of the same category with another text.

    If the class takes other arguments, return a ``UserWarning``.
    """
    try:
        warning: Warning = category(text)
        if str(warning) == text:
            return warning
    except Exception:  # noqa: BLE001, S110 - the class takes other arguments
        pass
    return UserWarning(text)
