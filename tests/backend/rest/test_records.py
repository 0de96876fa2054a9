"""Artifacts, logs, events, automations and what the server says of itself, over the API."""

from __future__ import annotations

from uuid import uuid4

import pytest

from pytest_flowsecrets.backend.rest.store.events import event_matches

MISSING = "00000000-0000-0000-0000-000000000009"


def test_artifacts_share_keys(ask):
    """All artifacts of a key are listed, and the newest one is available by itself."""
    run = ask.flow_run()
    first = ask.post("/artifacts/", key="k", data=1, type="markdown")
    second = ask.post("/artifacts/", key="k", data=2, flow_run_id=run["id"])
    ask.post("/artifacts/", key="other", data=3)
    assert len(ask.post("/artifacts/filter", artifacts={"key": {"any_": ["k"]}})) == 2
    latest = ask.post("/artifacts/latest/filter", artifacts={"key": {"any_": ["k"]}})
    assert [(row["latest_id"], row["data"]) for row in latest] == [(second["id"], 2)]
    assert ask.get("/artifacts/k/latest")["data"] == 2
    assert ask("GET", "/artifacts/none/latest").status == 404
    assert (ask.post("/artifacts/count"), ask.post("/artifacts/latest/count")) == (3, 2)
    assert len(ask.post("/artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})) == 1
    assert len(ask.post("/artifacts/filter", flows={"id": {"any_": [run["flow_id"]]}})) == 1
    assert ask("PATCH", f"/artifacts/{first['id']}", {"data": 9}).status == 204
    assert ask.get(f"/artifacts/{first['id']}")["data"] == 9
    assert ask("DELETE", f"/artifacts/{first['id']}").status == 204
    assert ask("POST", "/artifacts/", {"key": "UPPER"}).status == 422


def test_logs_come_by_time(ask):
    """Logs are sorted by time and can be filtered by level."""
    logs = [
        {"name": "l", "level": level, "message": f"m{level}", "timestamp": f"2026-01-01T00:00:0{second}Z"}
        for level, second in ((30, 2), (10, 1))
    ]
    assert ask("POST", "/logs/", logs).status == 201
    assert [row["message"] for row in ask.post("/logs/filter")] == ["m10", "m30"]
    assert [row["message"] for row in ask.post("/logs/filter", sort="TIMESTAMP_DESC")] == ["m30", "m10"]
    assert [row["message"] for row in ask.post("/logs/filter", logs={"level": {"ge_": 20}})] == ["m30"]


def _event(name="e", **fields):
    resource = {"prefect.resource.id": "r.1", "color": "red"}
    defaults = {"id": MISSING, "occurred": "2026-01-01T00:00:00Z", "resource": resource, "related": [], "payload": {}}
    return {**defaults, "event": name, **fields}


def test_events_are_stored_and_found(ask):
    """Events are listed newest first, in pages."""
    later = _event("b", id=str(uuid4()), occurred="2026-01-02T00:00:00Z")
    assert ask("POST", "/events", [_event("a"), later]).status == 204
    assert [row["event"] for row in ask.post("/events/filter")["events"]] == ["b", "a"]
    oldest = ask.post("/events/filter", filter={"order": "ASC"}, limit=1)
    assert ([row["event"] for row in oldest["events"]], oldest["total"]) == (["a"], 2)
    following = oldest["next_page"].partition("/events/")[2]
    assert [row["event"] for row in ask.get(f"/events/{following}")["events"]] == ["b"]
    assert ask("GET", "/events/filter/next?page-token=odd").status == 403


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ({}, True),
        ({"event": {"name": ["e"]}}, True),
        ({"event": {"name": ["x"]}}, False),
        ({"event": {"prefix": ["x."]}}, False),
        ({"event": {"exclude_name": ["e"]}}, False),
        ({"event": [{"exclude_prefix": ["x"]}]}, True),
        ({"occurred": {"since": "2026-01-02T00:00:00Z"}}, False),
        ({"occurred": {"since": "2025-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}}, True),
        ({"occurred": {"since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}}, True),
        ({"occurred": {"until": "2025-12-31T23:59:59Z"}}, False),
        ({"event": {"exclude_prefix": ["e"]}}, False),
        ({"event": {"name": ["e"], "prefix": ["x."]}}, False),
        ({"resource": {"labels": {"color": ["blue", "r*"]}}}, True),
        ({"resource": {"labels": {"color": "!b*"}}}, True),
        ({"resource": {"labels": {"color": "!r*"}}}, False),
        ({"resource": {"labels": {"color": "*d"}}}, False),
        ({"resource": {"labels": {"size": "*"}}}, False),
        ({"resource": {"labels": {"size": "!x"}}}, False),
        ({"resource": {"labels": {"color": "red", "size": "1"}}}, False),
        ({"resource": {"id": ["r.1"]}}, True),
        ({"resource": {"id_prefix": ["x."]}}, False),
        ({"resource": {"labels": {"color": "r*"}}}, True),
        ({"resource": {"labels": {"color": ["blue"]}}}, False),
        ({"related": {"role": ["flow"]}}, True),
        ({"related": [{"id": ["nothing"]}]}, False),
        ({"any_resource": {"id": ["f.1"]}}, True),
        ({"id": {"id": [MISSING]}}, True),
        ({"id": {"id": ["other"]}}, False),
    ],
)
def test_filters_of_events(condition, fits):
    """Filters of events select by name, time, resource and id."""
    event = _event(related=[{"prefect.resource.id": "f.1", "prefect.resource.role": "flow"}])
    assert event_matches(event, condition) is fits


def _task_event(name, occurred, event_id, run_id=MISSING, flow_run_id="1"):
    event_id = f"00000000-0000-0000-0001-00000000000{event_id}"
    return _event(
        f"prefect.task-run.{name}",
        id=event_id,
        occurred=occurred,
        resource={"prefect.resource.id": f"prefect.task-run.{run_id}"},
        related=[{"prefect.resource.id": f"prefect.flow-run.{flow_run_id}", "prefect.resource.role": "flow-run"}],
        payload={
            "task_run": {"name": "t-0", "task_key": "t", "dynamic_key": "0", "run_count": 1},
            "validated_state": {"type": name.upper(), "name": name},
        },
    )


def test_task_runs_are_built_from_events(ask):
    """A task run follows its events in the order of their times, and ignores an event that comes twice."""
    events = [
        _task_event("Running", "2026-01-01T00:00:01Z", "2"),
        _task_event("Completed", "2026-01-01T00:00:02Z", "3"),
        _task_event("Pending", "2026-01-01T00:00:00Z", "1"),
        _task_event("Pending", "2026-01-01T00:00:00Z", "1"),
        _event("prefect.task-run.odd"),
    ]
    ask("POST", "/events", events)
    row = ask.get(f"/task_runs/{MISSING}")
    assert (row["state"]["type"], row["name"], row["flow_run_id"], row["run_count"]) == ("COMPLETED", "t-0", "1", 1)
    assert (row["start_time"], row["end_time"]) == ("2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z")
    assert len(ask.get(f"/task_run_states/?task_run_id={MISSING}")) == 3


def test_flow_runs_publish_events(ask, legacy_ask):
    """Each state of a flow run publishes an event on Prefect 3, with the rows that belong to the run."""
    ask.post("/work_pools/", name="p", type="process")
    flow = ask.post("/flows/", name="f")
    deployment = ask.post("/deployments/", name="d", flow_id=flow["id"], work_pool_name="p", tags=["t"])
    run = ask.post(f"/deployments/{deployment['id']}/create_flow_run")
    ask.set_state(run, "FAILED", message="m")
    events = ask.post("/events/filter", filter={"order": "ASC"})["events"]
    assert [each["event"] for each in events] == ["prefect.flow-run.Scheduled", "prefect.flow-run.Failed"]
    roles = [each["prefect.resource.role"] for each in events[1]["related"]]
    assert roles == ["flow", "deployment", "work-queue", "work-pool", "tag"]
    assert events[1]["payload"]["validated_state"] == {"type": "FAILED", "name": "Failed", "message": "m"}
    legacy_ask.flow_run()
    assert legacy_ask.view.events.items == []


def test_automations_are_rows(ask):
    """Automations can be created, changed, listed by owner and deleted."""
    fields = {
        "name": "a",
        "trigger": {"type": "event", "posture": "Reactive", "threshold": 1, "within": 0},
        "actions": [],
    }
    row = ask.post("/automations/", **fields)
    ask.post("/automations/", **{**fields, "name": "owned"}, owner_resource="prefect.deployment.1")
    path = f"/automations/{row['id']}"
    assert ask("PATCH", path, {"enabled": False}).status == 204
    assert ask.get(path)["enabled"] is False
    assert ask("PUT", path, {**fields, "name": "b"}).status == 204
    assert [each["name"] for each in ask.post("/automations/filter")] == ["b", "owned"]
    assert ask.post("/automations/count", automations={"name": {"any_": ["b"]}}) == 1
    assert len(ask.get("/automations/related-to/prefect.deployment.1")) == 1
    assert ask("DELETE", "/automations/owned-by/prefect.deployment.1").status == 202
    assert ask("DELETE", path).status == 204
    assert ask("GET", path).body == {"exception_message": "Automation not found"}


def test_the_server_tells_of_itself(ask):
    """The server answers with its health, version, settings and default storage of results."""
    assert ask.get("/health") is True
    assert ask.get("/hello") == "👋"
    assert ask.get("/admin/version") == ask.view.version
    assert ask.get("/admin/settings") == {}
    assert ask.get("/collections/views/aggregate-worker-metadata") == {}
    assert ask("GET", "/csrf-token?client=x").status == 422
    assert ask.get("/admin/storage") == {"default_result_storage_block_id": None}
    assert ask("PUT", "/admin/storage", {"default_result_storage_block_id": MISSING}).status == 200
    assert ask.get("/admin/storage") == {"default_result_storage_block_id": MISSING}
    assert ask("DELETE", "/admin/storage").status == 204
