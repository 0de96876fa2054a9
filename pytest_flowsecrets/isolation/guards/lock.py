"""The lock of all isolations, and the rule for isolations of different threads.

A thread may nest isolations. Isolations of different threads take turns, because they change the same ``os.environ``
and the same configuration. There is one exception: inside the isolation of a whole test, any thread may nest its own.

Tasks of one event loop cannot wait for each other here, because that would block the loop. A task may nest an isolation
in one of its own, of a task that has created it, or of a task that is done.

A fork waits for the lock, because the child process has no thread that could finish a change and release the lock.
"""

from __future__ import annotations

import sys
import threading
from contextvars import ContextVar
from typing import Any, Callable, List, Tuple

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.operating_system import register_at_fork

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
