"""A separate server of multiprocessing's start method ``forkserver`` for each isolation.

The first child process that uses this method starts the server, and the server forks all later ones. They therefore get
the environment of that moment. Without a separate server, Dask workers in Prefect 0.5.5 would see the developer's home
and variables, or those of an earlier test. Python offers no other way to replace a server than the private attributes
that this module exchanges. They are the same from Python 3.8 to 3.13.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, List, Optional, Tuple

# The address, the file descriptor that keeps the server alive, and the process id.
Server = Tuple[Optional[str], Optional[int], Optional[int]]

_ATTRIBUTES = ("_forkserver_address", "_forkserver_alive_fd", "_forkserver_pid")
_NO_SERVER: Server = (None, None, None)


class ForkServers:
    """The fork servers of one isolation, and the server from before the isolation."""

    def __init__(self) -> None:
        self._outer = _NO_SERVER
        self._ending: List[int] = []

    def enter(self) -> None:
        """Set the current server aside. The server and its children keep running."""
        self._outer = _exchange(_NO_SERVER)

    def renew(self) -> None:
        """End the server, so that the next child process gets the current environment."""
        self._end(_exchange(_NO_SERVER))

    def exit(self) -> None:
        """Restore the server from before the isolation."""
        self._end(_exchange(self._outer))
        self._outer = _NO_SERVER

    def _end(self, server: Server) -> None:
        """Ask a server to end. It ends after the last of its children."""
        _, alive, pid = server
        if alive is not None and pid is not None:
            os.close(alive)
            self._ending.append(pid)
        self._ending = [pid for pid in self._ending if not _reap(pid)]


def _exchange(server: Server) -> Server:
    """Make ``server`` the fork server of this process, and return the previous one."""
    module = sys.modules.get("multiprocessing.forkserver")
    if module is None:
        return _NO_SERVER
    manager: Any = module._forkserver  # noqa: SLF001
    with manager._lock:  # noqa: SLF001
        address, alive, pid = (getattr(manager, name) for name in _ATTRIBUTES)
        for name, value in zip(_ATTRIBUTES, server):
            setattr(manager, name, value)
    return address, alive, pid


def _reap(pid: int) -> bool:
    with suppress(ChildProcessError):  # already reaped, or this is a fork of the process that started the server
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    return True
