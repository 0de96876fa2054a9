"""The request log: what records show, what is stored, and what a search finds."""

from __future__ import annotations

import copy
import datetime as dt
import json
import pickle
import threading

import pytest

from pytest_flowsecrets import UsageError
from pytest_flowsecrets.backend.fake_cloud import FakeCloud
from pytest_flowsecrets.backend.messages import Operation, Request
from pytest_flowsecrets.backend.records.keys import Caller
from pytest_flowsecrets.backend.request_log import RecordedRequest, RequestLog
from tests.backend.http import ask
from tests.backend.test_vault import reachable
from tests.compat import needs_prefect

V = "ghp_secret"
AT = dt.datetime(2026, 1, 31, tzinfo=dt.timezone.utc)
SET = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }"


def send(journal, query, variables=None, *, raw=None, **more):
    body = json.dumps({"query": query, "variables": json.dumps(variables)}).encode() if raw is None else raw
    operation = Operation(query, variables or {}) if raw is None else None
    journal.record(Request("POST", "/p", {}, body), at=AT, seconds=0.001, status=200, operation=operation, **more)


def has(text):
    return lambda piece: text in piece


def test_a_record():
    """A record has all details and masked variables, and its repr is one short line."""
    journal = RequestLog()
    caller = Caller("tenant", "USER", "key")
    send(
        journal,
        SET,
        {"input": {"name": "n", "value": V}},
        caller=caller,
        kind="mutation",
        fields=("set_secret",),
        codes=("C",),
    )
    record = journal.requests[0]
    assert record == RecordedRequest(
        AT, "mutation", ("set_secret",), "USER", "tenant", 0.001, 200, ("C",), None, SET,
        {"input": {"name": "<str of length 1>", "value": "<str of length 10>"}}, "",
    )  # fmt: skip
    assert repr(record) == "<mutation set_secret, USER, C: 200 in 1.0 ms>"
    assert repr(journal.requests) == "<1 requests>"


def test_a_request_that_is_no_operation():
    """A request without a valid operation is recorded."""
    journal = RequestLog()
    send(journal, "", raw=b"{")
    assert repr(journal.requests[-1]) == "<no operation: 200 in 1.0 ms>"
    assert (journal.requests[0].kind, journal.requests[0].fields, journal.requests[0].variables) == ("", (), {})


def test_a_sequence():
    """``requests`` supports length, index, slice and iteration; ``to`` finds a field in either spelling."""
    journal = RequestLog()
    for field in ("set_secret", "setSecret", "hello"):
        send(journal, "{ a }", fields=(field,))
    requests = journal.requests
    assert (len(requests), requests[-1].fields, len(requests[:2]), len(list(requests))) == (3, ("hello",), 2, 3)
    assert [request.fields[0] for request in requests.to("set_secret")] == ["set_secret", "setSecret"]
    assert requests[0] in requests
    with pytest.raises(IndexError):
        requests[3]
    requests.clear()
    assert (len(requests), requests.forgotten) == (0, 0)


# -- values ------------------------------------------------------------------------------------------------------------


def test_no_value_is_kept_readable():
    """No repr, attribute, pickle or copy of the log or its records contains a value."""
    journal = RequestLog()
    send(journal, SET, {"input": {"name": "n", "value": V}})
    send(journal, f'mutation {{ setSecret(input: {{name: "n", value: "{V}"}}) {{ success }} }}')
    send(journal, "mutation($m: String) { log(m: $m) { success } }", {"m": V})
    shown = [repr(journal), repr(vars(journal)), repr(journal.requests), repr(list(map(tuple, journal.requests)))]
    assert V not in "".join(shown)
    assert V.encode() not in pickle.dumps(list(journal.requests))
    for take in (pickle.dumps, copy.deepcopy):
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            take(journal)


def test_values_that_set_secrets_are_not_stored():
    """No object of the log contains the value of a secret mutation; other contents of requests are stored."""
    journal = RequestLog()
    send(journal, SET, {"input": {"name": "n", "value": V}})
    send(journal, "{ a }", {"b": "kept"})
    stored = [value for value in reachable(journal) if isinstance(value, bytes)]
    assert any(b"kept" in value for value in stored)
    assert not any(V.encode() in value for value in stored)
    assert journal.search(has(V)) == []


def test_search():
    """A search returns request and path of a match, and does not find values that set secrets."""
    journal = RequestLog()
    send(journal, SET, {"input": {"name": "n", "value": V}}, fields=("set_secret",))
    send(
        journal,
        "mutation($i: I) { write_run_logs(input: $i) { success } }",
        {"i": {"logs": [{"message": V}]}},
        fields=("write_run_logs",),
    )
    places = journal.search(has(V))
    assert [(place.request.fields, place.where) for place in places] == [
        (("write_run_logs",), "variables"),
        (("write_run_logs",), "variables.i.logs[0].message"),
    ]
    journal.requests.clear()
    assert journal.search(has(V)) == []


