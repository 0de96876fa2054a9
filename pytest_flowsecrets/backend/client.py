"""The client side of a fake API: the real ``prefect.Client``, the environment's proxies, and the waits of retries."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ContextManager, Dict, Iterator, List, NamedTuple, Optional

from pytest_flowsecrets import clock
from pytest_flowsecrets.clock import intercept_sleep, module_of

if TYPE_CHECKING:
    from types import FrameType


def make_client(url: str, key: Optional[str], tenant_id: Optional[str]) -> Any:
    """Return a client for an API and a key, independent of Prefect's configuration.

    Clients use keys from 0.15.0 on, and API tokens before. The clients of 0.5.5 to 0.6.3 have no argument for the
    token, so their attribute is set.
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


# -- proxies -----------------------------------------------------------------------------------------------------------
#
# This machine is excluded from the proxies of the environment, including proxies that a test sets later.

HOSTS = ("127.0.0.1", "localhost")
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


class _Change(NamedTuple):
    before: Optional[str]
    ours: str


_lock = threading.RLock()  # reentrant: the garbage collector may exit an abandoned context in any line
_active: List[Dict[str, _Change]] = []  # the changes of each entered context, in the order of entering


@contextmanager
def without_proxy() -> Iterator[None]:
    """Add this machine to ``no_proxy`` in the block. Blocks can be nested and left in any order."""
    changes: Dict[str, _Change] = {}
    with _lock:
        _active.append(changes)
        for name in ("no_proxy", "NO_PROXY") if _may_set_no_proxy() else ():
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


def _may_set_no_proxy() -> bool:
    """Return False on macOS if no proxy variable is set: setting one would override the settings of the system."""
    return sys.platform != "darwin" or not _PROXIES.isdisjoint(name.lower() for name in os.environ)


def _leave(changes: Dict[str, _Change]) -> None:
    position = next(number for number, entry in enumerate(_active) if entry is changes)
    del _active[position]
    if position == len(_active):
        _restore(changes)
        return
    innermost = _active[-1]
    for name, change in changes.items():
        innermost.setdefault(name, change)  # the innermost context restores it when it is left


def _restore(changes: Dict[str, _Change]) -> None:
    for name, (before, ours) in changes.items():
        if os.environ.get(name) == ours:
            os.environ.pop(name)
            os.environ.update({} if before is None else {name: before})


# -- waits of retries --------------------------------------------------------------------------------------------------
#
# The client of Prefect 1.x retries six times within 63 seconds after 500, 502, 503, 504 and closed connections, and six
# times within 16 seconds after ``API_ERROR``. After 429, it sleeps for three minutes. Only the last wait has a setting.
# A test needs the retries, but not the waits. While time is frozen, the waits move ``pytest_flowsecrets.clock``.


def skip_retry_waits(path: str) -> ContextManager[None]:
    """In the block, let Prefect's client in this process retry requests to the API at ``path`` without waiting."""

    def skips(caller: FrameType, _: float) -> bool:
        if clock.is_frozen():
            return False
        module = module_of(caller)
        return module.startswith("prefect.client.") or (
            module == "urllib3.util.retry" and _last_path(caller.f_locals.get("self")).startswith(path)
        )

    return intercept_sleep(skips)


def _last_path(retry: Any) -> str:
    """Return the path of the last attempt of a ``urllib3.Retry``."""
    history = getattr(retry, "history", None)
    return str(history[-1].url) if history else ""
