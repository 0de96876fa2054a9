"""Flows, flow runs and task runs over the API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pytest_flowsecrets.backend.rest import RestApi
from pytest_flowsecrets.backend.rest.rules.filters import matches, sort_rows
from pytest_flowsecrets.backend.rest.store.table import parse_time, time_text

from .conftest import Client

MISSING = "00000000-0000-0000-0000-000000000009"


def test_a_flow_is_created_once(ask):
    """Creating a flow returns 201 the first time and 200 with the same row after that."""
    first, second = (ask("POST", "/flows/", {"name": "f", "tags": ["t"]}) for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.body["id"] == second.body["id"]
    assert ask.get("/flows/name/f")["id"] == first.body["id"]
    assert ask("PATCH", f"/flows/{first.body['id']}", {"tags": ["u"]}).status == 204
    assert ask.get(f"/flows/{first.body['id']}")["tags"] == ["u"]
    assert ask("GET", "/flows/name/none").status == 404


@pytest.mark.parametrize("name", ["a/b", 1, "<"])
def test_names_of_flows_are_checked(ask, name):
    """Names of flows with reserved characters, or that are not text, get 422."""
    assert ask("POST", "/flows/", {"name": name}).status == 422


def test_prefect_2_reads_a_number_as_a_name(legacy_ask):
    """Prefect 2 stores a number as the text of a name."""
    assert legacy_ask.post("/flows/", name=1)["name"] == "1"


def test_deleting_a_flow_deletes_what_belongs_to_it(ask):
    """Deleting a flow deletes its runs with their task runs and logs, and its deployments."""
    run = ask.flow_run("RUNNING")
    task_run = ask.post("/task_runs/", flow_run_id=run["id"], task_key="t", dynamic_key="0")
    log = {"name": "n", "message": "m", "level": 20, "timestamp": "2026-01-01T00:00:00Z"}
    assert ask("POST", "/logs/", [{**log, "flow_run_id": run["id"]}]).status == 201
    deployment = ask.post("/deployments/", name="d", flow_id=run["flow_id"])
    scheduled = ask.post(f"/deployments/{deployment['id']}/create_flow_run")
    assert ask("DELETE", f"/flows/{run['flow_id']}").status == 204
    for path in (f"/flow_runs/{run['id']}", f"/flow_runs/{scheduled['id']}", f"/task_runs/{task_run['id']}"):
        assert ask("GET", path).status == 404
    assert ask("GET", f"/deployments/{deployment['id']}").status == 404
    assert ask.post("/logs/filter") == []


def test_a_flow_run_has_defaults(ask):
    """A new flow run has a name of two words, labels, and the fields that it does not use are null."""
    run = ask.flow_run()
    assert run["name"].count("-") == 1
    assert run["labels"] == {"prefect.flow.id": run["flow_id"]}
    assert run["estimated_start_time_delta"] >= 0
    assert run["deployment_id"] is run["work_pool_name"] is run["start_time"] is None


def test_an_idempotency_key_gives_the_same_run(ask):
    """A second run with the same flow and idempotency key is the first one."""
    flow = ask.post("/flows/", name="f")
    first, second = (ask("POST", "/flow_runs/", {"flow_id": flow["id"], "idempotency_key": "k"}) for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    assert first.body["id"] == second.body["id"]


def test_a_flow_run_is_changed(ask):
    """Name, policy and labels of a flow run can be changed."""
    run = ask.flow_run()
    path = f"/flow_runs/{run['id']}"
    ask("PATCH", path, {"name": "n", "empirical_policy": {"max_retries": 2, "retry_delay_seconds": 3.0}})
    ask("PATCH", path + "/labels", {"a": 1})
    changed = ask.get(path)
    assert changed["name"] == "n"
    assert (changed["empirical_policy"]["retries"], changed["empirical_policy"]["retry_delay"]) == (2, 3.0)
    assert changed["labels"]["a"] == 1


def test_times_and_counts_follow_the_states(timed, clock):
    """The states of a run set its start, end, count and duration."""
    start = clock[0]
    run = timed.flow_run()
    timed.set_state(run, "RUNNING")
    clock[0] += timedelta(seconds=5.5)
    assert timed.get(f"/flow_runs/{run['id']}")["estimated_run_time"] == 5.5
    timed.set_state(run, "COMPLETED")
    ended = timed.get(f"/flow_runs/{run['id']}")
    assert (ended["run_count"], ended["total_run_time"]) == (1, 5.5)
    assert [parse_time(ended[name]) for name in ("start_time", "end_time")] == [start, clock[0]]
    states = timed.get(f"/flow_run_states/?flow_run_id={run['id']}")
    assert [state["type"] for state in states] == ["PENDING", "RUNNING", "COMPLETED"]
    assert timed.get(f"/flow_run_states/{states[0]['id']}")["name"] == "Pending"


def test_the_expected_start_follows_the_schedule(timed, clock):
    """A run stays expected at its first scheduled time, and only a scheduled state has a next start."""
    times = [(clock[0] + timedelta(hours=hours)).isoformat() for hours in range(4)]
    run = timed.flow_run("SCHEDULED", name="r")

    def set_state(kind, at):
        timed.set_state(run, kind, force=True, state_details={"scheduled_time": at})
        row = timed.get(f"/flow_runs/{run['id']}")
        return row["expected_start_time"], row.get("next_scheduled_start_time")

    first = run["expected_start_time"]
    assert set_state("SCHEDULED", times[1]) == (first, times[1])
    assert set_state("PENDING", times[2]) == (first, None)
    assert set_state("RUNNING", times[3]) == (first, None)
    assert set_state("SCHEDULED", times[3]) == (first, times[3])


@pytest.mark.parametrize(("version", "starts"), [("2.20.27", False), ("3.5.99", False), ("3.6.0", True)])
def test_a_run_that_never_started_ends(version, starts):
    """A run that ends without a start starts at its end from 3.6 on, and has no end before. A later end changes nothing."""
    now = [parse_time("2026-01-01T00:00:00Z")]
    with RestApi(version, now=lambda: now[0]) as api:
        ask = Client(api, api.new_view())
        run = ask.flow_run()
        ask.set_state(run, "FAILED")
        now[0] += timedelta(seconds=5)
        ask.set_state(run, "COMPLETED")
        ended = ask.get(f"/flow_runs/{run['id']}")
        expected = "2026-01-01T00:00:00Z" if starts else None
        assert (ended.get("start_time"), ended.get("end_time")) == (expected, expected)
        details = ended["state"]["state_details"]
        assert details.get("deferred") == (None if version.startswith("2.") else False)
        ask.set_state(run, "SCHEDULED", force=True)
        assert ask.get(f"/flow_runs/{run['id']}")["end_time"] is None


def test_estimates_of_a_run(timed, clock):
    """A run that has not started is late, one that runs gets older, and one that has ended does neither."""
    run = timed.flow_run("PENDING")
    seen = []
    for kind in ("RUNNING", "COMPLETED", None):
        clock[0] += timedelta(seconds=10)
        row = timed.get(f"/flow_runs/{run['id']}")
        seen.append((row["total_run_time"], row["estimated_run_time"], row["estimated_start_time_delta"]))
        if kind:
            timed.set_state(run, kind)
    assert seen == [(0.0, 0.0, 10.0), (0.0, 10.0, 10.0), (10.0, 10.0, 10.0)]
    clock[0] += timedelta(seconds=10)
    scheduled = timed.flow_run("SCHEDULED")
    clock[0] += timedelta(seconds=10)
    assert timed.get(f"/flow_runs/{scheduled['id']}")["estimated_start_time_delta"] == 0.0


def test_runs_are_found_by_related_rows(ask):
    """Filters of flows, task runs and parents select the related rows."""
    parent = ask.flow_run("RUNNING")
    task_run = ask.post("/task_runs/", flow_run_id=parent["id"], task_key="t", dynamic_key="0", tags=["x"])
    child = ask.flow_run("RUNNING", parent_task_run_id=task_run["id"])
    other = ask.post("/flows/", name="other")
    ask.post("/flow_runs/", flow_id=other["id"])

    def ids(path="/flow_runs/filter", **filters):
        return {row["id"] for row in ask.post(path, **filters)}

    assert ids(flows={"name": {"any_": ["a-flow"]}}) == {parent["id"], child["id"]}
    assert ids(task_runs={"tags": {"all_": ["x"]}}) == {parent["id"]}
    assert ids(flow_runs={"parent_flow_run_id": {"any_": [parent["id"]]}}) == {child["id"]}
    assert ids("/flows/filter", flow_runs={"id": {"any_": [child["id"]]}}) == {parent["flow_id"]}
    assert ids("/flows/filter", flows={"deployment": {"is_null_": False}}) == set()
    ask.post("/deployments/", name="d", flow_id=other["id"])
    assert ids("/flows/filter", flows={"deployment": {"is_null_": False}}) == {other["id"]}
    assert ids("/flows/filter", flows={"deployment": {"is_null_": True}}) == {parent["flow_id"]}
    assert ids("/task_runs/filter", flows={"name": {"any_": ["a-flow"]}}) == {task_run["id"]}
    assert ids("/task_runs/filter", task_runs={"subflow_runs": {"exists_": False}}) == set()
    assert ask.post("/flow_runs/count", flow_runs={"state": {"type": {"any_": ["RUNNING"]}}}) == 2
    assert ask.post("/flows/count") == 2
    assert ask.post("/task_runs/count") == 1


def test_operators_combine(ask):
    """The parts of a filter combine by ``and_`` unless its operator is ``or_``."""
    first = ask.flow_run(name="one", tags=["a"])
    ask.flow_run(name="two", tags=["b"])

    def names(**condition):
        return sorted(row["name"] for row in ask.post("/flow_runs/filter", flow_runs=condition))

    assert names(operator="or_", name={"any_": ["one"]}, tags={"all_": ["b"]}) == ["one", "two"]
    assert names(name={"any_": ["one"]}, tags={"all_": ["b"]}) == []
    assert names(tags={"operator": "or_", "all_": ["b"], "is_null_": True}) == ["two"]
    assert names(name={"like_": "o"}, tags={"any_": ["a"]}) == ["one"]
    assert names(start_time={"before_": "2020-01-01T00:00:00Z"}) == []
    assert names(expected_start_time={"after_": "2020-01-01T00:00:00"}) == ["one", "two"]
    assert names(id={"not_any_": [first["id"]]}) == ["two"]


ROW = {
    "name": "Nightly",
    "tags": ["a", "b"],
    "level": 20,
    "at": "2026-01-01T00:00:00Z",
    "nothing": None,
    "slug": "secret",
    "capabilities": ["get"],
    "state": {"type": "RUNNING"},
}


@pytest.mark.parametrize(
    ("name", "operator", "operand", "others"),
    [
        ("name", "any_", ["Nightly", "x"], [["x"], []]),
        ("tags", "any_", ["b", "c"], [["c"]]),
        ("nothing", "not_any_", ["None"], []),
        ("name", "not_any_", ["x"], [["Nightly"]]),
        ("tags", "all_", ["a"], [["a", "c"]]),
        ("nothing", "all_", [], [["a"]]),
        ("level", "eq_", 20, [21]),
        ("level", "ne_", 21, [20]),
        ("name", "like_", "NIGHT", ["day"]),
        ("name", "like_", "n_g%LY", ["n_t", "g%z"]),
        ("name", "query", "x nightly -day", ["x", "+nightly +x", "nightly -night", '"night ly"']),
        ("name", "startswith_", "Ni", ["ight"]),
        ("name", "startswith_", ["x", "Ni"], [["ight"]]),
        ("nothing", "is_null_", True, [False]),
        ("name", "is_null_", False, [True]),
        ("name", "exists_", True, [False]),
        ("nothing", "exists_", False, [True]),
        ("at", "before_", "2026-01-01T00:00:00+00:00", ["2025-12-31T23:59:59Z"]),
        ("at", "after_", "2026-01-01T01:00:00+01:00", ["2026-01-01T00:00:01Z"]),
        ("level", "ge_", 20, [21]),
        ("level", "gt_", 19, [20]),
        ("level", "le_", 20, [19]),
        ("level", "lt_", 21, [20]),
        ("state", "type", {"any_": ["RUNNING"]}, [{"any_": ["FAILED"]}]),
        ("state", "exists_", True, [False]),
        ("block_type_slug", "any_", ["secret"], [["json"]]),
        ("block_capabilities", "all_", ["get"], [["put"]]),
    ],
)
def test_operators_select_rows(name, operator, operand, others):
    """An operator compares the property of a row, also if they are equal, and selects no row by other operands."""
    assert matches(ROW, {name: {operator: operand}})
    assert [other for other in others if matches(ROW, {name: {operator: other}})] == []
    assert not matches(ROW, {"nothing": {"lt_": 1}})
    assert matches(ROW, {name: {operator: None}})


def test_rows_are_sorted():
    """Rows come in the order of a property, up or down. Those without it are the lowest; equal ones stay in order."""
    rows = [{"id": key, "start": start} for key, start in (("a", 2), ("b", None), ("c", 1), ("d", 2))]
    for order, expected in (("START_ASC", "bcad"), ("START_DESC", "adcb"), (None, "dcba")):
        assert "".join(row["id"] for row in sort_rows(rows, order)) == expected


def test_task_runs_are_created_once(legacy_ask):
    """Creating a task run again with the same keys returns it; it can be renamed and deleted."""
    run = legacy_ask.flow_run("RUNNING")
    fields = {"flow_run_id": run["id"], "task_key": "m.t", "dynamic_key": "0", "state": {"type": "PENDING"}}
    first, second = (legacy_ask("POST", "/task_runs/", fields) for _ in range(2))
    assert (first.status, second.status) == (201, 200)
    path = f"/task_runs/{first.body['id']}"
    assert first.body["name"] == "t-0"
    assert legacy_ask("PATCH", path, {"name": "n"}).status == 204
    assert legacy_ask.get(path)["name"] == "n"
    states = legacy_ask.get(f"/task_run_states/?task_run_id={first.body['id']}")
    assert [state["type"] for state in states] == ["PENDING"]
    assert legacy_ask.get(f"/task_run_states/{states[0]['id']}")["type"] == "PENDING"
    assert legacy_ask("DELETE", path).status == 204
    assert legacy_ask("PATCH", path, {"name": "n"}).status == 404


def test_inputs_are_texts_under_keys(ask):
    """An input is stored once per key, listed by prefix and returned as it was sent."""
    run = ask.flow_run()
    path = f"/flow_runs/{run['id']}/input"
    ask.post(path, key="k-1", value='{"a": 1}')
    ask.post(path, key="k-2", value="2", sender="s")
    assert ask("POST", path, {"key": "k-1", "value": "x"}).status == 409
    assert ask("POST", f"/flow_runs/{MISSING}/input", {"key": "k", "value": "x"}).status == 404
    assert ask.get(path + "/k-1") == {"a": 1}
    found = ask.post(path + "/filter", prefix="k-", limit=5, exclude_keys=["k-1"])
    assert [row["key"] for row in found] == ["k-2"]
    assert ask("DELETE", path + "/k-2").status == 204
    assert ask("GET", path + "/k-2").status == 404


def test_deleted_runs_are_gone(ask):
    """A deleted flow run takes its inputs along."""
    run = ask.flow_run()
    ask.post(f"/flow_runs/{run['id']}/input", key="k", value="1")
    assert ask("DELETE", f"/flow_runs/{run['id']}").status == 204
    assert ask("GET", f"/flow_runs/{run['id']}").status == 404
    assert ask.view.rows("flow_run_inputs") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z"),
        ("2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.500000Z"),
        ("2026-01-02T03:04:05.1234567+00:00", "2026-01-02T03:04:05.123456Z"),
        (1767323045.5, "2026-01-02T03:04:05.500000Z"),
    ],
)
def test_times_have_one_form(text, expected):
    """A time with or without an offset, with any number of digits, or in seconds comes back in UTC."""
    assert time_text(parse_time(text)) == expected
