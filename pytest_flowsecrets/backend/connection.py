"""One connection to a server: HTTP/1.1 in, a ``Request`` out, and back. Nothing here knows GraphQL.

The standard library reads the heads of requests; what it does not see to is here: who is meant (``Host``), sizes, how
bodies are framed, clients that are slow or stop in the middle, one write for each response, and cut connections.
"""

from __future__ import annotations

import logging
import re
import socket
from email.errors import MultipartInvariantViolationDefect, NoBoundaryInMultipartDefect, StartBoundaryNotFoundDefect
from http.server import BaseHTTPRequestHandler
from io import BufferedReader
from traceback import extract_tb
from typing import TYPE_CHECKING, Dict, List, Optional

from pytest_flowsecrets.backend import incoming
from pytest_flowsecrets.backend.wire import HttpFault, Request, Response, write_fault

if TYPE_CHECKING:
    from email.message import Message

    from pytest_flowsecrets.backend.server import Server

MAX_LINE = 16 * 1024  # the first line of a request, and each header
MAX_HEADERS = 64 * 1024  # all of them
MAX_BODY = 16 * 1024 * 1024
LINGER_SECONDS = 2.0  # how long what a refused client still sends is read, so that it gets to see why

# What the parser, which is one of mail, misses of a multipart body, which it is not shown.
_OF_BODIES = (StartBoundaryNotFoundDefect, NoBoundaryInMultipartDefect, MultipartInvariantViolationDefect)

_log = logging.getLogger("pytest_flowsecrets")


