"""GraphQL over HTTP, as the public server audit of the specification checks it and as Prefect's clients need it."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from pytest_flowsecrets.backend.graphql_service import GraphqlService
from pytest_flowsecrets.backend.http import server
from pytest_flowsecrets.backend.http.graphql_http import (
    GRAPHQL,
    JSON,
    MAX_DOCUMENT,
    negotiate,
    read_operation,
    write_answer,
    write_fault,
)
from pytest_flowsecrets.backend.messages import Answer, HttpFault, Operation, Request, Response
from tests.backend.http import ask

HELLO = "{ __typename }"
NAMED = "query Type($name: String!) { __type(name: $name) { name } }"
UNKNOWN = "{ 8f31403dfe404bccbb0e835f2629c6a7 }"
UNCOERCED = "query Id($id: String!) { __type(name: $id) { name } }"


@pytest.fixture(scope="module")
def url():
    world = GraphqlService("server")
    yield server.mount(world)
    server.unmount(world)


# -- the public audit (graphql-http 1.23) ------------------------------------------------------------------------------

# id: (what the request differs in, what the audit wants). 4xx and 2xx stand for any of them, "no errors" for a body
# without the key `errors`, "no data" for one without the key `data`.
AUDITS = {
    "22EB": ({"accept": GRAPHQL}, (200, GRAPHQL)),
    "4655": ({"accept": JSON}, (200, JSON)),
    "47DE": ({"accept": "*/*"}, (200, JSON)),
    "80D8": ({"get": {"query": HELLO}}, (200, JSON)),
    "82A3": ({}, (200, "utf-8")),
    "BF61": ({"content_type": f"{JSON}; charset=utf-8"}, (200,)),
    "78D5": ({}, (200,)),
    "2C94": ({}, (200,)),
    "5A70": ({"get": {"query": HELLO}}, (200,)),
    "9C48": ({"get": {"query": "mutation { __typename }"}}, ("4xx",)),
    "9ABE": ({"content_type": None, "body": b""}, ("4xx",)),
    "03D4": ({}, (200,)),
    "A5BF": ({"body": b""}, (400,)),
    "423L": ({"body": {"notquery": HELLO}}, (400,)),
    "34A2": ({"accept": GRAPHQL}, (200,)),
    "13EE": ({"accept": JSON}, (200, "no errors")),
    "8161": ({"accept": GRAPHQL, "body": {"operationName": "Query", "query": "query Query { __typename }"}}, (200,)),
    "B8B3": (
        {"accept": JSON, "body": {"operationName": "Query", "query": "query Query { __typename }"}},
        (200, "no errors"),
    ),
    "2EA1": ({"accept": GRAPHQL, "body": {"query": NAMED, "variables": {"name": "sometype"}}}, (200,)),
    "28B9": ({"accept": JSON, "body": {"query": NAMED, "variables": {"name": "sometype"}}}, (200, "no errors")),
    "D6D5": ({"accept": GRAPHQL, "get": {"query": NAMED, "variables": '{"name": "sometype"}'}}, (200,)),
    "6A70": ({"accept": JSON, "get": {"query": NAMED, "variables": '{"name": "sometype"}'}}, (200, "no errors")),
    "428F": ({"accept": GRAPHQL, "body": {"query": HELLO, "extensions": {"some": "value"}}}, (200,)),
    "1B7A": ({"accept": JSON, "body": {"query": HELLO, "extensions": {"some": "value"}}}, (200, "no errors")),
    "B6DC": ({"accept": JSON, "body": b'{ "not a JSON'}, (400,)),
    "BCF8": ({"accept": JSON, "body": b'{ "not a JSON'}, (400,)),
    "B7N8": ({"accept": GRAPHQL, "body": b'{ "not a JSON'}, (400,)),
    "8764": ({"body": {"qeury": HELLO}}, ("4xx",)),
    "3E3A": ({"body": {"qeury": HELLO}}, (400,)),
    "572B": ({"accept": JSON, "body": {"query": "{"}}, (200,)),
    "FDE2": ({"accept": JSON, "body": {"query": UNKNOWN}}, (200,)),
    "7B9B": ({"accept": JSON, "body": {"query": UNCOERCED, "variables": {"id": None}}}, (200,)),
    "865D": ({"accept": GRAPHQL, "body": {"query": "{"}}, ("4xx",)),
    "556A": ({"accept": GRAPHQL, "body": {"query": "{"}}, (400,)),
    "D586": ({"accept": GRAPHQL, "body": {"query": "{"}}, ("no data",)),
    "51FE": ({"accept": GRAPHQL, "body": {"query": UNKNOWN}}, ("4xx",)),
    "74FF": ({"accept": GRAPHQL, "body": {"query": UNKNOWN}}, (400,)),
    "5E5B": ({"accept": GRAPHQL, "body": {"query": UNKNOWN}}, ("no data",)),
    "86EE": ({"accept": GRAPHQL, "body": {"query": UNCOERCED, "variables": {"id": None}}}, (400,)),
}
for number, name in enumerate(("variables", "operationName", "extensions")):
    AUDITS[f"94B{number}"] = ({"accept": GRAPHQL, "body": {"query": HELLO, name: None}}, (200, "no errors"))
    AUDITS[f"022{number}"] = ({"accept": JSON, "body": {"query": HELLO, name: None}}, (200, "no errors"))
for number, wrong in enumerate(({"obj": "ect"}, 0, False, ["array"])):
    AUDITS[f"LKJ{number}"] = ({"body": {"query": wrong}}, (400,))
    AUDITS[f"6C0{number}"] = ({"body": {"query": HELLO, "operationName": wrong}}, (400,))
for number, wrong in enumerate(("string", 0, False, ["array"])):
    AUDITS[f"476{number}"] = ({"body": {"query": HELLO, "variables": wrong}}, (400,))
    AUDITS[f"58B{number}"] = ({"body": {"query": HELLO, "extensions": wrong}}, (400,))


def test_every_audit_is_here():
    """The tests include all 61 audits of graphql-http 1.23."""
    assert len(AUDITS) == 61


def holds(wish, reply):
    if isinstance(wish, int):
        return reply.status == wish
    if wish == "4xx":
        return 400 <= reply.status < 500
    if wish.startswith("no "):
        return wish[3:] not in reply.json
    return wish in reply.headers["content-type"]


@pytest.mark.parametrize("audit", AUDITS)
def test_audit(url, audit):
    """Each MUST, SHOULD and MAY of the audit holds, with its id from the audit."""
    requests, expected = AUDITS[audit]
    requests = {"body": {"query": HELLO}, **requests}
    get = requests.pop("get", None)
    if get is not None:
        parameters = "&".join(f"{name}={quote(value)}" for name, value in get.items())
        requests.update(method="GET", more=f"?{parameters}", body=b"", content_type=None)
    reply = ask(url, **requests)
    for wish in expected:
        assert holds(wish, reply), (wish, reply)
    reply.body.decode("utf-8")


# -- what Prefect's clients need otherwise -----------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["{", UNKNOWN])
def test_documents_that_are_not_valid_get_400_where_no_type_is_named(url, query):
    """Prefect's clients, which accept any type, get status 400 for an invalid document."""
    for accept in ("*/*", None, "application/*"):
        reply = ask(url, {"query": query}, accept=accept)
        assert reply.status == 400
        assert reply.json["errors"][0]["message"]
        assert "data" not in reply.json


