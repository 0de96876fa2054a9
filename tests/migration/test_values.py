"""Names and forms of values for blocks and variables."""

from __future__ import annotations

import datetime as dt
import json
import math
import pickle

import pytest

from pytest_flowsecrets.isolation.prefect3 import blocks
from pytest_flowsecrets.migration.plan import block_name, is_block_name, is_variable_name, variable_name
from pytest_flowsecrets.migration.values import NotStorable, decode, same, secret_to_store, variable_to_store
from pytest_flowsecrets.resolution.layers import Items, Table


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("GITHUB_ACCESS_TOKEN", "github-access-token"),
        ("my secret", "my-secret"),
        ("a.b__c", "a-b--c"),
        ("_x_", "-x-"),
        ("plain-1", "plain-1"),
        ("é", ""),
        ("", ""),
    ],
)
def test_block_names(old, new):
    """A legacy name becomes lower-case letters, digits and dashes; nothing is left of a name without any."""
    assert block_name(old) == new
    assert is_block_name(new) == bool(new)


@pytest.mark.parametrize("name", ["GITHUB_ACCESS_TOKEN", "a__b", "_x", "Mixed-1"])
def test_tests_and_flows_use_the_same_block_names(name):
    """A test on Prefect 3 that sets a secret by its legacy name sets the block that the migrated code loads."""
    assert block_name(name) == blocks.block_name(name)


@pytest.mark.parametrize(
    ("old", "new"), [("My-Bucket", "my_bucket"), ("a b", "a_b"), ("_x", "_x"), ("é", ""), ("x" * 256, "")]
)
def test_variable_names(old, new):
    """A key becomes lower-case letters, digits and underscores, at most 255 of them."""
    assert variable_name(old) == new
    assert is_variable_name(new) == bool(new)


@pytest.mark.parametrize("name", ["A", "a_b", "-", "é", "a\n", ""])
def test_no_block_names(name):
    """Names that Prefect refuses, and those without a letter or digit, are not valid."""
    assert not is_block_name(name)


JSON_VALUES = [
    *("plain", "", " 7 ", "42", '"q"', "null", "NaN", "1e5", "0000", '{"a": 1}', "\ud800", '"\\ud800"', "1" * 5000),
    *(42, 0, -0.0, 1.5, math.inf, -math.inf, 10**30, True, None, [], {}, [1, "2", None], {"a": {"b": [math.inf]}}),
    *({"$ref": {"block_document_id": "x"}}, [{"$ref": "x"}], {"big": 2**63}, 2**63 - 1, -(2**63)),
]


@pytest.mark.parametrize("value", JSON_VALUES, ids=lambda value: repr(value)[:20])
def test_json_values_come_back_unchanged(value):
    """The form of a JSON value decodes to the same value with the same types, as ``Secret.get`` of Prefect 3 does."""
    stored = secret_to_store(value, 3)
    assert same(decode(stored.data), value)
    assert same(stored.value, value)
    assert stored.changes == []
    assert json.loads(json.dumps(stored.data, allow_nan=False).encode("utf-8")) == stored.data
    assert "42" not in repr(stored)


def test_nan_comes_back():
    """Not a number, which JSON does not have, is stored as text that Prefect decodes."""
    stored = secret_to_store(math.nan, 3)
    assert stored.data == "NaN"
    assert math.isnan(decode(stored.data))


@pytest.mark.parametrize(
    ("value", "result", "change"),
    [
        (Table(a=1), {"a": 1}, "Config becomes dict"),
        (Items([1]), [1], "BoxList becomes list"),
        ((1, 2), [1, 2], "tuple becomes list"),
        ([dt.date(2020, 1, 2)], ["2020-01-02"], "date becomes text"),
        (dt.datetime(2020, 1, 2, 3, 4), "2020-01-02T03:04:00", "datetime becomes text"),  # noqa: DTZ001
    ],
)
def test_other_types_get_the_nearest_value(value, result, change):
    """The change of a type is described, at any depth."""
    stored = secret_to_store(value, 3)
    assert same(decode(stored.data), result)
    assert [each.startswith(change) for each in stored.changes] == [True]


@pytest.mark.parametrize("value", [{1}, b"x", ..., 1j, {1: "x"}, [{None: 1}], 10**5000], ids=lambda v: type(v).__name__)
def test_values_without_a_form(value):
    """A value that JSON cannot express raises an error that does not contain it."""
    with pytest.raises(NotStorable):
        secret_to_store(value, 3)
    with pytest.raises(NotStorable):
        variable_to_store(value, 3)


def test_prefect_2_stores_text_only():
    """For Prefect 2 a text stays as it is, and any other value becomes its JSON text, which is described."""
    assert secret_to_store("42", 2).data == "42"
    stored = secret_to_store({"a": [1]}, 2)
    assert (stored.data, stored.value) == ('{"a": [1]}', '{"a": [1]}')
    assert "use json.loads" in stored.changes[0]
    with pytest.raises(NotStorable, match="not valid Unicode"):
        secret_to_store("\ud800", 2)


def test_variables_are_not_decoded():
    """A variable of Prefect 3 returns JSON data as it is stored, so a text of digits stays text."""
    assert variable_to_store("42", 3).data == "42"
    assert variable_to_store({"a": 1}, 3).data == {"a": 1}
    assert variable_to_store(42, 2).data == "42"
    for value in (math.nan, 10**30):
        with pytest.raises(NotStorable, match="store it as text"):
            variable_to_store(value, 3)


def test_same_distinguishes_types():
    """Equal values of different types are not the same."""
    assert not same(1, True)
    assert not same([1], [1.0])
    assert not same({"a": 1}, {"a": 1, "b": 2})
    assert not same(0.0, -0.0)
    assert same({"a": [math.nan]}, {"a": [math.nan]})
    assert pickle.loads(pickle.dumps(NotStorable("why"))).args == ("why",)
