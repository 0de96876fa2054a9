"""The rules of states, of flow runs and of the task runs of Prefect 2."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest

from pytest_flowsecrets.backend.rest import RestApi
from pytest_flowsecrets.backend.rest.store.table import parse_time

from .conftest import Client

LATER = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()


def _run(ask, first):
    run = ask.flow_run("SCHEDULED" if first == "SCHEDULED" else "PENDING")
    if first not in ("SCHEDULED", "PENDING"):
        ask.set_state(run, first, force=True)
    return run


@pytest.mark.parametrize(
    ("first", "proposed", "status", "state"),
    [
        ("PENDING", "RUNNING", "ACCEPT", "RUNNING"),
        ("PENDING", "PENDING", "ABORT", "PENDING"),
        ("RUNNING", "PENDING", "ABORT", "RUNNING"),
        ("SCHEDULED", "CANCELLING", "REJECT", "CANCELLED"),
        ("CANCELLING", "RUNNING", "REJECT", "CANCELLING"),
        ("CANCELLING", "CANCELLED", "ACCEPT", "CANCELLED"),
        ("COMPLETED", "CRASHED", "ABORT", "COMPLETED"),
        ("COMPLETED", "SCHEDULED", "ABORT", "COMPLETED"),
        ("COMPLETED", "RUNNING", "ACCEPT", "RUNNING"),
        ("PENDING", "PAUSED", "REJECT", "PENDING"),
        ("RUNNING", "PAUSED", "ACCEPT", "PAUSED"),
        ("PAUSED", "PENDING", "REJECT", "PAUSED"),
        ("PAUSED", "CANCELLING", "ACCEPT", "CANCELLING"),
    ],
)
def test_transitions_of_flow_runs(ask, first, proposed, status, state):
    """A proposed state gets the verdict of the real server and leads to the same state."""
    run = _run(ask, first)
    answer = ask.set_state(run, proposed)
    assert (answer["status"], answer["state"]["type"]) == (status, state)
    assert ask.get(f"/flow_runs/{run['id']}")["state"]["type"] == state


@pytest.mark.parametrize(
    ("version", "first", "proposed", "name", "status"),
    [
        ("3.5.99", "PENDING", "PENDING", "Submitting", "ABORT"),
        ("3.6.0", "PENDING", "PENDING", "Submitting", "ACCEPT"),
        ("3.5.99", "CANCELLED", "COMPLETED", None, "REJECT"),
        ("3.6.0", "CANCELLED", "COMPLETED", None, "ACCEPT"),
        ("3.6.99", "COMPLETED", "COMPLETED", None, "ACCEPT"),
        ("3.7.0", "COMPLETED", "COMPLETED", None, "REJECT"),
        ("3.7.99", "PAUSED", "CANCELLING", None, "REJECT"),
        ("3.8.0", "PAUSED", "CANCELLING", None, "ACCEPT"),
    ],
)
def test_rules_change_with_releases(version, first, proposed, name, status):
    """A rule applies from the first release whose server has it."""
    with RestApi(version) as api:
        ask = Client(api, api.new_view())
        run = ask.flow_run()
        ask.set_state(run, first, force=True, data={"storage_key": "k"})
        assert ask.set_state(run, proposed, name=name, force=proposed == "COMPLETED" == first)["status"] == status


def test_the_reason_of_a_refusal_after_the_end(ask):
    """The reasons for flow runs and for task runs differ, as those of the real server do."""
    run = ask.flow_run("RUNNING")
    task_run = ask.post("/task_runs/", flow_run_id=run["id"], task_key="t", dynamic_key="0")
    for table, row, terminal in (("flow_runs", run, "in terminal state "), ("task_runs", task_run, "")):
        ask.set_state(row, "FAILED", table=table)
        answer = ask.set_state(row, "CRASHED", table=table)
        assert answer["details"] == {"type": "abort_details", "reason": f"Run is already {terminal}FAILED."}


def test_a_run_starts_at_its_time(timed, clock):
    """A scheduled run waits until its time, rounded up to seconds, and starts at that moment."""
    at = clock[0] + timedelta(seconds=1.5)
    flow = timed.post("/flows/", name="f")
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": at.isoformat()}}
    run = timed.post("/flow_runs/", flow_id=flow["id"], state=state)
    assert timed.set_state(run, "RUNNING")["details"]["delay_seconds"] == 2
    clock[0] = at
    assert timed.set_state(run, "RUNNING")["status"] == "ACCEPT"


def test_a_pause_ends_after_its_time(timed, clock):
    """A paused run resumes until the time-out of its pause, and fails after it."""
    for delay, state in ((0, "RUNNING"), (1, "FAILED")):
        run = timed.flow_run("RUNNING")
        timed.set_state(run, "PAUSED", state_details={"pause_timeout": clock[0].isoformat()})
        clock[0] += timedelta(seconds=delay)
        assert timed.post(f"/flow_runs/{run['id']}/resume")["state"]["type"] == state


def test_a_forced_cancelling_without_infrastructure(ask):
    """A scheduled run and a suspended one are Cancelled at once, also if the client forces the state."""
    suspended = ask.flow_run()
    ask.set_state(suspended, "PAUSED", force=True, state_details={"pause_reschedule": True})
    for run in (suspended, ask.flow_run("SCHEDULED")):
        answer = ask.set_state(run, "CANCELLING", force=True)
        assert (answer["status"], answer["state"]["type"]) == ("REJECT", "CANCELLED")


@pytest.mark.parametrize(("table", "subject"), [("flow_runs", "Flow run"), ("task_runs", "Task run")])
def test_the_state_of_a_run_that_does_not_exist(ask, table, subject):
    """The error names the run, as the error of the real server does."""
    missing = str(uuid.uuid4())
    answer = ask("POST", f"/{table}/{missing}/set_state", {"state": {"type": "RUNNING"}})
    assert answer[:2] == (404, {"exception_message": f"{subject} with id {missing} not found"})


def test_a_named_step_is_no_second_pending(ask):
    """Submitting after Pending is accepted, and the same step twice is aborted."""
    run = ask.flow_run()
    assert ask.set_state(run, "PENDING", name="Submitting")["status"] == "ACCEPT"
    assert ask.set_state(run, "PENDING", name="Submitting")["status"] == "ABORT"


def test_a_repeated_transition_is_aborted(ask):
    """A second Running with the same transition id is aborted."""
    run = ask.flow_run()
    details = {"transition_id": "00000000-0000-0000-0000-000000000001"}
    assert ask.set_state(run, "RUNNING", state_details=details)["status"] == "ACCEPT"
    assert ask.set_state(run, "RUNNING", state_details=details)["status"] == "ABORT"


def test_a_run_waits_for_its_time(ask):
    """Running before the scheduled time gets WAIT with the remaining seconds."""
    later = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
    flow = ask.post("/flows/", name="f")
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": later}}
    run = ask.post("/flow_runs/", flow_id=flow["id"], state=state)
    assert run["next_scheduled_start_time"] == run["expected_start_time"] == later
    answer = ask.set_state(run, "RUNNING")
    assert answer["status"] == "WAIT"
    assert 3500 < answer["details"]["delay_seconds"] <= 3600


def test_a_failed_flow_is_retried(ask):
    """A flow run that fails is retried as often as its policy says."""
    run = ask.flow_run(empirical_policy={"retries": 1, "retry_delay": 0})
    ask.set_state(run, "RUNNING")
    answer = ask.set_state(run, "FAILED", message="first")
    assert (answer["status"], answer["state"]["name"], answer["state"]["message"]) == (
        "REJECT",
        "AwaitingRetry",
        "first",
    )
    assert ask.set_state(run, "RUNNING")["status"] == "ACCEPT"
    assert ask.set_state(run, "FAILED")["status"] == "ACCEPT"
    assert ask.get(f"/flow_runs/{run['id']}")["run_count"] == 2


def test_a_pause_fires_once(ask):
    """A pause with a known key is rejected, because it was used before."""
    run = ask.flow_run("RUNNING")
    details = {"pause_key": "1", "pause_timeout": LATER}
    assert ask.set_state(run, "PAUSED", state_details=details)["status"] == "ACCEPT"
    assert ask.post(f"/flow_runs/{run['id']}/resume")["status"] == "ACCEPT"
    answer = ask.set_state(run, "PAUSED", state_details=details)
    assert (answer["status"], answer["state"]["type"]) == ("REJECT", "RUNNING")


def test_a_pause_that_timed_out_cannot_resume(ask):
    """Resuming after the time-out of a pause fails the run."""
    run = ask.flow_run("RUNNING")
    ask.set_state(run, "PAUSED", state_details={"pause_timeout": "2020-01-01T00:00:00Z"})
    answer = ask.post(f"/flow_runs/{run['id']}/resume")
    assert (answer["status"], answer["state"]["type"]) == ("REJECT", "FAILED")


def test_times_may_be_seconds(ask):
    """State details may contain times in seconds, and come back as ISO 8601."""
    run = ask.flow_run("RUNNING")
    answer = ask.set_state(run, "PAUSED", state_details={"pause_timeout": 1893456000.5})
    assert answer["state"]["state_details"]["pause_timeout"] == "2030-01-01T00:00:00.500000Z"


def test_a_subflow_shares_its_states_with_its_task_run(ask):
    """The task run that stands for a subflow in its parent gets each state of the subflow, and they link to each other."""
    parent = ask.flow_run("RUNNING")
    task_run = ask.post("/task_runs/", flow_run_id=parent["id"], task_key="t", dynamic_key="0")
    child = ask.flow_run("PENDING", parent_task_run_id=task_run["id"])
    for kind, options in (("RUNNING", {}), ("FAILED", {"message": "no"}), ("COMPLETED", {"force": True})):
        state = ask.set_state(child, kind, **options)["state"]
        assert state["state_details"]["task_run_id"] == task_run["id"]
        copied = ask.get(f"/task_runs/{task_run['id']}")["state"]
        assert (copied["type"], copied["message"]) == (kind, options.get("message"))
        details = copied["state_details"]
        assert (details["task_run_id"], details["flow_run_id"]) == (task_run["id"], parent["id"])
        assert details["child_flow_run_id"] == child["id"]
    assert ask.get(f"/task_runs/{task_run['id']}")["run_count"] == 1


def test_a_completed_run_with_a_result_stays_completed(ask):
    """A completed run whose result is stored does not run again, and keeps its result."""
    run, data = ask.flow_run("RUNNING"), {"storage_key": "k"}
    assert ask.set_state(run, "COMPLETED", data=data)["status"] == "ACCEPT"
    for kind in ("SCHEDULED", "PENDING", "RUNNING"):
        assert ask.set_state(run, kind)["details"]["reason"] == "Run is already COMPLETED."
    for force in (False, True):
        assert ask.set_state(run, "COMPLETED", force=force)["status"] == "REJECT"
    assert ask.set_state(run, "COMPLETED", data=data)["status"] == "ACCEPT"
    task_run = ask.post("/task_runs/", flow_run_id=run["id"], task_key="t", dynamic_key="0")
    ask.set_state(task_run, "COMPLETED", table="task_runs", data=data)
    assert ask.set_state(task_run, "FAILED", table="task_runs")["status"] == "REJECT"
    assert ask.get(f"/task_runs/{task_run['id']}")["state"]["data"] == data


def test_a_subflow_needs_an_existing_task_run(ask):
    """A flow run whose parent task run does not exist gets 409."""
    flow = ask.post("/flows/", name="f")
    body = {"flow_id": flow["id"], "parent_task_run_id": "00000000-0000-0000-0000-000000000002"}
    assert ask("POST", "/flow_runs/", body).status == 409


@pytest.mark.parametrize("form", [str.upper, lambda text: text.replace("-", "")], ids=["upper-case", "without-dashes"])
def test_ids_of_related_rows_have_one_form(ask, form):
    """A run refers to its parent, flow and deployment in any form of their ids, and shows the usual form."""
    parent = ask.flow_run("RUNNING")
    deployment = ask.post("/deployments/", name="d", flow_id=parent["flow_id"])
    task_run_id = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
    ask.post("/task_runs/", id=form(task_run_id), flow_run_id=form(parent["id"]), task_key="t", dynamic_key="0")
    assert ask.get(f"/task_runs/{task_run_id}")["flow_run_id"] == parent["id"]
    ids = {"flow_id": parent["flow_id"], "deployment_id": deployment["id"], "parent_task_run_id": task_run_id}
    child = ask.post("/flow_runs/", **{name: form(each) for name, each in ids.items()})
    assert {name: child[name] for name in ids} == ids
    path = f"/deployments/{deployment['id']}/create_flow_run"
    assert ask.post(path, parent_task_run_id=form(task_run_id))["parent_task_run_id"] == task_run_id


def test_suspending_needs_a_deployment(ask):
    """Suspending needs a deployment and no parent; cancelling a suspended run cancels it at once."""
    run = ask.flow_run("RUNNING")
    assert ask.set_state(run, "PAUSED", state_details={"pause_reschedule": True})["status"] == "ABORT"
    task_run = ask.post("/task_runs/", flow_run_id=run["id"], task_key="t", dynamic_key="0")
    child = ask.flow_run("RUNNING", parent_task_run_id=task_run["id"])
    assert ask.set_state(child, "PAUSED", state_details={"pause_reschedule": True})["status"] == "ABORT"
    deployment = ask.post("/deployments/", name="d", flow_id=run["flow_id"])
    deployed = ask.post(f"/deployments/{deployment['id']}/create_flow_run")
    ask.set_state(deployed, "RUNNING")
    assert ask.set_state(deployed, "PAUSED", state_details={"pause_reschedule": True})["status"] == "ACCEPT"
    assert ask.set_state(deployed, "CANCELLING")["state"]["type"] == "CANCELLED"


ANSWERS = [
    ({}, "Reason: Validation failed. Failure reason: 'n' is a required property"),
    ({"n": "x"}, "Reason: Validation failed for field 'n'. Failure reason: 'x' is not of type 'integer'"),
    (
        {"n": {"__prefect_kind": "json", "value": "["}},
        "Error hydrating run input: Invalid JSON: Expecting value: line 1 column 2 (char 1)",
    ),
]


def test_a_suspended_run_is_rescheduled(ask):
    """Resuming a suspended run schedules it, after its input was validated and stored."""
    pytest.importorskip("jsonschema")
    deployment = ask.post("/deployments/", name="d", flow_id=ask.flow_run()["flow_id"])
    run = ask.post(f"/deployments/{deployment['id']}/create_flow_run")
    path = f"/flow_runs/{run['id']}"
    ask.post(f"{path}/input", key="s", value='{"required": ["n"], "properties": {"n": {"type": "integer"}}}')
    details = {"pause_reschedule": True, "run_input_keyset": {"schema": "s", "response": "r"}}
    ask.set_state(run, "PAUSED", state_details=details, force=True)
    for answer, reason in ANSWERS:
        refused = ask.post(f"{path}/resume", run_input=answer)
        assert (refused["status"], refused["state"]["name"]) == ("REJECT", "Paused")
        assert refused["details"] == {"type": "abort_details", "reason": reason}
    answer = ask.post(f"{path}/resume", run_input={"n": {"__prefect_kind": "json", "value": "1"}})
    assert (answer["status"], answer["state"]["name"]) == ("ACCEPT", "Resuming")
    assert ask("GET", f"{path}/input/r").body == {"n": 1}
    ask.set_state(run, "RUNNING")
    assert ask.get(path)["run_count"] == 0  # the same run goes on


def test_a_suspended_run_without_a_deployment_does_not_resume(ask):
    """It cannot be scheduled; the input is not stored."""
    run = ask.flow_run("RUNNING")
    ask.set_state(run, "PAUSED", state_details={"pause_reschedule": True}, force=True)
    answer = ask("POST", f"/flow_runs/{run['id']}/resume", {})
    assert (answer.status, answer.body["status"]) == (200, "REJECT")
    assert answer.body["details"]["reason"] == "Cannot reschedule a resuming flow run without a deployment."


def test_only_scheduled_runs_are_late(ask):
    """A run that has left Scheduled is not marked late, and no run is marked twice."""
    late = {"name": "Late", "state_details": {"scheduled_time": "2020-01-01T00:00:00Z"}}
    assert ask.set_state(ask.flow_run("RUNNING"), "SCHEDULED", **late)["status"] == "REJECT"
    run = ask.flow_run("SCHEDULED")
    assert [ask.set_state(run, "SCHEDULED", **late)["status"] for _ in range(2)] == ["ACCEPT", "REJECT"]


def test_a_pending_run_waits_for_its_scheduled_time(ask):
    """The time of a Scheduled state goes over to the Pending state that follows it."""
    run = ask.flow_run()
    ask.set_state(run, "SCHEDULED", state_details={"scheduled_time": "2100-01-01T00:00:00Z"})
    assert ask.set_state(run, "PENDING")["state"]["state_details"]["scheduled_time"] == "2100-01-01T00:00:00Z"
    assert ask.set_state(run, "RUNNING")["status"] == "WAIT"


def test_only_paused_runs_resume(ask):
    """Resuming a run that is not paused gets ABORT without a state."""
    answer = ask.post(f"/flow_runs/{ask.flow_run('RUNNING')['id']}/resume")
    assert (answer["status"], answer["state"]) == ("ABORT", None)


def test_older_servers_keep_cancelled_and_paused_runs(legacy_ask):
    """Before 3.6 a Cancelled run stays Cancelled, a paused run is not cancelled, and Submitting counts as Pending."""
    cancelled = _run(legacy_ask, "CANCELLED")
    assert legacy_ask.set_state(cancelled, "COMPLETED")["status"] == "REJECT"
    assert legacy_ask.set_state(_run(legacy_ask, "PAUSED"), "CANCELLING")["status"] == "REJECT"
    assert legacy_ask.set_state(_run(legacy_ask, "PENDING"), "PENDING", name="Submitting")["status"] == "ABORT"


# -- task runs of Prefect 2 --------------------------------------------------------------------------------------------


def _task_run(ask, key="0", run=None, **fields):
    run = run or ask.flow_run("RUNNING")
    named = {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": key}
    return ask.post("/task_runs/", state={"type": "PENDING"}, **named, **fields)


def _task_state(ask, run, kind, **fields):
    return ask.set_state(run, kind, table="task_runs", **fields)


def test_a_failed_task_is_retried(legacy_ask):
    """A task run is retried with one delay or a list of them, unless the error cannot be retried."""
    run = _task_run(legacy_ask, empirical_policy={"retries": 1, "retry_delay": [0, 5], "retry_jitter_factor": 1})
    _task_state(legacy_ask, run, "RUNNING")
    assert _task_state(legacy_ask, run, "FAILED")["state"]["name"] == "AwaitingRetry"
    other = _task_run(legacy_ask, "1", empirical_policy={"retries": 1, "retry_delay": 0})
    _task_state(legacy_ask, other, "RUNNING")
    assert _task_state(legacy_ask, other, "FAILED", state_details={"retriable": False})["status"] == "ACCEPT"
    assert _task_state(legacy_ask, other, "FAILED")["status"] == "ACCEPT"


@pytest.mark.parametrize(
    ("policy", "lowest", "highest"),
    [({}, (5, 7, 7), (5, 7, 7)), ({"retry_jitter_factor": 0.5}, (5, 7, 7), (7.5, 10.5, 10.5))],
)
def test_the_delays_of_retries(policy, lowest, highest):
    """A task run waits for the delay of its attempt, or for the last one, and for up to the jitter longer."""
    now = datetime(2030, 1, 1, tzinfo=timezone.utc)
    with RestApi("2.20.27", now=lambda: now) as api:
        ask = Client(api, api.new_view())
        run = _task_run(ask, empirical_policy={"retries": 3, "retry_delay": [5, 7], **policy})
        delays = []
        for _ in lowest:
            _task_state(ask, run, "RUNNING")
            state = _task_state(ask, run, "FAILED")["state"]
            delays.append((parse_time(state["state_details"]["scheduled_time"]) - now).total_seconds())
            now = parse_time(state["state_details"]["scheduled_time"])
        assert all(low <= delay <= high for low, delay, high in zip(lowest, delays, highest)), delays


def test_a_task_that_starts_once_more_says_so(legacy_ask):
    """The name of a task run's state says that it runs again, and after its end that its flow does."""
    run = _task_run(legacy_ask)
    kinds = ("RUNNING", "RUNNING", "COMPLETED", "RUNNING", "COMPLETED")
    names = [_task_state(legacy_ask, run, kind)["state"]["name"] for kind in kinds]
    assert names == ["Running", "Rerunning", "Completed", "Running", "Completed"]
    flow_run = {"id": run["flow_run_id"]}
    legacy_ask.set_state(flow_run, "RUNNING", force=True)
    assert _task_state(legacy_ask, run, "RUNNING")["state"]["name"] == "Retrying"
    assert _task_state(legacy_ask, run, "FAILED")["status"] == "ACCEPT"
    assert _task_state(legacy_ask, run, "CRASHED")["status"] == "ABORT"


