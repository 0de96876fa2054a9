"""Sockets: one HTTP/1.1 server per process, on 127.0.0.1 and a free port, started when first asked for.

It knows nothing of GraphQL. A *world* is mounted at a path that nobody can guess and answers a ``Request`` with a
``Response``; everything about HTTP itself is refused or repaired here: wrong hosts, sizes, framing, slow and cut
connections. Each connection has a thread of its own, so that no client waits for another; all threads are daemons, so
that nothing outlives the process. A forked child has no server until it mounts a world itself.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from secrets import token_urlsafe
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Callable, Dict, Optional, Tuple

from pytest_flowsecrets.backend.http.connection import Connection, World
from pytest_flowsecrets.backend.messages import HttpFault

LOOPBACK = "127.0.0.1"
NAMES = frozenset({LOOPBACK, "localhost"})


# -- the server of this process ----------------------------------------------------------------------------------------

_lock = threading.Lock()
_shared: Optional[Server] = None


def address() -> Tuple[str, int]:
    """Host and port of the server of this process, which is started if it does not run yet."""
    return _server().address


def mount(world: World) -> str:
    """Make a world reachable; the result is its URL."""
    return _server().mount(world)


def unmount(world: World) -> None:
    """Requests to this world get 404 from now on. Nothing happens if it is not mounted in this process."""
    if _shared is not None:
        _shared.unmount(world)


def _server() -> Server:
    global _shared  # noqa: PLW0603 - one for the process
    with _lock:
        if _shared is None:
            _shared = Server()
            _shared.start()
        return _shared


def _forget() -> None:
    """In a forked child: its parent's server has no thread here, and its port must not be kept open."""
    global _lock, _shared
    inherited, _shared, _lock = _shared, None, threading.Lock()
    if inherited is not None:
        inherited.socket.close()


os.register_at_fork(after_in_child=_forget)


class Server(ThreadingMixIn, TCPServer):
    """An HTTP server.

    Args:
        host: address to listen at.
        port: 0 for any free one.
        allows: whether a request may name this host (in lower case, without port).
        told: the hosts that it may name, for messages.

    Raises:
        OSError: nothing can listen there.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        host: str = LOOPBACK,
        port: int = 0,
        *,
        allows: Callable[[str], bool] = NAMES.__contains__,
        told: str = " and ".join(sorted(NAMES)),
    ) -> None:
        self.allows, self.told = allows, told
        self.worlds: Dict[str, World] = {}
        self.on_refusal: Callable[[HttpFault], object] = lambda _: None  # what no world gets to see
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Connection)

    @property
    def address(self) -> Tuple[str, int]:
        """Host and port."""
        host, port = self.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Serve in a thread that ends with the process."""
        threading.Thread(target=self.serve_forever, name="flowsecrets-http", daemon=True).start()

    def mount(self, world: World, path: Optional[str] = None) -> str:
        """Make a world reachable at a path, by default one that nobody can guess; the result is its URL."""
        path = "/" + token_urlsafe(16) if path is None else path
        self.worlds[path] = world
        host, port = self.address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"

    def unmount(self, world: World) -> None:
        """Requests to this world get 404 from now on."""
        for path in [path for path, mounted in self.worlds.items() if mounted is world]:
            self.worlds.pop(path, None)

    def world_at(self, path: str) -> World:
        """The world at a path, to which clients may have appended ``/graphql`` (up to 0.10.7 ``/graphql/alpha``).

        Raises:
            HttpFault: 404.
        """
        path = path.rstrip("/")
        world = self.worlds.get(path)
        if world is None:
            world = self.worlds.get(re.sub(r"/graphql(/alpha)?\Z", "", path))
        if world is None:
            raise HttpFault(404, "no API is here, or its test has ended: take the URL from prefect_cloud.url")
        return world

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error."""