class Connection(BaseHTTPRequestHandler):
    """The requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    command = request_version = ""

    def setup(self) -> None:
        """Read through a buffer that knows how long a request may take."""
        super().setup()
        self.rfile.close()
        self._incoming = incoming.Incoming(self.connection)
        self.rfile = BufferedReader(self._incoming, 64 * 1024)

    def handle_one_request(self) -> None:
        """Read a request and answer it."""
        self._incoming.await_request()
        self._request: Optional[Request] = None
        self._unread = True
        self.close_connection = True
        try:
            response = self._response()
        except HttpFault as fault:
            self.close_connection = self.close_connection or self._unread
            response = write_fault(self._request, fault)
        except socket.timeout:
            if not self._incoming.started:
                return
            self.close_connection = True
            response = write_fault(
                None, HttpFault(408, f"the request took more than {incoming.REQUEST_SECONDS:.0f} seconds")
            )
        self._request = None  # it may hold values, and the connection may wait for long
        if response is not None:
            self._write(response)

    def _response(self) -> Optional[Response]:
        self.raw_requestline = self.rfile.readline(MAX_LINE + 1)
        if self.raw_requestline == b"\r\n":  # what some clients send after a body, which HTTP asks servers to pass over
            self.raw_requestline = self.rfile.readline(MAX_LINE + 1)
        if not self.raw_requestline.strip():
            return None
        if len(self.raw_requestline) > MAX_LINE:
            raise HttpFault(414, f"the first line of the request is longer than {MAX_LINE} bytes")
        self.parse_request()  # what it cannot read it refuses by `send_error`
        self._check_head()
        path, _, query = self._target().partition("?")
        headers = self._combined()
        self._request = Request(self.command, path, headers, b"", query)
        world = self.server.world_at(path)
        body = self._body()
        self._unread = False
        self._request = Request(self.command, path, headers, body, query)
        try:
            return world.answer(self._request)
        except Exception as error:  # noqa: BLE001 - a fault of ours; its text and its frames may hold values
            _log.error("%s while a request was answered, %s", type(error).__name__, _origin(error))
            raise HttpFault(500, f"a fault of this API itself: {type(error).__name__}") from None

    # -- heads --------------------------------------------------------------------------------------------------------

    def _check_head(self) -> None:
        headers: Message = self.headers
        defects = [one for one in headers.defects if not isinstance(one, _OF_BODIES)]
        if defects or headers.get_payload():
            raise HttpFault(400, "a header of the request is malformed")
        hosts: List[str] = headers.get_all("host", [])
        if len(hosts) != 1:
            raise HttpFault(400, "the request has to have one Host header")
        self._check_host(hosts[0])

    def _check_host(self, host: str) -> None:
        if not self.server.allows(re.sub(r":\d*$", "", host.strip().lower())):
            raise HttpFault(421, f"this server answers to {self.server.told} only")

    def _target(self) -> str:
        """Path and query, also of a target with scheme and host, as clients of a proxy send it."""
        absolute = re.match(r"https?://([^/?#]*)", self.path, re.IGNORECASE)
        if absolute is None:
            return self.path
        self._check_host(absolute.group(1))
        return self.path[absolute.end() :]

    def _combined(self) -> Dict[str, str]:
        """The headers by their names in lower case; one that comes twice counts as a list of both."""
        headers: Dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        if sum(map(len, headers)) + sum(map(len, headers.values())) > MAX_HEADERS:
            raise HttpFault(431, f"the headers of the request are longer than {MAX_HEADERS} bytes")
        return headers

    def handle_expect_100(self) -> bool:
        """Not before the head has been looked at; see ``_body``."""
        return True

    def send_error(self, code: int, message: Optional[str] = None, explain: Optional[str] = None) -> None:  # noqa: ARG002
        """What the standard library refuses, in our shape, and without what it shows of the request."""
        raise HttpFault(code, f"{_phrase(code)}: the head of the request is not one of HTTP/1.1")

    # -- bodies -------------------------------------------------------------------------------------------------------

    def _body(self) -> bytes:
        codings, lengths = (self.headers.get_all(name, []) for name in ("transfer-encoding", "content-length"))
        if codings and (lengths or self.request_version < "HTTP/1.1"):
            raise HttpFault(400, "Transfer-Encoding does not go with Content-Length or HTTP/1.0")
        if codings and ",".join(codings).strip().lower() != "chunked":
            raise HttpFault(501, "the only Transfer-Encoding that this server knows is chunked")
        if len(set(lengths)) > 1 or not all(re.fullmatch("[0-9]{1,18}", length.strip()) for length in lengths):
            raise HttpFault(400, "Content-Length has to be one number")
        length = int(lengths[0]) if lengths else 0
        if length > MAX_BODY:
            raise _too_large()
        if (codings or length) and self.headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self._chunks() if codings else self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise HttpFault(400, "the body ended before its Content-Length")
        return body

    def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            size = re.fullmatch(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?\r\n", self.rfile.readline(MAX_LINE))
            if size is None:
                raise HttpFault(400, "the chunks of the body are malformed")
            length = int(size.group(1), 16)
            if len(body) + length > MAX_BODY:
                raise _too_large()
            if length == 0:
                break
            chunk = self.rfile.read(length + 2)
            if chunk[length:] != b"\r\n":
                raise HttpFault(400, "the chunks of the body are malformed or end too early")
            body += chunk[:length]
        self._skip_trailers()
        return bytes(body)

    def _skip_trailers(self) -> None:
        size = 0
        while True:
            line = self.rfile.readline(MAX_LINE)
            size += len(line)
            if not line.endswith(b"\n") or size > MAX_HEADERS:
                raise HttpFault(400, "the chunks of the body are malformed or end too early")
            if not line.strip():
                return

    # -- responses ----------------------------------------------------------------------------------------------------

    def _write(self, response: Response) -> None:
        """One write for head and body: two would wait for each other on some systems."""
        self.close_connection = self.close_connection or response.sent < 1
        lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines += [f"Content-Length: {len(response.body)}", f"Date: {self.date_time_string()}"]
        if self.close_connection:
            lines.append("Connection: close")
        elif self.request_version == "HTTP/1.0":
            lines.append("Connection: keep-alive")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        body = response.body[: int(len(response.body) * response.sent)]
        if response.sent > 0:
            self.connection.settimeout(incoming.REQUEST_SECONDS)
            self.connection.sendall(head + (b"" if self.command == "HEAD" else body))
        if self._unread:
            self._linger()

    def _linger(self) -> None:
        """Read on for a moment: closing while data arrive would throw the response away."""
        self.connection.shutdown(socket.SHUT_WR)
        end = incoming.now() + LINGER_SECONDS
        self.connection.settimeout(LINGER_SECONDS)
        while self.connection.recv(1 << 16) and incoming.now() < end:
            pass


def _origin(error: Exception) -> str:
    frame = extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _phrase(status: int) -> str:
    return BaseHTTPRequestHandler.responses.get(status, ("",))[0]


def _too_large() -> HttpFault:
    return HttpFault(413, f"the body is larger than {MAX_BODY // 1024 // 1024} MiB")
