"""The keys in the standard's own test suite for TOML 1.0: read, located, written and rejected.

Prefect's parser does not follow the standard. If it reads a case differently, the tables here say how, and there is a
finding about it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tomli

from pytest_flowsecrets.findings.config_rules import file_findings
from pytest_flowsecrets.isolation.home import config_text
from pytest_flowsecrets.resolution.toml_positions import positions_of
from pytest_flowsecrets.resolution.toml_reader import read_layer, syntax_fault

SUITE = Path(__file__).with_name("toml-test")
VALID = sorted(SUITE.glob("valid/*.toml"))
INVALID = sorted(SUITE.glob("invalid/*.toml"))

#: Valid cases that Prefect's parser refuses, with the line.
REFUSED = {
    "dotted-02": 7,  # count."b".c
    "dotted-empty": 2,  # ''.x and ""."" are one key to it
    "quoted-unicode": 3,  # it takes '\u0000' and "\u0000" for one key
}
#: Valid cases in which it reads keys differently, with the keys as TOML has them.
UNLIKE = {
    "dotted-01": [("name", "last")],  # name.'last' keeps its quotes
    "escapes": [("À",), ("backsp\b\b",), ('"quoted"',), ("a.b", "À")],  # escapes in keys are not read
    "quoted-dots": [("table", "withdot", "escaped.dot")],
}
#: Those of them that it does not read in any spelling.
ALSO_WRITTEN = {"dotted-empty", "escapes", "quoted-unicode"}
#: Invalid cases that it reads.
TAKEN = {
    *("bare-invalid-character-01", "duplicate-keys-05", "duplicate-keys-06", "escape", "no-eol-02", "no-eol-06"),
    *("no-eol-07", "special-character", "start-dot", "two-equals-02", "two-equals-03"),
}
_TYPES = {"string": str, "integer": int, "float": float, "bool": json.loads}


def expected(path):
    return plain(json.loads(path.with_suffix(".json").read_text("utf-8")))


def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    if set(value) == {"type", "value"}:
        return _TYPES[value["type"]](value["value"])
    return {name: plain(item) for name, item in value.items()}


def keys_in(table, parent=()):
    for name, value in table.items():
        key = (*parent, name)
        if isinstance(value, dict) and value:
            yield from keys_in(value, key)
        else:
            yield key


def test_the_suite_is_there():
    """The suite contains all of its cases about keys."""
    assert (len(VALID), len(INVALID)) == (28, 61)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_case_is_read(path):
    """A valid case is read as in the standard, or has a finding for each key or for the line."""
    source = path.read_bytes()
    assert syntax_fault(source.decode()) is None
    layer, findings = read_layer(source), file_findings(source, "f")
    if path.stem in REFUSED:
        assert layer.failure.type == "TomlDecodeError"
        assert [(finding.id, finding.severity, finding.origin.line) for finding in findings] == [
            ("FS002", "error", REFUSED[path.stem])
        ]
        return
    unlike = UNLIKE.get(path.stem, [])
    assert (layer.data == expected(path)) == (not unlike)
    assert [finding.origin.key for finding in findings if finding.origin.line is not None] == unlike
    assert {finding.id for finding in findings} <= {"FS002"}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_case_has_positions(path):
    """The position of every key is at a quote, or at its first letter."""
    text = path.read_text("utf-8")
    lines, places = text.split("\n"), positions_of(text)
    for key in keys_in(expected(path)):
        line, column = places[key][:2]
        assert lines[line - 1][column - 1 :].startswith(("'", '"', key[-1]))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_case_is_written_and_read_back(path):
    """A mapping with such keys is written as TOML, and a key that Prefect would read differently is an error."""
    mapping = expected(path)
    text = config_text.to_text(mapping)
    assert tomli.loads(text) == mapping
    findings = file_findings(text.encode(), "f")
    assert {finding.id for finding in findings} == ({"FS002"} if path.stem in ALSO_WRITTEN else set())
    if not findings:
        assert config_text.read(text) == mapping


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_case_is_refused(path):
    """An invalid case is an error with its position, or a warning if Prefect's parser reads the same name."""
    source = path.read_bytes()
    assert syntax_fault(source.decode()).line is not None
    (finding,) = file_findings(source, "f")
    taken = path.stem in TAKEN
    assert finding.severity == ("warning" if taken and not read_layer(source).doubts else "error")
    assert finding.id in ({"FS002"} if taken else {"FS001", "FS004"})
    assert (read_layer(source).failure is None) == taken
    assert finding.origin.line is not None