def test_search_tells_no_value():
    """The path of a match in a name does not contain the name."""
    journal = RequestLog()
    send(journal, "", raw=json.dumps({"a": {V: {"b": V}}}).encode())
    assert [place.where for place in journal.search(has(V))] == ["a name in a", "a name in the request"]


def test_search_looks_at_get():
    """A search includes the URL parameters of a GET."""
    journal = RequestLog()
    journal.record(Request("GET", "/p", {}, b"", f"query={V}"), at=AT, seconds=0, status=400)
    operation = Operation(f"{{ a(b: {V}) }}", get=True)
    journal.record(Request("GET", "/p", {}, b"", "query=..."), at=AT, seconds=0, status=200, operation=operation)
    assert [place.where for place in journal.search(has(V))] == ["body", "query"]


# -- memory ------------------------------------------------------------------------------------------------------------


def test_old_requests_are_forgotten():
    """The log discards old requests by number and size, and counts them."""
    journal = RequestLog(max_requests=3)
    for number in range(5):
        send(journal, f"{{ a{number} }}", fields=(f"a{number}",))
    assert ([request.fields[0] for request in journal.requests], journal.requests.forgotten) == (["a2", "a3", "a4"], 2)
    assert [place.request.fields for place in journal.search(has("{ a2 }"))] == [("a2",)]
    assert journal.search(has("{ a1 }")) == []

    small = RequestLog(max_bytes=1_000)
    for number in range(5):
        send(small, "{ a }", {"x": "y" * 400}, fields=(f"a{number}",))
    assert (len(small.requests), small.forgotten) == (5, 3)
    assert {place.request.fields for place in small.search(has("yyy"))} == {("a3",), ("a4",)}
    send(small, "{ a }", {"x": "z" * 5_000})
    assert len(small.search(has("zzz"))) == 2


def test_many_threads():
    """No record of concurrent threads is lost."""
    journal = RequestLog()
    threads = [threading.Thread(target=lambda: [send(journal, "{ a }") for _ in range(100)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(journal.requests), journal.forgotten) == (800, 0)


# -- with the real client ----------------------------------------------------------------------------------------------


@needs_prefect
def test_the_real_client():
    """The request of a real client is recorded with key and tenant, and its secret is masked."""
    with FakeCloud() as cloud:
        cloud.client.set_secret(name="my secret", value=V)
        record = cloud.requests.to("set_secret")[-1]
        assert (record.kind, record.scope, record.tenant_id, record.status) == (
            "mutation",
            "USER",
            cloud.tenant.id,
            200,
        )
        assert record.variables == {"input": {"name": "<str of length 9>", "value": "<str of length 10>"}}
        assert 0 < record.seconds < 5
        assert abs(dt.datetime.now(dt.timezone.utc) - record.at) < dt.timedelta(seconds=60)
        ask(cloud.url, {"query": "{ tenant { id } }"})
        assert (cloud.requests[-1].scope, cloud.requests[-1].codes) == (None, ("UNAUTHENTICATED",))
        ask(cloud.url, b"{")
        assert (cloud.requests[-1].status, cloud.requests[-1].fields) == (400, ())
        assert V not in repr(list(map(tuple, cloud.requests)))
        cloud.assert_never_received("my secret")


def test_nothing_is_asserted_of_what_is_forgotten():
    """``assert_never_received`` raises if requests have been discarded."""
    with FakeCloud({"TOKEN": V}) as cloud:
        cloud.world.journal = RequestLog(max_requests=2)
        for _ in range(3):
            ask(cloud.url, {"query": "{ hello }"})
        with pytest.raises(UsageError, match="the contents of the first 1 requests have been discarded"):
            cloud.assert_never_received("TOKEN")
        cloud.requests.clear()
        cloud.assert_never_received("TOKEN")


@pytest.mark.slow
def test_ten_megabytes():
    """A value of 10 MB is set and not stored in the log; a value above the server's limit is rejected."""
    with FakeCloud() as cloud:
        headers = {"authorization": f"Bearer {cloud.tenant.user_key}"}
        body = {"query": SET, "variables": {"input": {"name": "LARGE", "value": "x" * 10_000_000}}}
        assert ask(cloud.url, body, **headers).json == {"data": {"set_secret": {"success": True}}}
        assert cloud.requests[-1].variables["input"]["value"] == "<str of length 10000000>"
        assert cloud.secrets.holds("LARGE", "x" * 10_000_000)
        body["variables"]["input"]["value"] = "x" * 17_000_000
        assert ask(cloud.url, body, **headers).status == 413
        assert cloud.secrets.holds("LARGE", "x" * 10_000_000)
