"""Configurations that Prefect cannot build give each release's own error, as a value."""

from __future__ import annotations

import datetime as dt

import pytest

from pytest_flowsecrets.resolution.dialects import dialect_for
from pytest_flowsecrets.resolution.layers import Failure, Layer, type_name
from pytest_flowsecrets.resolution.resolve import resolve

S = "PREFECT__CONTEXT__SECRETS__"


def names_of(value):
    if isinstance(value, dict):
        return type_name(value), [names_of(item) for item in value.values()]
    return type_name(value), [names_of(item) for item in value] if isinstance(value, (list, tuple)) else []


@pytest.mark.parametrize(
    ("version", "outer", "inner", "items"),
    [
        ("0.6.5", "dict", "dict", "list"),
        ("0.6.6", "Config", "Box", "BoxList"),
        ("0.13.7", "Config", "Box", "BoxList"),
        ("0.13.8", "Config", "Config", "BoxList"),
    ],
)
def test_dicts_in_lists(version, outer, inner, items):
    """Up to python-box 4, dicts inside a list of lists, and all below them, are plain ``Box``es."""
    value = [{"k": 1}, [{"k": [{}]}], ({},)]
    stored = resolve([Layer("user", {"context": {"secrets": {"A": value}}})], {}, version).secrets["A"]
    below = (inner, [(items, [(inner, [])])])
    assert names_of(stored) == (items, [(outer, [("int", [])]), (items, [below]), ("tuple", [("dict", [])])])


def failure(tables, environ, version):
    error = resolve([Layer("user", tables)], environ, version).failure
    return (error.type, error.message) if error else None


@pytest.mark.parametrize(
    ("tables", "environ", "version", "expected"),
    [
        ({"context": "x"}, {S + "A": "v"}, "1.4.1", ("AttributeError", "'str' object has no attribute 'setdefault'")),
        (
            {"context": {"secrets": []}},
            {S + "A": "v"},
            "1.4.1",
            ("TypeError", "list indices must be integers or slices, not str"),
        ),
        (
            {"context": {"secrets": dt.date(2020, 1, 2)}},
            {S + "A": "v"},
            "1.4.1",
            ("TypeError", "'datetime.date' object does not support item assignment"),
        ),
        (
            {"context": {"setdefault": 1, "secrets": {"a": "x"}}},
            {},
            "0.6.5",
            ("TypeError", "'int' object is not callable"),
        ),
        ({"foo": {"items": "x"}}, {}, "0.6.5", ("TypeError", "'str' object is not callable")),
        ({"foo": {"items": "x"}}, {}, "0.6.6", ("ValueError", 'Invalid config key: "items"')),
        ({"foo": {"items": "x"}}, {}, "0.5.5", None),
        ({"Foo": {}}, {"PREFECT__X": "1"}, "0.6.0", None),
        ({"foo": {"Bar": 1}}, {}, "0.6.0", ("ValueError", 'Config keys must be lowercase: "Bar"')),
        ({"context": {"Bar": 1}}, {}, "0.6.0", None),
        ({"context": {"mro": 1}}, {}, "0.5.5", ("ValueError", 'Invalid key: "mro"')),
        ({"context": {"mro": 1}}, {}, "0.6.5", None),
        ({"setdefault": "v"}, {}, "0.6.0", ("TypeError", "'str' object is not callable")),
        ({"setdefault": "v"}, {}, "0.6.4", ("ValueError", 'Invalid config key: "setdefault"')),
        ({"tasks": {"defaults": {"get": 1}}}, {}, "0.5.4", ("TypeError", "'int' object is not callable")),
        ({}, {"PREFECT__TASKS": "x"}, "1.4.1", ("AttributeError", "'str' object has no attribute 'setdefault'")),
        ({}, {"PREFECT__TASKS": "x"}, "0.6.5", ("TypeError", "'str' object does not support item assignment")),
        ({}, {"PREFECT__TASKS": "no defaults"}, "0.6.5", ("TypeError", "string indices must be integers")),
        ({}, {"PREFECT__TASKS": "5"}, "0.6.5", ("TypeError", "argument of type 'int' is not iterable")),
        ({"tasks": []}, {}, "0.6.5", ("TypeError", "list indices must be integers or slices, not str")),
        (
            {},
            {"PREFECT__TASKS__DEFAULTS": "x"},
            "0.6.5",
            ("AttributeError", "'str' object has no attribute 'setdefault'"),
        ),
        (
            {"tasks": {"defaults": {"timeout": 86_400_000_000_000}}},
            {},
            "0.13.18",
            ("OverflowError", "days=1000000000; must have magnitude <= 999999999"),
        ),
        ({"tasks": {"defaults": {"timeout": 86_400_000_000_000}}}, {}, "0.13.19", None),
        ({"context": 5}, {}, "0.6.5", ("TypeError", "'int' object is not iterable")),
        ({"context": [["secrets", {"A": "x"}]]}, {}, "0.6.5", None),
        ({"context": []}, {}, "1.4.1", None),
        ({"context": {"config": "x"}}, {}, "0.6.3", None),
        ({"context": {"config": "x"}}, {}, "0.6.4", ("AttributeError", "'str' object has no attribute 'items'")),
        ({}, {S + "A": "~a\\x00b"}, "0.13.14", ("ValueError", "embedded null byte")),
    ],
)
def test_failures(tables, environ, version, expected):
    """Building, validation and the start of the context fail in the same releases as Prefect."""
    assert failure(tables, environ, version) == expected


