"""Whose turn it is: the lock of all isolations, and the rule for isolations of different threads.

A thread may nest isolations. Isolations of different threads take turns, because they would change the same
``os.environ`` and the same configuration. Only in the isolation of a whole test may those of any thread nest.

A fork waits for the lock: the child has no thread that could finish a change and release the lock.
"""

from __future__ import annotations

import os
import threading
from typing import Callable, List

from pytest_flowsecrets.errors import UsageError

MAX_WAIT = 60.0  # seconds that a thread waits for the isolations of other threads

lock = threading.RLock()
isolation_exited = threading.Condition(lock)  # notified when an isolation has been left

os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


class Owner:
    """The thread that enters an isolation.

    Args:
        of_test: whether the isolation is that of a whole test.
    """

    def __init__(self, *, of_test: bool) -> None:
        self.of_test = of_test
        self._thread = threading.current_thread()

    def may_enter(self, outer: List[Owner]) -> bool:
        """Whether this thread may enter its isolation inside of the ``outer`` ones; with the lock held."""
        self._thread = threading.current_thread()
        return all(map(self._may_nest_in, outer))

    def wait_for_turn(self, outer: Callable[[], List[Owner]]) -> None:
        """Wait until this thread may enter its isolation; meanwhile signals are handled as always.

        Args:
            outer: gives the owners of the isolations that are entered.

        Raises:
            UsageError: another thread does not leave its own isolation.
        """
        with lock:
            if isolation_exited.wait_for(lambda: self.may_enter(outer()), MAX_WAIT):
                return
            names = sorted({owner._thread.name for owner in outer() if not self._may_nest_in(owner)})  # noqa: SLF001
        raise UsageError(
            f"the thread {', '.join(names)} has had an isolation of its own for {MAX_WAIT:.0f} seconds, and "
            "isolations of different threads take turns: leave that one first, or let the threads share one"
        )

    def _may_nest_in(self, outer: Owner) -> bool:
        return outer.of_test or outer._thread is self._thread or not outer._thread.is_alive()
