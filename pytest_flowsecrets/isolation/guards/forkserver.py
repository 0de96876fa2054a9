"""The server of multiprocessing's start method ``forkserver``, of which each isolation has its own.

It is started by the first child that wants it and forks all later ones, so these have the environment of that moment:
workers of Dask in 0.5.5 would have the developer's home and variables, or those of a test before. Python has no other
way to end or to change a server than the attributes that are exchanged here (the same ones from 3.8 to 3.13).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, List, Optional, Tuple

# Its address, the file descriptor that keeps it alive, its process id.
Server = Tuple[Optional[str], Optional[int], Optional[int]]

_ATTRIBUTES = ("_forkserver_address", "_forkserver_alive_fd", "_forkserver_pid")
_NO_SERVER: Server = (None, None, None)


class ForkServers:
    """Those of an isolation, and the one that was there before."""

    def __init__(self) -> None:
        self._outer = _NO_SERVER
        self._ending: List[int] = []

    def enter(self) -> None:
        """Put the present server aside; it lives on, with its children."""
        self._outer = _exchange(_NO_SERVER)

    def renew(self) -> None:
        """Let the next child have the environment of now."""
        self._end(_exchange(_NO_SERVER))

    def exit(self) -> None:
        """Bring back the server that was there before."""
        self._end(_exchange(self._outer))
        self._outer = _NO_SERVER

    def _end(self, server: Server) -> None:
        """Let a server end; it does when the last of its children has."""
        _, alive, pid = server
        if alive is not None and pid is not None:
            os.close(alive)
            self._ending.append(pid)
        self._ending = [pid for pid in self._ending if not _reap(pid)]


def _exchange(server: Server) -> Server:
    """Make ``server`` the one of this process, and tell which one was."""
    module = sys.modules.get("multiprocessing.forkserver")
    if module is None:
        return _NO_SERVER
    held: Any = module._forkserver  # noqa: SLF001
    with held._lock:  # noqa: SLF001
        address, alive, pid = (getattr(held, name) for name in _ATTRIBUTES)
        for name, value in zip(_ATTRIBUTES, server):
            setattr(held, name, value)
    return address, alive, pid


def _reap(pid: int) -> bool:
    with suppress(ChildProcessError):  # somebody else has, or this is a fork of the process that started it
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    return True
