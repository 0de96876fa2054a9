"""Masking what pytest keeps in objects: reports with their tracebacks and sections, warnings, any data.

Objects are changed in place, part by part, so that a report keeps its structure and every ``--tb`` style still works.
Only what holds a known secret is touched.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any, Callable, Dict, List, Mapping, Set

from pytest_flowsecrets.leaks.items import set_nodeid

Clean = Callable[[Any], Any]
_PLACES = {
    "longrepr": "failure",
    "wasxfail": "reason",
    "location": "id",
    "keywords": "id",
    "user_properties": "property",
}

_LIVE = frozenset(
    {"call", "result", "item", "_id", "nodeid"}
)  # not shown: what the reporters use is in the other attributes


def mask_report(report: Any, clean: Callable[[Any, str], Any], withheld: str, *, keep_id: bool = False) -> None:
    """Mask every attribute of a report.

    Args:
        report: of a test, of a collector, or what a plugin makes like them.
        clean: masks a text, told the place at which it stands.
        withheld: what is put in the place of something that raises.
        keep_id: leave the id of the test as it was collected, by which an xdist worker knows it.
    """
    nodeid = clean(report.nodeid, "id")
    if nodeid is not report.nodeid and not keep_id:
        set_nodeid(report, nodeid)
    for name, value in list(vars(report).items()):
        if name in _LIVE:
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
            masked = withheld if name == "longrepr" else type(value)() if isinstance(value, (list, dict)) else withheld
        if masked is not value:
            setattr(report, name, masked)


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
    """Any data masked: texts, containers, and objects of the kinds that reports consist of."""
    return _Walk(clean).masked(value)


class _Walk:
    def __init__(self, clean: Clean) -> None:
        self._clean = clean
        self._seen: Set[int] = set()

    def masked(self, value: Any) -> Any:
        if isinstance(value, (str, bytes)):
            return self._clean(value)
        if isinstance(value, (list, tuple, dict)) or _has_parts(value):
            if id(value) in self._seen or isinstance(value, type):
                return value
            self._seen.add(id(value))
            return self._masked_parts(value)
        return value

    def _masked_parts(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._mapping(value)
        if isinstance(value, list):
            return self._lines(value) if _is_lines(value) else self._sequence(value)
        if isinstance(value, tuple):
            return self._sequence(value)
        for name, part in list(_attributes(value).items()):
            masked = self._mapping(part) if isinstance(part, Mapping) else self.masked(part)
            if masked is not part:
                object.__setattr__(value, name, masked)  # some of the classes are frozen
        return value

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        masked = {self.masked(key): self.masked(part) for key, part in value.items()}
        same = len(masked) == len(value) and all(key in masked and masked[key] is value[key] for key in value)
        return value if same else masked

    def _sequence(self, value: Any) -> Any:
        masked = [self.masked(part) for part in value]
        if all(old is new for old, new in zip(value, masked)):
            return value
        if isinstance(value, list):
            return masked
        return type(value)(*masked) if hasattr(value, "_fields") else tuple(masked)

    def _lines(self, lines: List[str]) -> List[str]:
        """The lines of one text, masked together: a value may be broken over them."""
        glue = "" if all(line.endswith("\n") for line in lines) else "\n"
        text = glue.join(lines)
        masked = self._clean(text)
        if masked is text:
            return lines
        return [str(line) for line in (masked.splitlines(keepends=True) if glue == "" else masked.split("\n"))]


def _has_parts(value: Any) -> bool:
    """Dataclasses, classes of attrs (pytest-subtests has some), and all that can print itself to a terminal."""
    return is_dataclass(value) or hasattr(type(value), "__attrs_attrs__") or hasattr(value, "toterminal")


def _is_lines(value: List[Any]) -> bool:
    return len(value) > 1 and all(isinstance(part, str) for part in value)


def _attributes(value: Any) -> Dict[str, Any]:
    return dict(vars(value)) if hasattr(value, "__dict__") else {name: getattr(value, name) for name in value.__slots__}


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
