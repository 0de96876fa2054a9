"""Task runs, their logs and their artifacts."""

from __future__ import annotations

import pytest

from tests.backend.asking import Team

pytest.importorskip("graphql")


@pytest.fixture
def team():
    return Team()


@pytest.fixture
def run(team):
    run = team.run()
    team.state(run, "Running")
    return run


def ids(team, table):
    return [row["id"] for row in team.ask("{ %s { id } }" % table)[table]]


def info(team, run, task, index=None, answer="id version serialized_state"):
    inputs = {"flow_run_id": run, "task_id": task}
    return team.do("get_or_create_task_run_info", answer, **inputs, **({} if index is None else {"map_index": index}))


def test_a_task_has_one_run_and_one_for_each_mapped_child(team, run):
    """A task and each mapped child has one run, which repeated requests return."""
    task, _ = ids(team, "task")
    first = info(team, run, task)
    assert first["version"] == 1
    assert first["serialized_state"]["type"] == "Pending"
    assert info(team, run, task, -1) == first
    child = info(team, run, task, 0)
    assert child["id"] != first["id"]
    assert info(team, run, task, 0) == child
    document = """mutation($input: getOrCreateTaskRunInput!) {
        getOrCreateTaskRun(input: $input) { id task_run { id version serialized_state task { slug } } } }"""
    old = team.ask(document, {"input": {"flowRunId": run, "taskId": task, "mapIndex": 0}})["getOrCreateTaskRun"]
    assert old == {"id": child["id"], "task_run": {**child, "task": {"slug": "a-1"}}}
    assert len(ids(team, "task_run")) == 3


def test_a_task_of_another_flow(team, run):
    """A task of another flow or tenant has no run in a flow run."""
    team.flow(team.project("q"), name="g", tasks=["z"])
    error = team.cannot("get_or_create_task_run_info", flow_run_id=run, task_id=ids(team, "task")[-1])
    assert error["message"] == "the task belongs to another flow"
    other = Team(world=team.world)
    error = other.cannot("get_or_create_task_run_info", flow_run_id=run, task_id=ids(team, "task")[0])
    assert error["message"] == "Flow run not found"


def test_states_of_task_runs(team, run):
    """Task runs accept states from clients of all versions, and return them to task runners."""
    task_run = ids(team, "task_run")[0]
    team.state(task_run, "Running", version=1, table="task_run")
    one = 'mutation($state: JSON!) { setTaskRunState(input: {taskRunId: "%s", version: 2, state: $state}) { id } }'
    team.ask(one % task_run, {"state": {"type": "Success", "_result": {"location": "x"}}})
    query = '{ get_task_run_info(task_run_id: "%s") { state version serialized_state } getTaskRunInfo(taskRunId: "%s") { serializedState } }'
    state = {"type": "Success", "_result": {"location": "x"}}
    assert team.ask(query % (task_run, task_run)) == {
        "get_task_run_info": {"state": "Success", "version": 3, "serialized_state": state},
        "getTaskRunInfo": {"serializedState": state},
    }
    row = team.one('task_run(where: {id: {_eq: "%s"}}) { state_result states { state } }' % task_run)
    assert row == {
        "state_result": {"location": "x"},
        "states": [{"state": kind} for kind in ("Pending", "Running", "Success")],
    }
    team.do("enable_flow_version_lock", "success", flow_id=team.one("flow { id }")["id"])
    locked = team.cannot(
        "set_task_run_states", "states { id }", states=[{"task_run_id": task_run, "version": 1, "state": state}]
    )
    assert locked["extensions"] == {"code": "VERSION_LOCKING_ERROR"}


@pytest.mark.parametrize("state", ["Scheduled", "Cancelling", "Cancelled", "Success"])
def test_a_task_runs_only_in_a_flow_that_runs(team, run, state):
    """A task run cannot be set to Running if its flow run is not Running."""
    team.state(run, state)
    entry = {"task_run_id": ids(team, "task_run")[0], "state": {"type": "Running"}}
    error = team.cannot("set_task_run_states", "states { id }", states=[entry])
    assert error["message"] == "A task run can only be set to Running while its flow run is Running"
    team.state(entry["task_run_id"], "Failed", table="task_run")


