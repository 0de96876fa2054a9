"""Registration of flows: versions, tasks, edges, schedules, and invalid flows."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from tests.backend.asking import Team, flow
from tests.compat import VERSION

pytest.importorskip("graphql")


@pytest.fixture
def team():
    return Team()


def packed(value):
    return base64.b64encode(gzip.compress(value if isinstance(value, bytes) else json.dumps(value).encode())).decode()


def test_a_flow_is_stored_with_tasks_and_edges(team):
    """A flow is stored with its tasks, its edges and the version of Prefect."""
    tasks = [
        {"name": "a", "slug": "a-1", "type": "t", "tags": ["x"], "max_retries": 2, "retry_delay": 90, "auto_generated": True,
         "trigger": {"fn": "prefect.triggers.all_successful", "kwargs": {}}, "cache_key": "k"},
        {"name": None, "slug": "b-1", "trigger": "any", "max_retries": "many", "retry_delay": None},
    ]  # fmt: skip
    edges = [{"upstream_task": {"slug": "a-1"}, "downstream_task": {"slug": "b-1"}, "key": "x", "mapped": True}]
    flow_id = team.flow(tasks=(), parameters=[{"name": "p"}], storage={"type": "Module", "__version__": "1.4.0"})
    team.do("register_tasks", "success", flow_id=flow_id, serialized_tasks=tasks)
    team.do("register_edges", "success", flow_id=flow_id, serialized_edges=edges)
    team.do("register_tasks", "success", flow_id=flow_id, serialized_tasks=tasks)
    result = team.one(
        """flow { id name version archived core_version parameters settings storage environment run_config project { name }
        flow_group { flows { id } labels } edges { key mapped upstream_task { slug } downstream_task { slug } }
        tasks { name slug type tags mapped max_retries retry_delay trigger auto_generated cache_key
        upstream_edges { key } downstream_edges { key } } }"""
    )
    assert result == {
        "id": flow_id,
        "name": "f",
        "version": 1,
        "archived": False,
        "core_version": "1.4.0",
        "parameters": [{"name": "p"}],
        "settings": {"heartbeat_enabled": True, "lazarus_enabled": True, "version_locking_enabled": False},
        "storage": {"type": "Module", "__version__": "1.4.0"},
        "environment": None,
        "run_config": None,
        "project": {"name": "p"},
        "flow_group": {"flows": [{"id": flow_id}], "labels": None},
        "edges": [{"key": "x", "mapped": True, "upstream_task": {"slug": "a-1"}, "downstream_task": {"slug": "b-1"}}],
        "tasks": [
            {
                "name": "a",
                "slug": "a-1",
                "type": "t",
                "tags": ["x"],
                "mapped": False,
                "max_retries": 2,
                "retry_delay": "00:01:30",
                "trigger": "prefect.triggers.all_successful",
                "auto_generated": True,
                "cache_key": "k",
                "upstream_edges": [],
                "downstream_edges": [{"key": "x"}],
            },
            {
                "name": None,
                "slug": "b-1",
                "type": None,
                "tags": [],
                "mapped": True,
                "max_retries": None,
                "retry_delay": None,
                "trigger": "any",
                "auto_generated": False,
                "cache_key": None,
                "upstream_edges": [{"key": "x"}],
                "downstream_edges": [],
            },
        ],
    }


def test_a_compressed_flow_is_the_same_flow(team):
    """A compressed flow, in both spellings, results in the same rows."""
    team.flow(name="plain")
    project = team.one("project { id }")["id"]
    team.do("create_flow_from_compressed_string", project_id=project, serialized_flow=packed(flow("packed")))
    document = """mutation($input: createFlowFromCompressedStringInput!) {
        createFlowFromCompressedString(input: $input) { id } }"""
    old = {"projectId": project, "serializedFlow": packed(flow("old")), "setScheduleActive": True}
    team.ask(document, {"input": old})
    rows = team.ask("{ flow(order_by: {name: asc}) { name tasks { slug } edges { key } } }")["flow"]
    assert [row.pop("name") for row in rows] == ["old", "packed", "plain"]
    assert rows[0] == rows[1] == rows[2]


def test_a_new_version_archives_the_older_ones(team):
    """A new version archives older ones with the same name and project, or the same group."""
    project, other = team.project("p"), team.project("q")
    first, second = team.flow(project), team.flow(project)
    team.flow(other)
    rows = team.ask("{ flow(order_by: {created: asc}) { id version archived version_group_id flow_group_id } }")["flow"]
    assert [(row["version"], row["archived"]) for row in rows] == [(1, True), (2, False), (1, False)]
    assert [row["id"] for row in rows[:2]] == [first, second]
    assert rows[0]["flow_group_id"] == rows[1]["flow_group_id"] != rows[2]["flow_group_id"]
    team.flow(project, name="renamed", version_group_id=rows[1]["version_group_id"])
    result = team.ask('{ flow(where: {name: {_eq: "renamed"}}) { version flow_group_id } }')["flow"]
    assert result == [{"version": 3, "flow_group_id": rows[1]["flow_group_id"]}]
    team.flow(project, name="own", version_group_id="my group")
    assert team.one('flow(where: {name: {_eq: "own"}}) { version version_group_id flow_group { name } }') == {
        "version": 1,
        "version_group_id": "my group",
        "flow_group": {"name": "my group"},
    }


def test_the_same_key_registers_nothing_new(team):
    """The same idempotency key returns the existing version, unless it is archived."""
    project = team.project()
    first = team.flow(project, idempotency_key="k")
    assert team.flow(project, idempotency_key="k") == first
    second = team.flow(project, idempotency_key="l")
    assert second != first
    assert team.flow(project, idempotency_key="k") not in (first, second)
    newest = team.flow(project, idempotency_key="m")
    team.do("archive_flow", "success", flow_id=newest)
    assert team.flow(project, idempotency_key="m") != newest


@pytest.mark.parametrize(
    ("serialized", "message"),
    [
        ([], "a flow must be a mapping"),
        ({}, "the name of a flow must be text"),
        ({"name": 5}, "the name of a flow must be text"),
        (flow(tasks=["a"], edges=["x"]), "an edge must be a mapping"),
        (flow(edges=[{}]), "an end of an edge must be a mapping"),
        (
            flow(edges=[{"upstream_task": {"slug": "a-1"}, "downstream_task": {"slug": "z"}}]),
            "an edge must connect two tasks of its flow",
        ),
        (
            flow(edges=[{"upstream_task": {"slug": ["a"]}, "downstream_task": {}}]),
            "an edge must connect two tasks of its flow",
        ),
        ({"name": "f", "tasks": {"a": 1}}, "expected a list; each entry must be a task"),
        ({"name": "f", "tasks": [5]}, "a task must be a mapping"),
    ],
)
def test_what_is_no_flow(team, serialized, message):
    """An invalid flow is rejected, and nothing is stored."""
    error = team.cannot("create_flow", project_id=team.project(), serialized_flow=serialized)
    assert error["message"] == message
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert team.ask("{ flow { id } flow_group { id } task { id } }") == {"flow": [], "flow_group": [], "task": []}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "äöü",
        "no base 64!",
        base64.b64encode(b"no gzip").decode(),
        packed(flow())[:40],
        packed(b"no json"),
        packed(b"\xff"),
        packed(b"[" * 100_000),
    ],
    ids=["empty", "umlauts", "no base64", "no gzip", "cut", "no JSON", "no UTF-8", "deep"],
)
def test_what_is_no_compressed_flow(team, text):
    """An invalid compressed flow is rejected without quoting it."""
    error = team.cannot("create_flow_from_compressed_string", project_id=team.project(), serialized_flow=text)
    assert error["message"] == "a compressed flow must be JSON, compressed with gzip and encoded in base64"


@pytest.mark.slow
def test_a_compressed_flow_that_is_too_large(team):
    """A compressed flow that exceeds 64 MiB after decompression is rejected."""
    error = team.cannot(
        "create_flow_from_compressed_string", project_id=team.project(), serialized_flow=packed(b" " * 70_000_000)
    )
    assert error["message"] == "a flow of more than 67108864 bytes is too large"


def test_unknown_types_of_what_is_text_are_kept_as_json(team):
    """A number in place of a text is stored as JSON, so lists of tasks still work."""
    team.flow(tasks=())
    team.do(
        "register_tasks",
        "success",
        flow_id=team.one("flow { id }")["id"],
        serialized_tasks=[{"slug": "a", "name": {"x": 1}}],
    )
    assert team.one("task { name }") == {"name": '{"x": 1}'}


@pytest.mark.skipif(VERSION is not None and VERSION < (0, 6, 1), reason="schedules have clocks from 0.6.1 on")
def test_a_schedule_is_turned_on_and_off(team):
    """Each of the mutations activates or deactivates a schedule, also for a flow without one."""
    on = {"schedule": {"type": "Schedule", "clocks": []}}
    project = team.project()
    scheduled, plain = team.flow(project, **on), team.flow(project, name="plain")

    def active(flow_id):
        row = team.one('flow(where: {id: {_eq: "%s"}}) { is_schedule_active schedule_is_active }' % flow_id)
        return row["is_schedule_active"], row["schedule_is_active"]

    assert (active(scheduled), active(plain)) == ((True, True), (False, False))
    assert team.do("set_schedule_inactive", "success", flow_id=scheduled) == {"success": True}
    assert active(scheduled) == (False, False)
    assert team.do("set_schedule_active", "success", flow_id=scheduled) == {"success": True}
    assert team.do("set_schedule_active", "success", flow_id=plain) == {"success": True}
    assert active(scheduled) == (True, True)
    old = "mutation($input: setFlowScheduleStateInput!) { setFlowScheduleState(input: $input) { success error } }"
    team.ask(old, {"input": {"flowId": scheduled, "setActive": False}})
    assert active(scheduled) == (False, False)


def test_a_flow_is_deleted_with_its_runs(team):
    """Deleting a flow deletes its runs, and its group with the last version."""
    project = team.project()
    first, second = team.flow(project), team.flow(project)
    team.run(second)
    team.do("delete_flow", "success", flow_id=second)
    assert team.ask("{ flow_run { id } task_run { id } flow { id } flow_group_aggregate { aggregate { count } } }") == {
        "flow_run": [],
        "task_run": [],
        "flow": [{"id": first}],
        "flow_group_aggregate": {"aggregate": {"count": 1}},
    }
    team.do("delete_flow", "success", flow_id=first)
    assert team.ask("{ flow_group { id } task { id } }") == {"flow_group": [], "task": []}
    assert team.cannot("delete_flow", "success", flow_id=first)["message"] == "Flow not found"


def test_server_takes_flows_without_a_project():
    """Server accepts flows without a project, as clients up to 0.12 send them; Cloud does not."""
    server = Team("server")
    first = server.do("create_flow", serialized_flow=flow())["id"]
    second = server.do("create_flow", serialized_flow=flow(), project_id=None)["id"]
    rows = server.ask("{ flow(order_by: {version: asc}) { id version project { name } } }")["flow"]
    assert rows == [
        {"id": one, "version": n, "project": {"name": "default"}} for n, one in enumerate([first, second], 1)
    ]
    assert Team().cannot("create_flow", serialized_flow=flow())["message"] == "Project not found"


def test_another_teams_project_is_not_there(team):
    """A flow cannot be registered in a project of another tenant."""
    other = Team(world=team.world)
    error = other.cannot("create_flow", project_id=team.project(), serialized_flow=flow())
    assert error["message"] == "Project not found"