def test_a_cached_state_answers(legacy_ask):
    """A cached state answers until it expires; a task that refreshes its cache runs."""
    first = _task_run(legacy_ask)
    key = {"cache_key": "k"}
    _task_state(legacy_ask, first, "RUNNING", state_details=key)
    _task_state(legacy_ask, first, "COMPLETED", state_details=key, data={"x": 1})
    answer = _task_state(legacy_ask, _task_run(legacy_ask, "1"), "RUNNING", state_details=key)
    assert (answer["status"], answer["state"]["name"], answer["state"]["data"]) == ("REJECT", "Cached", {"x": 1})
    refreshed = {**key, "refresh_cache": True}
    assert _task_state(legacy_ask, _task_run(legacy_ask, "2"), "RUNNING", state_details=refreshed)["status"] == "ACCEPT"
    expired = {"cache_key": "e", "cache_expiration": "2020-01-01T00:00:00Z"}
    third = _task_run(legacy_ask, "3")
    _task_state(legacy_ask, third, "COMPLETED", state_details=expired)
    fourth = _task_state(legacy_ask, _task_run(legacy_ask, "4"), "RUNNING", state_details={"cache_key": "e"})
    assert fourth["status"] == "ACCEPT"


def test_a_task_needs_a_running_flow(legacy_ask):
    """A task run is aborted after the end of its flow run, and rejected while that is paused."""
    ended, paused = legacy_ask.flow_run("RUNNING"), legacy_ask.flow_run("RUNNING")
    first, second = _task_run(legacy_ask, run=ended), _task_run(legacy_ask, run=paused)
    legacy_ask.set_state(ended, "COMPLETED")
    legacy_ask.set_state(paused, "PAUSED")
    assert _task_state(legacy_ask, first, "RUNNING")["status"] == "ABORT"
    answer = _task_state(legacy_ask, second, "RUNNING")
    assert (answer["status"], answer["state"]["type"]) == ("REJECT", "PAUSED")


def test_a_full_tag_makes_a_task_wait(legacy_ask):
    """A task run waits for a slot of its tag, and is aborted where the limit is zero."""
    legacy_ask.post("/concurrency_limits/", tag="one", concurrency_limit=1)
    legacy_ask.post("/concurrency_limits/", tag="zero", concurrency_limit=0)
    run = legacy_ask.flow_run("RUNNING")
    first, second = (_task_run(legacy_ask, key, run, tags=["one"]) for key in "01")
    assert _task_state(legacy_ask, first, "RUNNING")["status"] == "ACCEPT"
    assert _task_state(legacy_ask, second, "RUNNING")["status"] == "WAIT"
    _task_state(legacy_ask, first, "COMPLETED")
    assert _task_state(legacy_ask, second, "RUNNING")["status"] == "ACCEPT"
    assert _task_state(legacy_ask, _task_run(legacy_ask, "2", run, tags=["zero"]), "RUNNING")["status"] == "ABORT"
