"""Events of the fake APIs: which secret was read, written or deleted by which request and run, and each request.

Both fake APIs emit their events here. While nobody listens, emitting does nothing. An event never contains a value.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, List, Optional

Event = Dict[str, Any]

listeners: List[Callable[[Event], object]] = []
_current = threading.local()


def emit(action: str, subject: str, *, run: str = "", note: str = "") -> None:
    """Pass an event about a secret to every listener.

    Args:
        action: ``read``, ``write`` or ``delete``.
        subject: the name of the secret.
        run: the flow and the name of the flow run that reads the secret.
        note: a remark, such as ``a rotation``.
    """
    if not listeners:
        return
    event = _event(action, subject, by="test code", run=run, note=note)
    events: Optional[List[Event]] = getattr(_current, "events", None)
    if events is not None:
        events.append(event)
    _send(event)


@contextmanager
def serving() -> Iterator[List[Event]]:
    """Yield the list of the events that this thread emits inside the ``with`` block, for ``emit_request``."""
    outer = getattr(_current, "events", None)
    events: List[Event] = []
    _current.events = events
    try:
        yield events
    finally:
        _current.events = outer


def emit_request(title: str, events: List[Event], *, status: int, key: str = "", note: str = "") -> None:
    """Pass an event about a request to every listener.

    Args:
        title: the operation or the route.
        events: the events that the request caused.
        status: the HTTP status of the answer.
        key: the scope of the key that the client sent.
        note: an error code or a fault.
    """
    if listeners:
        for event in events:
            event["by"] = title
        _send(_event("request", title, by=f"{key} key" if key else "client", status=status, note=note))


def _event(action: str, subject: str, **details: Any) -> Event:
    at = datetime.now(timezone.utc).strftime("%H:%M:%S.%f")[:-3]
    return {"at": at, "action": action, "subject": subject, "run": "", "status": 0, **details}


def _send(event: Event) -> None:
    for listener in tuple(listeners):
        listener(event)
