"""Deployments, schedules, work pools, queues and workers over the API."""

from __future__ import annotations

import pytest

MISSING = "00000000-0000-0000-0000-000000000009"
SCHEDULE = {"schedule": {"interval": 3600.0}, "active": True}


@pytest.fixture
def flow_id(ask):
    return ask.post("/flows/", name="a-flow")["id"]


@pytest.fixture
def deploy(ask, flow_id):
    def deploy(name="d", **fields):
        return ask.post("/deployments/", name=name, flow_id=flow_id, **fields)

    return deploy


def test_a_deployment_is_replaced_by_its_name(ask, deploy):
    """Creating a deployment again returns 200 with the same id, and resets fields that are not sent."""
    first = deploy(tags=["a"], schedules=[SCHEDULE], description=None)
    assert first["description"] is None
    assert [each["active"] for each in first["schedules"]] == [True]
    second = deploy(tags=["b"], job_variables={"x": 1})
    assert (second["id"], second["tags"], second["schedules"]) == (first["id"], ["b"], [])
    assert ask.get("/deployments/name/a-flow/d")["job_variables"] == {"x": 1}
    assert ask("GET", "/deployments/name/a-flow/none").status == 404
    assert ask("GET", "/deployments/name/none/d").status == 404


def test_prefect_2_calls_job_variables_otherwise(legacy_ask):
    """Deployments of Prefect 2 have ``infra_overrides`` instead of ``job_variables``."""
    flow = legacy_ask.post("/flows/", name="f")
    row = legacy_ask.post("/deployments/", name="d", flow_id=flow["id"], infra_overrides={"a": 1})
    assert row["infra_overrides"] == {"a": 1}
    assert "job_variables" not in row
    legacy_ask("PATCH", f"/deployments/{row['id']}", {"infra_overrides": {"a": 2}})
    assert legacy_ask.get(f"/deployments/{row['id']}")["infra_overrides"] == {"a": 2}
    queued = legacy_ask.post("/deployments/", name="q", flow_id=flow["id"], work_queue_name="agents")
    assert (queued["work_pool_name"], queued["work_queue_name"]) == ("default-agent-pool", "agents")


def test_a_deployment_is_changed_paused_and_deleted(ask, deploy):
    """Deleting a deployment deletes its scheduled runs and keeps the others."""
    row = deploy()
    path = f"/deployments/{row['id']}"
    assert ask("PATCH", path, {"description": "x", "schedules": [SCHEDULE]}).status == 204
    assert ask("POST", path + "/pause_deployment").status == 200
    assert ask.get(path)["paused"] is True
    ask("POST", path + "/resume_deployment")
    assert ask.get(path)["paused"] is False
    scheduled, running = (ask.post(path + "/create_flow_run") for _ in range(2))
    ask.set_state(running, "RUNNING")
    assert ask("DELETE", path).status == 204
    assert ask("GET", f"/flow_runs/{scheduled['id']}").status == 404
    assert ask.get(f"/flow_runs/{running['id']}")["state"]["type"] == "RUNNING"
    assert ask("PATCH", f"/deployments/{MISSING}", {}).status == 404


def test_deployments_are_listed(ask, deploy):
    """Deployments are listed by name and can be filtered."""
    deploy("b", tags=["x"])
    deploy("a")
    assert [row["name"] for row in ask.post("/deployments/filter")] == ["a", "b"]
    assert ask.post("/deployments/count", deployments={"tags": {"all_": ["x"]}}) == 1


