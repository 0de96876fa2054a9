"""The fake API answers single requests like the real server of the installed Prefect: bodies, errors, orders."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

import pytest

from pytest_flowsecrets.backend.prefect_server import PrefectServer
from pytest_flowsecrets.backend.rest import RestApi
from pytest_flowsecrets.backend.rest.openapi import schemas_of
from pytest_flowsecrets.backend.rest.routes import ROUTES
from pytest_flowsecrets.versions import release_of

from .pair import Pair

try:
    INSTALLED = version("prefect")
except PackageNotFoundError:
    INSTALLED = "none"
LEGACY = INSTALLED.startswith("2.")
HAS_LABELS = not INSTALLED.startswith(("2.", "3.0."))
RUNS_HERE = INSTALLED.startswith(("2.20.", "3."))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RUNS_HERE, reason=f"Prefect {INSTALLED} has no server that runs here"),
]
PAST, FUTURE = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
SCHEMA = {
    "title": "Thing",
    "type": "object",
    "properties": {"token": {"type": "string"}, "plain": {}},
    "secret_fields": ["token"],
    "block_type_slug": "thing",
    "block_schema_references": {},
}


@pytest.fixture(scope="module")
def server(request):
    template = request.config.cache.mkdir("flowsecrets") / f"prefect-{INSTALLED}.db"
    with PrefectServer(template=template) as server:
        yield server


@pytest.fixture
def pair(server):
    """An empty fake API and the empty server."""
    server.reset()
    with RestApi(INSTALLED) as api:
        pair = Pair([api.new_view().url, server.url])
        yield pair
        pair.close()
    server.check()


# -- fields of answers -------------------------------------------------------------------------------------------------


def test_blocks_and_variables_have_all_fields(pair):
    """Answers about block types, schemas, documents and variables have the fields of the real server."""
    kind = pair.ask("POST", "/block_types/", {"name": "Thing", "slug": "thing"}, kind="type")
    pair.ask("GET", ("/block_types/", kind))
    pair.ask("POST", "/block_types/filter", {"block_types": {"slug": {"any_": ["thing"]}}})
    body = {"fields": SCHEMA, "block_type_id": kind, "capabilities": ["x"]}
    schema = pair.ask("POST", "/block_schemas/", body, kind="schema")
    pair.ask("GET", ("/block_schemas/", schema))
    pair.ask("POST", "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind]}}})
    body = {"data": {"token": "t"}, "block_type_id": kind, "block_schema_id": schema}
    inner = pair.ask("POST", "/block_documents/", {**body, "name": "inner"}, kind="document")
    body["data"] = {"token": "t", "plain": {"$ref": {"block_document_id": inner}}}
    outer = pair.ask("POST", "/block_documents/", {**body, "name": "outer"}, kind="document")
    for path in (("/block_documents/", outer), "/block_types/slug/thing/block_documents"):
        pair.ask("GET", path)
    pair.ask("POST", "/block_documents/filter", {"block_types": {"slug": {"any_": ["thing"]}}})
    variable = pair.ask("POST", "/variables/", {"name": "v", "value": "x"}, kind="variable")
    pair.ask("GET", ("/variables/", variable))
    pair.ask("POST", "/variables/filter", {})


def test_runs_have_all_fields(pair):
    """Answers about flows, runs, states, artifacts, logs and inputs have the fields of the real server."""
    flow = pair.ask("POST", "/flows/", {"name": "f"}, kind="flow")
    pair.ask("GET", ("/flows/", flow))
    pair.ask("POST", "/flows/filter", {})
    run = pair.ask("POST", "/flow_runs/", {"name": "r", "flow_id": flow}, kind="flow run")
    body = {"name": "t", "flow_run_id": run, "task_key": "t", "dynamic_key": "0"}
    task_run = pair.ask("POST", "/task_runs/", body, kind="task run")
    for table, row in (("flow", run), ("task", task_run)):
        for state in ("RUNNING", "COMPLETED"):
            pair.ask("POST", (f"/{table}_runs/", row, "/set_state"), {"state": {"type": state}})
        pair.ask("GET", (f"/{table}_runs/", row))
        pair.ask("POST", f"/{table}_runs/filter", {})
        pair.ask("GET", (f"/{table}_run_states/?{table}_run_id=", row))
    artifact = pair.ask("POST", "/artifacts/", {"key": "k", "data": 1, "flow_run_id": run}, kind="artifact")
    pair.ask("GET", ("/artifacts/", artifact))
    pair.ask("GET", "/artifacts/k/latest")
    pair.ask("POST", "/artifacts/filter", {})
    pair.ask("POST", "/artifacts/latest/filter", {})
    pair.ask("POST", "/logs/", [{"name": "n", "level": 20, "message": "m", "timestamp": PAST, "flow_run_id": run}])
    pair.ask("POST", "/logs/filter", {})
    pair.ask("POST", ("/flow_runs/", run, "/input"), {"key": "k", "value": '"x"'})
    pair.ask("POST", ("/flow_runs/", run, "/input/filter"), {"prefix": "k"})


def test_deployments_and_pools_have_all_fields(pair):
    """Answers about pools, queues, workers, deployments and limits have the fields of the real server."""
    pair.ask("POST", "/work_pools/", {"name": "p", "type": "process"}, kind="pool")
    for path in ("/work_pools/p", "/work_pools/p/queues/default"):
        pair.ask("GET", path)
    queue = pair.ask("POST", "/work_pools/p/queues", {"name": "q"}, kind="queue")
    pair.ask("GET", ("/work_queues/", queue))
    pair.ask("GET", ("/work_queues/", queue, "/status"))
    pair.ask("POST", "/work_pools/p/workers/heartbeat", {"name": "w"})
    for path in (
        "/work_pools/filter",
        "/work_pools/p/queues/filter",
        "/work_queues/filter",
        "/work_pools/p/workers/filter",
    ):
        pair.ask("POST", path, {})
    flow = pair.ask("POST", "/flows/", {"name": "f"}, kind="flow")
    schedules = [
        {"schedule": {"interval": 3600, "anchor_date": PAST}, "active": True},
        {"schedule": {"cron": "0 0 * * *"}},
    ]
    parameters = {"parameter_openapi_schema": {"type": "object", "properties": {}}}
    body = {"name": "d", "flow_id": flow, "work_pool_name": "p", "schedules": schedules, **parameters}
    deployment = pair.ask("POST", "/deployments/", body, kind="deployment")
    pair.ask("GET", ("/deployments/", deployment))
    pair.ask("GET", ("/deployments/", deployment, "/schedules"))
    pair.ask("POST", "/deployments/", {"name": "plain", "flow_id": flow, "concurrency_limit": 1}, kind="deployment")
    pair.ask("POST", "/deployments/filter", {})
    run = pair.ask("POST", ("/deployments/", deployment, "/create_flow_run"), {"name": "r"}, kind="flow run")
    pair.ask("GET", ("/flow_runs/", run))
    pair.ask("POST", "/work_pools/p/get_scheduled_flow_runs", {})
    pair.ask("POST", "/deployments/get_scheduled_flow_runs", {"deployment_ids": [deployment]})
    pair.ask("POST", "/concurrency_limits/", {"tag": "t", "concurrency_limit": 1})
    pair.ask("POST", "/v2/concurrency_limits/", {"name": "l", "limit": 1})
    for path in ("/concurrency_limits/filter", "/v2/concurrency_limits/filter"):
        pair.ask("POST", path, {})


@pytest.mark.skipif(LEGACY, reason="Prefect 2 has automations with an experimental setting only")
def test_automations_have_all_fields(pair):
    """Answers about automations have the fields of the real server."""
    trigger = {"type": "event", "posture": "Reactive", "threshold": 1, "within": 0, "expect": ["e"]}
    body = {"name": "a", "trigger": trigger, "actions": [{"type": "do-nothing"}]}
    automation = pair.ask("POST", "/automations/", body, kind="automation")
    pair.ask("GET", ("/automations/", automation))
    pair.ask("POST", "/automations/filter", {})


# -- orders, filters and conflicts --------------------------------------------------------------------------------------


def test_runs_are_chosen_by_their_start(pair):
    """Filters and sort orders by start time use the expected start of runs that have not started."""
    flow = pair.ask(
        "POST", "/flows/", {"name": "f", "labels": {"team": "x"}} if HAS_LABELS else {"name": "f"}, kind="flow"
    )
    for name, time in (("late", PAST), ("future", FUTURE)):
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": time}}
        pair.ask("POST", "/flow_runs/", {"name": name, "flow_id": flow, "state": state}, kind="flow run")
    for kind in ("PENDING", "RUNNING"):
        body = {"name": kind.lower(), "flow_id": flow, "state": {"type": kind}}
        pair.ask("POST", "/flow_runs/", body, kind="flow run")
    for operator in ("after_", "before_"):
        chosen = {"start_time": {operator: "2021-01-01T00:00:00Z"}}
        pair.ask("POST", "/flow_runs/filter", {"flow_runs": chosen, "sort": "START_TIME_DESC"})
    for order in ("START_TIME_ASC", "EXPECTED_START_TIME_DESC", "NAME_ASC"):
        pair.ask("POST", "/flow_runs/filter", {"sort": order})
    for text in ("la%e", "p_nding", "%", "A"):
        pair.ask("POST", "/flow_runs/filter", {"flow_runs": {"name": {"like_": text}}, "sort": "NAME_ASC"})


def test_limits_and_queues_of_pools(pair):
    """Null clears a limit, the default queue stays, and a deployment needs its flow."""
    pair.ask("POST", "/work_pools/", {"name": "p", "type": "process", "concurrency_limit": 3})
    pair.ask("GET", "/work_pools/p")
    pair.ask("PATCH", "/work_pools/p", {"concurrency_limit": None, "description": None})
    pair.ask("GET", "/work_pools/p")
    pair.ask("POST", "/work_pools/p/queues", {"name": "q", "concurrency_limit": 3})
    pair.ask("PATCH", "/work_pools/p/queues/q", {"concurrency_limit": None})
    pair.ask("GET", "/work_pools/p/queues/q")
    pair.ask("DELETE", "/work_pools/p/queues/default")
    pair.ask("DELETE", "/work_pools/p/queues/q")
    pair.ask("POST", "/deployments/", {"name": "d", "flow_id": "00000000-0000-4000-8000-000000000009"})
    pair.ask("POST", "/concurrency_limits/", {"tag": "t", "concurrency_limit": 1})
    pair.ask("POST", "/v2/concurrency_limits/filter", {})


def test_parameters_of_deployments_follow_their_schema(pair):
    """Parameters of a wrong type are refused when a deployment is created or changed; required ones may be missing."""
    flow = pair.ask("POST", "/flows/", {"name": "f"}, kind="flow")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "m": {}}, "required": ["n", "m"]}
    body = {"name": "d", "flow_id": flow, "parameter_openapi_schema": schema, "enforce_parameter_schema": True}
    pair.ask("POST", "/deployments/", {**body, "parameters": {"n": "bad"}})
    deployment = pair.ask("POST", "/deployments/", {**body, "parameters": {"n": 1}}, kind="deployment")
    if not LEGACY:
        for value in ("bad", 2):
            pair.ask("PATCH", ("/deployments/", deployment), {"parameters": {"n": value}})
    pair.ask("GET", ("/deployments/", deployment))


# -- requests that are not valid ---------------------------------------------------------------------------------------


def test_wrong_bodies_are_refused_alike(pair):
    """Unknown fields, and values of another type or outside of an enumeration, get 422 where the real server says so."""
    different = []
    for route in ROUTES:
        if LEGACY and route.template.startswith(("/automations", "/events")):
            continue  # an experimental setting enables them on the real server
        for body in wrong_bodies(route.key):
            path = re.sub(r"\{(\w*id)\}", "00000000-0000-4000-8000-000000000009", route.template)
            statuses = pair.statuses(route.method, re.sub(r"\{\w+\}", "none", path), body)
            if len({status == 422 for status in statuses}) == 2 and 500 not in statuses:
                different.append((route.key, body, statuses))
    assert different == [], "\n".join(map(str, different))


def wrong_bodies(key):
    """Yield bodies for a route that differ in one place from the smallest valid body."""
    recorded = schemas_of(release_of(INSTALLED))
    route = recorded._routes.get(key)
    if not route or not route["request"]:
        return
    schema = recorded._resolve(route["request"], {})
    smallest = {name: example(recorded, schema["properties"][name]) for name in schema.get("required", ())}
    yield smallest
    yield {**smallest, "unknown": 1}
    for name, field in schema.get("properties", {}).items():
        if name in schema.get("required", ()):
            yield {each: value for each, value in smallest.items() if each != name}
        nested = recorded._resolve(field, {})
        if nested.get("properties") or name == "name":
            yield {**smallest, name: {"unknown": 1}}
        if "enum" in (recorded._definitions[field["$ref"]] if "$ref" in field else field):
            yield {**smallest, name: "WRONG"}
        for part in list(nested.get("properties", {}))[1:2]:
            yield {**smallest, name: {part: {"unknown": 1}}}


def example(recorded, schema):
    """Return a value that a schema accepts."""
    if "$ref" in schema:
        schema = recorded._definitions[schema["$ref"]]
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return example(recorded, schema[union][0])
    if "enum" in schema:
        return schema["enum"][0]
    properties = {name: schema["properties"][name] for name in schema.get("required", ())}
    return {
        "object": {name: example(recorded, each) for name, each in properties.items()},
        "array": [],
        "string": {"uuid": "00000000-0000-4000-8000-000000000009", "date-time": PAST}.get(schema.get("format"), "x"),
        "integer": 1,
        "number": 1,
        "boolean": True,
    }.get(schema.get("type"), 1)
