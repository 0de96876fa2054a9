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


class Plan(NamedTuple):
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
        return f"<Plan for {self.name!r} at {self.at}>"


class Rotations:
    """The changes that are planned in one isolation.

    Args:
        lock: that of the isolations.
        change: carries a change out; false if it cannot be now.
    """

    def __init__(self, lock: ContextManager[Any], change: Callable[[str, Any], bool]) -> None:
        self._lock, self._change = lock, change
        self._plans: List[Plan] = []
        self._ended = threading.Event()

    def plan(self, plan: Plan) -> None:
        """Plan a change, or carry it out if its time has come."""
        with self._lock:
            self._plans = sorted([*self._plans, plan], key=attrgetter("at"))
            self.carry_out()
            if self._plans and self.carry_out not in clock.when_moved:
                clock.when_moved.append(self.carry_out)
                threading.Thread(target=self._watch, name="flowsecrets-rotation", daemon=True).start()

    def carry_out(self) -> None:
        """Carry out what is due, in order."""
        with self._lock:
            while self._plans and self._plans[0].at <= clock.now():
                if not self._change(self._plans[0].name, self._plans[0].value):
                    break
                del self._plans[0]

    def end(self) -> None:
        """Forget what is planned."""
        with self._lock:
            self._plans.clear()
            self._ended.set()
            if self.carry_out in clock.when_moved:
                clock.when_moved.remove(self.carry_out)

    def _watch(self) -> None:
        while not self._ended.wait(_TICK):
            self.carry_out()
