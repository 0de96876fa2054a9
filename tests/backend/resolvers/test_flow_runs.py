"""Flow runs: creation, states, and the queue of agents."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from tests.backend.asking import Team

pytest.importorskip("graphql")
NOON = datetime(2022, 1, 31, 12, tzinfo=timezone.utc)


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now

    def move(self, **by):
        self.now += timedelta(**by)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def team(clock):
    return Team(now=clock)


def test_a_run_is_scheduled_with_a_task_run_for_each_task(team):
    """A new run is Scheduled for now by default, with a name of two words and Pending task runs."""
    run = team.run(team.flow(), parameters={"x": 1}, context={"a": [1]})
    result = team.one(
        """flow_run { id name version state state_message scheduled_start_time auto_scheduled parameters context labels
        run_config serialized_state created_by_user_id flow { name } start_time end_time duration heartbeat
        states { state version timestamp start_time } current_state { state }
        task_runs { map_index version state task { slug } states { state } } }"""
    )
    first, second = result.pop("name").split("-")
    assert first and second
    assert result == {
        "id": run,
        "version": 1,
        "state": "Scheduled",
        "state_message": "Flow run scheduled.",
        "scheduled_start_time": "2022-01-31T12:00:00+00:00",
        "auto_scheduled": False,
        "parameters": {"x": 1},
        "context": {"a": [1]},
        "labels": [],
        "run_config": None,
        "serialized_state": {
            "type": "Scheduled",
            "message": "Flow run scheduled.",
            "start_time": "2022-01-31T12:00:00+00:00",
            "context": {},
            "cached_inputs": {},
        },
        "created_by_user_id": team.user,
        "flow": {"name": "f"},
        "start_time": None,
        "end_time": None,
        "duration": None,
        "heartbeat": None,
        "states": [
            {
                "state": "Scheduled",
                "version": 1,
                "timestamp": "2022-01-31T12:00:00+00:00",
                "start_time": "2022-01-31T12:00:00+00:00",
            }
        ],
        "current_state": {"state": "Scheduled"},
        "task_runs": [
            {
                "map_index": -1,
                "version": 1,
                "state": "Pending",
                "task": {"slug": f"{name}-1"},
                "states": [{"state": "Pending"}],
            }
            for name in "ab"
        ],
    }


def test_a_run_as_clients_up_to_0_9_make_it(team):
    """``createFlowRun`` of old clients accepts ``scheduledStartTime`` without an offset."""
    document = (
        "mutation($input: createFlowRunInput!) { createFlowRun(input: $input) { id flow_run { id } flowRun { id } } }"
    )
    inputs = {"flowId": team.flow(), "scheduledStartTime": "2022-02-01T00:00:00", "idempotencyKey": "k"}
    instance = team.ask(document, {"input": inputs})["createFlowRun"]
    run = team.one("flow_run { id scheduled_start_time idempotency_key }")
    assert run["scheduled_start_time"] == "2022-02-01T00:00:00+00:00"
    assert instance == {"id": run["id"], "flow_run": {"id": run["id"]}, "flowRun": {"id": run["id"]}}


def test_the_same_key_makes_the_same_run(team):
    """An idempotency key identifies a run of its flow."""
    one, two = team.flow(), team.flow(team.project("q"))
    first = team.run(one, idempotency_key="k")
    assert team.run(one, idempotency_key="k", parameters={"x": 2}) == first
    assert len({first, team.run(one, idempotency_key="l"), team.run(two, idempotency_key="k"), team.run(one)}) == 4


def test_the_newest_version_of_a_group_runs(team):
    """``version_group_id`` runs the newest version of the group; archived flows do not run."""
    project = team.project()
    old, new = team.flow(project, version_group_id="g"), team.flow(project, version_group_id="g")
    team.do("create_flow_run", version_group_id="g", flow_run_name="named")
    assert team.one("flow_run { name flow_id }") == {"name": "named", "flow_id": new}
    assert team.cannot("create_flow_run", flow_id=old)["message"] == "An archived flow cannot run"
    team.do("archive_flow", "success", flow_id=new)
    for inputs in ({"version_group_id": "g"}, {"version_group_id": "none"}, {}):
        message = team.cannot("create_flow_run", **inputs)["message"]
        assert message == "flow_id or the version_group_id of a flow is required"


def test_parameters_without_a_default_are_required(team):
    """A missing required parameter is an error that names the parameter."""
    described = [
        {"name": "b", "required": True},
        {"name": "a", "required": True},
        {"name": "c", "required": False},
        "odd",
    ]
    flow = team.flow(parameters=described)
    error = team.cannot("create_flow_run", flow_id=flow, parameters={"c": 1})
    assert error["message"] == "Required parameters were not supplied: a, b"
    assert team.cannot("create_flow_run", flow_id=flow, parameters=[1])["message"].startswith(
        "parameters of a flow run"
    )
    assert team.run(flow, parameters={"a": None, "b": 2})
    assert team.cannot("create_flow_run", flow_id=flow, parameters={"a": 1, "b": 2}, context="x")["message"] == (
        "the context of a flow run must be a mapping"
    )


@pytest.mark.parametrize(
    ("flow", "run", "labels"),
    [
        ({}, {}, []),
        ({"run_config": {"labels": ["b", "a", "a"]}}, {}, ["a", "b"]),
        ({"run_config": {"labels": ["a"]}}, {"run_config": {"labels": ["c"]}}, ["c"]),
        ({"run_config": {"labels": ["a"]}}, {"run_config": {}}, []),
        ({"run_config": {"labels": ["a"]}}, {"labels": []}, []),
        ({"run_config": {"labels": ["a"]}}, {"labels": ["d"]}, ["d"]),
        ({"environment": {"labels": ["e"]}}, {}, ["e"]),
    ],
)
def test_labels(team, flow, run, labels):
    """Labels come from the input, or else from the run config, the flow's run config, or its environment."""
    team.run(team.flow(**flow), **run)
    assert team.one("flow_run { labels }") == {"labels": labels}


