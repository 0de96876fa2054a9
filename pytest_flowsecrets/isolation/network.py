"""The default address of Prefect Cloud, out of reach from inside an isolation.

In this process the transport of every Prefect client, ``requests``, refuses it at the last moment, so that a test
which mocks HTTP (``responses``, ``requests-mock``) still gets its mock. A child process is given an address that leads
nowhere.
"""

from __future__ import annotations

from typing import Any, Callable
from urllib.parse import urlsplit

from pytest_flowsecrets.errors import CloudUnreachable
from pytest_flowsecrets.isolation.legacy import CLOUD_ADDRESS

# `requests` knows no such scheme and says so at once, with the address; a refused connection it would retry for 63 s.
NOWHERE = "unreachable://from-an-isolated-test--use-the-fixture-prefect_cloud-or-prefect_server"

_HOST = urlsplit(CLOUD_ADDRESS).hostname


class CloudGuard:
    """While entered, ``requests`` raises CloudUnreachable instead of connecting to the default Cloud address."""

    def __init__(self) -> None:
        self._active = False
        self._original: Callable[..., Any] = _unset
        self._guard: Callable[..., Any] = _unset

    def enter(self) -> None:
        """Put the guard in place."""
        adapters = _adapters()
        original = adapters.send

        def send(adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            if self._active and urlsplit(request.url).hostname == _HOST:
                raise CloudUnreachable(
                    f"{CLOUD_ADDRESS} cannot be reached from an isolated test: use the fixture prefect_cloud "
                    "(or prefect_server), or set PREFECT__CLOUD__API in the test to an API of your own"
                )
            return original(adapter, request, *args, **kwargs)

        self._active, self._original, self._guard = True, original, send
        adapters.send = send

    def exit(self) -> None:
        """Let everything through again."""
        if not self._active:  # never entered: there is no Prefect, and maybe no `requests` either
            return
        self._active = False
        if _adapters().send is self._guard:  # otherwise a mock stands on top of it, and brings it back later
            _adapters().send = self._original


def _adapters() -> Any:
    from requests.adapters import HTTPAdapter

    return HTTPAdapter


def _unset(*_: Any, **__: Any) -> None:
    raise AssertionError("the guard was not entered")
