"""Block the default address of Prefect Cloud inside an isolation.

The configuration contains an unreachable address, which Prefect passes on to child processes, Dask workers and agents.
In this process, ``requests``, the transport of every Prefect client, raises an error that describes the alternatives.
It also blocks the default address itself, at the last step of a request, so that HTTP mocks still work.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, List, Tuple
from urllib.parse import urlsplit

from pytest_flowsecrets.errors import CloudUnreachable
from pytest_flowsecrets.isolation.prefect1.loader import CLOUD_ADDRESS
from pytest_flowsecrets.names import PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.prefect1.loader import Loader

# `requests` does not know this scheme and raises an error immediately. It would retry a refused connection for 63 s.
UNREACHABLE = "unreachable://from-an-isolated-test--use-the-fixture-prefect_cloud-or-prefect_server"

_HOST = urlsplit(CLOUD_ADDRESS).hostname


def block_default_address(loader: Loader, set_variable: Callable[[str, str], object]) -> None:
    """Replace the default address of Cloud by an unreachable one, unless the test or its files set the address.

    Args:
        loader: knows the setting and the files of this version.
        set_variable: sets a variable.
    """
    variable = f"{PREFIX}CLOUD__{loader.cloud_key.upper()}"
    if os.environ.get(variable, UNREACHABLE) == UNREACHABLE:
        os.environ.pop(variable, None)
        if not loader.is_set_in_files("cloud", loader.cloud_key):
            set_variable(variable, UNREACHABLE)


class CloudGuard:
    """While active, makes ``requests`` raise CloudUnreachable for the default address of Cloud."""

    def __init__(self) -> None:
        self._active = False
        self._patches: List[Tuple[Any, str, Any, Any]] = []

    def enter(self) -> None:
        """Activate the guard."""
        from requests import Session
        from requests.adapters import HTTPAdapter

        self._active = True
        self._patch(Session, "get_adapter", lambda url: url.startswith(UNREACHABLE))
        self._patch(HTTPAdapter, "send", lambda request: urlsplit(request.url).hostname == _HOST)

    def _patch(self, owner: Any, name: str, is_blocked: Callable[[Any], bool]) -> None:
        original = getattr(owner, name)

        def guard(this: Any, *args: Any, **kwargs: Any) -> Any:
            if self._active and is_blocked([*args, *kwargs.values()][0]):
                raise CloudUnreachable(
                    f"{CLOUD_ADDRESS} cannot be reached from an isolated test: use the fixture prefect_cloud "
                    "(or prefect_server), or set PREFECT__CLOUD__API in the test to the address of your own API"
                )
            return original(this, *args, **kwargs)

        setattr(owner, name, guard)
        self._patches.append((owner, name, original, guard))

    def exit(self) -> None:
        """Deactivate the guard."""
        self._active = False
        for owner, name, original, guard in self._patches:
            if getattr(owner, name) is guard:  # otherwise a mock has replaced the guard, and restores it later
                setattr(owner, name, original)
        self._patches.clear()
