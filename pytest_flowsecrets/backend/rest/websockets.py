"""The WebSockets of the API: events and logs in both directions, and the channel of workers.

A client sends ``{"type": "auth", "token": …}`` first and waits for ``auth_success``. There are two exceptions, both for
events that come in: clients of Cloud name their key in the ``Authorization`` header, and self-hosted servers before 3.6
do not ask.
"""

from __future__ import annotations

import base64
import json
import queue
import uuid
from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple, Optional, Protocol

from pytest_flowsecrets.backend.rest.authorization import check_authorization
from pytest_flowsecrets.backend.rest.call import Route
from pytest_flowsecrets.backend.rest.errors import ApiError
from pytest_flowsecrets.backend.rest.resources import work_pools
from pytest_flowsecrets.backend.rest.resources.records import receive_event
from pytest_flowsecrets.backend.rest.routes import Router
from pytest_flowsecrets.backend.rest.rules.filters import matches
from pytest_flowsecrets.backend.rest.store.events import event_matches
from pytest_flowsecrets.backend.rest.store.table import time_text

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.store.events import EventStream
    from pytest_flowsecrets.backend.rest.view import View

POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1
POLL_SECONDS = 0.5  # how soon a subscription notices that its client has gone
HANDSHAKE_SINCE = (3, 6, 0)


class Channel(Protocol):
    """One WebSocket."""

    def receive(self) -> Optional[str]:
        """Return the next message; None once the client has closed."""

    def send(self, text: str) -> None:
        """Send a message."""

    def unread(self, text: str) -> None:
        """Let the next ``receive`` return a message again."""

    def close(self, code: int, reason: str) -> None:
        """Close with a code and a reason."""

    def is_open(self) -> bool:
        """Return whether the client is still there, after reading what it has sent."""


class Socket(NamedTuple):
    """A WebSocket that a client asks for.

    Attributes:
        view: the tenant that the URL names.
        authorization: header of the request; empty without one.
        parameters: of the path.
        handler: of the messages.
    """

    view: View
    authorization: str
    parameters: Dict[str, str]
    handler: Callable[[View, Dict[str, str], Channel], None]

    def serve(self, channel: Channel) -> None:
        """Check who the client is, then handle its messages until one side closes."""
        text = channel.receive()
        if text is None:
            return
        message = _parsed(text)
        introduced = message.get("type") == "auth"
        if not introduced:
            channel.unread(text)
        credentials = _authorization(self.view, message) if introduced else self.authorization
        try:
            if introduced or not self._is_open():
                check_authorization(self.view, credentials)
        except ApiError:
            reason = "Invalid token" if credentials.partition(" ")[2] else "Auth required but no token provided"
            channel.close(POLICY_VIOLATION, reason)
            return
        if introduced:
            channel.send(json.dumps({"type": "auth_success"}))
        self.handler(self.view, self.parameters, channel)

    def _is_open(self) -> bool:
        """Return whether anyone may send events without saying who it is."""
        return self.handler is events_in and not self.view.workspace_id and self.view.release < HANDSHAKE_SINCE


def _authorization(view: View, message: Row) -> str:
    """Return the header that carries the same credentials as the first message of a WebSocket."""
    token = str(message.get("token") or "")
    if view.authorization.startswith("Basic "):
        return "Basic " + base64.b64encode(token.encode()).decode()
    return f"Bearer {token}"


def _message(channel: Channel) -> Optional[Row]:
    text = channel.receive()
    return None if text is None else _parsed(text)


def _parsed(text: str) -> Row:
    """Return the JSON object in a message; an empty one where it holds something else."""
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


# -- handlers ----------------------------------------------------------------------------------------------------------


def events_in(view: View, _: Dict[str, str], channel: Channel) -> None:
    """Store the events that a client sends."""
    while True:
        event = _message(channel)
        if event is None:
            return
        if "event" in event and "resource" in event:
            receive_event(view, event)


def events_out(view: View, _: Dict[str, str], channel: Channel) -> None:
    """Send the events that fit the client's filter, from now on."""
    _follow(view.events, channel, "event", event_matches)


