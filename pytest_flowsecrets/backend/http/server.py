"""One HTTP/1.1 server per process, on 127.0.0.1 and a free port. It starts with the first API that is mounted.

The server is independent of GraphQL. A *world* is mounted at a path that cannot be guessed, and answers a ``Request``
with a ``Response``. This package handles HTTP itself: wrong hosts, sizes, framing, slow and closed connections. Each
connection has a thread of its own, so no client waits for another. All threads are daemons, so the process can end. A
forked child has no server until it mounts a world itself.
"""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from secrets import token_urlsafe
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Callable, Dict, Optional, Tuple

from pytest_flowsecrets.backend.http.connection import Connection, World
from pytest_flowsecrets.backend.messages import HttpFault
from pytest_flowsecrets.operating_system import register_at_fork

LOOPBACK = "127.0.0.1"
NAMES = frozenset({LOOPBACK, "localhost"})


# -- the server of this process ----------------------------------------------------------------------------------------

_lock = threading.Lock()
_shared: Optional[Server] = None


def address() -> Tuple[str, int]:
    """Return host and port of the server of this process. Start the server if necessary."""
    return _server().address


def mount(world: World) -> str:
    """Mount a world, and return its URL."""
    return _server().mount(world)


def unmount(world: World) -> None:
    """Unmount a world: further requests to it get 404. Do nothing if it is not mounted in this process."""
    if _shared is not None:
        _shared.unmount(world)


def _server() -> Server:
    global _shared  # noqa: PLW0603 - one for the process
    with _lock:
        if _shared is None:
            _shared = Server()
            _shared.start()
        return _shared


def drop_inherited() -> None:
    """Drop the server in a forked child, where it has no thread, and close its port."""
    global _lock, _shared
    inherited, _shared, _lock = _shared, None, threading.Lock()
    if inherited is not None:
        inherited.socket.close()


register_at_fork(after_in_child=drop_inherited)


class Server(ThreadingMixIn, TCPServer):
    """An HTTP server.

    Args:
        host: the address to listen on.
        port: the port, or 0 for any free port.
        allows: returns whether a request may name a host (in lower case, without port).
        host_names: the accepted hosts, for messages.

    Raises:
        OSError: the server cannot listen on this address.
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
        host_names: str = " and ".join(sorted(NAMES)),
    ) -> None:
        self.allows, self.host_names = allows, host_names
        self.worlds: Dict[str, World] = {}
        self.on_refusal: Callable[[HttpFault], object] = lambda _: None  # called for requests that reach no world
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Connection)

    @property
    def address(self) -> Tuple[str, int]:
        """The host and the port."""
        host, port = self.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Serve in a thread that ends with the process."""
        threading.Thread(target=self.serve_forever, name="flowsecrets-http", daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        with suppress(OSError):  # on macOS and Windows, the thread takes up to half a second to stop
            self.socket.shutdown(socket.SHUT_RDWR)  # on Linux, this wakes the thread
        self.shutdown()
        self.server_close()

    def mount(self, world: World, path: Optional[str] = None) -> str:
        """Mount a world at a path, by default one that cannot be guessed, and return its URL."""
        path = "/" + token_urlsafe(16) if path is None else path
        self.worlds[path] = world
        host, port = self.address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"

    def unmount(self, world: World) -> None:
        """Unmount a world: further requests to it get 404."""
        for path in [path for path, mounted in self.worlds.items() if mounted is world]:
            self.worlds.pop(path, None)

    def world_at(self, path: str) -> World:
        """Return the world at a path. Clients may append ``/graphql``, or ``/graphql/alpha`` up to 0.10.7.

        Raises:
            HttpFault: 404.
        """
        path = path.rstrip("/")
        world = self.worlds.get(path)
        if world is None:
            world = self.worlds.get(re.sub(r"/graphql(/alpha)?\Z", "", path))
        if world is None:
            raise HttpFault(404, "there is no API at this path, or its test has ended: use prefect_cloud.url")
        return world

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors of connections: a client may disconnect at any time."""
