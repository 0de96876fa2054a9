"""Changes of local secrets at a later time.

Prefect's context has no notion of time, so two callers apply the changes. ``flow_clock`` applies them when the test
moves the clock, so that the next retry of a flow sees them. A thread checks the clock regularly, for real time and for
other libraries that freeze time. The thread runs from the first scheduled change to the end of the isolation.
"""

from __future__ import annotations

import threading
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Callable, ContextManager, List, NamedTuple

from pytest_flowsecrets import clock

if TYPE_CHECKING:
    from datetime import datetime

_TICK = 0.02  # seconds between two checks of the clock


class ScheduledChange(NamedTuple):
    """One change.

    Attributes:
        at: the time of the change, with a time zone.
        name: the name of the secret.
        value: the new value. It is not part of the repr.
    """

    at: datetime
    name: str
    value: Any

    def __repr__(self) -> str:
        return f"<ScheduledChange for {self.name!r} at {self.at}>"


class ScheduledChanges:
    """The scheduled changes of one isolation.

    Args:
        lock: the lock of all isolations.
        change: sets a secret, and returns False if that is not possible now.
    """

    def __init__(self, lock: ContextManager[Any], change: Callable[[str, Any], bool]) -> None:
        self._lock, self._change = lock, change
        self._pending: List[ScheduledChange] = []
        self._ended = threading.Event()

    def add(self, change: ScheduledChange) -> None:
        """Schedule a change, or apply it now if it is due."""
        with self._lock:
            self._pending = sorted([*self._pending, change], key=attrgetter("at"))
            self.apply_due()
            if self._pending and self.apply_due not in clock.move_callbacks:
                clock.move_callbacks.append(self.apply_due)
                threading.Thread(target=self._watch, name="flowsecrets-rotation", daemon=True).start()

    def apply_due(self) -> None:
        """Apply the changes that are due, in the order of their times."""
        with self._lock:
            while self._pending and self._pending[0].at <= clock.now():
                if not self._change(self._pending[0].name, self._pending[0].value):
                    break
                del self._pending[0]

    def end(self) -> None:
        """Cancel all pending changes."""
        with self._lock:
            self._pending.clear()
            self._ended.set()
            if self.apply_due in clock.move_callbacks:
                clock.move_callbacks.remove(self.apply_due)

    def _watch(self) -> None:
        while not self._ended.wait(_TICK):
            self.apply_due()
