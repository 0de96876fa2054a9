"""The server of a cassette: a recorder or a player as the API of one client. It drops the messages of WebSockets."""

from __future__ import annotations

from contextlib import contextmanager
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Iterator

from pytest_flowsecrets.backend.messages import HttpFault
from pytest_flowsecrets.backend.rest.listener import Listener

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.http.connection import World
    from pytest_flowsecrets.backend.rest.listener import WebSocket


class WorldServer(Listener):
    """A server of one world, which answers all paths below a path that cannot be guessed.

    Args:
        address: the arguments of ``Server``; by default it listens at 127.0.0.1, on a free port.
    """

    def __init__(self, **address: Any) -> None:
        super().__init__(self, **address)
        self.prefix = f"/{token_urlsafe(16)}"

    @property
    def root(self) -> str:
        """The address of the world."""
        return self.url + self.prefix

    @contextmanager
    def serving(self, world: World) -> Iterator[str]:
        """Serve a world in a thread inside the ``with`` block, and yield its address."""
        self.worlds[self.prefix] = world
        self.start()
        try:
            yield self.root
        finally:
            self.stop()

    def world_at(self, path: str) -> World:
        """Return the world, for every path below its own.

        Raises:
            HttpFault: 404.
        """
        if not f"{path}/".startswith(f"{self.prefix}/"):
            raise HttpFault(404, "there is no API at this path")
        return self.worlds[self.prefix]

    def find_socket(self, path: str, authorization: str) -> _Sink:  # noqa: ARG002 - all are alike
        """Return a WebSocket that accepts all messages."""
        return _Sink()


class _Sink:
    """Accepts all messages, and the login of a client."""

    def serve(self, channel: WebSocket) -> None:
        """Read messages until the client closes."""
        text = channel.receive()
        while text is not None:
            if '"auth"' in text:
                channel.send('{"type": "auth_success"}')
            text = channel.receive()
