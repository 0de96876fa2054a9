"""The API that an isolation of Prefect 2.20 or 3 gives to the client.

The secrets of these versions are rows of an API, so each isolation needs one: the fake API of ``backend.rest``, or the
real server. Both are in a layer above this one, so they are imported by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Dict, Iterable, Mapping, Protocol

_IMPLEMENTATIONS = {
    "fake": "pytest_flowsecrets.backend.rest.fake_server",
    "real": "pytest_flowsecrets.backend.prefect_server.api",
}


class Api(Protocol):
    """An API with the rows of one test."""

    @property
    def url(self) -> str:
        """The address, for ``PREFECT_API_URL``."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The variables that make the client use this API."""

    @property
    def has_secret_type(self) -> bool:
        """Whether a client has registered the block type of Secret."""

    def secret_values(self) -> Dict[str, Any]:
        """Return the stored value of each Secret block by the name of the block."""

    def set_secrets(self, values: Mapping[str, Any]) -> None:
        """Create or replace Secret blocks."""

    def remove_secrets(self, names: Iterable[str]) -> None:
        """Remove Secret blocks. Names that do not exist are ignored."""

    def set_variables(self, values: Mapping[str, Any]) -> None:
        """Create or replace variables."""

    def attach(self, isolation: Any) -> None:
        """Belong to an isolation, whose Prefect uses this API."""

    def take_over(self, other: Any) -> None:
        """Copy the Secret blocks and the variables of another API."""

    def close(self) -> None:
        """Answer no more requests."""


def open_api(version: str, *, cloud: bool = False, auth_string: str = "", server: str = "fake") -> Api:
    """Start an API for one test.

    Args:
        version: the installed version of Prefect.
        cloud: whether it is a workspace of Prefect Cloud; otherwise it is a self-hosted server.
        auth_string: the value that a self-hosted server requires in ``PREFECT_API_AUTH_STRING``; empty for none.
        server: ``fake`` or ``real``.
    """
    api: Api = import_module(_IMPLEMENTATIONS[server]).open_api(version, cloud=cloud, auth_string=auth_string)
    return api
