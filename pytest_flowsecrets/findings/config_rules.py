"""Rules about the text of a configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, List

from pytest_flowsecrets.findings.rules import finding_of
from pytest_flowsecrets.resolution.env_names import SECRETS
from pytest_flowsecrets.resolution.layers import Layer, Origin
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
    from pytest_flowsecrets.findings.model import Finding

_BOM = "\ufeff"
_TWICE = ("twice", "overwrite", "declare", "duplicate", "redefine", "immutable")  # tomli's words for a duplicate


def file_findings(source: bytes, place: str) -> List[Finding]:
    """Check the syntax of a configuration file.

    Args:
        source: the bytes of the file.
        place: the name of the file.
    """
    try:
        text = decode(source)
    except UnicodeDecodeError as error:
        line, column = position(source, error.start)
        origin = Origin("user", place, line, column)
        return [finding_of("FS001", "", origin, "not UTF-8: import prefect fails", "save it as UTF-8")]
    if text.startswith(_BOM):
        effect = "import prefect fails" if legacy_fault(text) else "it becomes part of the first key"
        origin = Origin("user", place, 1, 1)
        return [finding_of("FS003", "", origin, f"a byte order mark: {effect}", "save it as UTF-8 without a BOM")]
    fault, legacy = syntax_fault(text), legacy_fault(text)
    if fault is not None:
        return [_fault(place, text, fault)] if legacy is not None else _lenient(text, place, fault)
    if legacy is not None:
        message = "Prefect's TOML parser (toml 0.10.2) cannot read this file: import prefect fails"
        return [_read_unlike("error", Origin("user", place, legacy.line, legacy.column), message)]
    return _differences(text, place)


def _lenient(text: str, place: str, fault: SyntaxFault) -> List[Finding]:
    """Report a text that only Prefect's parser can read."""
    misread = list(misread_names(read_layer(text, place=place)))
    if fault.line in {finding.origin.line for finding in misread}:
        return misread
    message = f"not valid TOML ({fault.reason}), although Prefect's own parser (toml 0.10.2) accepts it"
    return [_read_unlike("warning", Origin("user", place, fault.line, fault.column), message, "correct it")]


def _differences(text: str, place: str) -> List[Finding]:
    results = []
    different = differences(text)
    places = positions_of(text) if different else {}
    for key, missing in different:
        at = places.get(key)
        origin = Origin("user", place, at.line if at else None, at.column if at else None, key)
        name = ".".join(key)
        effect = f"does not read the key {name!r}" if missing else f"reads a different value for {name!r}"
        message = f"Prefect's TOML parser (toml 0.10.2) {effect}"
        results.append(_read_unlike("error" if missing else "warning", origin, message))
    return results


def misread_names(layer: Layer) -> Iterator[Finding]:
    """Report names into which Prefect's parser reads part of the value.

    Args:
        layer: the file. Names in it that may contain a value are masked.
    """
    for key, doubt in layer.doubts.items():
        if key[:-1] in layer.doubts:
            continue
        missing = f"{doubt.name!r} does not exist" if doubt.name else "the intended key does not exist"
        message = f"Prefect's TOML parser (toml 0.10.2) reads a different name here than TOML 1.0 does: {missing}"
        name = ".".join((*key[2:-1], doubt.name or key[-1]) if key[:2] == SECRETS else key)
        advice = f"put the value in quotes: {doubt.name or 'NAME'} = '...'"
        yield finding_of("FS002", name, layer.origin(key), message, advice)


def _read_unlike(
    severity: str,
    origin: Origin,
    message: str,
    advice: str = "use bare keys, single-line strings, and arrays with values of one type",
) -> Finding:
    return finding_of("FS002", ".".join(origin.key), origin, message, advice, severity=severity)


def _fault(place: str, text: str, fault: SyntaxFault) -> Finding:
    origin = Origin("user", place, fault.line, fault.column)
    message = f"{fault.reason}: import prefect fails"
    if any(word in fault.reason.lower() for word in _TWICE):
        return finding_of("FS004", "", origin, f"a duplicate key or table: {message}", "keep one of them")
    return finding_of("FS001", "", origin, f"not valid TOML: {message}", remedy(text, fault))
