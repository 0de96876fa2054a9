"""The command line of the installed Prefect with the fake APIs: projects, flows, runs, key-value store, heartbeats."""

from __future__ import annotations

import pytest

from tests.compat import VERSION, needs_prefect
from tests.real_flows import register, two_tasks

pytestmark = [
    needs_prefect,
    pytest.mark.skipif((VERSION or ()) < (0, 6, 5), reason="the commands are of Prefect 0.6.5 and later"),
]
new = pytest.mark.skipif((VERSION or ()) < (0, 14), reason="the command came with Prefect 0.14")


@pytest.fixture(params=["cloud", "server"])
def api(request):
    if request.param == "server" and VERSION < (0, 13):
        pytest.skip("Server got projects with Prefect 0.13")
    return request.getfixturevalue(f"prefect_{request.param}")


def prefect(*arguments, fails=False):
    """Run a command that must succeed by default, and return its output."""
    from click.testing import CliRunner
    from prefect.cli import cli

    process = CliRunner().invoke(cli, [str(part) for part in arguments])
    if not fails:
        assert process.exit_code == 0, (process.output, process.exception)
        assert process.exception is None
    return process.output


def rows(*arguments):
    """Return the words of each line of a table, starting with the heading."""
    return [line.split() for line in prefect(*arguments).splitlines() if line.strip()]


@pytest.fixture
def flow_run(api):
    """A flow ``f`` of the project ``p`` with a run ``r`` that has started and logged."""
    client = api.client
    client.create_project("p", **({"project_description": "of tests"} if VERSION >= (0, 10) else {}))
    run = client.create_flow_run(register(client, two_tasks()))
    from prefect.engine.state import Running

    client.set_flow_run_state(flow_run_id=run, version=1, state=Running())
    api.world.store.change("flow_run", run, name="r")
    log = {
        "flow_run_id": run,
        "level": "INFO",
        "name": "n",
        "message": "the message",
        "timestamp": "2022-01-31T12:00:00",
    }
    if hasattr(client, "write_run_logs"):
        client.write_run_logs([log])
    return run


def test_projects(api):
    """Projects are created once, listed and deleted."""
    assert prefect("create", "project", "my project") == "my project created\n"
    if VERSION >= (0, 15):
        assert "already exists" in prefect("create", "project", "my project", "--skip-if-exists")
    assert "my project" in prefect("get", "projects")
    if VERSION >= (0, 14):
        prefect("delete", "project", "my project")
        assert "my project" not in prefect("get", "projects")


def test_getting_and_describing(api, flow_run):
    """``prefect get`` and ``describe`` work, filtered or not; ``_eq: null`` is ignored."""
    for more in (
        [],
        ["--name", "f"],
        ["--all-versions"],
        ["--project", "p"],
        ["--limit", "1"] if VERSION >= (0, 8) else [],
    ):
        assert rows("get", "flows", *more)[1][0] == "f"
    assert rows("get", "flows", "--project", "q")[1:] == []
    assert rows("get", "projects")[1][:2] == ["p", "1"]
    assert rows("get", "flow-runs")[1][:2] == ["r", "f"]
    assert rows("get", "flow-runs", "--started", "--flow", "f", "--project", "p")[1][:2] == ["r", "f"]
    assert {row[0] for row in rows("get", "tasks")[1:]} == {"add", "show", "x"}
    assert rows("get", "tasks", "--flow-name", "g")[1:] == []
    assert "name" in prefect("describe", "flows", "--name", "f")
    assert "add" in prefect("describe", "tasks", "--name", "f")
    assert "Running" in prefect("describe", "flow-runs", "--name", "r")
    if VERSION >= (0, 7):
        assert "the message" in prefect("get", "logs", "--name", "r")
    if VERSION >= (0, 15):
        assert "the message" in prefect("get", "logs", "--id", flow_run)