def test_a_run_takes_the_defaults_of_its_deployment(ask, deploy):
    """A run of a deployment merges its parameters and tags into the defaults, and is Scheduled for now."""
    row = deploy(parameters={"a": 1, "b": 2}, tags=["d"], labels={"l": 1}, version="7")
    run = ask.post(f"/deployments/{row['id']}/create_flow_run", parameters={"b": 3}, tags=["r"], name="n")
    assert (run["parameters"], run["tags"], run["name"]) == ({"a": 1, "b": 3}, ["d", "r"], "n")
    assert run["labels"]["prefect.deployment.id"] == row["id"]
    assert run["deployment_version"] == "7"
    due = ask.post("/deployments/get_scheduled_flow_runs", deployment_ids=[row["id"]])
    assert [each["id"] for each in due] == [run["id"]]
    assert ask.get(f"/deployments/{row['id']}")["status"] == "READY"
    early = ask.post(
        "/deployments/get_scheduled_flow_runs", deployment_ids=[row["id"]], scheduled_before="2020-01-01T00:00:00Z"
    )
    assert early == []


def test_the_same_key_gives_the_same_run(ask, deploy):
    """A second run with the same idempotency key is the first run, with status 200."""
    path = f"/deployments/{deploy()['id']}/create_flow_run"
    first, second = (ask("POST", path, {"idempotency_key": "k"}) for _ in range(2))
    assert (first.status, second.status, first.body["id"]) == (201, 200, second.body["id"])


@pytest.mark.parametrize(
    ("parameters", "valid"),
    [
        ({"x": 1}, True),
        ({"x": 1.0}, True),
        ({"x": "1"}, False),
        ({"x": True}, False),
        ({}, False),
        ({"x": 1, "more": object}, True),
        ({"x": {"__prefect_kind": "json", "value": "1"}}, True),
    ],
)
def test_parameters_are_checked_against_the_schema(ask, deploy, parameters, valid):
    """Parameters are checked against types and required names, unless the request turns that off."""
    if not valid:
        pytest.importorskip("jsonschema", reason="jsonschema comes with Prefect 2 and 3")
    parameters = {name: "any" if value is object else value for name, value in parameters.items()}
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    path = f"/deployments/{deploy(parameter_openapi_schema=schema)['id']}/create_flow_run"
    assert ask("POST", path, {"parameters": parameters}).status == (201 if valid else 409)
    assert ask("POST", path, {"parameters": parameters, "enforce_parameter_schema": False}).status == 201


@pytest.mark.parametrize(
    ("wrapped", "detail"),
    [
        ({"__prefect_kind": ["json"]}, "__prefect_kind must be text"),
        ({"__prefect_kind": "jinja"}, "Missing 'template' key in __prefect object"),
        ({"__prefect_kind": "jinja", "template": 5}, None),
        ({"__prefect_kind": "jinja", "template": "{{ 1 / 0 }}"}, None),
    ],
    ids=["kind", "no-template", "template", "division"],
)
def test_values_that_cannot_be_rendered(ask, deploy, wrapped, detail):
    """A wrapped value without a meaning is an error of the client, also where Jinja2 is not installed."""
    answer = ask("POST", f"/deployments/{deploy()['id']}/create_flow_run", {"parameters": {"x": wrapped}})
    assert answer.status == 400
    assert answer.body["detail"].startswith(f"Error hydrating flow run parameters: {detail or ''}")


@pytest.mark.parametrize(
    ("schema", "status"),
    [
        ({"properties": {"x": {"type": "nope"}}}, 409),
        ({"properties": {"x": {"$ref": "#/definitions/none"}}}, 409),
        ({"$ref": "#"}, 422),
        ({"properties": {"x": True}}, 201),
    ],
    ids=["type", "reference", "circle", "true"],
)
def test_schemas_that_are_not_valid(ask, deploy, schema, status):
    """A schema with an unknown type or a reference that leads nowhere is an error of the client."""
    pytest.importorskip("jsonschema", reason="jsonschema comes with Prefect 2 and 3")
    row = deploy(parameter_openapi_schema=schema)
    assert ask("POST", f"/deployments/{row['id']}/create_flow_run", {"parameters": {"x": 1}}).status == status


