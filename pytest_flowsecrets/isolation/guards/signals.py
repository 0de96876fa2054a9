"""Signals held back while something changes that must not stay half changed.

A signal's Python handler may raise at any moment in the main thread: ``KeyboardInterrupt``, pytest-timeout's failure.
While signals are held back, handlers are replaced by one that only notes the signal; afterwards the noted ones are
handled. Handlers that are not Python functions raise nothing, and stay.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    from types import FrameType

Handler = Callable[[int, "Optional[FrameType]"], Any]


_SIGNALS = tuple(map(int, signal.valid_signals()))  # plain numbers: an enum costs a look-up each time


class deferred_signals:  # noqa: N801 - used as a function
    """A context manager; in threads other than the main one, where no handler runs, it does nothing."""

    def __init__(self) -> None:
        self._handlers: Dict[int, Handler] = {}
        self._pending: List[Tuple[int, Optional[FrameType]]] = []

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            try:
                self._replace()
            except BaseException:  # by a handler that was not yet replaced
                self._restore()
                raise

    def __exit__(self, *_: object) -> None:
        try:
            self._restore()
        except BaseException:  # by a handler that is back already
            self._restore()
            raise
        for number, frame in self._pending:
            self._handlers[number](number, frame)

    def _replace(self) -> None:
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._defer)

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            if signal.getsignal(number) == self._defer:
                signal.signal(number, handler)

    def _defer(self, number: int, frame: Optional[FrameType]) -> None:
        self._pending.append((number, frame))
