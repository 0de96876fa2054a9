"""One connection to a server: it reads requests and writes responses. It is independent of GraphQL.

h11 parses requests and decides whether the connection may stay open. This module adds the server's policy: the hosts
that a request may name, the size and duration of requests, the responses to rejected ones, one write per response, and
connections that a fault cuts. Libraries that freeze time do not replace ``clock_gettime``, which measures durations.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from socketserver import BaseRequestHandler
from typing import Any, Callable, Dict, Optional, Protocol, cast

import h11

from pytest_flowsecrets.backend.http.graphql_http import internal_fault, write_fault
from pytest_flowsecrets.backend.messages import HttpFault, Request, Response

IDLE_SECONDS = 60.0  # how long a connection may wait for its next request
REQUEST_SECONDS = 20.0  # how long a request may take to arrive, from its first byte to its last
MAX_LINE = 16 * 1024  # bytes of the request line
MAX_HEADERS = 64 * 1024  # bytes of all headers
MAX_HEADER_COUNT = 100
MAX_BODY = 16 * 1024 * 1024
LINGER_SECONDS = 2.0  # how long to read from a rejected client that still sends, so that it receives the response
_CHUNK = 64 * 1024  # a larger buffer would be mapped again for each call of recv
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, section 5.5: not valid in the value of a header


# -- requests ----------------------------------------------------------------------------------------------------------


class Incoming:
    """Reads the requests of one connection, one after the other.

    Each request has a new ``h11.Connection``, which also frames its response. Bytes of the next request are carried
    over.

    Attributes:
        protocol: the ``h11.Connection`` of the current request.
        started: whether a byte of the current request has arrived.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.protocol = _new_protocol()
        self.started = False
        self._end = 0.0

    def head(self) -> Optional[h11.Request]:
        """Read request line and headers of the next request. Return None if the client closed the connection.

        Empty lines before it are ignored (RFC 9112, section 2.2).

        Raises:
            HttpFault: 400, 414, 431, 501 or 505.
            socket.timeout: the connection was idle, or the request slow.
        """
        data = self.protocol.trailing_data[0].lstrip(b"\r\n")
        self.protocol = _new_protocol()
        self.started = False
        while not data:
            received = self._receive()
            if not received:
                return None
            data = received.lstrip(b"\r\n")
        self.protocol.receive_data(data)
        try:
            head = self._next_event()
        except h11.RemoteProtocolError as error:
            raise self._head_fault(error) from None
        _check_head(head)
        return head  # type: ignore[no-any-return]

    def body(self, head: h11.Request) -> bytes:
        """Read the body of the request with this head. Send ``100 Continue`` first if the client waits for it.

        Raises:
            HttpFault: 400 or 413.
            socket.timeout: the request is slow.
        """
        names = {name: value for name, value in head.headers}  # noqa: C416 - Headers is a sequence, dict() wants keys
        if b"transfer-encoding" in names and (b"content-length" in names or head.http_version < b"1.1"):
            raise HttpFault(400, "Transfer-Encoding cannot be combined with Content-Length or HTTP/1.0")
        if int(names.get(b"content-length", 0)) > MAX_BODY:
            raise _too_large()
        if self.protocol.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            self._socket.sendall(self.protocol.send(go_on))
        try:
            return self._all_data()
        except h11.RemoteProtocolError:
            raise HttpFault(400, "the body ended too early, or its chunks are malformed") from None

    def _all_data(self) -> bytes:
        body = bytearray()
        event = self._next_event()
        while isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY:
                raise _too_large()
            event = self._next_event()
        return bytes(body)

    def _next_event(self) -> Any:
        event = self.protocol.next_event()
        while event is h11.NEED_DATA:
            self.protocol.receive_data(self._receive())
            event = self.protocol.next_event()
        return event

    def _receive(self) -> bytes:
        self._socket.settimeout(max(0.001, self._end - now()) if self.started else IDLE_SECONDS)
        data = self._socket.recv(_CHUNK)
        if not self.started:
            self.started, self._end = True, now() + REQUEST_SECONDS
        return data

    def _head_fault(self, error: h11.RemoteProtocolError) -> HttpFault:
        """Convert an error of h11 to a fault that does not quote the request."""
        if error.error_status_hint == 431:  # noqa: PLR2004 - Request Header Fields Too Large
            whole_line = b"\n" in self.protocol.trailing_data[0]
            return _long_headers() if whole_line else _long_line()
        if error.error_status_hint == 501:  # noqa: PLR2004 - Not Implemented
            return HttpFault(501, "this server supports no Transfer-Encoding except chunked")
        if "Host: header" in str(error):
            return HttpFault(400, "the request must have exactly one Host header")
        return HttpFault(400, "the head of the request is not valid HTTP/1.1")


def _new_protocol() -> h11.Connection:
    return h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADERS)


def _check_head(head: h11.Request) -> None:
    if head.http_version not in (b"1.0", b"1.1"):
        raise HttpFault(505, "this server speaks HTTP/1.1")
    if len(head.target) > MAX_LINE:
        raise _long_line()
    size = sum(len(name) + len(value) for name, value in head.headers)
    if size > MAX_HEADERS or len(head.headers) > MAX_HEADER_COUNT:
        raise _long_headers()


def _long_line() -> HttpFault:
    return HttpFault(414, f"the first line of the request is longer than {MAX_LINE} bytes")