@pytest.mark.parametrize("variables", ['{"name": "x"}', {"name": "x"}])
def test_variables_as_text_and_as_object(variables):
    """``variables`` can be an object or, as all Prefect clients send it, a JSON text."""
    assert posted({"query": HELLO, "variables": variables}).variables == {"name": "x"}


@pytest.mark.parametrize("variables", ["null", None, ""])
def test_no_variables(variables):
    """``variables`` can be ``null`` as a JSON text, which Prefect's clients send."""
    if variables == "":
        assert requests("query=x&variables=").variables == {}
    else:
        assert posted({"query": HELLO, "variables": variables}).variables == {}


# -- requests that are refused -----------------------------------------------------------------------------------------


def posted(body, **headers):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_operation(Request("POST", "/", {"content-type": JSON, **headers}, body))


def requests(query, **headers):
    return read_operation(Request("GET", "/", headers, b"", query))


@pytest.mark.parametrize(
    ("body", "expected_message"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"{", "line 1 column 2"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"query": ' + b"1" * 5_000 + b"}", "too many digits"),
        (b'{"query": "{ a }", "query": "{ b }"}', "a key occurs twice"),
        (b'{"query": "{ a }", "variables": "{\\"a\\": 1, \\"a\\": 2}"}', "the text of variables is not valid JSON"),
        (b'{"query": "{ a }", "variables": "{\\"a\\": NaN}"}', "NaN and Infinity are not valid in JSON"),
        (b'{"query": "{ a }", "variables": "[1]"}', "a JSON object, or a text that contains one"),
        (b'{"query": "{ a }", "variables": "\\"{}\\""}', "a JSON object, or a text that contains one"),
        (b'[{"query": "{ a }"}]', "batches of operations are not supported"),
        (b'"{ a }"', "must be a JSON object"),
        (b"", "not valid JSON"),
    ],
)
def test_bodies_that_are_refused(body, expected_message):
    """An invalid body gets 400 and a one-line reason that does not quote the body."""
    with pytest.raises(HttpFault, match=expected_message) as refusal:
        posted(body)
    assert refusal.value.status == 400


