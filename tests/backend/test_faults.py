"""Injected faults, and the reactions of the real clients."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from importlib import metadata
from pathlib import Path

import pytest

from pytest_flowsecrets import UsageError
from pytest_flowsecrets.backend.fake_cloud import FakeCloud
from pytest_flowsecrets.backend.faults import Faults
from pytest_flowsecrets.backend.graphql_service import GraphqlService
from pytest_flowsecrets.backend.http import server
from pytest_flowsecrets.clock import frozen_clock
from tests.backend.http import Line, ask
from tests.compat import VERSION, needs_prefect

HELLO = {"query": "{ hello }"}
SET = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }"


@pytest.fixture
def world():
    world = GraphqlService("server")
    yield world
    server.unmount(world)


@pytest.fixture
def url(world):
    return server.mount(world)


@pytest.fixture
def faults(world):
    return world.faults


# -- each kind, as it comes over the wire ------------------------------------------------------------------------------


def test_graphql_error(url, faults):
    """``graphql_error`` answers with HTTP 200, one error with message and code, and no data."""
    faults.graphql_error("Quota exceeded", code="API_ERROR")
    reply = ask(url, HELLO)
    assert reply.status == 200
    assert reply.json == {
        "errors": [{"message": "Quota exceeded", "path": ["hello"], "extensions": {"code": "API_ERROR"}}],
        "data": None,
    }


@pytest.mark.parametrize(
    ("query", "on", "path"),
    [
        ("{ hello }", None, ["hello"]),
        ("{ greeting: hello }", "hello", ["greeting"]),
        ("{ hello flow_run { id } }", "flow_run", ["flow_run"]),
        (
            "query Q { ...rest } fragment rest on query_root { ... { hello } runs: flow_run { id } }",
            "flowRun",
            ["runs"],
        ),
        ("{ hello", None, []),
        ("fragment rest on query_root { hello }", None, []),
    ],
)
def test_the_path_of_a_graphql_error(url, faults, query, on, path):
    """The path of the error is the alias or the name of the root field of the fault, as in real errors."""
    faults.graphql_error("No", **({"on": on} if on else {}))
    assert ask(url, {"query": query}).json["errors"][0]["path"] == path


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 429, 500, 502, 503, 504, 599])
def test_status(url, faults, status):
    """``status`` answers with any HTTP error and a GraphQL error in the body."""
    faults.status(status)
    reply = ask(url, HELLO)
    assert reply.status == status
    assert reply.message
    assert "retry-after" not in reply.headers


def test_retry_after(url, faults):
    """``retry_after`` is rounded up to whole seconds, as HTTP requires."""
    faults.status(429, retry_after=1.2)
    assert ask(url, HELLO).headers["retry-after"] == "2"


def test_bodies(url, faults):
    """``invalid_json`` and ``empty_body`` answer with HTTP 200 and truncated JSON or nothing."""
    faults.invalid_json()
    faults.empty_body()
    with Line(url) as line:
        broken, empty = line.ask(HELLO), line.ask(HELLO)
        assert line.ask(HELLO).json["data"]["hello"]
    assert (broken.status, broken.body, broken.headers["content-type"][:16]) == (200, b'{"data": {', "application/json")
    assert (empty.status, empty.body) == (200, b"")


@pytest.mark.slow
def test_delay(url, faults):
    """``delay`` returns the correct answer later, and does not delay other connections."""
    delay = faults.delay(2)
    with Line(url) as slow:
        start = time.monotonic()
        slow.send(slow.request(HELLO))
        while not delay.hits:
            time.sleep(0.01)
        assert ask(url, HELLO).json["data"]["hello"]
        assert time.monotonic() - start < 2
        assert slow.reply().json["data"]["hello"]
        assert time.monotonic() - start >= 2


CREATE = {"query": 'mutation { create_tenant(input: {name: "n", slug: "s"}) { id } }'}


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("where", ["before", "within"])
def test_cut(url, world, faults, where, carried_out):
    """``cut`` sends nothing, or the head and half of the body; ``carried_out`` decides about the operation."""
    faults.cut(where, carried_out=carried_out)
    with Line(url) as line:
        line.send(line.request(CREATE))
        received = line.file.read()
    assert (received == b"") == (where == "before")
    assert received.count(b"HTTP/1.1 200") == (where == "within")
    assert not received.endswith(b"}")
    assert len(world.store.all("tenant")) == int(carried_out)


def test_what_is_refused_is_not_carried_out(url, world, faults):
    """Faults other than ``delay`` and ``cut`` do not execute the operation."""
    for add in (lambda: faults.status(500), lambda: faults.graphql_error("m"), faults.invalid_json, faults.empty_body):
        add()
        ask(url, CREATE)
    assert world.store.all("tenant") == []
    ask(url, CREATE)
    assert len(world.store.all("tenant")) == 1


# -- which operations --------------------------------------------------------------------------------------------------


def statuses(url, *bodies):
    with Line(url) as line:
        return [line.ask(body).status for body in bodies]


def test_times(url, faults):
    """A fault answers one operation by default, ``times`` operations, or all."""
    faults.status(500)
    faults.status(503, times=2)
    assert statuses(url, *[HELLO] * 4) == [500, 503, 503, 200]
    with faults.status(404, times=None):
        assert statuses(url, *[HELLO] * 3) == [404] * 3
    assert statuses(url, HELLO) == [200]


def test_on(url, faults):
    """``on`` matches a root field in any spelling, with any alias, beside other fields, and in fragments."""
    faults.status(500, on="createTenant", times=None)
    faults.status(503, on="tenant")
    fragment = "query { ...F } fragment F on Query { ... on Query { x: tenant { id } } ...F }"
    assert statuses(url, HELLO, CREATE, {"query": fragment}, HELLO) == [200, 500, 503, 200]
    two = "query A { tenant { id } } query B { hello }"
    faults.status(504, on="tenant")
    assert statuses(url, {"query": two, "operationName": "B"}, {"query": two, "operationName": "A"}) == [200, 504]


def test_kind(url, faults):
    """``kind`` restricts a fault to queries or mutations."""
    faults.status(500, kind="mutation")
    faults.status(503, kind="query")
    assert statuses(url, HELLO, CREATE) == [503, 500]


def test_when(url, faults):
    """``when`` selects operations by a function, which gets them as the client sent them."""
    queries = []
    faults.status(500, when=lambda operation: queries.append(operation) or operation.variables["a"] == 1)
    query = "query($a: Int) { hello }"
    assert statuses(url, *[{"query": query, "variables": {"a": number}} for number in (0, 1, 1)]) == [400, 500, 400]
    assert [(one.kind, one.fields, one.query, one.scope, one.tenant_id) for one in queries] == [
        ("query", ("hello",), query, None, None)
    ] * 2


def test_when_does_not_see_what_a_secret_is_set_to(url, faults):
    """The argument of ``when`` does not contain the value that a secret is set to."""
    queries = []
    faults.status(500, when=queries.append)
    statuses(url, {"query": SET, "variables": {"input": {"name": "n", "value": "ghp_secret"}}})
    assert queries[0].variables == {"input": {"name": "n", "value": None}}
    assert "ghp" not in repr(queries[0])


def test_when_that_fails(url, faults):
    """If ``when`` raises, the operation gets an error without the exception's text, and the fault stays."""
    fault = faults.status(500, when=lambda _: {}["ghp_secret"])
    reply = ask(url, HELLO)
    assert (reply.status, reply.message) == (200, "the function `when` of a fault (HTTP 500) raised KeyError")
    assert fault.left == 1


