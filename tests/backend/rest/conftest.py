"""An API of this process, and requests to it with and without sockets."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from pytest_flowsecrets.backend.messages import Request as ApiRequest
from pytest_flowsecrets.backend.rest import RestApi


class Answer(NamedTuple):
    """Status and JSON of a response."""

    status: int
    body: Any
    headers: Any


class Client:
    """Requests to one view, answered without sockets."""

    def __init__(self, api, view, **headers):
        self.api, self.view, self.headers = api, view, headers

    def __call__(self, method, path, body=None, **headers):
        path, _, query = path.partition("?")
        sent = {name.replace("_", "-"): value for name, value in {**self.headers, **headers}.items()}
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        root = self.view.url[len(self.api.root) - len("/api") :]
        answer = self.api.answer(ApiRequest(method, root + path, sent, data, query))
        text = answer.body.decode()
        return Answer(answer.status, json.loads(text) if text else None, dict(answer.headers))

    def get(self, path, **headers):
        answer = self("GET", path, **headers)
        assert answer.status == 200, answer
        return answer.body

    def post(self, path, **fields):
        answer = self("POST", path, fields)
        assert answer.status in (200, 201, 204), answer
        return answer.body

    def secret_type(self):
        """Register a Secret type, as a client does before the first save."""
        block_type = self.post("/block_types/", name="Secret", slug="secret")
        schema = self.post("/block_schemas/", block_type_id=block_type["id"], fields=SECRET_FIELDS)
        return {"block_type_id": block_type["id"], "block_schema_id": schema["id"]}

    def flow_run(self, state="PENDING", **fields):
        flow = self.post("/flows/", name="a-flow")
        return self.post("/flow_runs/", flow_id=flow["id"], state={"type": state}, **fields)

    def set_state(self, run, kind, table="flow_runs", **fields):
        force = fields.pop("force", False)
        return self.post(f"/{table}/{run['id']}/set_state", state={"type": kind, **fields}, force=force)


SECRET_FIELDS = {"title": "Secret", "type": "object", "properties": {"value": {}}, "secret_fields": ["value"]}


def http(method, url, body=None, **headers):
    """Ask over HTTP, with the standard library."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = Request(url, data, sent, method=method)
    try:
        with urlopen(request, timeout=60) as response:
            text = response.read().decode()
            return Answer(response.status, json.loads(text) if text else None, dict(response.headers))
    except HTTPError as error:
        text = error.read().decode()
        return Answer(error.code, json.loads(text) if text else None, dict(error.headers))


@pytest.fixture(scope="session")
def rest_api():
    with RestApi() as api:
        yield api


@pytest.fixture
def view(rest_api):
    view = rest_api.new_view()
    yield view
    rest_api.remove_view(view)


@pytest.fixture
def ask(rest_api, view):
    return Client(rest_api, view)


@pytest.fixture
def legacy_ask():
    with RestApi("2.20.27") as api:
        yield Client(api, api.new_view())


@pytest.fixture
def clock():
    """The time of the API of ``timed``, in a list."""
    return [datetime(2030, 1, 1, tzinfo=timezone.utc)]


@pytest.fixture
def timed(clock):
    with RestApi(now=lambda: clock[0]) as api:
        yield Client(api, api.new_view())