def test_a_refusal_shows_nothing_of_the_body():
    """The reason does not contain the character at which parsing failed."""
    with pytest.raises(HttpFault) as refusal:
        posted(b'{"query": "{ a }", "variables": ghp_secret}')
    assert "ghp" not in str(refusal.value)


@pytest.mark.slow
def test_large_documents():
    """A document is limited to 1 MiB; variables can be as large as the body."""
    longest = HELLO + " " * (MAX_DOCUMENT - len(HELLO))
    assert posted({"query": longest, "variables": {"x": "y" * 15_000_000}}).query == longest
    for large in (
        longest + " ",
        'mutation { set_secret(input: {name: "n", value: "%s"}) { success } }' % ("x" * 15_000_000),
    ):
        with pytest.raises(HttpFault, match="query is longer than 1048576 characters") as refusal:
            posted({"query": large})
        assert refusal.value.status == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=latin-1", "", "application/graphql"])
def test_415(kind):
    """A body that is not JSON in UTF-8 gets 415, with a header that names the accepted type."""
    with pytest.raises(HttpFault) as refusal:
        posted({"query": HELLO}, **{"content-type": kind})
    assert (refusal.value.status, refusal.value.headers) == (415, (("Accept-Post", JSON),))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_405(url, method):
    """Other methods get 405, with a header that names the accepted ones."""
    reply = ask(url, method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, POST")
    assert reply.json["errors"]


def test_head(url):
    """HEAD behaves like GET without a response body (RFC 9110, section 9.3.2)."""
    result, refused = (ask(url, method="HEAD", more=more) for more in (f"?query={quote(HELLO)}", ""))
    assert (result.status, result.body) == (200, b"")
    assert (
        result.headers["content-length"]
        == ask(url, method="GET", more=f"?query={quote(HELLO)}").headers["content-length"]
    )
    assert (refused.status, refused.body) == (400, b"")


def test_mutations_by_get(url):
    """A mutation sent with GET gets 405, with a header that names POST."""
    reply = ask(url, method="GET", more="?query=mutation%20%7B__typename%7D")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert "data" not in reply.json


@pytest.mark.parametrize(
    ("query", "expected_message"),
    [
        ("", "query is missing"),
        ("query=a&query=b", "occurs twice"),
        ("query=%FF", "not UTF-8"),
        ("query=a&variables=[", "the text of variables is not valid JSON"),
        ("query=a&extensions=[]", "extensions must be"),
        ("query=a&extensions={", "the text of extensions is not valid JSON"),
    ],
)
def test_urls_that_are_refused(query, expected_message):
    """Invalid URL parameters get 400 and a one-line reason."""
    with pytest.raises(HttpFault, match=expected_message) as refusal:
        requests(query)
    assert refusal.value.status == 400


def test_extensions_in_a_url():
    """``extensions`` in a URL are parsed and ignored."""
    assert requests("query=a&extensions={}").query == "a"
    assert requests('query=a&extensions={"a":1}').get


# -- media types -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, (JSON, False)),
        (" ", (JSON, False)),
        ("*/*", (JSON, False)),
        ("application/*", (JSON, False)),
        ("text/html, */*;q=0.1", (JSON, False)),
        (JSON, (JSON, True)),
        ("APPLICATION/JSON ; Charset=UTF-8", (JSON, True)),
        (GRAPHQL, (GRAPHQL, True)),
        (f"{GRAPHQL}; charset=utf-8, {JSON}; charset=utf-8", (GRAPHQL, True)),
        (f"{GRAPHQL};q=0.5, {JSON}", (JSON, True)),
        (f"{GRAPHQL}, {JSON};q=0.9", (GRAPHQL, True)),
        (f"{GRAPHQL}, */*", (GRAPHQL, True)),
        (f"{JSON};q=0, */*", (GRAPHQL, False)),
        (f"{JSON};q=nonsense", (JSON, True)),
        (f"{JSON}; charset=latin-1, {GRAPHQL}", (GRAPHQL, True)),
        ("text/html", None),
        (f"{JSON};q=0", None),
        ("*/*;q=0", None),
        ("application/json; charset=utf-16", None),
    ],
)
def test_negotiation(accept, media):
    """The most specific media range decides, then its quality."""
    assert negotiate(accept) == media


