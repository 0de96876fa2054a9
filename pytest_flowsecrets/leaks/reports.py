"""Masking what pytest keeps in objects: reports with their tracebacks and sections, warnings, any data.

Only the report itself is changed: an attribute that holds a known secret is replaced by a masked copy, part by part, so
that it keeps its structure and every ``--tb`` style still works. The objects that it refers to may belong to a test, so
they are never changed.
"""

from __future__ import annotations

import operator
from dataclasses import is_dataclass
from typing import Any, Callable, Dict, List, Mapping, Set, Tuple

from pytest_flowsecrets.leaks.items import set_nodeid, without_parameters

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
    walk = _Walk(clean)
    masked = walk.masked(value)
    return masked if walk.changed else value


def mask_in_place(thing: Any, clean: Clean) -> None:
    """Mask an object that pytest made for a hook and that the hook cannot replace; what it refers to is copied."""
    masked = mask_data(thing, clean)
    if masked is not thing:
        vars(thing).update(vars(masked))


class _Walk:
    """One walk through data, which may refer to itself.

    Attributes:
        changed: whether a text was masked.
    """

    def __init__(self, clean: Clean) -> None:
        self._clean = clean
        self._copies: Dict[int, Tuple[Any, Any]] = {}  # by the id of the original, which is kept alive beside its copy
        self._used: Set[int] = set()  # originals whose copies something refers to that was reached from them
        self.changed = False

    def masked(self, value: Any) -> Any:
        if isinstance(value, (str, bytes)):
            return self._text(value)
        if isinstance(value, type) or not (isinstance(value, _CONTAINERS) or _has_parts(value)):
            return value
        if id(value) in self._copies:
            self._used.add(id(value))
            return self._copies[id(value)][1]
        copy = self._copy(value)
        if id(value) not in self._used and _is_same(value, copy):
            copy = value
        self._copies[id(value)] = value, copy
        return copy

    def _text(self, text: Any) -> Any:
        masked = self._clean(text)
        self.changed = self.changed or masked is not text
        return masked

    def _copy(self, value: Any) -> Any:
        """A masked copy; one that can refer to itself is remembered before it is filled."""
        if isinstance(value, tuple):
            parts = tuple(map(self.masked, value))
            return tuple.__new__(type(value), parts) if hasattr(value, "_fields") else parts
        if isinstance(value, (set, frozenset)):
            return type(value)(map(self.masked, value))
        copy: Any = {} if isinstance(value, Mapping) else [] if isinstance(value, list) else _empty(value)
        self._copies[id(value)] = value, copy
        if isinstance(value, Mapping):
            copy.update((self.masked(key), self.masked(part)) for key, part in value.items())
        elif isinstance(value, list):
            copy += self._lines(value) if _is_lines(value) else map(self.masked, value)
        else:
            for name, part in attributes_of(value).items():
                object.__setattr__(copy, name, self.masked(part))  # some of the classes are frozen
        return copy

    def _lines(self, lines: List[str]) -> List[str]:
        """The lines of one text, masked together: a value may be broken over them."""
        glue = "" if all(line.endswith("\n") for line in lines) else "\n"
        text = glue.join(lines)
        masked = self._text(text)
        if masked is text:
            return lines
        return [str(line) for line in (masked.splitlines(keepends=True) if glue == "" else masked.split("\n"))]


def _is_same(value: Any, copy: Any) -> bool:
    """Whether all parts of a copy are those of the original."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return len(value) == len(copy) and all(map(operator.is_, value, copy))
    old, new = (value, copy) if isinstance(value, Mapping) else (attributes_of(value), attributes_of(copy))
    return len(old) == len(new) and all(name in new and new[name] is old[name] for name in old)


def _has_parts(value: Any) -> bool:
    """Dataclasses, classes of attrs (pytest-subtests has some), and all that can print itself to a terminal."""
    kind = type(value)  # an instance may be a mock, which has every attribute, and remembers that it was asked
    return is_dataclass(kind) or hasattr(kind, "__attrs_attrs__") or hasattr(kind, "toterminal")


def _is_lines(value: List[Any]) -> bool:
    return len(value) > 1 and all(isinstance(part, str) for part in value)


def _empty(value: Any) -> Any:
    """Another object of the same class; none of the class's own code runs."""
    return object.__new__(type(value))


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
