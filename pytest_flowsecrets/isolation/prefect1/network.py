"""The default address of Prefect Cloud, out of reach from inside an isolation.

The configuration says an address that leads nowhere, and so do child processes, workers of Dask and agents, to which
Prefect hands it on. In this process ``requests``, the transport of every Prefect client, tells what to do instead; it
also refuses the default address itself, at the last moment, so that mocks of HTTP still stand in front of it.
"""

from __future__ import annotations

from typing import Any, Callable, List, Tuple
from urllib.parse import urlsplit

from pytest_flowsecrets.errors import CloudUnreachable
from pytest_flowsecrets.isolation.prefect1.loader import CLOUD_ADDRESS

# `requests` knows no such scheme and says so at once, with the address; a refused connection it would retry for 63 s.
UNREACHABLE = "unreachable://from-an-isolated-test--use-the-fixture-prefect_cloud-or-prefect_server"

_HOST = urlsplit(CLOUD_ADDRESS).hostname


class CloudGuard:
    """While entered, ``requests`` raises CloudUnreachable instead of connecting to the default Cloud address."""

    def __init__(self) -> None:
        self._active = False
        self._patches: List[Tuple[Any, str, Any, Any]] = []

    def enter(self) -> None:
        """Put the guard in place."""
        from requests import Session
        from requests.adapters import HTTPAdapter

        self._active = True
        self._patch(Session, "get_adapter", lambda url: url.startswith(UNREACHABLE))
        self._patch(HTTPAdapter, "send", lambda request: urlsplit(request.url).hostname == _HOST)

    def _patch(self, owner: Any, name: str, refused: Callable[[Any], bool]) -> None:
        original = getattr(owner, name)

        def guard(this: Any, *args: Any, **kwargs: Any) -> Any:
            if self._active and refused([*args, *kwargs.values()][0]):
                raise CloudUnreachable(
                    f"{CLOUD_ADDRESS} cannot be reached from an isolated test: use the fixture prefect_cloud "
                    "(or prefect_server), or set PREFECT__CLOUD__API in the test to an API of your own"
                )
            return original(this, *args, **kwargs)

        setattr(owner, name, guard)
        self._patches.append((owner, name, original, guard))

    def exit(self) -> None:
        """Let everything through again."""
        self._active = False
        for owner, name, original, guard in self._patches:
            if getattr(owner, name) is guard:  # otherwise a mock stands on top of it, and brings it back later
                setattr(owner, name, original)
        self._patches.clear()
