"""Requests to this machine go there, and to no proxy that the environment names, now or later in a test."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Optional

HOSTS = ("127.0.0.1", "localhost")
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


class _Change(NamedTuple):
    before: Optional[str]
    ours: str


_lock = threading.RLock()  # what nobody has left is left by the garbage collector, in any line
_live: List[Dict[str, _Change]] = []  # what each that is entered has changed, in the order of entering


@contextmanager
def without_proxy() -> Iterator[None]:
    """While entered, ``no_proxy`` names this machine. Can be nested, and left in any order."""
    changes: Dict[str, _Change] = {}
    with _lock:
        _live.append(changes)
        for name in ("no_proxy", "NO_PROXY") if _heeded() else ():
            before = os.environ.get(name)
            parts = before.split(",") if before else []
            if not set(HOSTS) <= set(parts):
                os.environ[name] = ",".join([*parts, *HOSTS])
                changes[name] = _Change(before, os.environ[name])
    try:
        yield
    finally:
        with _lock:
            _leave(changes)


def _heeded() -> bool:
    """On macOS the variable would hide the system's own settings, so there it is set only beside others of its kind."""
    return sys.platform != "darwin" or not _PROXIES.isdisjoint(name.lower() for name in os.environ)


def _leave(changes: Dict[str, _Change]) -> None:
    place = next(number for number, one in enumerate(_live) if one is changes)
    del _live[place]
    later = _live[-1] if place < len(_live) else None
    for name, (before, ours) in changes.items():
        if later is None and os.environ.get(name) == ours:
            os.environ.pop(name)
            os.environ.update({} if before is None else {name: before})
        elif later is not None and name not in later:
            later[name] = _Change(before, ours)  # it goes on with this, and undoes it