def test_labels_that_are_not_a_list(team):
    """A flow whose run config has a text as labels cannot run."""
    flow = team.flow(run_config={"labels": "here"})
    assert team.cannot("create_flow_run", flow_id=flow)["message"] == "the labels of a flow run must be a list"


def test_labels_of_the_group(team):
    """Labels of the flow group override those of the run config."""
    flow = team.flow(run_config={"labels": ["a"]})
    team.store.change("flow_group", team.one("flow_group { id }")["id"], labels=["g"])
    run = team.run(flow)
    assert team.one("flow_run { labels }") == {"labels": ["g"]}
    team.do("set_flow_run_labels", "success", flow_run_id=run, labels=["x", "y"])
    assert team.one("flow_run { labels }") == {"labels": ["x", "y"]}


def test_small_changes(team, clock):
    """A run can be renamed and deleted, and records heartbeats."""
    run = team.run()
    clock.move(seconds=30)
    team.do("set_flow_run_name", "success", flow_run_id=run, name="n")
    team.do("update_flow_run_heartbeat", "success", flow_run_id=run)
    assert team.one("flow_run { name heartbeat version }") == {
        "name": "n",
        "heartbeat": "2022-01-31T12:00:30+00:00",
        "version": 1,
    }
    team.do("delete_flow_run", "success", flow_run_id=run)
    assert team.ask("{ flow_run { id } flow_run_state { id } task_run { id } }") == {
        "flow_run": [],
        "flow_run_state": [],
        "task_run": [],
    }
    for mutation in ("delete_flow_run", "update_flow_run_heartbeat", "cancel_flow_run"):
        answer = "state" if mutation == "cancel_flow_run" else "success"
        assert team.cannot(mutation, answer, flow_run_id=run)["message"] == "Flow run not found"


# -- states ------------------------------------------------------------------------------------------------------------


