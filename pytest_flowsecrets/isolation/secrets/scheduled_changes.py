"""Changes of local secrets that wait for their time.

Prefect's context knows no time, so somebody has to change it when the time has come: ``flow_clock``, in the moment when
it is moved, so that a flow's next retry sees it; and a thread that looks at the clock, for real time and for other
libraries that freeze it. The thread lives from the first plan to the end of the isolation.
"""

from __future__ import annotations

import threading
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Callable, ContextManager, List, NamedTuple

from pytest_flowsecrets import clock

if TYPE_CHECKING:
    from datetime import datetime

_TICK = 0.02  # seconds between two looks at the clock


class ScheduledChange(NamedTuple):
    """One change.

    Attributes:
        at: when, aware.
        name: of the secret.
        value: never shown.
    """

    at: datetime
    name: str
    value: Any

    def __repr__(self) -> str:
        return f"<ScheduledChange for {self.name!r} at {self.at}>"


class ScheduledChanges:
    """The changes that are planned in one isolation.

    Args:
        lock: that of the isolations.
        change: carries a change out; false if it cannot be now.
    """

    def __init__(self, lock: ContextManager[Any], change: Callable[[str, Any], bool]) -> None:
        self._lock, self._change = lock, change
        self._pending: List[ScheduledChange] = []
        self._ended = threading.Event()

    def add(self, plan: ScheduledChange) -> None:
        """ScheduledChange a change, or carry it out if its time has come."""
        with self._lock:
            self._pending = sorted([*self._pending, plan], key=attrgetter("at"))
            self.apply_due()
            if self._pending and self.apply_due not in clock.when_moved:
                clock.when_moved.append(self.apply_due)
                threading.Thread(target=self._watch, name="flowsecrets-rotation", daemon=True).start()

    def apply_due(self) -> None:
        """Carry out what is due, in order."""
        with self._lock:
            while self._pending and self._pending[0].at <= clock.now():
                if not self._change(self._pending[0].name, self._pending[0].value):
                    break
                del self._pending[0]

    def end(self) -> None:
        """Forget what is planned."""
        with self._lock:
            self._pending.clear()
            self._ended.set()
            if self.apply_due in clock.when_moved:
                clock.when_moved.remove(self.apply_due)

    def _watch(self) -> None:
        while not self._ended.wait(_TICK):
            self.apply_due()
