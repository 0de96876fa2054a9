"""Read requests from a socket. h11 parses and frames them; this module limits their size and duration.

It reads the time with ``clock_gettime``, which libraries that freeze time do not replace.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Optional

import h11

from pytest_flowsecrets.backend.messages import HttpFault

if TYPE_CHECKING:
    import socket

IDLE_SECONDS = 60.0  # how long a connection may wait for its next request
REQUEST_SECONDS = 20.0  # how long a request may take to arrive, from its first byte to its last
MAX_LINE = 16 * 1024  # bytes of the request line
MAX_HEADERS = 64 * 1024  # bytes of all headers
MAX_HEADER_COUNT = 100
MAX_BODY = 16 * 1024 * 1024
_CHUNK = 64 * 1024  # a larger buffer would be mapped again for each call of recv


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