def test_schedules_are_rows_of_their_deployment(ask, deploy):
    """Schedules can be added, changed and removed, only below their own deployment."""
    row, other = deploy(), deploy("other")
    path = f"/deployments/{row['id']}/schedules"
    created = ask("POST", path, [SCHEDULE])
    assert created.status == 201
    one = f"{path}/{created.body[0]['id']}"
    assert ask("PATCH", one, {"active": False}).status == 204
    assert [each["active"] for each in ask.get(path)] == [False]
    assert ask("DELETE", f"/deployments/{other['id']}/schedules/{created.body[0]['id']}").status == 404
    assert ask("DELETE", one).status == 204
    assert ask.get(path) == []


def test_a_limited_deployment_runs_one_at_a_time(ask, deploy):
    """A run above the limit of its deployment waits for a slot or is cancelled; the end of a run frees its slot."""
    row = deploy(concurrency_limit=1)
    assert row["global_concurrency_limit"]["limit"] == 1
    path = f"/deployments/{row['id']}"
    first, second = (ask.post(path + "/create_flow_run") for _ in range(2))
    assert ask.set_state(first, "PENDING")["status"] == "ACCEPT"
    answer = ask.set_state(second, "PENDING")
    assert (answer["status"], answer["state"]["name"]) == ("REJECT", "AwaitingConcurrencySlot")
    assert ask.get(path)["global_concurrency_limit"]["active_slots"] == 1
    ask.set_state(first, "RUNNING")
    ask.set_state(first, "COMPLETED")
    assert ask.get(path)["global_concurrency_limit"]["active_slots"] == 0
    ask.set_state(second, "PENDING")
    ask("PATCH", path, {"concurrency_options": {"collision_strategy": "CANCEL_NEW"}})
    third = ask.post(path + "/create_flow_run")
    assert ask.set_state(third, "PENDING")["state"]["type"] == "CANCELLED"
    ask("PATCH", path, {"concurrency_limit": None})
    assert ask.get(path)["global_concurrency_limit"] is None


# -- pools -------------------------------------------------------------------------------------------------------------


def _pool(ask, name="p", **fields):
    return ask.post("/work_pools/", name=name, type="process", **fields)


def test_a_pool_has_a_default_queue(ask):
    """A new pool has a queue with priority 1; invalid, reserved and duplicate names are refused."""
    pool = _pool(ask, description="d")
    assert [queue["name"] for queue in ask.post("/work_pools/p/queues/filter")] == ["default"]
    assert ask.get("/work_pools/p")["default_queue_id"] == pool["default_queue_id"]
    assert ask("POST", "/work_pools/", {"name": "p"}).status == 409
    assert ask("POST", "/work_pools/", {"name": "Prefect-x"}).status == 403
    assert ask("POST", "/work_pools/", {"name": "a/b"}).status == 422


def test_a_pool_is_changed_and_deleted(ask):
    """A paused pool has the status PAUSED, and a deleted pool takes its queues along."""
    pool = _pool(ask)
    assert ask("PATCH", "/work_pools/p", {"is_paused": True, "concurrency_limit": 2}).status == 204
    assert ask.get("/work_pools/p")["status"] == "PAUSED"
    assert ask.post("/work_pools/count", work_pools={"type": {"any_": ["process"]}}) == 1
    assert ask("DELETE", "/work_pools/p").status == 204
    assert ask("GET", f"/work_queues/{pool['default_queue_id']}").status == 404
    assert ask.post("/work_pools/filter") == []


def test_queues_have_priorities(ask):
    """A queue that takes a priority moves the following ones down."""
    _pool(ask)
    fast = ask.post("/work_pools/p/queues", name="fast", priority=1)
    assert [(row["name"], row["priority"]) for row in ask.post("/work_pools/p/queues/filter")] == [
        ("fast", 1),
        ("default", 2),
    ]
    assert ask("POST", "/work_pools/p/queues", {"name": "fast"}).status == 409
    path = f"/work_queues/{fast['id']}"
    assert ask("PATCH", path, {"is_paused": True}).status == 204
    assert ask.get("/work_pools/p/queues/fast")["status"] == "PAUSED"
    assert ask("PATCH", "/work_pools/p/queues/fast", {"is_paused": False}).status == 204
    assert ask.get(path)["status"] == "NOT_READY"
    assert ask.get(path + "/status")["healthy"] is False  # no worker has polled it
    assert ask.post(path + "/get_runs") == []
    assert ask("DELETE", "/work_pools/p/queues/fast").status == 204
    assert ask("GET", path).status == 404
    assert ask("GET", "/work_pools/p/queues/fast").status == 404
    assert ask("PATCH", path, {"is_paused": True}).status == 404


