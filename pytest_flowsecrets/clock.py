"""The clock of the fake API and of Prefect, which a test can freeze and move.

All timestamps of the fake API come from ``now``. freezegun freezes ``datetime``, ``time.time`` and everything based on
them in all threads of this process: pendulum 2 and 3, and so Prefect's states, schedules and the dates in
``prefect.context``. This module adds:

- Prefect sleeps until a retry or a schedule is due, which would take forever while time is frozen. If Prefect or its
  HTTP client calls ``time.sleep``, the clock moves instead. Other callers really sleep.
- Event loops keep the real time, so Dask, asyncio and socket timeouts work.

Child processes use the real time.
"""

from __future__ import annotations

import datetime as dt
import sys
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Optional, Union, cast

from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from types import FrameType

    from freezegun.api import FrozenDateTimeFactory

When = Union[str, dt.date, dt.datetime]
Delta = Union[float, dt.timedelta]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_LAST = dt.datetime.max.replace(tzinfo=dt.timezone.utc)
_SKIPPED_CALLERS = ("prefect.core.", "prefect.engine.", "prefect.client.", "urllib3.util.retry")

# Modules that see the real time: Dask waits for intervals, and pytest measures the duration of tests. The Kubernetes
# client loads its models when freezegun inspects it, and they reject frozen types.
_UNFROZEN_MODULES = ["distributed", "tornado", "_pytest.timing", "kubernetes"]

_clocks: List[FlowClock] = []  # the innermost is the last
move_callbacks: List[Callable[[], object]] = []  # called after each move of a clock


def now() -> dt.datetime:
    """Return the current time, frozen or not, as a plain ``datetime`` in UTC, not as a subclass of freezegun's."""
    return _EPOCH + (dt.datetime.now(dt.timezone.utc) - _EPOCH)


@contextmanager
def frozen_clock(at: Optional[When] = None) -> Iterator[FlowClock]:
    """Freeze time in the block. The test moves the clock. Blocks can be nested.

    Args:
        at: the initial time, in a format that ``FlowClock.move_to`` accepts; the current time by default.

    Raises:
        UsageError: ``at`` is not a valid time.
    """
    from freezegun import freeze_time

    _import_prefect()
    start = now() if at is None else as_moment(at)
    freezing = freeze_time(start.replace(tzinfo=None), real_asyncio=True, ignore=_UNFROZEN_MODULES)
    freezing.start()
    clock = FlowClock()
    try:
        with intercept_sleep(clock.skip_sleep):
            _clocks.append(clock)
            yield clock
    finally:
        _clocks.remove(clock)
        freezing.stop()


def is_frozen() -> bool:
    """Return whether a ``frozen_clock`` is entered."""
    return bool(_clocks)


class FlowClock:
    """A clock that stands still until you move it. ``frozen_clock`` creates it.

    There is only one frozen time: nested clocks, and freezegun itself, all move the innermost one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<FlowClock {self.now.isoformat(sep=' ')}>"

    @property
    def now(self) -> dt.datetime:
        """The current time, aware and in UTC."""
        return now()

    def move_to(self, when: When) -> dt.datetime:
        """Set the clock, forward or back.

        Args:
            when: a datetime, a date (its start), or a text in ISO format such as ``2026-01-31`` or
                ``2026-01-31T08:00:00+01:00``. Times without a time zone are in UTC.

        Returns:
            The new time.

        Raises:
            UsageError: ``when`` is not a valid time.
        """
        moment = as_moment(when)
        with self._lock:
            _active_freezer(self).move_to(moment.replace(tzinfo=None))
        _notify()
        return moment

    def tick(self, delta: Delta = 1.0) -> dt.datetime:
        """Move the clock forward.

        Args:
            delta: seconds, or a ``timedelta``.

        Returns:
            The new time.

        Raises:
            UsageError: ``delta`` is not valid or negative, or the new time is after the year 9999.
        """
        step = _as_timedelta(delta)
        with self._lock:
            if step > _LAST - now():
                raise UsageError(f"{now()} plus {step} is after the year 9999")
            _active_freezer(self).tick(step)
        _notify()
        return now()

    def skip_sleep(self, caller: FrameType, seconds: float) -> bool:
        """Move the clock instead of sleeping if Prefect calls ``time.sleep``, and return whether it does."""
        if self is not _clocks[-1] or not module_of(caller).startswith(_SKIPPED_CALLERS):
            return False
        self.tick(max(0.0, seconds))
        return True


def _active_freezer(clock: FlowClock) -> FrozenDateTimeFactory:
    """Return freezegun's innermost frozen time, which this clock or other code has started."""
    from freezegun.api import freeze_factories

    if clock not in _clocks:
        raise UsageError("this clock has ended: use flow_clock only in its own test")
    return cast("FrozenDateTimeFactory", freeze_factories[-1])