def logs_out(view: View, _: Dict[str, str], channel: Channel) -> None:
    """Send the logs that fit the client's filter, from now on."""
    _follow(view.log_stream, channel, "log", matches)


def _follow(stream: EventStream, channel: Channel, kind: str, fits: Callable[[Row, Row], bool]) -> None:
    request = _message(channel)
    if request is None:
        return
    if request.get("type") != "filter":
        channel.close(POLICY_VIOLATION, "Expected 'filter' message")
        return
    subscription = stream.subscribe()
    try:
        while channel.is_open():
            try:
                item = subscription.next(POLL_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                return
            if fits(item, request.get("filter") or {}):
                channel.send(json.dumps({"type": kind, kind: item}))
    finally:
        subscription.cancel()


def worker_channel(view: View, parameters: Dict[str, str], channel: Channel) -> None:
    """Greet a worker, and record its heartbeats."""
    while True:
        frame = _message(channel)
        if frame is None:
            return
        payload = frame.get("payload") or {}
        if frame.get("type") == "worker.hello.v1":
            channel.send(json.dumps(_ready(view, parameters["pool"], payload)))
        elif frame.get("type") == "worker.heartbeat.v1":
            with view.lock:
                pool = work_pools.by_name(view, parameters["pool"])
                work_pools.record_heartbeat(view, pool, payload["worker_name"], payload["heartbeat_interval_seconds"])


_CAPABILITIES = ("worker_heartbeat.v1", "work_pool_snapshot.v1")


def _ready(view: View, pool_name: str, hello: Row) -> Row:
    """Return the answer to a worker's greeting: its row, and the pool as it is now."""
    with view.lock:
        pool = view.work_pools.first(name=pool_name)
        if pool is None:
            template = hello.get("default_base_job_template") or {}
            pool = work_pools.insert(
                view, {"name": pool_name, "type": hello["worker_type"], "base_job_template": template}
            )
        elif not pool["base_job_template"]:
            view.work_pools.update(pool, {"base_job_template": hello.get("default_base_job_template") or {}})
        interval = hello["heartbeat_interval_seconds"]
        worker = work_pools.record_heartbeat(view, pool, hello["worker_name"], interval)
        shown = work_pools.present(view, pool)
        queues = [
            {"id": queue["id"], "name": queue["name"]}
            for queue in view.work_queues.where(work_pool_id=pool["id"])
            if queue["name"] in (hello.get("work_queue_names") or ())
        ]
    requested = [str(each) for each in hello.get("requested_capabilities") or ()]
    payload: Dict[str, Any] = {
        "consumer_id": hello["consumer_id"],
        "worker_id": worker["id"],
        "selected_channel_version": "work_pool_worker_channel.v1",
        "effective_heartbeat_interval_seconds": interval,
        "accepted_capabilities": list(_CAPABILITIES),
        "rejected_capabilities": [each for each in requested if each not in _CAPABILITIES],
        "effective_max_cleanup_concurrency": 0,
        "resolved_work_queues": queues,
        "initial_snapshot": {"snapshot_sequence": 1, "reason": "initial", "work_pool": shown},
    }
    return {"type": "worker.ready.v1", "id": str(uuid.uuid4()), "sent_at": time_text(view.now()), "payload": payload}


_router = Router(
    (
        Route("GET", "/events/in", events_in),  # type: ignore[arg-type]  # the table holds handlers of sockets
        Route("GET", "/events/out", events_out),  # type: ignore[arg-type]
        Route("GET", "/logs/out", logs_out),  # type: ignore[arg-type]
        Route("GET", "/work_pools/{pool}/workers/connect", worker_channel),  # type: ignore[arg-type]
    )
)


def find_socket(view: View, path: str, authorization: str) -> Socket:
    """Return the WebSocket at a path below a view.

    Raises:
        ApiError: 404.
    """
    match = _router.find("GET", path)
    return Socket(view, authorization, match.parameters, match.route.handler)  # type: ignore[arg-type]
