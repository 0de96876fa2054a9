"""Every method of the installed Prefect's client against the fake APIs, over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from importlib import import_module
from inspect import signature

import pytest

from tests.compat import VERSION, needs_prefect
from tests.real_flows import register, registers, two_tasks

pytestmark = needs_prefect
NOW = datetime(2022, 1, 31, 12, tzinfo=timezone.utc)
has_views = pytest.mark.skipif((VERSION or ()) < (0, 15), reason="the views came with Prefect 0.15")

# Methods that ask nothing of the API, are tested with keys and tenants, or are of REST, which the API has none of.
ELSEWHERE = frozenset(
    [
        "get",
        "post",
        "graphql",
        "attach_headers",
        "logger",
        "local_token_path",
        "load_auth_from_disk",
        "save_auth_to_disk",
        "save_api_token",
        "get_auth_token",
        "refresh_token",
        "active_tenant_id",
        "login",
        "logout",
        "login_to_tenant",
        "logout_from_tenant",
        "switch_tenant",
        "set_secret",
        "get_available_tenants",
    ]
)


@pytest.fixture(params=["cloud", "server"])
def api(request):
    """A fake Cloud and a fake Server; clients support the latter from 0.10 on."""
    if request.param == "server" and VERSION < (0, 10):
        pytest.skip("Prefect Server came with 0.10.0")
    return request.getfixturevalue(f"prefect_{request.param}")


class Used:
    """A client that records which of its methods are called."""

    def __init__(self, client):
        self.client, self.names = client, set()

    def __getattr__(self, name):
        self.names.add(name)
        return getattr(self.client, name)

    def has(self, name):
        return hasattr(self.client, name)


def has_projects_of_its_own(client):
    return [row["name"] for row in client.graphql("{ project(order_by: {name: asc}) { name } }")["data"]["project"]]


@pytest.mark.slow
@registers
def test_every_method(api):
    """Each method works, from the project to the last log."""
    from prefect.engine.state import Running, Success

    client = Used(api.client)
    project = client.create_project("p")
    if VERSION >= (0, 14):
        assert client.create_project("p") == project
    flow_id = register(client, two_tasks())
    described = flow_and_run(client, flow_id)
    run_id = described.pop("run")
    info = client.get_flow_run_info(run_id)
    assert (info.version, info.parameters, type(info.state).__name__) == (1, {"x": 5}, "Scheduled")
    assert len(info.task_runs) == 3
    assert {type(run.state).__name__ for run in info.task_runs} == {"Pending"}

    client.set_flow_run_state(flow_run_id=run_id, version=1, state=Running())
    client.graphql('mutation { enable_flow_version_lock(input: {flow_id: "%s"}) { success } }' % flow_id)
    with pytest.raises(BaseException, match="VERSION_LOCKING_ERROR"):  # a signal, in later versions
        client.set_flow_run_state(flow_run_id=run_id, version=1, state=Running())
    client.update_flow_run_heartbeat(run_id)
    tasks(client, run_id, info.task_runs[0])
    logs(client, run_id)
    client.set_flow_run_state(flow_run_id=run_id, version=2, state=Success())
    assert type(client.get_flow_run_info(run_id).state).__name__ == "Success"
    newer(client, run_id, info.task_runs[0].id)
    agents_and_limits(client, api)
    if client.has("create_tenant") and api.world.backend == "server":
        assert client.create_tenant("another", "another-one")
    if client.has("delete_project"):
        assert client.delete_project("p") is True
        with pytest.raises(ValueError, match="not found"):
            client.delete_project("p")
        assert has_projects_of_its_own(client) == []

    methods = {name for name, value in vars(type(client.client)).items() if name[0] != "_" and callable(value)}
    remaining = methods - client.names - ELSEWHERE
    remaining -= {"create_tenant", "tenant_id", "get_task_tag_limit", "update_task_tag_limit", "delete_task_tag_limit"}
    assert remaining == set()


def flow_and_run(client, flow_id):
    run_id = client.create_flow_run(flow_id, parameters={"x": 5}, context={"a": 1}, idempotency_key="k")
    again = client.create_flow_run(flow_id, parameters={"x": 5}, context={"a": 1}, idempotency_key="k")
    assert run_id == again
    assert run_id != client.create_flow_run(flow_id, scheduled_start_time=NOW)
    query = '{ flow_run_by_pk(id: "%s") { context flow { name version } } }' % run_id
    row = client.graphql(query)["data"]["flow_run_by_pk"]
    assert row["flow"]["name"] == "f"
    assert row["context"] == {"a": 1}
    if client.has("get_cloud_url"):
        known = "as_user" in signature(client.client.get_cloud_url).parameters
        as_user = (
            {"as_user": client.graphql("{ api { backend } }")["data"]["api"]["backend"] == "CLOUD"} if known else {}
        )
        assert client.get_cloud_url("flow", flow_id, **as_user).count("/flow/") == 1
    return {"run": run_id}


def tasks(client, run_id, task_run):
    from prefect.engine.state import Cached, Running

    child = client.get_task_run_info(run_id, task_run.task_id, map_index=3)
    assert child.id != task_run.id
    assert client.get_task_run_info(run_id, task_run.task_id, map_index=3).id == child.id
    client.set_task_run_state(task_run_id=task_run.id, version=1, state=Running())
    cached = Cached(cached_result_expiration=NOW + timedelta(days=1))
    client.set_task_run_state(task_run_id=task_run.id, version=2, state=cached)
    key = {"cache_key": None} if VERSION >= (0, 6) else {}
    (result,) = client.get_latest_cached_states(task_id=task_run.task_id, created_after=NOW, **key)
    assert type(result).__name__ == "Cached"
    if client.has("update_task_run_heartbeat"):
        client.update_task_run_heartbeat(task_run.id)


def logs(client, run_id):
    entry = {"timestamp": NOW.isoformat(), "name": "n", "level": "INFO", "message": "m", "info": {"a": 1}}
    if client.has("write_run_logs"):
        known = "info" in str(signature(client.client.write_run_logs)) or VERSION < (0, 14)
        client.write_run_logs([{"flow_run_id": run_id, **{k: v for k, v in entry.items() if known or k != "info"}}])
    elif client.has("write_run_log"):
        client.write_run_log(run_id, **{**entry, "timestamp": NOW})
    rows = client.graphql('{ log(where: {flow_run_id: {_eq: "%s"}}) { message level timestamp } }' % run_id)["data"][
        "log"
    ]
    if client.has("write_run_logs") or client.has("write_run_log"):
        assert [dict(row) for row in rows] == [
            {"message": "m", "level": "INFO", "timestamp": "2022-01-31T12:00:00+00:00"}
        ]


def newer(client, run_id, task_run_id):
    """Call the methods of later versions."""
    if client.has("get_flow_run_state"):
        assert client.get_flow_run_state(run_id).is_successful()
    if client.has("get_task_run_state"):
        assert client.get_task_run_state(task_run_id).is_successful()
    if client.has("set_flow_run_name"):
        assert client.set_flow_run_name(run_id, "named")
    if client.has("set_task_run_name"):
        assert client.set_task_run_name(task_run_id, "named")
    if client.has("cancel_flow_run"):
        assert client.cancel_flow_run(run_id)
    if client.has("create_task_run_artifact"):
        artifact = client.create_task_run_artifact(task_run_id, "link", {"link": "x"})
        client.update_task_run_artifact(artifact, {"link": "y"})
        result = client.graphql("{ task_run_artifact { kind data } }")["data"]["task_run_artifact"]
        assert [dict(row) for row in result] == [{"kind": "link", "data": {"link": "y"}}]
        client.delete_task_run_artifact(artifact)
        assert client.graphql("{ task_run_artifact { id } }")["data"]["task_run_artifact"] == []
    if client.has("get_default_tenant_slug"):
        known = "as_user" in signature(client.client.get_default_tenant_slug).parameters
        assert client.get_default_tenant_slug(**({"as_user": False} if known else {}))


def agents_and_limits(client, api):
    if client.has("register_agent"):
        known = signature(client.client.register_agent).parameters
        inputs = {"agent_type": "LocalAgent", "name": "n", "labels": ["a"], "agent_config_id": None}
        assert client.register_agent(**{name: value for name, value in inputs.items() if name in known})
    cloud = api.world.backend == "cloud"
    if client.has("get_agent_config"):
        instance = "mutation { create_agent_config(input: {settings: {a: 1}}) { id } }"
        config = client.graphql(instance)["data"]["create_agent_config"]["id"] if cloud else None
        if cloud:
            assert client.get_agent_config(config) == {"a": 1}
        else:
            client.names.add("get_agent_config")  # of Cloud only
    if client.has("update_task_tag_limit") and cloud:
        client.update_task_tag_limit("t", 3)
        assert client.get_task_tag_limit("t") == 3
        if client.has("delete_task_tag_limit"):
            limit = client.graphql("{ task_tag_limit { id } }")["data"]["task_tag_limit"][0]["id"]
            client.delete_task_tag_limit(limit)
            assert client.get_task_tag_limit("t") is None


@registers
def test_registering_again_is_a_new_version(prefect_cloud):
    """Registering a flow again, uncompressed, creates a version and archives the old one."""
    client = prefect_cloud.client
    client.create_project("p")
    first = register(client, two_tasks())
    second = register(client, two_tasks(), compressed=False)
    rows = client.graphql("{ flow(order_by: {version: asc}) { id version archived } }")["data"]["flow"]
    assert [dict(row) for row in rows] == [
        {"id": first, "version": 1, "archived": True},
        {"id": second, "version": 2, "archived": False},
    ]
    if VERSION >= (0, 13, 14):
        third = register(client, two_tasks(), idempotency_key="k")
        assert register(client, two_tasks(), idempotency_key="k") == third


@registers
def test_a_project_that_is_not_there(prefect_cloud):
    """A missing project raises the client's own error with its advice."""
    with pytest.raises(ValueError, match="not found"):
        register(prefect_cloud.client, two_tasks(), project="nowhere")


