"""The real ``prefect.Client`` of this process, made ready to talk to a fake API: no waits, no proxy."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ContextManager, Dict, Iterator, List, NamedTuple, Optional

from pytest_flowsecrets import clock
from pytest_flowsecrets.clock import sleep_patch

if TYPE_CHECKING:
    from types import FrameType


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


# The real ``prefect.Client`` of the installed version, ready to talk to a fake API.


def make_client(url: str, key: Optional[str], tenant_id: Optional[str]) -> Any:
    """A client for one API and key, whatever Prefect's configuration says.

    From 0.15.0 on clients have keys, before that API tokens; 0.5.5 to 0.6.3 take theirs from the configuration only, so
    there it is put in its place.
    """
    from inspect import signature

    from prefect import Client

    arguments = signature(Client).parameters
    if "api_key" in arguments:
        return Client(api_server=url, api_key=key, tenant_id=tenant_id)
    if "api_token" in arguments:
        return Client(api_server=f"{url}/graphql", api_token=key)
    client = Client(graphql_server=f"{url}/graphql")
    client.token = key
    return client


# The client of Prefect 1.x without its patience.
#
# After 500, 502, 503, 504 and cut connections it tries six times more within 63 seconds, after ``API_ERROR`` six
# times within 16, after 429 it naps for three minutes; only for the last there are settings. The tries count for a
# test, the waiting does not. While time is frozen the waits move the clock (``pytest_flowsecrets.clock``).


def impatient(path: str) -> ContextManager[None]:
    """While entered, Prefect's client in this process waits for nothing between its tries at the API at ``path``."""

    def skips(caller: FrameType, _: float) -> bool:
        if clock.is_frozen():
            return False
        module = sleep_patch.module_of(caller)
        return module.startswith("prefect.client.") or (
            module == "urllib3.util.retry" and _tried(caller.f_locals.get("self")).startswith(path)
        )

    return sleep_patch.handled(skips)


def _tried(retry: Any) -> str:
    """The path that was tried, of a ``urllib3.Retry``."""
    history = getattr(retry, "history", None)
    return str(history[-1].url) if history else ""