def _import_prefect() -> None:
    """Import Prefect before time is frozen: classes that are created later would inherit from a frozen ``datetime``."""
    from pytest_flowsecrets.versions import installed_version, require_supported

    with suppress(Exception), warnings.catch_warnings():  # such as a broken configuration, which later imports report
        version = installed_version()
        if version is not None:
            require_supported(version)
            warnings.simplefilter("ignore")  # Prefect's imports emit many DeprecationWarnings
            import prefect  # noqa: F401


def _notify() -> None:
    for callback in tuple(move_callbacks):
        callback()


def as_moment(when: When) -> dt.datetime:
    """Convert a time that ``FlowClock.move_to`` accepts to a datetime like that of ``now``.

    Raises:
        UsageError: the time is not valid.
    """
    if isinstance(when, str):
        try:
            when = dt.datetime.fromisoformat(when.replace("Z", "+00:00"))
        except ValueError:
            raise UsageError(f"{when!r} is not a valid time; use 2026-01-31T08:00:00+01:00 or 2026-01-31") from None
    if not isinstance(when, dt.date):
        raise UsageError(f"a time must be a datetime, a date or a text, not {type(when).__name__}")
    if not isinstance(when, dt.datetime):
        when = dt.datetime(when.year, when.month, when.day)  # noqa: DTZ001 - the next line sets the time zone
    moment: dt.datetime = when.replace(tzinfo=dt.timezone.utc) if when.tzinfo is None else when
    try:
        return _EPOCH + (moment - _EPOCH)
    except OverflowError:
        raise UsageError(f"{when} is not in the years 1 to 9999 in UTC") from None


def _as_timedelta(delta: Any) -> dt.timedelta:
    if isinstance(delta, (int, float)) and not isinstance(delta, bool):
        try:
            delta = dt.timedelta(seconds=delta)
        except (OverflowError, ValueError):
            raise UsageError(f"{delta!r} seconds is not a valid duration") from None
    if not isinstance(delta, dt.timedelta):
        raise UsageError(f"tick() takes seconds or a timedelta, not {type(delta).__name__}")
    if delta < dt.timedelta():
        raise UsageError("tick() cannot move the clock back: use move_to()")
    return delta


# -- skipped calls of time.sleep ---------------------------------------------------------------------------------------

# Takes the frame that calls `time.sleep` and the seconds, and returns whether to skip the sleep.
Handler = Callable[["FrameType", float], bool]

_handlers: List[Handler] = []
_originals: List[Callable[[float], None]] = [time.sleep]  # the real function, or the replacement of a test


@contextmanager
def intercept_sleep(handler: Handler) -> Iterator[None]:
    """Ask a handler in the block whether to skip a call of ``time.sleep``.

    Args:
        handler: the handler. The one that was entered last is asked first. If no handler skips the call, it sleeps.
    """
    if not _handlers and time.sleep is not cast("Any", _sleep):
        _originals[0], time.sleep = time.sleep, cast("Any", _sleep)
    _handlers.append(handler)
    try:
        yield
    finally:
        _handlers.remove(handler)
        if not _handlers and time.sleep is cast("Any", _sleep):  # other code may have replaced it, and will restore it
            time.sleep = cast("Any", _originals[0])


def _sleep(seconds: float) -> None:
    caller = sys._getframe(1)  # noqa: SLF001 - the only way to the calling frame
    if not any(handler(caller, seconds) for handler in reversed(_handlers)):
        _originals[0](seconds)


def module_of(caller: FrameType) -> str:
    """Return the name of the module of a frame."""
    return str(caller.f_globals.get("__name__"))