@registers
@pytest.mark.parametrize("key", ["user_key", "runner_key"])
def test_the_address_of_a_registered_flow(prefect_cloud, key, capsys):
    """The client finds the tenant of its user; a RUNNER key has one too, a service account."""
    tenant = prefect_cloud.tenant
    client = prefect_cloud.client_for(getattr(tenant, key), tenant.id)
    client.create_project("p")
    flow_id = register(client, two_tasks(), no_url=False)
    assert prefect_cloud.client.graphql("{ flow { id } }").data.flow[0].id == flow_id


def test_a_flow_that_is_not_there(prefect_cloud):
    """A missing flow raises the client's own error with the API's message."""
    exceptions = import_module("prefect.exceptions" if VERSION >= (0, 15) else "prefect.utilities.exceptions")
    with pytest.raises(exceptions.ClientError, match="Flow not found"):
        prefect_cloud.client.create_flow_run("835db11c-d8c1-47b1-b443-00bd056712fd")


@pytest.mark.slow
@has_views
def test_views(api):
    """FlowView, FlowRunView, TaskRunView and TenantView work, including their lazy lookups."""
    from prefect.backend import FlowRunView, FlowView, TaskRunView
    from prefect.engine.state import Running, Success

    client = api.client
    client.create_project("p")
    flow_id = register(client, two_tasks())
    run_id = client.create_flow_run(flow_id)
    flow = FlowView.from_flow_id(flow_id)
    assert (flow.name, flow.project_name, flow.archived, flow.core_version) == ("f", "p", False, VERSION_TEXT)
    assert FlowView.from_flow_name("f", project_name="p").flow_id == flow_id
    group = client.graphql("{ flow { flow_group_id } }")["data"]["flow"][0]["flow_group_id"]
    assert FlowView.from_flow_group_id(group).flow_id == flow_id
    assert FlowView.from_id(flow_id).flow_id == FlowView.from_id(group).flow_id == flow_id

    run = FlowRunView.from_flow_run_id(run_id)
    assert (run.flow_id, run.labels, type(run.state).__name__) == (flow_id, ["here"], "Scheduled")
    assert run.get_flow_metadata().name == "f"
    client.set_flow_run_state(run_id, Running())
    for task_run in run.get_all_task_runs():
        client.set_task_run_state(task_run.task_run_id, Running())
        client.set_task_run_state(task_run.task_run_id, Success("done"))
    client.write_run_logs(
        [{"flow_run_id": run_id, "level": "INFO", "name": "n", "message": "m", "timestamp": NOW.isoformat()}]
    )
    run = run.get_latest()
    assert [type(state).__name__ for state in run.states] == ["Scheduled", "Running"]
    assert [log.message for log in run.get_logs()] == ["m"]
    by_slug = run.get_task_run(task_slug="add-1")
    assert TaskRunView.from_task_run_id(by_slug.task_run_id).state.message == "done"
    assert TaskRunView.from_task_slug("add-1", run_id).task_run_id == by_slug.task_run_id
    assert run.get_task_run_ids() == [
        row.task_run_id for row in FlowRunView.from_flow_run_id(run_id).get_all_task_runs()
    ]
    with pytest.raises(ValueError, match="No results found"):
        FlowView.from_flow_name("nothing")
    if VERSION >= (1, 0):
        from prefect.backend import TenantView

        tenant = client.graphql("{ tenant { id slug } }")["data"]["tenant"][0]
        assert TenantView.from_tenant_id(tenant["id"]).slug == tenant["slug"]


