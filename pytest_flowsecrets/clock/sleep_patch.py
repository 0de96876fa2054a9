"""Skip ``time.sleep`` for selected callers, such as Prefect and its HTTP client.

While a handler is registered, ``time.sleep`` passes the calling frame to the handlers. If one of them handles the call,
the sleep is skipped. Other callers really sleep.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, cast

if TYPE_CHECKING:
    from types import FrameType

# Takes the frame that calls `time.sleep` and the seconds, and returns whether to skip the sleep.
Handler = Callable[["FrameType", float], bool]

_handlers: List[Handler] = []
_originals: List[Callable[[float], None]] = [time.sleep]  # the real function, or the replacement of a test


@contextmanager
def intercept_sleep(handler: Handler) -> Iterator[None]:
    """Register a handler in the block. The handler that was entered last is called first."""
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
