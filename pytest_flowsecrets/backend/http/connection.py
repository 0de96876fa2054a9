"""One connection to a server: it reads requests and writes responses. It is independent of GraphQL.

h11 parses requests and decides whether the connection may stay open. This module adds the server's policy: the hosts
that a request may name, the responses to rejected requests, one write per response, and connections that a fault cuts.
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
from typing import Callable, Dict, Optional, Protocol, cast

import h11

from pytest_flowsecrets.backend.http import request_reader
from pytest_flowsecrets.backend.http.graphql_http import internal_fault, write_fault
from pytest_flowsecrets.backend.messages import HttpFault, Request, Response

LINGER_SECONDS = 2.0  # how long to read from a rejected client that still sends, so that it receives the response
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, section 5.5: not valid in the value of a header


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
        self._incoming = request_reader.Incoming(self._socket)
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
            slow = HttpFault(408, f"the request took more than {request_reader.REQUEST_SECONDS:.0f} seconds")
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
            self._socket.settimeout(request_reader.REQUEST_SECONDS)
            self._socket.sendall(_head(response, stays_open=stays_open) + body)
        if state not in (h11.DONE, h11.MUST_CLOSE):
            self._linger()
        return stays_open

    def _linger(self) -> None:
        """Read for a moment longer: closing the socket while data arrive would discard the response."""
        self._socket.shutdown(socket.SHUT_WR)
        end = request_reader.now() + LINGER_SECONDS
        self._socket.settimeout(LINGER_SECONDS)
        while self._socket.recv(1 << 16) and request_reader.now() < end:
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
