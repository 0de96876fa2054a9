"""Guards for the process while an isolation begins, changes and ends: a lock, deferred signals, and fork servers."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import signal
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.operating_system import register_at_fork

if TYPE_CHECKING:
    from types import FrameType

# -- the lock of all isolations, and the rule for isolations of different threads --------------------------------------
#
# A thread may nest isolations. Isolations of different threads take turns, because they change the same `os.environ`
# and the same configuration. There is one exception: inside the isolation of a whole test, any thread may nest its
# own.
#
# Tasks of one event loop cannot wait for each other here, because that would block the loop. A task may nest an
# isolation in one of its own, of a task that has created it, or of a task that is done.
#
# A fork waits for the lock, because the child process has no thread that could finish a change and release the lock.

MAX_WAIT = 60.0  # seconds for which a thread waits for the isolations of other threads

lock = threading.RLock()
isolation_exited = threading.Condition(lock)  # notified when a thread exits an isolation

# The isolations that this task, or one that has created it, has entered.
_enclosing: ContextVar[Tuple[Owner, ...]] = ContextVar("flowsecrets_enclosing", default=())

register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


class Owner:
    """The thread that enters an isolation.

    Args:
        of_test: whether the isolation belongs to a whole test.
    """

    def __init__(self, *, of_test: bool) -> None:
        self.of_test = of_test
        self._thread = threading.current_thread()
        self._task: Any = None

    def may_enter(self, outer: List[Owner]) -> bool:
        """Return whether this thread may enter its isolation inside the ``outer`` ones. The caller holds the lock."""
        self._thread, self._task = threading.current_thread(), _current_task()
        if not all(map(self._may_nest_in, outer)):
            return False
        if self._task is not None:
            self._check_tasks(outer)
        return True

    def _check_tasks(self, outer: List[Owner]) -> None:
        """Check that no other task of this event loop has an isolation that it may exit before this one.

        Raises:
            UsageError: one has.
        """
        enclosing = [owner for owner in _enclosing.get() if owner in outer]
        for owner in outer:
            if owner._task not in (None, self._task) and owner not in enclosing and not owner._task.done():  # noqa: SLF001
                raise UsageError(
                    f"the asyncio task {owner._task.get_name()} is inside an isolation, and another task enters one: "  # noqa: SLF001
                    "isolations belong to the process, so enter one around both tasks, or run them one after another"
                )
        _enclosing.set((*enclosing, self))

    def wait_for_turn(self, outer: Callable[[], List[Owner]]) -> None:
        """Wait until this thread may enter its isolation. Signal handlers run while it waits.

        Args:
            outer: returns the owners of the active isolations.

        Raises:
            UsageError: another thread does not exit its own isolation.
        """
        with lock:
            if isolation_exited.wait_for(lambda: self.may_enter(outer()), MAX_WAIT):
                return
            names = sorted({owner._thread.name for owner in outer() if not self._may_nest_in(owner)})  # noqa: SLF001
        raise UsageError(
            f"the thread {', '.join(names)} has had an isolation of its own for {MAX_WAIT:.0f} seconds, and "
            "isolations of different threads take turns: exit that one first, or let the threads share one"
        )

    def _may_nest_in(self, outer: Owner) -> bool:
        return outer.of_test or outer._thread is self._thread or not outer._thread.is_alive()


def _current_task() -> Any:
    """Return the task of asyncio in which this code runs, or None."""
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio.current_task() if asyncio else None
    except RuntimeError:  # no event loop runs in this thread
        return None


# -- signals -----------------------------------------------------------------------------------------------------------
#
# The Python handler of a signal can raise an exception in the main thread at any moment, for example
# `KeyboardInterrupt` or the failure of pytest-timeout. During a change, a temporary handler only records the signals.
# The original handlers run afterwards. Handlers that are not Python functions cannot raise, and stay in place.

Handler = Callable[[int, "Optional[FrameType]"], Any]


# The functions of `signal` convert each number and handler to an enum member, so those of `_signal` are called here.
_SIGNALS = tuple(map(int, signal.valid_signals()))


class deferred_signals:  # noqa: N801 - used as a function
    """A context manager that defers signals. It does nothing outside the main thread, where no handler runs."""

    def __init__(self) -> None:
        self._handlers: Dict[int, Handler] = {}
        self._pending: List[Tuple[int, Optional[FrameType]]] = []

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            try:
                self._replace()
            except BaseException:  # from a handler that is not replaced yet
                self._restore()
                raise

    def __exit__(self, *_: object) -> None:
        try:
            self._restore()
        except BaseException:  # from a handler that is already restored
            self._restore()
            raise
        for number, frame in self._pending:
            self._handlers[number](number, frame)

    def _replace(self) -> None:
        for number in _SIGNALS:
            handler = _signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                _signal.signal(number, self._defer)

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            if _signal.getsignal(number) == self._defer:
                _signal.signal(number, handler)

    def _defer(self, number: int, frame: Optional[FrameType]) -> None:
        self._pending.append((number, frame))


# -- fork servers: one of multiprocessing's start method `forkserver` for each isolation -------------------------------
#
# The first child process that uses this method starts the server, and the server forks all later ones. They therefore
# get the environment of that moment. Without a separate server, Dask workers in Prefect 0.5.5 would see the
# developer's home and variables, or those of an earlier test. Python offers no other way to replace a server than the
# private attributes that this module exchanges. They are the same from Python 3.8 to 3.13.

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