@pytest.mark.parametrize(
    ("value", "wording"),
    [
        ([], "list indices must be integers or slices, not str"),
        ("b''", "byte indices must be integers or slices, not str"),
        ("()", "tuple indices must be integers or slices, not str"),
        ("{1}", "'set' object is not subscriptable"),
        (dt.time(1), "'datetime.time' object is not subscriptable"),
    ],
)
def test_no_table(value, wording):
    """``get`` fails with Python's own message for the type that replaces the table."""
    error = resolve([Layer("user", {"context": {"secrets": value}})], {}, "1.4.1").get("A").error
    assert (error.type, error.message) == ("TypeError", wording)


def test_flag_that_cannot_be_read():
    """A ``cloud`` that is not a table is an error only if the flag is read."""
    layers = [Layer("user", {"context": {"config": {"cloud": "x"}, "secrets": {"a": "1x"}}})]
    resolution = resolve(layers, {}, "1.4.1")
    assert resolution.get("a").value == "1x"
    assert resolution.get("b").error.message == "'str' object has no attribute 'use_local_secrets'"


def test_flag_out_of_the_defaults():
    """Without a flag in the context the flag of the configuration is used; without both there is none."""
    layers = [Layer("user", {"context": {"config": {"cloud": {"x": 1}}}})]
    assert resolve(layers, {}, "1.4.1").get("A").kind == "error"
    assert resolve([Layer("defaults", {}), *layers], {}, "0.6.5").get("A").kind == "cloud"


def test_hidden_get():
    """Up to 0.5.3 a secret named get hides the method that Prefect calls."""
    layers = [Layer("user", {"context": {"secrets": {"get": "x"}}})]
    assert resolve(layers, {}, "0.5.3").get("A").error.message == "'str' object is not callable"


def test_drop_stops_at_the_winner():
    """A value drops only earlier values of its table, not later ones."""
    environ = {S + "A": "1x", "PREFECT__CONTEXT__SECRETS": "{'B': 'x'}", S + "C": "y"}
    resolution = resolve([], environ, "1.4.1")
    assert [slot.key[-1] for slot in resolution.dropped] == ["A"]
    assert resolution.names == ["B", "C"]


@pytest.mark.parametrize(
    ("tables", "environ", "expected"),
    [
        ({"foo": {"items": "x"}}, {}, None),
        ({"context": {"secrets": {"a": "x"}}}, {S + "items": "v"}, "'str' object is not callable"),
        ({"context": {"secrets": {"items": {"a": 1}}}}, {S + "b": "v"}, "'Config' object is not callable"),
        ({"context": {"secrets": {"a": 1}}}, {S + "copy": "5"}, "'int' object is not callable"),
        ({"context": {"secrets": {"get": "x", "z": "x"}}}, {S + "b": "v"}, "'str' object is not callable"),
    ],
)
def test_hidden_while_merging(tables, environ, expected):
    """Up to 0.5.3 keys hide the methods of the DotDicts that are merged."""
    error = failure(tables, environ, "0.5.0")
    assert (error and error[1]) == expected


def test_failing_file_comes_second():
    """Up to 0.5.3 the environment is applied to the defaults before the user's file is read, later afterwards."""
    broken = [Layer("user", failure=Failure("TomlDecodeError", "x"))]
    environ = {"PREFECT__CONTEXT__SECRETS": "x", S + "A": "x"}
    assert resolve(broken, environ, "0.5.3").failure.type == "TypeError"
    assert resolve(broken, environ, "0.5.4").failure.type == "TomlDecodeError"


def test_label():
    """`label` is the range of the dialect."""
    assert (dialect_for("0.7.0").label, dialect_for("0.6.6").label) == ("0.6.7-0.9.8", "0.6.6")
