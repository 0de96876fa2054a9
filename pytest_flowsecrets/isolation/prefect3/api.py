"""The API that an isolation of Prefect 2.20 or 3 gives to the client.

The secrets of these versions are rows of an API, so each isolation needs one: the fake API of ``backend.rest``, or the
real server. Both are in a layer above this one, so they are imported by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import Any, Dict, Iterable, Iterator, Mapping, MutableMapping, Tuple

_IMPLEMENTATIONS = {
    "fake": "pytest_flowsecrets.backend.rest.fake_server",
    "real": "pytest_flowsecrets.backend.prefect_server.api",
}

ALLOW_SOCKETS = (
    'allow them in this test, for example with @pytest.mark.allow_hosts(["127.0.0.1"]) or --allow-hosts=127.0.0.1 of '
    "pytest-socket"
)
UNFINISHED = ("PENDING", "RUNNING", "CANCELLING")  # types of states in which the code of a run may execute


class Api(ABC):
    """An API with the rows of one test.

    Attributes:
        secrets: the Secret blocks by name; they can be set and deleted.
        variables: the variables as a mapping.
    """

    secrets: Any
    variables: MutableMapping[str, Any]
    _auth_string: str
    _isolation: Any = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address, for ``PREFECT_API_URL``."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The variables that make the client use this API."""
        auth = {"PREFECT_API_AUTH_STRING": self._auth_string} if self._auth_string else {}
        return {"PREFECT_API_URL": self.url, **auth}

    @property
    def has_ended(self) -> bool:
        """Whether nothing answers at its address any more."""
        return False

    @property
    def ended_url(self) -> str:
        """An address for runs that outlive their isolation: this API does not answer there after its end."""
        return self.url

    @property
    @abstractmethod
    def has_unfinished_runs(self) -> bool:
        """Whether a flow run has begun and has not ended."""

    @property
    @abstractmethod
    def has_secret_type(self) -> bool:
        """Whether a client has registered the block type of Secret."""

    @abstractmethod
    def secret_values(self) -> Dict[str, Any]:
        """Return the stored value of each Secret block by the name of the block."""

    @abstractmethod
    def texts(self) -> Iterator[Tuple[str, str]]:
        """Yield each text that the API stores, except the secrets of blocks, with its place."""

    def set_secrets(self, values: Mapping[str, Any]) -> None:
        """Create or replace Secret blocks."""
        for name, value in values.items():
            self.secrets[name] = value

    def remove_secrets(self, names: Iterable[str]) -> None:
        """Remove Secret blocks. Names that do not exist are ignored."""
        for name in names:
            if name in self.secrets:
                del self.secrets[name]

    def set_variables(self, values: Mapping[str, Any]) -> None:
        """Create or replace variables.

        Raises:
            UsageError: a name or a value is not valid for a variable of this version.
        """
        self.variables.update(values)

    def attach(self, isolation: Any) -> None:
        """Belong to an isolation, whose Prefect uses this API."""
        self._isolation = isolation

    def take_over(self, other: Api) -> None:
        """Copy the Secret blocks and the variables of another API."""
        self.set_secrets(other.secret_values())
        self.set_variables(other.variables)

    @abstractmethod
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