@new
def test_registering_a_file(api, tmp_path, monkeypatch):
    """A file is registered with all flows; again only after changes or with ``--force``."""
    source = tmp_path / "my_flows.py"
    source.write_text(
        "from prefect import Flow, Parameter\n"
        "with Flow('one') as one:\n    one.add_task(Parameter('x', default=1))\n"
        "with Flow('two') as two:\n    two.add_task(Parameter('x', default=1))\n"
    )
    if VERSION < (0, 15):
        command = ["register", "flow", "--file", source, "--name", "one", "--project", "p"]
    else:
        command = ["register", "--project", "p", "--path", source, "--label", "l"]
    api.client.create_project("p")
    assert "ID: " in prefect(*command)
    assert api.client.graphql("{ flow { name tasks { slug } } }")["data"]["flow"][0]["name"] == "one"
    if VERSION >= (0, 15):
        assert "Skipped" in prefect(*command)
        assert "2 registered" in prefect(*command, "--force")
        rows = api.client.graphql("{ flow(where: {archived: {_eq: false}}) { name version tasks { slug } } }")["data"][
            "flow"
        ]
        result = {row["name"]: (row["version"], [task["slug"] for task in row["tasks"]]) for row in rows}
        assert result == {"one": (2, ["x"]), "two": (2, ["x"])}


@new
def test_running(api):
    """A flow can be run by name or id; the run waits for an agent."""
    client = api.client
    client.create_project("p")
    flow_id = register(client, two_tasks())
    if VERSION < (0, 15):
        instance = [
            prefect("run", "flow", "--name", "f", "--project", "p", "--no-url"),
            prefect("run", "flow", "--id", flow_id, "--no-url"),
        ]
    else:
        by_name = prefect("run", "--name", "f", "--project", "p", "--param", "x=7", "--label", "l", "--run-name", "n")
        assert "Creating run for flow 'f'" in by_name
        instance = [by_name, prefect("run", "--id", flow_id, "--param", "x=8")]
    rows = client.graphql("{ flow_run(order_by: {created: asc}) { id name state parameters labels } }")["data"][
        "flow_run"
    ]
    assert [row["state"] for row in rows] == ["Scheduled", "Scheduled"]
    assert all(instance)
    if VERSION >= (0, 15):
        assert rows[0]["name"] == "n"
        assert [dict(row["parameters"]) for row in rows] == [{"x": 7}, {"x": 8}]
        assert list(rows[0]["labels"]) == ["l"]


@pytest.mark.skipif((VERSION or ()) < (0, 15), reason="the key-value store came with Prefect 0.15")
def test_the_key_value_store(prefect_cloud):
    """Entries are set, listed, read and deleted."""
    assert "set successfully" in prefect("kv", "set", "k", "the value")
    assert prefect("kv", "list").split() == ["k"]
    assert "the value" in prefect("kv", "get", "k")
    assert "deleted" in prefect("kv", "delete", "k")
    assert "No value found for key: k" in prefect("kv", "get", "k", fails=True)


@new
def test_heartbeats(api, flow_run, monkeypatch):
    """The heartbeat process of a flow run sends heartbeats."""
    import prefect as package

    monkeypatch.setitem(package.config.cloud, "heartbeat_interval", 0.01)
    api.world.store.change("flow_run", flow_run, heartbeat=None)
    prefect("heartbeat", "flow-run", "--id", flow_run, "--num", 2)
    assert api.world.store.get("flow_run", flow_run)["heartbeat"]


@pytest.mark.skipif((VERSION or ()) < (0, 10), reason="Prefect Server came with 0.10.0")
def test_the_backend(prefect_cloud, prefect_home):
    """``prefect backend`` affects processes that start later."""
    assert "server" in prefect("backend", "server")
    assert "cloud" in prefect("backend", "cloud")


@pytest.mark.skipif((VERSION or ()) < (0, 15), reason="tenants are made by clients of 0.15 here")
def test_a_tenant_of_server(prefect_server):
    """``prefect server create-tenant`` creates a tenant."""
    assert prefect("server", "create-tenant", "--name", "second", "--slug", "two")
    rows = prefect_server.client.graphql("{ tenant { slug } }")["data"]["tenant"]
    assert rows[-1]["slug"] == "two"
