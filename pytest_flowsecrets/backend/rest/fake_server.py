"""The fake API of one test on Prefect 2.20 and 3: what the fixtures ``prefect_server`` and ``prefect_cloud`` return."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ContextManager, Dict, Iterable, Iterator, List, Mapping, Tuple, cast

from pytest_flowsecrets.backend.rest.api import RestApi
from pytest_flowsecrets.backend.rest.mappings import SecretBlocks, Variables
from pytest_flowsecrets.leaks.registry import register

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View
    from pytest_flowsecrets.isolation.rest_isolation import RestIsolation

# One API for each process and version: a fork has no thread that serves the API of its parent.
_apis: Dict[Tuple[int, str], RestApi] = {}


def open_api(version: str, *, cloud: bool = False, auth_string: str = "") -> RestServer:
    """Return a new, empty API for one test.

    Args:
        version: of the installed Prefect, 2.20 or 3.x.
        cloud: whether it is a workspace of Prefect Cloud; otherwise it is a self-hosted server.
        auth_string: the value that a self-hosted server requires in ``PREFECT_API_AUTH_STRING``; empty for none.
    """
    api = _apis.get((os.getpid(), version))
    if api is None:
        api = _apis[os.getpid(), version] = RestApi(version)
        api.start()
    if cloud:
        return RestCloud(api, api.new_workspace())
    return RestServer(api, api.new_view(auth_string=auth_string), auth_string)


@contextmanager
def enter_cloud(isolation: RestIsolation) -> Iterator[RestCloud]:
    """Make the Prefect of an isolation use a new workspace of Cloud. It takes over the secrets and the variables."""
    api = open_api(isolation.version, cloud=True)
    try:
        with isolation.using(api):
            yield cast("RestCloud", api)
    finally:
        api.close()


class RestServer:
    """A fake self-hosted Prefect server with the rows of one test.

    Attributes:
        secrets: the Secret blocks: ``.holds()``, ``.reads``; you can set and delete them.
        variables: the variables as a mapping.
    """

    def __init__(self, api: RestApi, view: View, auth_string: str = "") -> None:
        self._api, self._view, self._auth_string = api, view, auth_string
        self.secrets = SecretBlocks(view)
        self.variables = Variables(view)
        view.on_secret = register
        view.owner = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0] or view.owner

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.url}>"

    @property
    def url(self) -> str:
        """The address, as for ``PREFECT_API_URL``. It cannot be guessed."""
        return self._view.url

    @property
    def settings(self) -> Mapping[str, str]:
        """The variables that make the client use this API."""
        auth = {"PREFECT_API_AUTH_STRING": self._auth_string} if self._auth_string else {}
        return {"PREFECT_API_URL": self.url, **auth}

    # -- what an isolation does ----------------------------------------------------------------------------------------

    @property
    def has_secret_type(self) -> bool:
        """Whether a client has registered the block type of Secret."""
        kind = self._view.block_types.by_slug("secret")
        return bool(kind and self._view.block_types.schemas.where(block_type_id=kind["id"]))

    def secret_values(self) -> Dict[str, Any]:
        """Return the stored value of each Secret block by the name of the block."""
        with self._view.lock:
            return {name: self.secrets.stored(name) for name in self.secrets}

    def set_secrets(self, values: Mapping[str, Any]) -> None:
        """Create or replace Secret blocks."""
        for name, value in values.items():
            self.secrets[name] = value

    def remove_secrets(self, names: Iterable[str]) -> None:
        """Remove Secret blocks. Names that do not exist are ignored."""
        for name in names:
            if name in self.secrets:
                del self.secrets[name]

    def take_over(self, other: RestServer) -> None:
        """Copy the Secret blocks and the variables of another API."""
        self.set_secrets(other.secret_values())
        self.variables.update(other.variables)

    def close(self) -> None:
        """Answer no more requests."""
        self._api.remove_view(self._view)

    # -- what a test asks ----------------------------------------------------------------------------------------------

    @property
    def flow_runs(self) -> List[Row]:
        """Copies of the rows of all flow runs, oldest first."""
        return self._view.rows("flow_runs")

    @property
    def logs(self) -> List[Row]:
        """Copies of the rows of all logs that the client has sent."""
        return self._view.rows("logs")

    def write_only(self, *, enabled: bool = True) -> None:
        """Refuse reads of secrets with 403 unless they come from a Running flow run, or inside ``executing()``."""
        self._view.write_only(enabled=enabled)

    def executing(self) -> ContextManager[None]:
        """Allow reads of secrets inside a ``with`` block, as if a flow run were Running."""
        return self._view.executing()


class RestCloud(RestServer):
    """A fake workspace of Prefect Cloud with the rows of one test."""

    @property
    def api_key(self) -> str:
        """The key that requests need, as for ``PREFECT_API_KEY``."""
        return self._view.authorization.partition(" ")[2]

    @property
    def settings(self) -> Mapping[str, str]:
        """The variables that make the client use this API."""
        return {
            "PREFECT_API_URL": self.url,
            "PREFECT_API_KEY": self.api_key,
            "PREFECT_CLOUD_API_URL": self._api.root,
        }
