"""Rules of rows that random requests showed at the real server: unique names, references, first states, masks."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.backend.rest import RestApi

from .conftest import SECRET_FIELDS, Client


@pytest.fixture
def ask_new():
    """An API that knows no block type from other tests."""
    with RestApi() as api:
        yield Client(api, api.new_view())


@pytest.mark.parametrize(
    ("path", "read", "fields"),
    [
        ("/variables/", "/variables/name/", {"value": "x"}),
        ("/v2/concurrency_limits/", "/v2/concurrency_limits/", {"limit": 1}),
    ],
    ids=["variable", "limit"],
)
def test_a_new_name_must_be_free(ask, path, read, fields):
    """Renaming a row to the name of another one is a conflict and changes nothing; its own name is accepted."""
    for name in ("a", "b"):
        ask.post(path, name=name, **fields)
    answer = ask("PATCH", f"{read}a", {"name": "b"})
    assert (answer.status, answer.body["detail"][:23]) == (409, "Data integrity conflict")
    assert ask("PATCH", f"{read}a", {"name": "a"}).status == 204
    assert ask.get(f"{read}a")["name"] == "a"


@pytest.mark.parametrize("action", ["increment", "decrement", "increment-with-lease"])
def test_slots_are_positive(ask, action):
    """A request for no slots is not valid."""
    assert ask("POST", f"/v2/concurrency_limits/{action}", {"names": ["a"], "slots": 0}).status == 422


def test_the_schema_of_a_nested_document_masks_it(ask_new):
    """A nested document is masked by its own schema, even if the outer schema does not name its fields."""
    ids = ask_new.secret_type()
    inner = ask_new.post("/block_documents/", name="inner", data={"value": "hidden"}, **ids)
    outer_type = ask_new.post("/block_types/", name="Outer", slug="outer")
    fields = {**SECRET_FIELDS, "title": "Outer", "secret_fields": []}
    schema = ask_new.post("/block_schemas/", block_type_id=outer_type["id"], fields=fields)
    ids = {"block_type_id": outer_type["id"], "block_schema_id": schema["id"]}
    data = {"inner": {"$ref": {"block_document_id": inner["id"]}}}
    outer = ask_new.post("/block_documents/", name="outer", data=data, **ids)
    assert outer["data"] == {"inner": {"value": "********"}}
    clear = ask_new.get(f"/block_documents/{outer['id']}?include_secrets=true")
    assert clear["data"] == {"inner": {"value": "hidden"}}


def test_the_first_state_of_a_run_is_not_checked(ask):
    """A run may be created in a state that it could not enter later, and no pause is counted."""
    details = {"pause_key": "k", "pause_timeout": "2100-01-01T00:00:00Z"}
    flow = ask.post("/flows/", name="f")
    run = ask.post("/flow_runs/", flow_id=flow["id"], state={"type": "PAUSED", "state_details": details})
    assert run["state"]["type"] == "PAUSED"
    assert run["empirical_policy"]["pause_keys"] == []


def test_a_state_on_its_own_has_no_fields_of_its_row(ask):
    """The states of a run have the keys of the run's state, and no owner or time of creation."""
    run = ask.flow_run("PENDING")
    (state,) = ask.get(f"/flow_run_states/?flow_run_id={run['id']}")
    assert state == run["state"] == ask.get(f"/flow_run_states/{state['id']}")


def test_a_task_run_needs_its_flow_run(ask):
    """A task run with the id of a flow run that does not exist is a conflict; without an id it is accepted."""
    keys = {"task_key": "t", "dynamic_key": "0"}
    missing = {"flow_run_id": "00000000-0000-4000-8000-000000000000"}
    assert ask("POST", "/task_runs/", {**keys, **missing}).status == 409
    assert ask("POST", "/task_runs/", keys).status == 201


def test_a_flow_run_with_an_idempotency_key_has_no_empty_job_variables(ask):
    """Job variables of a flow run with an idempotency key stay unset, as at the real server."""
    flow = ask.post("/flows/", name="f")
    assert ask.post("/flow_runs/", flow_id=flow["id"], idempotency_key="k")["job_variables"] is None
    assert ask.post("/flow_runs/", flow_id=flow["id"])["job_variables"] == {}


def test_a_run_without_a_state_is_pending(ask):
    """A flow run and a task run that are created without a state are Pending."""
    flow = ask.post("/flows/", name="f")
    assert ask.post("/flow_runs/", flow_id=flow["id"])["state"]["name"] == "Pending"
    assert ask.post("/task_runs/", task_key="t", dynamic_key="0")["state"]["name"] == "Pending"


def test_a_flow_run_needs_its_flow(ask):
    """A flow run of a flow that does not exist is a conflict."""
    assert ask("POST", "/flow_runs/", {"flow_id": "00000000-0000-4000-8000-000000000000"}).status == 409


@pytest.mark.parametrize(("version", "has_end"), [("2.20.27", False), ("3.5.0", False), ("3.6.29", True)])
def test_a_run_that_never_started_ends_from_3_6_on(version, has_end):
    """A run that is created in a final state has a start and an end from Prefect 3.6 on, and none of them before."""
    with RestApi(version) as api:
        run = Client(api, api.new_view()).flow_run("COMPLETED")
    assert [run[name] is not None for name in ("start_time", "end_time")] == [has_end, has_end]


def test_a_run_that_ends_twice_keeps_its_first_end(ask):
    """A second final state does not move the end of a run, and a run that goes on has no end."""
    run = ask.flow_run("RUNNING")
    ask.set_state(run, "COMPLETED")
    first = ask.get(f"/flow_runs/{run['id']}")["end_time"]
    ask.set_state(run, "FAILED", force=True)
    assert ask.get(f"/flow_runs/{run['id']}")["end_time"] == first
    ask.set_state(run, "RUNNING", force=True)
    assert ask.get(f"/flow_runs/{run['id']}")["end_time"] is None