def test_states_tell_when_a_run_began_and_ended(team, clock):
    """States set start, end and duration; a run that starts again has no end."""
    run = team.run()
    for kind, seconds in [("Submitted", 1), ("Running", 2), ("Success", 90)]:
        clock.move(seconds=seconds)
        assert team.state(run, kind) == {"id": run, "status": "SUCCESS", "message": None}
    fields = "flow_run { version state start_time end_time duration state_timestamp states { state } }"
    assert team.one(fields) == {
        "version": 4,
        "state": "Success",
        "start_time": "2022-01-31T12:00:03+00:00",
        "end_time": "2022-01-31T12:01:33+00:00",
        "duration": "00:01:30",
        "state_timestamp": "2022-01-31T12:01:33+00:00",
        "states": [{"state": kind} for kind in ("Scheduled", "Submitted", "Running", "Success")],
    }
    team.state(run, "Running")
    assert team.one("flow_run { start_time end_time duration }") == {
        "start_time": "2022-01-31T12:00:03+00:00",
        "end_time": None,
        "duration": None,
    }


def test_a_clock_that_was_moved_back(team, clock):
    """After the clock is moved back, a duration is not negative."""
    run = team.run()
    team.state(run, "Running")
    clock.move(hours=-1)
    team.state(run, "Failed")
    assert team.one("flow_run { duration }") == {"duration": "00:00:00"}


def test_a_run_that_has_moved_on_is_locked(team):
    """With version locking, an outdated version is rejected; a request without a version is not."""
    run = team.run()
    team.do("enable_flow_version_lock", "success", flow_id=team.one("flow { id }")["id"])
    team.state(run, "Submitted", version=1)
    answer = team.execute(
        "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }",
        {"input": {"states": [{"flow_run_id": run, "version": 1, "state": {"type": "Submitted"}}]}},
    )
    assert answer.status == 200
    assert answer.errors[0]["extensions"] == {"code": "VERSION_LOCKING_ERROR"}
    assert answer.errors[0]["message"] == "Flow run has version 2, not 1"
    team.state(run, "Running", version=2)
    team.state(run, "Running")
    assert team.one("flow_run { version }") == {"version": 4}


def test_version_locking_is_opt_in(team):
    """Version locking is off by default, and can be turned on and off for all versions of a flow."""
    run, flow = team.run(), team.one("flow { id }")["id"]
    team.state(run, "Running", version=77)
    task_run = team.ask("{ task_run(limit: 1) { id } }")["task_run"][0]["id"]
    team.state(task_run, "Running", version=77, table="task_run")
    team.do("enable_flow_version_lock", "success", flow_id=flow)
    assert team.cannot(
        "set_task_run_states",
        "states { id }",
        states=[{"task_run_id": task_run, "version": 77, "state": {"type": "Failed"}}],
    )["extensions"] == {"code": "VERSION_LOCKING_ERROR"}
    team.do("disable_flow_version_lock", "success", flow_id=flow)
    team.state(task_run, "Failed", version=77, table="task_run")
    team.store.change("flow", flow, settings=None)
    team.state(run, "Failed", version=77)


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        "Running",
        {},
        {"type": None},
        {"type": "State"},
        {"type": "Fast"},
        {"type": "Running", "start_time": "soon"},
    ],
)
def test_what_is_no_state(team, state):
    """A state that is not one of Prefect's is rejected."""
    document = """mutation($id: UUID!, $state: JSON = 5) {
        set_flow_run_states(input: {states: [{flow_run_id: $id, state: $state}]}) { states { id } } }"""
    error = team.refused(document, {"id": team.run(), "state": state} if state is not None else {"id": team.run()})
    assert "state" in error["message"]
    assert team.one("flow_run { state version }") == {"state": "Scheduled", "version": 1}


def test_states_as_clients_up_to_0_5_send_them(team):
    """``setFlowRunState`` of old clients sets one state, which is a separate variable."""
    document = """mutation($state: JSON!) {
        setFlowRunState(input: {flowRunId: "%s", version: 1, state: $state}) { id } }"""
    run = team.run()
    assert team.ask(document % run, {"state": {"type": "Running", "message": {"odd": 1}}})["setFlowRunState"] == {
        "id": run
    }
    assert team.one("flow_run { state state_message }") == {"state": "Running", "state_message": "{'odd': 1}"}


