"""Mask pytest's reports and warnings in place. What they refer to is copied."""

from __future__ import annotations

from typing import Any, Callable

from pytest_flowsecrets.leaks.mask.finding_log import OWN_SOURCE
from pytest_flowsecrets.leaks.mask.masked_copies import Clean, OwnSource, has_parts, mask_data, mask_longrepr
from pytest_flowsecrets.leaks.mask.node_ids import set_nodeid, without_parameters

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
                masked = mask_longrepr(value, _at(clean, _place_of(report, place)), sources)
            elif name == "sections":
                masked = mask_sections(value, clean)
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
    if has_parts(value):
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


def mask_sections(sections: Any, clean: Callable[[Any, str], Any]) -> Any:
    """Mask captured output. The place is derived from the title of the section."""
    masked = []
    for title, content in sections:
        place = title.lower().rsplit(" ", 1)[0] if title.startswith("Captured ") else f"section {title}"
        masked.append((clean(title, "section"), clean(content, place)))
    changed = any(old[1] is not new[1] or old[0] is not new[0] for old, new in zip(sections, masked))
    return masked if changed else sections


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
