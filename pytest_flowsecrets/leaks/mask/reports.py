"""Masking what pytest keeps in objects: reports with their tracebacks and sections, warnings, any data.

Only the report itself is changed: an attribute that holds a known secret is replaced by a masked copy, part by part, so
that it keeps its structure and every ``--tb`` style still works. The objects that it refers to may belong to a test, so
they are never changed.
"""

from __future__ import annotations

from abc import ABCMeta
from dataclasses import is_dataclass
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Set, Tuple

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
_LIVE = frozenset(
    {"call", "result", "item", "_id", "nodeid"}
)  # not shown: what the reporters use is in the other attributes


def mask_report(report: Any, clean: Callable[[Any, str], Any], withheld: str) -> None:
    """Replace every attribute of a report that holds a secret by a masked copy, but its id.

    Args:
        report: of a test, of a collector, or what a plugin makes like them.
        clean: masks a text, told the place at which it stands.
        withheld: what is put in the place of something that raises.
    """
    for name, value in list(vars(report).items()):
        if name in _LIVE or name in _HARMLESS:
            continue
        place = _PLACES.get(name, f"report {name}")
        try:
            if name == "longrepr":
                masked = _mask_longrepr(value, _at(clean, _place_of(report, place)))
            elif name == "sections":
                masked = _mask_sections(value, clean)
            else:
                masked = mask_data(value, _at(clean, place))
        except Exception:  # noqa: BLE001 - whatever an object of a plugin raises
            masked = _withheld(value, withheld)
        if masked is not value:
            setattr(report, name, masked)


def withhold_report(report: Any, withheld: str) -> None:
    """Put a note in the place of everything in a report that can hold a secret."""
    set_nodeid(report, without_parameters(str(report.nodeid), withheld))
    for name, value in list(vars(report).items()):
        if name == "location":
            report.location = value and (*value[:2], without_parameters(value[2], withheld))
        elif name == "sections":
            report.sections = [(title if title.startswith("Captured ") else "", withheld) for title, _ in value]
        elif name not in _LIVE and name not in _HARMLESS and value:
            setattr(report, name, _withheld(value, withheld))


def withhold_object(thing: Any, withheld: str) -> None:
    """Put a note in the place of every text that an object of pytest's holds."""
    for name, value in list(vars(thing).items()):
        setattr(thing, name, _withheld_parts(value, withheld))


def _withheld_parts(value: Any, withheld: str) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_withheld_parts(part, withheld) for part in value)
    if _has_parts(value):
        withhold_object(value, withheld)
    return withheld if isinstance(value, str) else value


def _withheld(value: Any, withheld: str) -> Any:
    if isinstance(value, tuple):  # the place and reason of a skip
        return _withheld_parts(value, withheld)
    return [] if isinstance(value, list) else {} if isinstance(value, dict) else withheld


def _place_of(report: Any, place: str) -> str:
    return "reason" if getattr(report, "outcome", "") == "skipped" else place


def _at(clean: Callable[[Any, str], Any], place: str) -> Clean:
    return lambda text: clean(text, place)


def _mask_sections(sections: Any, clean: Callable[[Any, str], Any]) -> Any:
    """Captured output: the title of a section says where it comes from."""
    masked = []
    for title, content in sections:
        place = title.lower().rsplit(" ", 1)[0] if title.startswith("Captured ") else f"section {title}"
        masked.append((clean(title, "section"), clean(content, place)))
    changed = any(old[1] is not new[1] or old[0] is not new[0] for old, new in zip(sections, masked))
    return masked if changed else sections


def _mask_longrepr(longrepr: Any, clean: Clean) -> Any:
    """First its parts, then a look at what it comes to: its class may put texts together in its own way."""
    longrepr = mask_data(longrepr, clean)
    if longrepr is None or isinstance(longrepr, (str, tuple)):
        return longrepr
    text = str(longrepr)
    masked = clean(text)
    return longrepr if masked is text else masked


def mask_data(value: Any, clean: Clean) -> Any:
    """Return data with every text masked, the same object if there is nothing to mask.

    Nothing is changed in place: containers and objects that hold a secret are copied. Objects are those that reports
    consist of (dataclasses, classes of attrs, all that has ``toterminal``); other objects are not looked into.
    """
    return _Walk(clean).masked(value)


def mask_in_place(thing: Any, clean: Clean) -> None:
    """Mask an object that pytest made for a hook and that the hook cannot replace; what it refers to is copied."""
    masked = mask_data(thing, clean)
    if masked is not thing:
        vars(thing).update(vars(masked))