@pytest.mark.parametrize(
    ("before", "after"),
    [("Scheduled", "Cancelled"), ("Submitted", "Cancelled"), ("Running", "Cancelling"), ("Cancelling", "Cancelling")]
    + [(kind, kind) for kind in ("Success", "Failed", "Cancelled", "TimedOut")],
)
def test_cancelling(team, before, after):
    """Cancelling sets Cancelled without a process, Cancelling with one, and keeps a final state."""
    run = team.run()
    team.state(run, before)
    assert team.do("cancel_flow_run", "state", flow_run_id=run) == {"state": after}
    assert team.one("flow_run { state }") == {"state": after}


# -- the queue ---------------------------------------------------------------------------------------------------------


def queue(team, before=None, labels=None, **more):
    inputs = {"tenant_id": team.id, "labels": labels, "before": before and before.isoformat(), **more}
    return team.do("get_runs_in_queue", "flow_run_ids", **inputs)["flow_run_ids"]


def test_the_queue_has_what_is_due(team, clock):
    """The queue contains due runs, in order of their time, until they are submitted."""
    flow = team.flow()
    later, first = team.run(flow, scheduled_start_time=(NOON + timedelta(seconds=8)).isoformat()), team.run(flow)
    assert queue(team) == [first]
    assert queue(team, NOON + timedelta(seconds=10)) == [first, later]
    team.state(first, "Submitted")
    clock.move(seconds=8)
    assert queue(team) == [later]
    team.state(later, "Running")
    assert queue(team) == []
    team.state(later, "Queued", start_time="2022-01-31T12:00:30Z")
    assert queue(team) == []
    assert queue(team, NOON + timedelta(seconds=30)) == [later]


def test_a_retry_that_is_due_brings_its_run_back(team, clock):
    """A Running run is in the queue again when the retry of a task is due."""
    run = team.run()
    team.state(run, "Running")
    task_run = team.ask("{ task_run(limit: 1) { id } }")["task_run"][0]["id"]
    team.state(task_run, "Retrying", table="task_run", start_time="2022-01-31T12:20:00+00:00")
    assert queue(team) == []
    clock.move(minutes=20)
    assert queue(team) == [run]
    team.state(task_run, "Submitted", table="task_run")
    assert queue(team) == []


@pytest.mark.parametrize(
    ("run", "agent", "accepted"),
    [
        ([], [], True),
        ([], ["a"], False),
        (["a"], [], False),
        (["a"], ["a", "b"], True),
        (["a", "b"], ["a"], False),
    ],
)
def test_an_agent_takes_what_its_labels_allow(team, run, agent, accepted):
    """An agent gets runs whose labels it all has; runs without labels are for agents without."""
    team.run(labels=run)
    assert bool(queue(team, labels=agent)) == accepted
    assert bool(queue(team, labels=agent)) == accepted  # asking takes nothing out


def test_the_queue_is_the_tenants(team):
    """The queue contains runs of the caller's tenant only, also for agents up to 0.9."""
    other = Team(world=team.world)
    run = team.run()
    assert queue(other) == []
    assert "Tenant not found" in other.cannot("get_runs_in_queue", "flow_run_ids", tenant_id=team.id)["message"]
    document = "mutation($input: getRunsInQueueInput!) { getRunsInQueue(input: $input) { flow_run_ids flowRunIds } }"
    result = team.ask(document, {"input": {"tenantId": team.id, "before": "2022-01-31T12:00:00+00:00"}})[
        "getRunsInQueue"
    ]
    assert result == {"flow_run_ids": [run], "flowRunIds": [run]}


def test_an_agent_is_known_by_its_header(team, clock):
    """The header of an agent records its last query and its runs; an unknown agent is ignored."""
    agent = team.do("register_agent", name="n", type="LocalAgent", labels=[], tenant_id=team.id)["id"]
    run = team.run()
    clock.move(minutes=1)
    caller, user = replace(team.runner, agent_id=agent), team.caller
    team.caller = caller
    assert queue(team) == [run]
    team.state(run, "Submitted")
    team.caller = replace(caller, agent_id=run)
    assert queue(team) == []
    team.state(team.run(team.one("flow { id }")["id"]), "Submitted")
    team.caller = user
    assert team.one("agent { last_queried flow_runs { id } }") == {
        "last_queried": "2022-01-31T12:01:00+00:00",
        "flow_runs": [{"id": run}],
    }
