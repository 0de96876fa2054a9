"""The WebSockets of the API, with a client made of wsproto."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

from pytest_flowsecrets.backend.rest import RestApi

from .conftest import Client, http

EVENT = {
    "id": "00000000-0000-4000-8000-000000000001",
    "event": "e",
    "occurred": "2026-01-01T00:00:00Z",
    "resource": {"prefect.resource.id": "r"},
    "related": [],
    "payload": {},
}


class WebSocketClient:
    """One WebSocket; it blocks until what it expects has arrived."""

    def __init__(self, url, token=None, subprotocols=("prefect",), headers=()):
        from wsproto import ConnectionType, WSConnection
        from wsproto.events import Request

        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self.waiting = []
        request = Request(
            host=parts.netloc, target=parts.path, subprotocols=list(subprotocols), extra_headers=list(headers)
        )
        self.socket.sendall(self.protocol.send(request))
        self.answer = self.next()
        if token is not False and type(self.answer).__name__ == "AcceptConnection":
            self.send({"type": "auth", "token": token})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def next(self):
        while not self.waiting:
            data = self.socket.recv(1 << 16)
            self.protocol.receive_data(data or None)
            self.waiting.extend(self.protocol.events())
        return self.waiting.pop(0)

    def message(self):
        return json.loads(self.next().data)

    def send(self, message):
        from wsproto.events import TextMessage

        text = message if isinstance(message, str) else json.dumps(message)
        self.socket.sendall(self.protocol.send(TextMessage(data=text)))

    def ping(self):
        """Send a ping; the pong proves that everything before it was read."""
        from wsproto.events import Ping

        self.socket.sendall(self.protocol.send(Ping()))
        assert type(self.next()).__name__ == "Pong"

    def close(self):
        """Close, and wait for the server's answer."""
        from wsproto.events import CloseConnection

        self.socket.sendall(self.protocol.send(CloseConnection(code=1000)))
        return self.next()


@pytest.fixture
def connect(view):
    def connect(path, **more):
        return WebSocketClient(view.url + path, **more)

    return connect


def test_events_come_in(ask, connect):
    """Events arrive after authentication, and other messages are ignored."""
    with connect("/events/in") as client:
        assert client.message() == {"type": "auth_success"}
        client.send("no JSON")
        client.send({"odd": 1})
        client.send(EVENT)
        client.ping()
        assert [each["event"] for each in ask.post("/events/filter")["events"]] == ["e"]
        assert type(client.close()).__name__ == "CloseConnection"


def test_a_long_message_is_put_together(ask, connect):
    """A message in several frames is joined."""
    from wsproto.events import TextMessage

    text = json.dumps({**EVENT, "payload": {"long": "x" * 200_000}})
    with connect("/events/in") as client:
        client.message()
        for start in range(0, len(text), 50_000):
            piece = TextMessage(data=text[start : start + 50_000], message_finished=start + 50_000 >= len(text))
            client.socket.sendall(client.protocol.send(piece))
        client.ping()
    assert len(ask.post("/events/filter")["events"][0]["payload"]["long"]) == 200_000


def test_events_go_out(ask, connect):
    """A subscriber gets the events that fit its filter, from the subscription on."""
    with connect("/events/out") as client:
        client.message()
        client.send({"type": "filter", "filter": {"event": {"name": ["wanted"]}}})
        client.ping()
        wanted = {**EVENT, "id": "00000000-0000-4000-8000-000000000002", "event": "wanted"}
        ask("POST", "/events", [EVENT, wanted])
        message = client.message()
        assert (message["type"], message["event"]["id"]) == ("event", wanted["id"])


def test_logs_go_out(ask, connect):
    """A subscriber gets the logs that fit its filter."""
    with connect("/logs/out") as client:
        client.message()
        client.send({"type": "filter", "filter": {"level": {"ge_": 30}}})
        client.ping()
        fields = {"name": "n", "message": "m", "timestamp": "2026-01-01T00:00:00Z"}
        logs = [{"level": level, **fields} for level in (10, 40)]
        ask("POST", "/logs/", logs)
        assert client.message()["log"]["level"] == 40


def test_a_subscription_begins_with_a_filter(connect):
    """A subscription that begins with another message is closed with 1008."""
    with connect("/events/out") as client:
        client.message()
        client.send({"type": "other"})
        assert client.next().code == 1008


def test_subscriptions_end_with_their_view(rest_api):
    """Removing a view closes its subscriptions."""
    view = rest_api.new_view()
    with WebSocketClient(view.url + "/events/out") as client:
        client.message()
        client.send({"type": "filter"})
        client.ping()
        rest_api.remove_view(view)
        assert type(client.next()).__name__ == "CloseConnection"


def test_a_client_may_go_at_any_time(view, connect):
    """The server survives clients that disconnect at any step."""
    connect("/events/in", token=False).socket.close()
    with connect("/events/out") as client:
        client.message()
    with connect("/events/out") as client:
        client.message()
        client.send({"type": "filter"})
        client.ping()
    assert http("GET", f"{view.url}/health").body is True


