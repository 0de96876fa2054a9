"""What comes in on a connection, within the time that it may take.

Time is read by ``clock_gettime``, which no library that freezes time takes hold of.
"""

from __future__ import annotations

import time
from io import RawIOBase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

IDLE_SECONDS = 60.0  # how long a connection may wait for its next request
REQUEST_SECONDS = 20.0  # how long a request may take to arrive, from its first byte to its last


class Incoming(RawIOBase):
    """The bytes of a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.started = False
        self._end = 0.0

    def await_request(self) -> None:
        """The next byte is the first of a request."""
        self.started = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what is there.

        Raises:
            socket.timeout: the connection was idle, or the request slow.
        """
        self._socket.settimeout(max(0.001, self._end - now()) if self.started else IDLE_SECONDS)
        count = self._socket.recv_into(buffer)
        if not self.started:
            self.started, self._end = True, now() + REQUEST_SECONDS
        return count


def now() -> float:
    """A clock for durations that nothing freezes."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