class _Node(NamedTuple):
    """A container or an object of the data, with its parts as they were read.

    Attributes:
        value: the original, which is kept alive as long as its id is in use.
        parts: the elements; the keys and then the values of a mapping; the values of an object's attributes.
        names: the names of an object's attributes.
    """

    value: Any
    parts: List[Any]
    names: List[str]


class _Walk:
    """One walk through data, which may refer to itself.

    The first pass reads the data and notes which nodes lead to a secret. Only these are copied, in a second pass.
    """

    def __init__(self, clean: Clean) -> None:
        self._clean = clean
        self._texts: Dict[int, Tuple[Any, Any]] = {}  # the text and the masked text by the id of the text
        self._lines: Dict[int, List[str]] = {}  # masked lines by the id of their list
        self._nodes: Dict[int, _Node] = {}
        self._users: Dict[int, List[int]] = {}  # for each node, the nodes that refer to it
        self._changed: Set[int] = set()
        self._copies: Dict[int, Any] = {}

    def masked(self, value: Any) -> Any:
        """Return the data masked, the same object if there is nothing to mask."""
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
            if isinstance(value, list) and _is_lines(value):
                self._read_lines(value)
                return
            for part in node.parts:
                self._users.setdefault(id(part), []).append(id(value))
                self._read(part)

    def _read_lines(self, lines: List[str]) -> None:
        """Mask the lines of one text together: a value may be broken over them."""
        glue = "" if all(line.endswith("\n") for line in lines) else "\n"
        text = glue.join(lines)
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
        """Return a masked copy; one that can refer to itself is remembered before it is filled."""
        value = node.value
        if isinstance(value, tuple):
            parts = tuple(map(self._copied, node.parts))
            return tuple.__new__(_class_of_copies(type(value)), parts) if hasattr(value, "_fields") else parts
        if isinstance(value, (set, frozenset)):
            return (set if isinstance(value, set) else frozenset)(map(self._copied, node.parts))
        copy: Any = {} if isinstance(value, Mapping) else [] if isinstance(value, list) else _empty(value)
        self._copies[id(value)] = copy
        if isinstance(value, list):
            copy += self._lines.get(id(value)) or map(self._copied, node.parts)
            return copy
        parts = tuple(map(self._copied, node.parts))
        if isinstance(value, Mapping):
            half = len(parts) // 2
            copy.update(zip(parts[:half], parts[half:]))
        for name, part in zip(node.names, parts):
            object.__setattr__(copy, name, part)  # some of the classes are frozen
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
    """Dataclasses, classes of attrs (pytest-subtests has some), and all that can print itself to a terminal."""
    kind = type(value)  # an instance may be a mock, which has every attribute, and remembers that it was asked
    return is_dataclass(kind) or hasattr(kind, "__attrs_attrs__") or hasattr(kind, "toterminal")


def _is_lines(value: List[Any]) -> bool:
    return len(value) > 1 and all(isinstance(part, str) for part in value)


def _empty(value: Any) -> Any:
    """Return another object of the same class; none of the class's own code runs, also when the object ends."""
    return object.__new__(_class_of_copies(type(value)))


class _Unfinalized:
    """Overrides what a class would run when it gets a subclass, and when one of its objects ends."""

    __slots__ = ()

    def __init_subclass__(cls, **_: Any) -> None:
        """Run nothing of the class that is copied."""

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
    """What an object holds, in its dictionary and in its slots."""
    slots = [vars(kind).get("__slots__", ()) for kind in type(value).__mro__]
    names = [name for names in slots for name in ([names] if isinstance(names, str) else names)]
    held = {name: getattr(value, name) for name in names if not name.startswith("__") and hasattr(value, name)}
    return {**held, **getattr(value, "__dict__", {})}


def mask_warning(recorded: Any, clean: Clean) -> None:
    """Mask a ``warnings.WarningMessage``: its text, the line of source that is shown with it, and the file's name."""
    message = recorded.message
    text = str(message)
    masked = clean(text)
    if masked is not text:
        recorded.message = masked if isinstance(message, str) else _another(recorded.category, masked)
    if recorded.line is None:
        import linecache

        line = linecache.getline(recorded.filename, recorded.lineno).strip()
        cleaned = clean(line)
        if cleaned is not line:
            recorded.line = cleaned
    recorded.filename = clean(recorded.filename)


def _another(category: Any, text: str) -> Warning:
    """A warning of the same category with another text, if its class takes one."""
    try:
        warning: Warning = category(text)
        if str(warning) == text:
            return warning
    except Exception:  # noqa: BLE001, S110 - the class wants other arguments
        pass
    return UserWarning(text)