def test_workers_are_greeted(ask, connect):
    """A worker gets its row and a snapshot of its pool, which is created if it is missing."""
    hello = {
        "consumer_id": "00000000-0000-0000-0000-000000000001",
        "worker_name": "w",
        "worker_type": "process",
        "heartbeat_interval_seconds": 30,
        "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1", "cleanup_delivery.v1"],
        "work_queue_names": ["default"],
        "default_base_job_template": {"variables": {}},
    }
    with connect("/work_pools/p/workers/connect") as client:
        client.message()
        client.send({"type": "worker.hello.v1", "payload": hello})
        ready = client.message()
        client.send({"type": "worker.heartbeat.v1", "payload": hello})
        client.send({"type": "other"})
        client.ping()
    assert ready["type"] == "worker.ready.v1"
    payload = ready["payload"]
    assert payload["rejected_capabilities"] == ["cleanup_delivery.v1"]
    assert payload["initial_snapshot"]["work_pool"]["base_job_template"] == {"variables": {}}
    assert [queue["name"] for queue in payload["resolved_work_queues"]] == ["default"]
    assert [row["id"] for row in ask.post("/work_pools/p/workers/filter")] == [payload["worker_id"]]
    ask.post("/work_pools/", name="empty", type="process")
    with connect("/work_pools/empty/workers/connect") as client:
        client.message()
        client.send({"type": "worker.hello.v1", "payload": hello})
        assert client.message()["payload"]["initial_snapshot"]["work_pool"]["base_job_template"] == {"variables": {}}


@pytest.mark.parametrize(("token", "accepted"), [("admin:pass", True), ("other", False), (None, False)])
def test_sockets_authenticate_by_their_first_message(rest_api, token, accepted):
    """A WebSocket is accepted with the auth string and closed without it."""
    view = rest_api.new_view(auth_string="admin:pass")
    with WebSocketClient(view.url + "/events/in", token=token) as client:
        answer = client.next()
        assert (type(answer).__name__ == "TextMessage") is accepted


def test_sockets_of_cloud_authenticate_by_key(rest_api):
    """A WebSocket of a workspace is accepted with its API key."""
    view = rest_api.new_workspace("pnu_key")
    with WebSocketClient(view.url + "/events/in", token="pnu_key") as client:
        assert client.message() == {"type": "auth_success"}


def test_a_client_without_handshake_begins_with_an_event(ask, connect):
    """Clients of 3.0 send no auth message, and their first event is stored."""
    with connect("/events/in", token=False) as client:
        client.send(EVENT)
        client.ping()
        assert [each["event"] for each in ask.post("/events/filter")["events"]] == ["e"]


@pytest.mark.parametrize(("header", "stored"), [("bearer pnu_key", 1), ("Bearer other", 0), (None, 0)])
def test_a_client_of_cloud_without_handshake_sends_its_key(rest_api, header, stored):
    """Clients of 3.0 name their key in the header of the WebSocket's request."""
    view = rest_api.new_workspace("pnu_key")
    headers = [(b"authorization", header.encode())] if header else []
    with WebSocketClient(view.url + "/events/in", token=False, headers=headers) as client:
        client.send(EVENT)
        if stored:
            client.ping()
        else:
            assert client.next().code == 1008
    assert len(view.events.items) == stored


def test_older_servers_take_events_from_anyone():
    """Before 3.6 a self-hosted server with an auth string does not check who sends events."""
    with RestApi("3.4.25") as api:
        view = api.new_view(auth_string="admin:pass")
        with WebSocketClient(view.url + "/events/in", token=False) as client:
            client.send(EVENT)
            client.ping()
        assert len(view.events.items) == 1
        with WebSocketClient(view.url + "/events/out", token=False) as client:
            client.send({"type": "filter"})
            assert client.next().code == 1008


def test_there_is_no_socket_elsewhere(rest_api, view, connect):
    """Unknown paths get 404, and the subprotocol is optional."""
    with connect("/events/none") as client:
        assert client.answer.status_code == 404
    with WebSocketClient(rest_api.root + "/gone/events/in") as client:
        assert client.answer.status_code == 404
    with connect("/events/in", subprotocols=()) as client:
        assert client.message() == {"type": "auth_success"}


def test_other_upgrades_are_ignored(view):
    """A request to upgrade to another protocol is answered over HTTP/1.1."""
    assert http("GET", f"{view.url}/health", Upgrade="h2c").body is True


def test_requests_of_many_threads_are_answered(rest_api, view):
    """Requests of many threads at once lose no row."""
    from concurrent.futures import ThreadPoolExecutor

    def create(number):
        return http("POST", f"{view.url}/variables/", {"name": f"v{number}", "value": number}).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(create, range(60))) == {201}
    assert Client(rest_api, view).post("/variables/count") == 60
