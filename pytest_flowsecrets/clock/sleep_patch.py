"""The naps of Prefect and of its HTTP client, which a test need not sleep through.

``time.sleep`` stays what it is for everybody but them: as long as somebody handles naps, it looks at which module calls
it, and asks those who handle naps whether this one is theirs.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, cast

if TYPE_CHECKING:
    from types import FrameType

# Given the frame that calls `time.sleep` and the seconds; true if that was it.
Handler = Callable[["FrameType", float], bool]

_handlers: List[Handler] = []
_sleeps: List[Callable[[float], None]] = [time.sleep]  # the real one, or what a test has put in its place


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Ask ``handler`` about naps; of several, the one that was entered last is asked first."""
    if not _handlers and time.sleep is not cast("Any", _sleep):
        _sleeps[0], time.sleep = time.sleep, cast("Any", _sleep)
    _handlers.append(handler)
    try:
        yield
    finally:
        _handlers.remove(handler)
        if not _handlers and time.sleep is cast("Any", _sleep):  # else somebody has put theirs on top, and takes it off
            time.sleep = cast("Any", _sleeps[0])


def _sleep(seconds: float) -> None:
    caller = sys._getframe(1)  # noqa: SLF001 - who naps
    if not any(handler(caller, seconds) for handler in reversed(_handlers)):
        _sleeps[0](seconds)


def module_of(caller: FrameType) -> str:
    """The module that a frame belongs to."""
    return str(caller.f_globals.get("__name__"))
