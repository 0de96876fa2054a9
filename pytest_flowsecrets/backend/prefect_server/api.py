"""The real server as the API of a test: ``--flowsecrets-server=real``. One server serves all tests of a session."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NoReturn, Optional, Tuple
from urllib.parse import quote

from pytest_flowsecrets.backend.prefect_server.server import PrefectServer
from pytest_flowsecrets.backend.rest.resources.stored_texts import (
    secrets_of_documents,
    texts_of_documents,
    texts_of_filters,
    texts_of_rows,
)
from pytest_flowsecrets.errors import NotOnRealServer, UsageError
from pytest_flowsecrets.isolation.prefect3.api import UNFINISHED, Api
from pytest_flowsecrets.leaks.registry import register

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.backend.prefect_server.blocks import ServerSecrets

_PAGE = 200  # rows of a page, the server's maximum
_NEXT_EVENTS = "/events/filter/next"  # the path in the link to the next page
# One server for each process and auth string: a fork must not reset the server of its parent.
_servers: Dict[Tuple[int, str], PrefectServer] = {}
_templates: List[Path] = []


def keep_templates(folder: Optional[Path]) -> None:
    """Keep the template databases in a folder for later sessions; without one, each server makes its own."""
    _templates[:] = [folder] if folder is not None else []


def open_api(version: str, *, cloud: bool = False, auth_string: str = "") -> RealServer:
    """Return the empty server of this session for one test; the first call starts it.

    Args:
        version: of the installed Prefect.
        cloud: must be false: the server of Prefect has no workspaces.
        auth_string: the value that the server requires in ``PREFECT_API_AUTH_STRING``; empty for none.

    Raises:
        PrefectServerFailed: the server cannot start.
        UsageError: a workspace of Cloud is asked for.
    """
    if cloud:
        raise UsageError("the real server is no Prefect Cloud: use the fixture prefect_server")
    key = os.getpid(), auth_string
    server = _servers.get(key)
    if server is None:
        template = _templates[0] / f"prefect-{version}.db" if _templates else None
        server = _servers[key] = PrefectServer(template=template, auth_string=auth_string)
    server.reset()
    return RealServer(server, auth_string)


def close_servers() -> None:
    """End the servers of this process."""
    for key in [key for key in _servers if key[0] == os.getpid()]:
        _servers.pop(key).close()


atexit.register(close_servers)


class RealServer(Api):
    """The rows of one test at the real server, with the names that the fake server has for them.

    Attributes:
        secrets: the Secret blocks: ``.holds()``; you can set and delete them.
        variables: the variables as a mapping.
    """

    secrets: ServerSecrets
    has_secret_type = True  # the server registers it when it starts

    def __init__(self, server: PrefectServer, auth_string: str = "") -> None:
        self._server, self._auth_string = server, auth_string
        self.secrets, self.variables = server.secrets, server.variables

    def __repr__(self) -> str:
        return f"<RealServer at {self.url}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        from pytest_flowsecrets.backend.fake_api import describe_legacy_attribute

        message = describe_legacy_attribute("FakeServer", name)
        raise AttributeError(message) if message else NotOnRealServer(name)

    @property
    def url(self) -> str:
        """The address, as for ``PREFECT_API_URL``."""
        return self._server.url

    @property
    def ended_url(self) -> str:
        """An address that the server does not have. The next test uses the server at its own address."""
        return f"{self.url}/ended"

    @property
    def has_unfinished_runs(self) -> bool:
        """Whether a flow run has begun and has not ended."""
        if self.has_ended:
            return False
        chosen = {"flow_runs": {"state": {"type": {"any_": list(UNFINISHED)}}}, "limit": 1}
        return bool(self._server.client.ask("POST", "/flow_runs/filter", chosen))

    @property
    def has_ended(self) -> bool:
        """Whether a test has ended the server."""
        return self._server.has_ended

    # -- what an isolation does ----------------------------------------------------------------------------------------

    def secret_values(self) -> Dict[str, Any]:
        """Return the stored value of each Secret block by the name of the block."""
        return self.secrets.values()

    def texts(self) -> Iterator[Tuple[str, str]]:
        """Yield each text in the rows of the server, with its place, and register the secrets of all blocks.

        The secret fields of blocks are left out. The server has no route for deleted rows and earlier values.
        """
        documents = self._server.client.pages("/block_documents/filter", _PAGE, include_secrets=True)
        for name, value in secrets_of_documents(documents):
            register(name, value)
        yield from texts_of_documents(documents)
        yield from texts_of_filters(self._rows)
        for run in self.flow_runs:
            yield from texts_of_rows("flow run input", self._inputs(run["id"]))
        for pool in self._rows("/work_pools/filter"):
            yield from texts_of_rows("worker", self._rows(f"/work_pools/{quote(pool['name'], safe='')}/workers/filter"))
        yield from texts_of_rows("event", self._events())

    def close(self) -> None:
        """Check that the server still runs; the next test resets it.

        Raises:
            PrefectServerFailed: it has ended.
        """
        self._server.check()

    # -- what a test asks ----------------------------------------------------------------------------------------------

    @property
    def flow_runs(self) -> List[Dict[str, Any]]:
        """The rows of all flow runs."""
        return self._rows("/flow_runs/filter")

    @property
    def task_runs(self) -> List[Dict[str, Any]]:
        """The rows of all task runs that the server has recorded; Prefect 3 reports them in the background."""
        return self._rows("/task_runs/filter")

    @property
    def logs(self) -> List[Dict[str, Any]]:
        """The rows of all logs, oldest first."""
        return self._rows("/logs/filter")

    @property
    def events(self) -> List[Dict[str, Any]]:
        """All events that the server has recorded, newest first."""
        self._flush()
        return list(self._events())

    def _events(self) -> Iterator[Dict[str, Any]]:
        self._server.settle()
        client = self._server.client
        page = client.ask("POST", "/events/filter", {"filter": {}}, missing=True)
        while page:
            yield from page["events"]
            link = page.get("next_page")
            page = client.ask("GET", link[link.index(_NEXT_EVENTS) :]) if link else None

    def _inputs(self, run: str) -> List[Dict[str, Any]]:
        """Return the inputs of a flow run."""
        path = f"/flow_runs/{run}/input/filter"
        rows: List[Dict[str, Any]] = []
        while True:
            keys = [row["key"] for row in rows]
            page = self._server.client.ask("POST", path, {"prefix": "", "limit": _PAGE, "exclude_keys": keys})
            rows += page
            if len(page) < _PAGE:
                return rows

    def _rows(self, path: str) -> List[Dict[str, Any]]:
        self._flush()
        return self._server.client.pages(path, _PAGE, missing=True)

    def _flush(self) -> None:
        """Let Prefect's background threads send what they have."""
        if self._isolation is not None and self._isolation.active:
            self._isolation.prefect.drain()
