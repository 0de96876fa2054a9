"""Trees, snapshots and changes, for both kinds of Prefect's tables."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.isolation.prefect1.config_tree import (
    MISSING,
    TableSnapshot,
    Tree,
    change,
    changes,
    freeze,
    items_of,
    prune,
    replace_items,
    thaw,
)


class DotTable:
    """A table like Prefect's DotDict up to 0.6.5, with items as attributes."""


class DictTable(dict):
    """A table like Prefect's Box from 0.6.6 on, whose own methods must not be used."""

    def _refused(self, *args, **kwargs):
        raise AssertionError("a method of the table was used")

    __setitem__ = __getitem__ = __delitem__ = update = clear = pop = keys = values = items = get = copy = __iter__ = (
        _refused
    )


@pytest.fixture(params=[DotTable, DictTable])
def kind(request):
    return request.param


def item(table, key):
    return dict.get(items_of(table), key)


def make(kind, **items):
    table = kind()
    replace_items(items_of(table), items)
    return table


def test_freeze_and_thaw_are_inverse(kind):
    """Nested tables become trees and tables again, and other values stay."""
    table = make(kind, a=1, inner=make(kind, b=[1]), empty=make(kind))
    tree = freeze(table, kind)
    assert tree == {"a": 1, "inner": {"b": [1]}, "empty": {}}
    assert isinstance(tree["inner"], Tree)
    other = kind()
    thaw(other, tree, kind)
    assert freeze(other, kind) == tree
    assert isinstance(item(other, "inner"), kind)


def test_thaw_keeps_tables_and_copies_leaves(kind):
    """Existing tables stay the same objects, and lists are copied."""
    inner = make(kind, old=1)
    table = make(kind, inner=inner, gone=1)
    labels = ["x"]
    thaw(table, Tree(inner=Tree(labels=labels)), kind)
    assert item(table, "inner") is inner
    assert item(inner, "labels") == ["x"]
    assert item(inner, "labels") is not labels
    assert item(table, "gone") is None
    assert item(inner, "old") is None


def test_changes_name_every_leaf_that_differs():
    """`changes` lists set and removed leaves, other types and tables; an empty table is a leaf."""
    old = Tree(same=1, gone=1, typed=1, table=Tree(a=1, b=2), becomes=Tree(a=1), other=3)
    new = Tree(same=1, typed=True, table=Tree(a=1, b=3), becomes=5, other=Tree(x=1), added=None, empty=Tree())
    assert changes(old, new) == {
        ("gone",): MISSING,
        ("typed",): True,
        ("table", "b"): 3,
        ("becomes", "a"): MISSING,
        ("becomes",): 5,
        ("other", "x"): 1,
        ("added",): None,
        ("empty",): {},
    }
    assert repr(MISSING) == "MISSING"


def test_change_makes_one_tree_the_other(kind):
    """Applying the changes in place gives the new tree."""
    old = Tree(a=1, table=Tree(x=1, y=2), becomes=Tree(a=1), value=1)
    new = Tree(table=Tree(x=1, z=[3]), becomes=5, value=Tree(deep=Tree(er=1)), new=Tree(t=1, empty=Tree()))
    table = kind()
    thaw(table, old, kind)
    kept = item(table, "table")
    for path, value in changes(old, new).items():
        change(table, path, value, kind)
        if value is MISSING:
            prune(table, path, kind)
    assert freeze(table, kind) == new
    assert item(table, "table") is kept


def test_change_makes_missing_tables_and_removes_nothing_from_them(kind):
    """`change` creates the missing tables of a path."""
    table = kind()
    change(table, ("a", "b"), MISSING, kind)
    assert freeze(table, kind) == {}
    change(table, ("a", "b"), 1, kind)
    assert freeze(table, kind) == {"a": {"b": 1}}
    change(table, ("a", "b"), MISSING, kind)
    assert freeze(table, kind) == {"a": {}}


def test_prune_takes_the_tables_that_a_removal_has_emptied(kind):
    """`prune` removes empty tables from the leaf upwards, and ignores paths without tables."""
    table = kind()
    thaw(table, Tree(a=Tree(b=Tree(c=Tree())), kept=Tree(x=1, y=Tree())), kind)
    prune(table, ("a", "b", "c", "leaf"), kind)
    prune(table, ("kept", "y", "leaf"), kind)
    prune(table, ("kept", "leaf"), kind)
    prune(table, ("nothing", "here", "leaf"), kind)
    prune(table, ("kept", "x", "y", "leaf"), kind)
    assert freeze(table, kind) == {"kept": {"x": 1}}


def test_an_empty_table_asks_for_a_table_and_keeps_what_is_in_it(kind):
    """An empty tree ensures that a table exists, and keeps an existing one with its contents."""
    table = kind()
    thaw(table, Tree(a=Tree(b=1)), kind)
    kept = item(table, "a")
    change(table, ("a",), Tree(), kind)
    assert item(table, "a") is kept
    assert freeze(kept, kind) == {"b": 1}
    assert changes(Tree(a=Tree()), Tree(a=Tree(b=1))) == {("a", "b"): 1}
    assert changes(Tree(a=Tree(b=1)), Tree(a=Tree())) == {("a", "b"): MISSING, ("a",): {}}


def test_a_snapshot_brings_objects_and_contents_back(kind):
    """A snapshot restores objects and contents, also of shared and recursive tables."""
    shared = make(kind, n=1)
    first, second = make(kind, shared=shared), make(kind, shared=shared)
    replace_items(items_of(shared), {"n": 1, "self": shared})
    snapshot = TableSnapshot([first, second], kind)
    assert shared in snapshot
    assert kind() not in snapshot
    replace_items(items_of(first), {})
    replace_items(items_of(shared), {"n": 2})
    snapshot.restore()
    assert item(first, "shared") is shared is item(second, "shared")
    assert item(shared, "n") == 1
