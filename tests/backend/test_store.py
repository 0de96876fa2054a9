"""The store: transactions and indexes."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from pytest_flowsecrets.backend.records.store import Store, slugify

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2022, 1, 31, 12, tzinfo=timezone.utc)


def new_store():
    return Store(lambda: NOON)


def snapshot(store):
    """Return all rows and indexes of a store, independent of the order of restored rows."""
    return (
        store._rows,
        {
            table: {column: {value: set(ids) for value, ids in values.items()} for column, values in columns.items()}
            for table, columns in store._index.items()
        },
    )


def copy(store):
    rows, index = snapshot(store)
    return ({table: dict(of_table) for table, of_table in rows.items()}, index)


class Stop(Exception):  # noqa: N818
    pass


# What can happen inside a transaction: a flow is added to a project, moved, renamed, removed, or its project is.
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "move", "rename", "remove", "project", "inner"]), st.integers(0, 9)), max_size=12
)


def step(store, projects, kind, number):
    flows = store.all("flow")
    if kind == "add":
        store.add("flow", tenant_id="t", project_id=projects[number % 2], name=str(number))
    elif kind == "project":
        if store.get("project", projects[number % 2]):
            store.remove("project", projects[number % 2])
    elif kind == "inner":
        with pytest.raises(Stop), store.transaction():
            store.add("flow", tenant_id="t", project_id=projects[0])
            raise Stop
    elif flows:
        flow = flows[number % len(flows)]["id"]
        if kind == "remove":
            store.remove("flow", flow)
        else:
            store.change("flow", flow, **({"name": "x"} if kind == "rename" else {"project_id": projects[number % 2]}))


@pytest.mark.slow
@given(STEPS, STEPS)
def test_a_transaction_that_fails_leaves_no_trace(before, inside):
    """A failed transaction, also a nested one, undoes all additions, changes and removals."""
    store = new_store()
    projects = [store.add("project", tenant_id="t")["id"] for _ in range(2)]
    for kind, number in before:
        step(store, projects, kind, number)
    stored = copy(store)
    with pytest.raises(Stop), store.transaction(), store.transaction():
        for kind, number in inside:
            step(store, projects, kind, number)
        raise Stop
    assert snapshot(store) == stored


@pytest.mark.slow
@given(STEPS)
def test_the_index_finds_what_looking_finds(steps):
    """After any change, the index returns the same rows as a scan."""
    store = new_store()
    projects = [store.add("project", tenant_id="t")["id"] for _ in range(2)]
    with store.transaction():
        for kind, number in steps:
            step(store, projects, kind, number)
    for table in ("project", "flow"):
        for column, values in store._index[table].items():
            for value in {row[column] for row in store.all(table)} | set(values):
                looked = {row["id"] for row in store.all(table) if row[column] == value}
                assert {row["id"] for row in store.linked(table, column, value)} == looked


def test_a_change_keeps_the_place_and_the_old_row():
    """A change keeps the position of a row, and does not modify the old row."""
    store = new_store()
    first, second = (store.add("project", tenant_id="t", name=name) for name in "ab")
    listed = store.linked("project", "tenant_id", "t")
    store.change("project", first["id"], name="c")
    assert [row["name"] for row in listed] == ["a", "b"]
    assert [row["name"] for row in store.linked("project", "tenant_id", "t")] == ["c", "b"]
    assert store.get("project", second["id"]) is second


def test_what_belongs_to_a_row_goes_with_it():
    """Deleting a row deletes its children, except the runs of an agent."""
    store = new_store()
    agent = store.add("agent", tenant_id="t")["id"]
    project = store.add("project", tenant_id="t")["id"]
    flow = store.add("flow", tenant_id="t", project_id=project)["id"]
    run = store.add("flow_run", tenant_id="t", flow_id=flow, agent_id=agent)["id"]
    store.add("log", tenant_id="t", flow_run_id=run)
    task = store.add("task", tenant_id="t", flow_id=flow)["id"]
    store.add("edge", tenant_id="t", flow_id=flow, upstream_task_id=task, downstream_task_id=task)
    store.add("task_run", tenant_id="t", flow_run_id=run, task_id=task)
    store.remove("agent", agent)
    assert store.get("flow_run", run)
    store.remove("project", project)
    assert [table for table in store._rows if store.all(table)] == []


def test_nothing_is_of_id_none():
    """No row has the id None, which a null link refers to."""
    assert new_store().get("project", None) is None


@pytest.mark.parametrize(("name", "slug"), [("My Team", "my-team"), ("  a--b_c!", "a-b-c"), ("Ünï", "ünï"), ("", "")])
def test_slugs(name, slug):
    """``slugify`` returns the form of a name for URLs."""
    assert slugify(name) == slug