def test_406(url):
    """A request that accepts no supported type gets 406 with a JSON body."""
    reply = ask(url, {"query": HELLO}, accept="text/html")
    assert (reply.status, reply.headers["content-type"]) == (406, f"{JSON}; charset=utf-8")
    assert "text/html" not in reply.message


# -- responses and what is shown of them -------------------------------------------------------------------------------


def test_errors_and_data():
    """Errors of resolvers have status 200 and data; status 400 has no data; non-ASCII text is preserved."""
    request = Request("POST", "/", {}, b"")
    partly = write_answer(request, Answer({"a": None, "b": "\ud83d é"}, [{"message": "m"}], 200))
    assert (partly.status, json.loads(partly.body)) == (
        200,
        {"errors": [{"message": "m"}], "data": {"a": None, "b": "\ud83d é"}},
    )
    refused = write_answer(request, Answer(None, [{"message": "m"}], 400))
    assert (refused.status, json.loads(refused.body)) == (400, {"errors": [{"message": "m"}]})


def test_faults_before_there_is_a_request():
    """An unreadable request head gets an error in the same format."""
    assert write_fault(None, HttpFault(400, "m")).headers == (("Content-Type", f"{JSON}; charset=utf-8"),)


def test_nothing_is_shown():
    """The reprs of requests and responses contain neither headers nor bodies."""
    request = Request("POST", "/p", {"authorization": "Bearer KEY"}, b"VALUE", "query=VALUE")
    assert repr(request) == "Request(method='POST', path='/p')"
    assert "VALUE" not in repr(Response(200, (), b"VALUE"))
    assert "VALUE" not in repr(Operation("VALUE", {"a": "VALUE"}))