def test_names_and_heartbeats(team, run):
    """A task run can be renamed, and records heartbeats."""
    task_run = ids(team, "task_run")[0]
    team.do("set_task_run_name", "success", task_run_id=task_run, name="n")
    team.do("update_task_run_heartbeat", "success", task_run_id=task_run)
    row = team.ask("{ task_run { name heartbeat } }")["task_run"][0]
    assert row["name"] == "n"
    assert row["heartbeat"]
    other = Team(world=team.world)
    assert (
        other.cannot("set_task_run_name", "success", task_run_id=task_run, name="n")["message"] == "Task run not found"
    )


# -- logs --------------------------------------------------------------------------------------------------------------


def test_logs_are_of_flow_runs_and_task_runs(team, run):
    """Logs arrive in batches; a log of a task run also belongs to its flow run."""
    task_run = ids(team, "task_run")[0]
    logs = [
        {"flow_run_id": run, "level": "INFO", "name": "n", "message": "second", "timestamp": "2022-01-31T12:00:01"},
        {"task_run_id": task_run, "message": "first", "timestamp": "2022-01-31T12:00:00", "info": {"a": 1}},
    ]
    team.do("write_run_logs", "success", logs=logs)
    fields = "logs(order_by: {timestamp: asc}) { level name message timestamp info task_run { id } }"
    assert team.one("flow_run { %s }" % fields)["logs"] == [
        {"level": "INFO", "name": None, "message": "first", "timestamp": "2022-01-31T12:00:00+00:00", "info": {"a": 1}, "task_run": {"id": task_run}},
        {"level": "INFO", "name": "n", "message": "second", "timestamp": "2022-01-31T12:00:01+00:00", "info": None, "task_run": None},
    ]  # fmt: skip
    assert [row["message"] for row in team.ask("{ task_run { logs { message } } }")["task_run"][0]["logs"]] == ["first"]


def test_one_log_as_clients_up_to_0_6_write_it(team, run):
    """``writeRunLog`` of old clients adds one log, with the current time by default."""
    document = "mutation($input: writeRunLogInput!) { writeRunLog(input: $input) { success } }"
    assert team.ask(document, {"input": {"flowRunId": run, "level": "ERROR", "message": "m"}})["writeRunLog"]["success"]
    log = team.one("log { level message timestamp }")
    assert (log["level"], log["message"], bool(log["timestamp"])) == ("ERROR", "m", True)


def test_logs_of_nobodys_run_are_dropped(team, run):
    """Logs of unknown runs and of other tenants' runs are dropped without an error."""
    other = Team(world=team.world)
    for inputs in ({"flow_run_id": run}, {"flow_run_id": other.id}, {}):
        assert other.do("write_run_logs", "success", logs=[{"message": "m", **inputs}]) == {"success": True}
    assert team.ask("{ log { id } }") == other.ask("{ log { id } }") == {"log": []}


# -- artifacts ---------------------------------------------------------------------------------------------------------


def test_artifacts(team, run):
    """Artifacts are created, updated and deleted."""
    task_run = ids(team, "task_run")[0]
    inputs = {"task_run_id": task_run, "kind": "link", "data": {"link": "x"}, "tenant_id": team.id}
    artifact = team.do("create_task_run_artifact", **inputs)["id"]
    team.do("update_task_run_artifact", "success", task_run_artifact_id=artifact, data={"link": "y"})
    result = team.one("task_run_artifact { id kind data task_run { artifacts { id } } }")
    assert result == {
        "id": artifact,
        "kind": "link",
        "data": {"link": "y"},
        "task_run": {"artifacts": [{"id": artifact}]},
    }
    other = Team(world=team.world)
    error = other.cannot("delete_task_run_artifact", "success", task_run_artifact_id=artifact)
    assert error["message"] == "Task run artifact not found"
    team.do("delete_task_run_artifact", "success", task_run_artifact_id=artifact)
    assert ids(team, "task_run_artifact") == []
