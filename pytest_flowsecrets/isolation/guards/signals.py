"""Defer signals during a change that must not be interrupted halfway.

The Python handler of a signal can raise an exception in the main thread at any moment, for example
``KeyboardInterrupt`` or the failure of pytest-timeout. During a change, a temporary handler only records the signals.
The original handlers run afterwards. Handlers that are not Python functions cannot raise, and stay in place.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    from types import FrameType

Handler = Callable[[int, "Optional[FrameType]"], Any]


_SIGNALS = tuple(map(int, signal.valid_signals()))  # integers, because an enum member costs a lookup each time


class deferred_signals:  # noqa: N801 - used as a function
    """A context manager that defers signals. It does nothing outside the main thread, where no handler runs."""

    def __init__(self) -> None:
        self._handlers: Dict[int, Handler] = {}
        self._pending: List[Tuple[int, Optional[FrameType]]] = []

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            try:
                self._replace()
            except BaseException:  # from a handler that is not replaced yet
                self._restore()
                raise

    def __exit__(self, *_: object) -> None:
        try:
            self._restore()
        except BaseException:  # from a handler that is already restored
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