def test_a_queue_without_a_pool_belongs_to_the_agents(ask):
    """A queue without a pool belongs to the default pool of Prefect 2's agents."""
    queue = ask.post("/work_queues/", name="free")
    assert queue["work_pool_name"] == "default-agent-pool"
    assert ask.get("/work_queues/name/free")["id"] == queue["id"]
    assert [row["name"] for row in ask.post("/work_queues/filter")] == ["default", "free"]


def test_due_runs_come_by_priority_and_within_limits(ask, deploy):
    """Due runs come by priority and time, within the limits of pool and queue; paused ones return none."""
    _pool(ask)
    fast = ask.post("/work_pools/p/queues", name="fast", priority=1)
    slow_one = deploy("slow", work_pool_name="p")
    fast_one = deploy("fast", work_pool_name="p", work_queue_name="fast")
    slow = ask.post(f"/deployments/{slow_one['id']}/create_flow_run", name="slow")
    ask.post(f"/deployments/{fast_one['id']}/create_flow_run", name="fast")
    moved = ask.post(f"/deployments/{slow_one['id']}/create_flow_run", name="moved", work_queue_name="fast")
    assert moved["work_queue_name"] == "fast"

    def due(**fields):
        return [row["flow_run"]["name"] for row in ask.post("/work_pools/p/get_scheduled_flow_runs", **fields)]

    assert due() == ["fast", "moved", "slow"]
    assert ask.get(f"/work_queues/{fast['id']}")["status"] == "READY"
    assert due(work_queue_names=["default"]) == ["slow"]
    assert due(limit=1) == ["fast"]
    assert due(scheduled_before=slow["next_scheduled_start_time"]) == ["slow"]
    ask("PATCH", "/work_pools/p", {"concurrency_limit": 2})
    assert due() == ["fast", "moved"]
    ask.set_state(slow, "PENDING")
    assert due() == ["fast"]
    ask("PATCH", f"/work_queues/{fast['id']}", {"is_paused": True})
    assert due() == []
    ask("PATCH", "/work_pools/p", {"is_paused": True})
    assert due() == []


def test_a_deployment_names_a_pool_that_exists(ask, flow_id):
    """A deployment that names an unknown pool gets 404 with the name of the pool."""
    answer = ask("POST", "/deployments/", {"name": "d", "flow_id": flow_id, "work_pool_name": "none"})
    assert (answer.status, answer.body["detail"]) == (404, 'Work pool "none" not found.')


def test_workers_live_by_heartbeats(ask):
    """A worker is online while its heartbeats are recent, and its pool is ready while a worker is online."""
    _pool(ask)
    assert ask.get("/work_pools/p")["status"] == "NOT_READY"
    for _ in range(2):
        ask("POST", "/work_pools/p/workers/heartbeat", {"name": "w", "heartbeat_interval_seconds": 30})
    assert [(row["name"], row["status"]) for row in ask.post("/work_pools/p/workers/filter")] == [("w", "ONLINE")]
    assert ask.get("/work_pools/p")["status"] == "READY"
    with ask.view.lock:
        ask.view.workers.first(name="w")["last_heartbeat_time"] = "2020-01-01T00:00:00Z"
    assert ask.post("/work_pools/p/workers/filter")[0]["status"] == "OFFLINE"
    assert ask("DELETE", "/work_pools/p/workers/w").status == 204
    assert ask("DELETE", "/work_pools/p/workers/w").status == 404
    assert ask("DELETE", "/work_pools/none").status == 404