@has_views
def test_watching_a_run(prefect_cloud, monkeypatch):
    """``watch_flow_run`` shows states and logs until the run ends."""
    from prefect.backend import flow_run
    from prefect.engine.state import Running, Success

    client = prefect_cloud.client
    client.create_project("p")
    run_id = client.create_flow_run(register(client, two_tasks()))
    steps = iter(
        [
            lambda: client.set_flow_run_state(run_id, Running("on the way")),
            lambda: client.set_flow_run_state(run_id, Success("there")),
        ]
    )
    monkeypatch.setattr(flow_run.time, "sleep", lambda _: next(steps, lambda: None)())
    observations = [log.message for log in flow_run.watch_flow_run(run_id)]
    assert any("on the way" in message for message in observations)
    assert any("there" in message for message in observations)


@pytest.mark.skipif((VERSION or ()) < (0, 15), reason="the key-value store came with Prefect 0.15")
def test_the_key_value_store(prefect_cloud):
    """Entries are set, overwritten, listed, read and deleted."""
    from prefect.backend import delete_key, get_key_value, list_keys, set_key_value

    for value in ({"a": [1, None]}, "text", 5):
        set_key_value("k", value)
        assert get_key_value("k") == value
    assert list_keys() == ["k"]
    assert delete_key("k")
    with pytest.raises(ValueError, match="No value found for key: k"):
        get_key_value("k")


@pytest.mark.skipif((VERSION or ()) < (0, 15), reason="artifacts came with Prefect 0.15")
def test_artifacts(prefect_cloud):
    """``prefect.backend.artifacts`` works in a task run."""
    import prefect
    from prefect.backend import artifacts

    client = prefect_cloud.client
    client.create_project("p")
    run_id = client.create_flow_run(register(client, two_tasks()))
    task_run = client.get_flow_run_info(run_id).task_runs[0].id
    create = getattr(artifacts, "create_link_artifact", None) or artifacts.create_link
    markdown = getattr(artifacts, "create_markdown_artifact", None) or artifacts.create_markdown
    with prefect.context(running_with_backend=True, task_run_id=task_run, config=prefect.config):
        first, second = create("http://a"), markdown("# b")
        (getattr(artifacts, "update_link_artifact", None) or artifacts.update_link)(first, "http://c")
        artifacts.delete_artifact(second)
    rows = client.graphql("{ task_run_artifact { kind data } }")["data"]["task_run_artifact"]
    assert [dict(row) for row in rows] == [{"kind": "link", "data": {"link": "http://c"}}]


VERSION_TEXT = ".".join(map(str, VERSION or ()))