def _long_headers() -> HttpFault:
    return HttpFault(431, f"the headers of the request exceed {MAX_HEADER_COUNT} fields or {MAX_HEADERS} bytes")


def _too_large() -> HttpFault:
    return HttpFault(413, f"the body is larger than {MAX_BODY // 1024 // 1024} MiB")


def now() -> float:
    """Return the time of a monotonic clock that no library freezes."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


# -- answers -----------------------------------------------------------------------------------------------------------


class World(Protocol):
    """An API that a server can mount at a path."""

    def answer(self, request: Request) -> Response:
        """Return the response to a request; this method does not raise."""


class Mounts(Protocol):
    """The server of a connection, which knows the accepted hosts and the mounted APIs."""

    allows: Callable[[str], bool]
    host_names: str
    on_refusal: Callable[[HttpFault], object]

    def world_at(self, path: str) -> World:
        """Return the API at a path."""


class Connection(BaseRequestHandler):
    """Handles the requests of one connection, one after the other."""

    def handle(self) -> None:
        """Answer requests until one side closes the connection."""
        self._mounts = cast("Mounts", self.server)
        self._socket: socket.socket = self.request
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming = Incoming(self._socket)
        while self._exchange():
            pass

    def _exchange(self) -> bool:
        """Answer one request, and return whether the connection stays open for another one."""
        request: Optional[Request] = None
        try:
            head = self._incoming.head()
            if head is None:
                return False
            request = self._request(head)
            world = self._mounts.world_at(request.path)
            if "upgrade" in request.headers and self.upgrade(head, request):
                return False
            request = replace(request, body=self._incoming.body(head))
            response = _answer(world, request)
        except HttpFault as fault:
            self._mounts.on_refusal(fault)
            response = write_fault(request, fault)
        except socket.timeout:
            if not self._incoming.started:
                return False
            slow = HttpFault(408, f"the request took more than {REQUEST_SECONDS:.0f} seconds")
            response = write_fault(None, slow)
        return self._write(response, head_only=request is not None and request.method == "HEAD")

    def upgrade(self, head: h11.Request, request: Request) -> bool:  # noqa: ARG002 - for subclasses
        """Serve another protocol that a request asks for, until it ends; False answers the request as usual.

        An ``Upgrade`` header may be ignored (RFC 9110, section 7.8).
        """
        return False

    # -- heads --------------------------------------------------------------------------------------------------------

    def _request(self, head: h11.Request) -> Request:
        """Return the request with this head, without its body.

        Raises:
            HttpFault: 400 or 421.
        """
        headers = _combined(head)
        if "host" not in headers:
            raise HttpFault(400, "the request must have exactly one Host header")
        self._check_host(headers["host"])
        path, _, query = self._target(head.target.decode("ascii")).partition("?")
        return Request(head.method.decode("ascii"), path, headers, b"", query)

    def _check_host(self, host: str) -> None:
        if not self._mounts.allows(re.sub(r":\d*$", "", host.lower())):
            raise HttpFault(421, f"this server accepts requests to {self._mounts.host_names} only")

    def _target(self, target: str) -> str:
        """Return path and query. Clients of a proxy send a target with scheme and host, which is checked too."""
        absolute = re.match(r"https?://([^/?#]*)", target, re.IGNORECASE)
        if absolute is None:
            return target
        self._check_host(absolute.group(1))
        return target[absolute.end() :]

    # -- responses ----------------------------------------------------------------------------------------------------

    def _write(self, response: Response, *, head_only: bool) -> bool:
        """Write a response, and return whether the connection stays open.

        Head and body are sent in one write: on some systems, the second of two writes waits for an acknowledgement.
        """
        state = self._incoming.protocol.their_state
        stays_open = state is h11.DONE and response.sent == 1
        if response.sent > 0:
            body = b"" if head_only else response.body[: int(len(response.body) * response.sent)]
            self._socket.settimeout(REQUEST_SECONDS)
            self._socket.sendall(_head(response, stays_open=stays_open) + body)
        if state not in (h11.DONE, h11.MUST_CLOSE):
            self._linger()
        return stays_open

    def _linger(self) -> None:
        """Read for a moment longer: closing the socket while data arrive would discard the response."""
        self._socket.shutdown(socket.SHUT_WR)
        end = now() + LINGER_SECONDS
        self._socket.settimeout(LINGER_SECONDS)
        while self._socket.recv(1 << 16) and now() < end:
            pass


def _answer(world: World, request: Request) -> Response:
    try:
        return world.answer(request)
    except Exception as error:  # noqa: BLE001 - its text and frames may contain values
        raise internal_fault(500, error) from None


def _combined(head: h11.Request) -> Dict[str, str]:
    """Return the headers with names in lower case. The values of a repeated header are joined with commas.

    Raises:
        HttpFault: 400, a value contains a control character.
    """
    headers: Dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        if _CONTROLS.search(value):
            raise HttpFault(400, "a header of the request contains a control character")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _head(response: Response, *, stays_open: bool) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    lines += [f"Content-Length: {len(response.body)}", f"Date: {_date(int(time.time()))}"]
    return "\r\n".join([*lines, *([] if stays_open else ["Connection: close"]), "", ""]).encode("latin-1")


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


@lru_cache(maxsize=32)
def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
