"""The sockets of a ``RestApi``, or of another API: HTTP/1.1 by ``backend.http``, WebSockets by wsproto on h11."""

from __future__ import annotations

import select
from collections import deque
from typing import TYPE_CHECKING, Any, Deque, List, Optional, Protocol
from weakref import WeakSet

from pytest_flowsecrets.backend.http.connection import Connection
from pytest_flowsecrets.backend.http.server import Server
from pytest_flowsecrets.backend.rest.errors import ApiError
from pytest_flowsecrets.operating_system import register_at_fork

if TYPE_CHECKING:
    import socket

    import h11

    from pytest_flowsecrets.backend.http.connection import World
    from pytest_flowsecrets.backend.messages import Request, Response

NORMAL_CLOSURE = 1000  # RFC 6455, section 7.4.1


class Serves(Protocol):
    """What answers the messages of a WebSocket."""

    def serve(self, channel: WebSocket) -> None:
        """Answer messages until one side closes."""


class Api(Protocol):
    """What a listener serves."""

    def answer(self, request: Request) -> Response:
        """Return the response to a request."""

    def find_socket(self, path: str, authorization: str) -> Serves:
        """Return the WebSocket that a path leads to."""


class Listener(Server):
    """A server whose only world is one API.

    Args:
        api: what answers.
        address: the arguments of ``Server``; by default it listens at 127.0.0.1, on a free port.
    """

    def __init__(self, api: Api, **address: Any) -> None:
        super().__init__(**address)
        self.api = api
        self.RequestHandlerClass = RestConnection
        self.worlds["/api"] = self

    @property
    def url(self) -> str:
        """The address, without a path; for a wildcard, the address on this machine."""
        host, port = self.address
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - only a comparison
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def world_at(self, path: str) -> World:  # noqa: ARG002 - one world
        """Return this server: the API looks for the view."""
        return self

    def answer(self, request: Request) -> Response:
        """Pass a request to the API."""
        return self.api.answer(request)

    def start(self) -> None:
        """Serve in a thread that ends with the process."""
        _listeners.add(self)
        super().start()


_listeners: WeakSet[Listener] = WeakSet()


def _forget() -> None:
    """Close the inherited sockets in a forked child, which has no thread to serve them."""
    for listener in list(_listeners):
        listener.socket.close()


register_at_fork(after_in_child=_forget)


class RestConnection(Connection):
    """The requests of one connection; one of them may turn it into a WebSocket."""

    def upgrade(self, head: h11.Request, request: Request) -> bool:
        """Serve a WebSocket until one side closes it."""
        if request.headers["upgrade"].lower() != "websocket":
            return False
        api: Api = self.server.api  # type: ignore[attr-defined]  # the server of these connections is a Listener
        channel = WebSocket(self._socket, head, self._incoming.protocol.trailing_data[0])
        try:
            handler = api.find_socket(request.path, request.headers.get("authorization", ""))
        except ApiError as error:
            channel.refuse(error.status)
            return True
        channel.accept()
        try:
            handler.serve(channel)
        finally:
            channel.close(NORMAL_CLOSURE, "")
        return True


class WebSocket:
    """The server's side of one WebSocket.

    Args:
        connection: the socket.
        head: the request that asks for it.
        received: what the client sent after it.
    """

    def __init__(self, connection: socket.socket, head: h11.Request, received: bytes) -> None:
        from wsproto import ConnectionType, WSConnection

        self._socket, self._received = connection, received
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._protocol.initiate_upgrade_connection(list(head.headers), head.target)
        self._waiting: Deque[Any] = deque()
        self._text: List[str] = []
        self._open = True
        connection.settimeout(None)

    def accept(self) -> None:
        """Accept the upgrade, with the subprotocol of Prefect."""
        from wsproto.events import AcceptConnection, Request

        for event in self._protocol.events():
            if isinstance(event, Request):
                chosen = "prefect" if "prefect" in event.subprotocols else None
                self._send(AcceptConnection(subprotocol=chosen))
        if self._received:
            self._feed(self._received)

    def refuse(self, status: int) -> None:
        """Refuse the upgrade with a status of HTTP."""
        from wsproto.events import RejectConnection

        list(self._protocol.events())
        self._send(RejectConnection(status_code=status))

    def receive(self) -> Optional[str]:
        """Return the next message; None once the client has closed."""
        while True:
            while self._waiting:
                event = self._waiting.popleft()
                if isinstance(event, str):
                    return event
                self._send(event.response())
            if not self._open:
                return None
            self._read()

    def unread(self, text: str) -> None:
        """Let the next ``receive`` return a message again."""
        self._waiting.appendleft(text)

    def is_open(self) -> bool:
        """Return whether the client is still there, after reading what it has sent; messages are dropped."""
        while self._open and select.select([self._socket], [], [], 0)[0]:
            self._read()
        while self._waiting:
            event = self._waiting.popleft()
            if not isinstance(event, str):
                self._send(event.response())
        return self._open

    def send(self, text: str) -> None:
        """Send a message; nothing happens once the client has closed."""
        from wsproto.events import TextMessage

        if self._open:
            self._send(TextMessage(data=text))

    def close(self, code: int, reason: str) -> None:
        """Close; a second call does nothing."""
        from wsproto.events import CloseConnection

        if self._open:
            self._open = False
            self._send(CloseConnection(code=code, reason=reason))

    def _send(self, event: Any) -> None:
        try:
            self._socket.sendall(self._protocol.send(event))
        except OSError:
            self._open = False

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._open = False
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Queue messages, pings and the end; pings are answered in their turn, so that a pong is a receipt."""
        from wsproto.events import CloseConnection, Ping, TextMessage

        self._protocol.receive_data(data)
        for event in self._protocol.events():
            if isinstance(event, TextMessage):
                self._text.append(event.data)
                if event.message_finished:
                    self._waiting.append("".join(self._text))
                    self._text = []
            elif isinstance(event, (Ping, CloseConnection)):
                self._waiting.append(event)
                self._open = self._open and isinstance(event, Ping)
