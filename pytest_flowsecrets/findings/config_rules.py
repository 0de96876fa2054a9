"""Rules about configuration files, and FS015: a configuration with which nothing works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, List, Optional

from pytest_flowsecrets.findings.model import Finding, where, written
from pytest_flowsecrets.resolution.env_names import SECRETS
from pytest_flowsecrets.resolution.layers import Layer, Origin, type_name
from pytest_flowsecrets.resolution.resolve import Resolution, resolve
from pytest_flowsecrets.resolution.toml_positions import position, positions_of
from pytest_flowsecrets.resolution.toml_reader import (
    SyntaxFault,
    decode,
    differences,
    legacy_fault,
    read_layer,
    remedy,
    syntax_fault,
)

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect


_ADVICE = "write tables where tables belong: [context.secrets] in config.toml, one variable for each secret"


def whole_findings(resolution: Resolution) -> Iterator[Finding]:
    """Say that ``import prefect``, or every ``Secret.get()``, fails.

    Args:
        resolution: a resolution about which no rule has found an error.
    """
    message = _trouble(resolution)
    if message is None:
        return
    versions = where(lambda row: _trouble(_again(resolution, row)) == message)
    yield Finding("FS015", "error", "", _origin(resolution), message, versions, _ADVICE)


def _trouble(resolution: Resolution) -> Optional[str]:
    failure = resolution.failure
    if failure is not None:
        unread = any(layer.failure for layer in resolution.layers)  # told by the rules about files
        return None if unread else f"import prefect fails ({failure.type}: {failure.safe_message})"
    if resolution.secrets is None or isinstance(resolution.secrets, dict):
        return None
    return f"context.secrets is no table but {type_name(resolution.secrets)}: Secret.get() fails for every name"


def _again(resolution: Resolution, row: Dialect) -> Resolution:
    layers = [layer for layer in resolution.layers if layer.kind != "defaults"]
    return resolve(layers, resolution.environ, row, machine=resolution.machine)


def _origin(resolution: Resolution) -> Origin:
    """Where the trouble was written: what the error names, else the first line about ``context``, else the file."""
    origins = [slot.origin for slot in written(resolution)]
    told = resolution.failure.where if resolution.failure is not None else ""
    near = [origin for origin in origins if told == str(origin)] or [
        origin for origin in origins if origin.key[:1] == ("context",)
    ]
    return (near or origins)[0]


# Rules about the text of a configuration file: what makes Prefect fail at import, or read it in another way.

_ALL = "0.5.0-1.4.1"
_BOM = "\ufeff"
_TWICE = ("twice", "overwrite", "declare", "duplicate", "redefine", "immutable")  # what tomli says then


def file_findings(source: bytes, place: str) -> List[Finding]:
    """Check a file's bytes as such.

    Args:
        source: the bytes.
        place: the file's name.
    """
    try:
        text = decode(source)
    except UnicodeDecodeError as error:
        line, column = position(source, error.start)
        return [_finding("FS001", place, line, column, "not UTF-8: import prefect fails", "save it as UTF-8")]
    if text.startswith(_BOM):
        does = "import prefect fails" if legacy_fault(text) else "it becomes a part of the first key"
        return [_finding("FS003", place, 1, 1, f"a byte order mark: {does}", "save it as UTF-8 without BOM")]
    fault, legacy = syntax_fault(text), legacy_fault(text)
    if fault is not None:
        return [_fault(place, text, fault)] if legacy is not None else _lenient(text, place, fault)
    if legacy is not None:
        message = "Prefect's TOML parser (toml 0.10.2) cannot read this file: import prefect fails"
        return [_read_unlike("error", Origin("user", place, legacy.line, legacy.column), message)]
    return _differences(text, place)


def _lenient(text: str, place: str, fault: SyntaxFault) -> List[Finding]:
    """A text that only Prefect's parser reads."""
    misread = list(misread_names(read_layer(text, place=place)))
    if fault.line in {finding.origin.line for finding in misread}:
        return misread
    message = f"no valid TOML ({fault.reason}), although Prefect's own parser (toml 0.10.2) takes it"
    return [_read_unlike("warning", Origin("user", place, fault.line, fault.column), message, "correct it")]


def _differences(text: str, place: str) -> List[Finding]:
    found = []
    different = differences(text)
    places = positions_of(text) if different else {}
    for key, missing in different:
        at = places.get(key)
        origin = Origin("user", place, at.line if at else None, at.column if at else None, key)
        name = ".".join(key)
        does = (
            f"does not read the key {name!r}, which does not exist" if missing else f"reads another value for {name!r}"
        )
        message = f"Prefect's TOML parser (toml 0.10.2) {does}"
        found.append(_read_unlike("error" if missing else "warning", origin, message))
    return found


def misread_names(layer: Layer) -> Iterator[Finding]:
    """Report the names of a file into which Prefect's parser takes a part of the value.

    Args:
        layer: the file; names that may hold a value are masked in it.
    """
    for key, doubt in layer.doubts.items():
        if key[:-1] in layer.doubts:
            continue
        missing = f"there is no {doubt.name!r}" if doubt.name else "the key that is meant does not exist"
        message = f"Prefect's TOML parser (toml 0.10.2) reads another name here than TOML 1.0: {missing}"
        name = ".".join((*key[2:-1], doubt.name or key[-1]) if key[:2] == SECRETS else key)
        advice = f"put the value in quotes: {doubt.name or 'NAME'} = '...'"
        yield Finding("FS002", "error", name, layer.origin(key), message, _ALL, advice)


def _read_unlike(
    severity: str,
    origin: Origin,
    message: str,
    advice: str = "write plain keys, one line strings, and arrays of one type",
) -> Finding:
    return Finding("FS002", severity, ".".join(origin.key), origin, message, _ALL, advice)


def _fault(place: str, text: str, fault: SyntaxFault) -> Finding:
    line, column, reason = fault
    twice = any(word in reason.lower() for word in _TWICE)
    message = f"{reason}: import prefect fails"
    if twice:
        return _finding(
            "FS004", place, line, column, f"a key or table that is there already: {message}", "keep one of them"
        )
    return _finding("FS001", place, line, column, f"no valid TOML: {message}", remedy(text, fault))


def _finding(  # noqa: PLR0913, PLR0917 (the columns of a finding)
    rule: str, place: str, line: Optional[int], column: Optional[int], message: str, advice: str
) -> Finding:
    return Finding(rule, "error", "", Origin("user", place, line, column), message, _ALL, advice)
