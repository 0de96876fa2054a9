"""One clock: every timestamp of the fake API comes from ``now``, and a test can freeze and move it, Prefect's along.

Freezing is freezegun's work: it makes ``datetime``, ``time.time`` and what is built on them (pendulum 2 and 3, so
Prefect's states, schedules and ``prefect.context`` dates) tell one moment in all threads of this process. On top of it:

- Prefect naps until a retry or a schedule is due, and while time stands still that would be for ever. So where Prefect
  calls ``time.sleep``, or its HTTP client between two tries, the clock moves instead. For everybody else it waits.
- Event loops keep the real time, so that Dask, asyncio and time-outs of sockets go on.

Child processes have a clock of their own: the real one.
"""

from __future__ import annotations

import datetime as dt
import threading
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Optional, Union, cast

from pytest_flowsecrets.clock import sleep_patch
from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from types import FrameType

    from freezegun.api import FrozenDateTimeFactory

When = Union[str, dt.date, dt.datetime]
Delta = Union[float, dt.timedelta]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_LAST = dt.datetime.max.replace(tzinfo=dt.timezone.utc)
_NAPPERS = ("prefect.core.", "prefect.engine.", "prefect.client.", "urllib3.util.retry")

# Modules for which `time` goes on: Dask waits for intervals to pass, and pytest tells how long a test took. The client
# of Kubernetes loads its models when freezegun looks at it, and they refuse frozen types.
_REAL = ["distributed", "tornado", "_pytest.timing", "kubernetes"]

_clocks: List[FlowClock] = []  # the innermost is the last
when_moved: List[Callable[[], object]] = []  # whoever waits for a time is called after each move of a clock


def now() -> dt.datetime:
    """The time, frozen or not: aware, in UTC, and a plain ``datetime``, never a subclass of a library that freezes."""
    return _EPOCH + (dt.datetime.now(dt.timezone.utc) - _EPOCH)


@contextmanager
def frozen_clock(at: Optional[When] = None) -> Iterator[FlowClock]:
    """Let time stand still, and move it by hand; afterwards it is real again. Can be nested.

    Args:
        at: when to begin; now by default. As for ``FlowClock.move_to``.

    Raises:
        UsageError: ``at`` is no time.
    """
    from freezegun import freeze_time

    _import_prefect()
    start = now() if at is None else as_moment(at)
    freezing = freeze_time(start.replace(tzinfo=None), real_asyncio=True, ignore=_REAL)
    freezing.start()
    clock = FlowClock()
    try:
        with sleep_patch.handled(clock.pass_nap):
            _clocks.append(clock)
            yield clock
    finally:
        _clocks.remove(clock)
        freezing.stop()


def is_frozen() -> bool:
    """Whether a ``frozen_clock`` is entered."""
    return bool(_clocks)


class FlowClock:
    """Time that stands still until it is moved. Made by ``frozen_clock``.

    There is one time: where several clocks are nested, or freezegun itself is at work, they all move the innermost.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<FlowClock {self.now.isoformat(sep=' ')}>"

    @property
    def now(self) -> dt.datetime:
        """The time, aware and in UTC."""
        return now()

    def move_to(self, when: When) -> dt.datetime:
        """Set the clock, also back.

        Args:
            when: a time, or the beginning of a day; what says no time zone is in UTC. Text is in the ISO format:
                ``2026-01-31``, ``2026-01-31T08:00:00+01:00``.

        Raises:
            UsageError: it is no time.
        """
        moment = as_moment(when)
        with self._lock:
            _standing(self).move_to(moment.replace(tzinfo=None))
        _tell()
        return moment

    def tick(self, delta: Delta = 1.0) -> dt.datetime:
        """Let time pass.

        Args:
            delta: seconds, or a ``timedelta``.

        Raises:
            UsageError: it is neither, or negative, or would end after the year 9999.
        """
        passed = _passed(delta)
        with self._lock:
            if passed > _LAST - now():
                raise UsageError(f"{passed} from {now()} on is after the year 9999, where clocks end")
            _standing(self).tick(passed)
        _tell()
        return now()

    def pass_nap(self, caller: FrameType, seconds: float) -> bool:
        """Let the time pass that Prefect would sleep; whether it is Prefect that wants to."""
        if self is not _clocks[-1] or not sleep_patch.module_of(caller).startswith(_NAPPERS):
            return False
        self.tick(max(0.0, seconds))
        return True


def _standing(clock: FlowClock) -> FrozenDateTimeFactory:
    """The time that freezegun shows, whoever has frozen it last: this clock, or somebody else inside it."""
    from freezegun.api import freeze_factories

    if clock not in _clocks:
        raise UsageError("this clock has ended, time is real again: use flow_clock within its own test only")
    return cast("FrozenDateTimeFactory", freeze_factories[-1])


def _import_prefect() -> None:
    """Before time is frozen: classes that are made while it is would keep a frozen ``datetime`` among their bases."""
    from pytest_flowsecrets.versions import installed_version, require_supported

    with suppress(Exception), warnings.catch_warnings():  # a broken configuration, say; whoever needs it will see
        version = installed_version()
        if version is not None:
            require_supported(version)
            warnings.simplefilter("ignore")  # Prefect's own imports are full of deprecations
            import prefect  # noqa: F401


def _tell() -> None:
    for waiting in tuple(when_moved):
        waiting()


def as_moment(when: When) -> dt.datetime:
    """A time as ``now`` tells it; see ``FlowClock.move_to``.

    Raises:
        UsageError: it is no time.
    """
    if isinstance(when, str):
        try:
            when = dt.datetime.fromisoformat(when.replace("Z", "+00:00"))
        except ValueError:
            raise UsageError(f"{when!r} is no time; write it as 2026-01-31T08:00:00+01:00 or 2026-01-31") from None
    if not isinstance(when, dt.date):
        raise UsageError(f"a time is a datetime, a date or a text, not {type(when).__name__}")
    if not isinstance(when, dt.datetime):
        when = dt.datetime(when.year, when.month, when.day)  # noqa: DTZ001 - the zone comes next
    moment: dt.datetime = when.replace(tzinfo=dt.timezone.utc) if when.tzinfo is None else when
    try:
        return _EPOCH + (moment - _EPOCH)
    except OverflowError:
        raise UsageError(f"{when} is outside of the years 1 to 9999 in UTC") from None


def _passed(delta: Any) -> dt.timedelta:
    if isinstance(delta, (int, float)) and not isinstance(delta, bool):
        try:
            delta = dt.timedelta(seconds=delta)
        except (OverflowError, ValueError):
            raise UsageError(f"{delta!r} seconds is more than a clock can pass") from None
    if not isinstance(delta, dt.timedelta):
        raise UsageError(f"time passes in seconds or by a timedelta, not by {type(delta).__name__}")
    if delta < dt.timedelta():
        raise UsageError("time does not pass backwards: use move_to")
    return delta