def test_after(url, faults):
    """``after`` delays any fault."""
    faults.status(500, after=0.1)
    start = time.monotonic()
    assert statuses(url, HELLO) == [500]
    assert time.monotonic() - start >= 0.1


def test_documents_that_are_none(url, faults):
    """A fault without conditions also answers invalid documents, which have no kind and no fields."""
    faults.status(500, kind="query", times=None)
    assert statuses(url, {"query": "{"}, {"query": "{ a }", "operationName": "B"}) == [400, 400]
    faults.status(503)
    assert statuses(url, {"query": "{"}) == [503]


def test_requests_that_are_no_operations(url, faults):
    """Faults do not answer requests that are not GraphQL over HTTP."""
    faults.status(500)
    assert statuses(url, b"{", HELLO) == [400, 500]


def test_many_at_a_time(url, faults):
    """A fault answers exactly ``times`` operations of concurrent clients."""
    faults.status(500, times=20)
    result = []
    threads = [threading.Thread(target=lambda: result.extend(statuses(url, *[HELLO] * 10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result) == [200] * 20 + [500] * 20


# -- what is told of them ----------------------------------------------------------------------------------------------


def test_hits_left_and_unused(url, faults):
    """``hits``, ``left`` and ``unused`` reflect the answered operations."""
    first, second, third = (
        faults.status(500, on="hello", times=2),
        faults.delay(0, kind="mutation"),
        faults.cut(times=None),
    )
    assert (len(faults), list(faults), faults.unused) == (3, [first, second, third], [first, second, third])
    assert statuses(url, HELLO) == [500]
    assert (first.left, third.left) == (1, math.inf)
    assert [queries.fields for queries in first.hits] == [("hello",)]
    assert repr(faults) == (
        "<faults: <HTTP 500 on hello, 1 used, 1 left>, <delay of 0 s on mutation, 0 used, 1 left>, "
        "<connection cut before the answer on any operation, 0 used, unlimited>>"
    )
    third.remove()
    third.remove()
    assert (third.left, third in faults) == (0, False)
    assert statuses(url, HELLO, HELLO) == [500, 200]
    assert (first.left, faults.unused) == (0, [second])
    faults.clear()
    assert (len(faults), repr(faults)) == (0, "<faults: none>")
    assert repr(faults.invalid_json(when=lambda _: False)) == "<invalid JSON on that `when` selects, 0 used, 1 left>"


def test_faults_for_ever_are_unused_until_they_answer(url, faults):
    """An unlimited fault is unused until its first answer."""
    faults.status(500, times=None)
    statuses(url, HELLO)
    assert faults.unused == []


def test_in_the_journal(url, world):
    """The request log names the fault that answered."""
    world.faults.status(500, on="hello")
    statuses(url, HELLO, HELLO)
    assert [(request.fault, request.status, request.kind, request.fields) for request in world.journal.requests] == [
        ("HTTP 500", 500, "query", ("hello",)),
        ("", 200, "query", ("hello",)),
    ]


# -- bad arguments -----------------------------------------------------------------------------------------------------

WRONG = {
    "status='500'": lambda faults: faults.status("500"),
    "status=200": lambda faults: faults.status(200),
    "status=True": lambda faults: faults.status(True),
    "retry_after=-1": lambda faults: faults.status(429, retry_after=-1),
    "the message and the code": lambda faults: faults.graphql_error(""),
    "must be texts that are not empty": lambda faults: faults.graphql_error("m", code=None),
    "seconds='1'": lambda faults: faults.delay("1"),
    "seconds=nan": lambda faults: faults.delay(math.nan),
    "seconds=inf": lambda faults: faults.delay(math.inf),
    "after=True": lambda faults: faults.status(500, after=True),
    "where='after'": lambda faults: faults.cut("after"),
    "on='set secret'": lambda faults: faults.status(500, on="set secret"),
    "on=1": lambda faults: faults.status(500, on=1),
    "on='set_secrets' is not a root field of Prefect Cloud: similar ones are set_secret": lambda faults: faults.status(
        500, on="set_secrets"
    ),
    "on='setSecert' is not a root field of Prefect Cloud: similar ones are set_secret": lambda faults: faults.status(
        500, on="setSecert"
    ),
    "on='zzz' is not a root field of Prefect Cloud: see the fields": lambda faults: faults.status(500, on="zzz"),
    "on='set_secret' is a mutation, so kind='query'": lambda faults: faults.status(500, on="set_secret", kind="query"),
    "kind='subscription'": lambda faults: faults.status(500, kind="subscription"),
    "when must be a function": lambda faults: faults.status(500, when="now"),
    "times=0": lambda faults: faults.status(500, times=0),
    "times=1.5": lambda faults: faults.status(500, times=1.5),
    "times=True": lambda faults: faults.status(500, times=True),
    "unknown argument field: a fault takes": lambda faults: faults.status(500, field="set_secret"),
}


@pytest.mark.parametrize("messages", WRONG)
def test_wrong_arguments(messages):
    """A method with an invalid argument raises a UsageError in one line, and adds no fault."""
    faults = Faults("cloud")
    with pytest.raises(UsageError, match=re.escape(messages)) as refusal:
        WRONG[messages](faults)
    assert "\n" not in str(refusal.value)
    assert len(faults) == 0


def test_hits_show_no_secret():
    """``hits`` do not contain values of secret mutations, also not in invalid documents."""
    world = GraphqlService("cloud")
    url = server.mount(world)
    world.faults.status(500, times=None)
    inputs = {"input": {"name": "n", "value": "hunter2"}}
    for query in (
        SET,
        SET + "}",
        'mutation { set_secret(input: {value: "hunter2"',
        "mutation { setSecret(input: {value: hunter2}) {x} }",
    ):
        assert ask(url, {"query": query, "variables": inputs}).status == 500
    (fault,) = world.faults
    hits = fault.hits
    server.unmount(world)
    assert len(hits) == 4
    assert "hunter2" not in repr([vars(queries) for queries in (*hits[:3],)]) + hits[3].query
    assert hits[0].variables == {"input": {"name": "n", "value": None}}
    assert hits[1].query == f"<document of length {len(SET) + 1}>"


def test_every_root_field_can_fail():
    """``on`` accepts all root fields of the backend, in both spellings and of introspection."""
    cloud, server_ = Faults("cloud"), Faults("server")
    for name in ("set_secret", "setSecret", "createAPIToken", "flow_run_by_pk", "__schema", "__typename"):
        cloud.status(500, on=name)
    cloud.status(500, on="__typename", kind="mutation")
    server_.status(500, on="create_tenant", kind="mutation")
    with pytest.raises(UsageError, match="on='set_secret' is not a root field of Prefect Server"):
        server_.status(500, on="set_secret")
    assert (len(cloud), len(server_)) == (7, 1)


# -- the real clients --------------------------------------------------------------------------------------------------

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "how-to" / "faults.md"
ROW = re.compile(
    r"^\| `(\w+)\((.*)\)` \| `?(\w+)`?, (\d+) requests?.* \| `?(\w+)`?, (\d+) requests?.* \|$", re.MULTILINE
)
ROWS = ROW.findall(DOCUMENT.read_text("utf-8")) if DOCUMENT.exists() else []
COLUMN = {(0, 15, 13): 2, (1, 4, 1): 4}.get(VERSION)

# urllib3 1.26 hands on a body that is shorter than its Content-Length, as the note below the table says.
_OLD_URLLIB3 = VERSION is not None and metadata.version("urllib3").startswith("1.")
SHORT_BODY_UNNOTICED = {"ChunkedEncodingError": "ClientError"} if _OLD_URLLIB3 else {}

messages = pytest.mark.skipif(COLUMN is None, reason="the table tells of 0.15.13 and 1.4.1")


def outcome(cloud):
    """Return the name of the exception that ``set_secret`` raises, and the number of requests."""
    before = len(cloud.requests)
    try:
        cloud.client.set_secret(name="TOKEN", value="x")
    except BaseException as error:  # noqa: BLE001 - Prefect's signals are no Exceptions
        name = type(error).__name__
    else:
        name = "nothing"
    return name, len(cloud.requests) - before


@pytest.fixture(scope="module")
def cloud():
    logging.disable(logging.CRITICAL)  # of the naps
    with FakeCloud() as cloud:
        yield cloud
    logging.disable(logging.NOTSET)


@messages
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}({row[1]})")
def test_the_table_of_the_clients(cloud, row):
    """The real client reacts to each fault as documented, and does not wait."""
    add = eval(f"lambda **more: faults.{row[0]}({row[1]}{', ' if row[1] else ''}**more)", {"faults": cloud.faults})
    start = time.monotonic()
    name = SHORT_BODY_UNNOTICED.get(row[COLUMN], row[COLUMN])
    with add(times=None):
        assert outcome(cloud) == (name, int(row[COLUMN + 1]))
    assert time.monotonic() - start < 5


@messages
def test_the_table_is_whole():
    """The table of the documentation contains every kind of fault."""
    kinds = {name for name, one in vars(Faults).items() if getattr(one, "__annotations__", {}).get("return") == "Fault"}
    assert {row[0] for row in ROWS} == kinds - {"_add"}
    assert len(ROWS) == 18


@messages
def test_frozen_time_is_moved_by_the_tries(cloud):
    """Retries move a frozen clock: 63 s, 16 s after API_ERROR, and three minutes after each 429."""
    waits = {}
    for name, add in {
        "503": lambda: cloud.faults.status(503, times=None),
        "API_ERROR": lambda: cloud.faults.graphql_error("m", code="API_ERROR", times=None),
    }.items():
        with frozen_clock() as clock, add():
            start = clock.now
            outcome(cloud)
            waits[name] = round((clock.now - start).total_seconds())
    assert waits == {"503": 0 if VERSION < (1, 0) else pytest.approx(63, abs=2), "API_ERROR": 16}


@messages
def test_frozen_time_is_moved_whoever_came_first():
    """Retries also move the clock if time was frozen before the API was entered."""
    with frozen_clock() as clock, FakeCloud() as inner:
        start = clock.now
        inner.faults.graphql_error("m", code="API_ERROR", times=None)
        outcome(inner)
        assert round((clock.now - start).total_seconds()) == 16


@needs_prefect
def test_faults_that_pass(cloud):
    """After the last fault, the client's next request succeeds."""
    cloud.faults.status(403)
    assert outcome(cloud) == ("HTTPError", 1)
    assert outcome(cloud) == ("nothing", 1)
    assert cloud.secrets.holds("TOKEN", "x")
