"""Concurrency limits over the API."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from pytest_flowsecrets.backend.rest import RestApi
from pytest_flowsecrets.backend.rest.store.table import parse_time

from .conftest import Client

MISSING = "00000000-0000-0000-0000-000000000009"


def test_a_tag_limit_is_created_changed_and_deleted(ask):
    """Creating the limit of a tag again changes it."""
    first = ask("POST", "/concurrency_limits/", {"tag": "t", "concurrency_limit": 1})
    second = ask("POST", "/concurrency_limits/", {"tag": "t", "concurrency_limit": 2})
    assert (first.status, second.status, first.body["id"]) == (201, 200, second.body["id"])
    assert ask.get("/concurrency_limits/tag/t")["concurrency_limit"] == 2
    assert ask.get(f"/concurrency_limits/{first.body['id']}")["tag"] == "t"
    assert ask("POST", "/concurrency_limits/tag/t/reset", {"slot_override": [MISSING]}).status == 200
    assert [row["active_slots"] for row in ask.post("/concurrency_limits/filter")] == [[MISSING]]
    assert ask("DELETE", "/concurrency_limits/tag/t").status == 200
    assert ask("GET", "/concurrency_limits/tag/t").status == 404


def test_a_task_run_holds_the_slot_of_its_tags(ask):
    """A full tag answers 423 with ``Retry-After``; tags without a limit are ignored."""
    ask.post("/concurrency_limits/", tag="t", concurrency_limit=1)
    taken = ask.post("/concurrency_limits/increment", names=["t", "none"], task_run_id=MISSING)
    assert [row["name"] for row in taken] == ["t"]
    other = str(uuid4())
    full = ask("POST", "/concurrency_limits/increment", {"names": ["t"], "task_run_id": other})
    assert (full.status, float(full.headers["Retry-After"]) > 0) == (423, True)
    assert ask.post("/concurrency_limits/decrement", names=["t"], task_run_id=other)[0]["name"] == "t"
    assert ask.get("/concurrency_limits/tag/t")["active_slots"] == [MISSING]
    ask.post("/concurrency_limits/decrement", names=["t"], task_run_id=MISSING)
    assert ask.get("/concurrency_limits/tag/t")["active_slots"] == []


def test_a_tag_with_a_limit_of_zero_says_so():
    """A tag with a limit of zero answers 423 without ``Retry-After``."""
    with RestApi("3.0.11") as api:
        ask = Client(api, api.new_view())
        assert ask("POST", "/concurrency_limits/", {"tag": "z", "concurrency_limit": 0}).status == 200
        refused = ask("POST", "/concurrency_limits/increment", {"names": ["z"], "task_run_id": MISSING})
    assert (refused.status, "deadlock" in refused.body["detail"]) == (423, True)
    assert "Retry-After" not in refused.headers


def test_a_global_limit_is_created_changed_and_deleted(ask):
    """A global limit can be read and changed by name or id."""
    row = ask.post("/v2/concurrency_limits/", name="g", limit=2)
    assert ask("POST", "/v2/concurrency_limits/", {"name": "g", "limit": 2}).status == 409
    assert ask("POST", "/v2/concurrency_limits/", {"name": "h", "limit": -1}).status == 422
    assert ask("PATCH", "/v2/concurrency_limits/g", {"limit": 3}).status == 204
    assert ask.get(f"/v2/concurrency_limits/{row['id']}")["limit"] == 3
    assert [each["name"] for each in ask.post("/v2/concurrency_limits/filter")] == ["g"]
    assert ask("DELETE", "/v2/concurrency_limits/g").status == 204
    assert ask("GET", "/v2/concurrency_limits/g").status == 404


def test_slots_are_taken_of_all_limits_or_of_none(ask):
    """Slots are taken from all limits or from none: 422 above the limit, 423 where too few are free."""
    ask.post("/v2/concurrency_limits/", name="a", limit=2)
    ask.post("/v2/concurrency_limits/", name="b", limit=1)
    path = "/v2/concurrency_limits/"
    assert len(ask.post(path + "increment", names=["a", "b", "none"], slots=1)) == 2
    assert ask("POST", path + "increment", {"names": ["a", "b"], "slots": 1}).status == 423
    assert ask("POST", path + "increment", {"names": ["b"], "slots": 2}).status == 422
    assert ask.get(path + "a")["active_slots"] == 1
    ask.post(path + "decrement", names=["a", "b"], slots=1)
    assert ask.get(path + "b")["active_slots"] == 0


def test_inactive_limits_do_not_count(ask):
    """Inactive limits are named in the response and never full."""
    ask.post("/v2/concurrency_limits/", name="off", limit=1, active=False)
    for _ in range(2):
        assert ask.post("/v2/concurrency_limits/increment", names=["off"], slots=1)[0]["name"] == "off"
    assert ask.post("/v2/concurrency_limits/decrement", names=["off"], slots=1)[0]["name"] == "off"


@pytest.mark.parametrize(
    ("version", "body", "created"),
    [
        ("2.20.27", {}, True),
        ("3.2.15", {"create_if_missing": True}, True),
        ("3.2.15", {}, False),
        ("3.3.7", {"create_if_missing": True}, False),
    ],
)
def test_missing_limits_are_created_as_the_release_does(version, body, created):
    """Prefect 2 creates missing limits, which are inactive; 3.0 to 3.2 do so on request, and later releases do not."""
    with RestApi(version) as api:
        ask = Client(api, api.new_view())
        limits = ask.post("/v2/concurrency_limits/increment", names=["new"], slots=1, **body)
        assert [limit["name"] for limit in limits] == ["new"] * created
        if created:
            assert ask.get("/v2/concurrency_limits/new")["active"] is False


def test_slots_decay(timed, clock):
    """Slots of a limit with decay free themselves; a limit without decay is refused as a rate limit."""
    timed.post("/v2/concurrency_limits/", name="rate", limit=2, slot_decay_per_second=1.0)
    timed.post("/v2/concurrency_limits/", name="stiff", limit=2)
    body = {"names": ["rate"], "slots": 2, "mode": "rate_limit"}
    assert timed("POST", "/v2/concurrency_limits/increment", body).status == 200
    full = timed("POST", "/v2/concurrency_limits/increment", body)
    assert (full.status, full.headers["Retry-After"]) == (423, "1")
    clock[0] += timedelta(seconds=5)
    assert timed("POST", "/v2/concurrency_limits/increment", body).status == 200
    assert timed("POST", "/v2/concurrency_limits/increment", body).status == 423
    refused = timed("POST", "/v2/concurrency_limits/increment", {**body, "names": ["stiff"]})
    assert (refused.status, "'stiff'" in refused.body["detail"]) == (422, True)


def test_leases_end(timed, clock):
    """A lease ends after its time or on request, and can be renewed until then."""
    timed.post("/v2/concurrency_limits/", name="g", limit=1)
    timed.post("/concurrency_limits/", tag="t", concurrency_limit=1)
    path = "/v2/concurrency_limits/"
    names = ["g", "tag:t", "none"]
    holder = {"type": "task_run", "id": MISSING}
    lease = timed.post(path + "increment-with-lease", names=names, slots=1, lease_duration=60, holder=holder)
    assert [each["name"] for each in lease["limits"]] == ["g", "tag:t"]
    assert timed.get("/concurrency_limits/tag/t")["active_slots"] == [MISSING]
    clock[0] += timedelta(seconds=50)
    assert timed("POST", f"{path}leases/{lease['lease_id']}/renew", {"lease_duration": 60}).status == 204
    clock[0] += timedelta(seconds=60)
    assert timed.get(path + "g")["active_slots"] == 1
    clock[0] += timedelta(seconds=1)
    assert timed.get(path + "g")["active_slots"] == 0
    assert timed.get("/concurrency_limits/tag/t")["active_slots"] == []
    assert timed("POST", f"{path}leases/{lease['lease_id']}/renew", {"lease_duration": 60}).status == 410
    second = timed.post(path + "increment-with-lease", names=["g"], slots=1)
    for _ in range(2):
        assert timed("POST", path + "decrement-with-lease", {"lease_id": second["lease_id"]}).status == 204
    assert timed.get(path + "g")["active_slots"] == 0


def test_slots_of_a_tag_need_no_holder(ask):
    """Slots of a tag can be taken and returned without the id of a holder."""
    ask.post("/concurrency_limits/", tag="t", concurrency_limit=2)
    ask.post("/v2/concurrency_limits/increment", names=["tag:t"], slots=2)
    assert len(ask.get("/concurrency_limits/tag/t")["active_slots"]) == 2
    ask.post("/v2/concurrency_limits/decrement", names=["tag:t"], slots=2)
    assert ask.get("/concurrency_limits/tag/t")["active_slots"] == []


def test_a_run_waits_for_a_slot_of_its_deployment(timed, clock):
    """A run that gets no slot of its deployment is scheduled 30 seconds later."""
    flow = timed.post("/flows/", name="f")
    deployment = timed.post("/deployments/", name="d", flow_id=flow["id"], concurrency_limit=1)
    first, second = (timed.post(f"/deployments/{deployment['id']}/create_flow_run") for _ in range(2))
    timed.set_state(first, "PENDING")
    details = timed.set_state(second, "PENDING")["state"]["state_details"]
    assert parse_time(details["scheduled_time"]) - clock[0] == timedelta(seconds=30)
