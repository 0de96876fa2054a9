"""The player: it answers the client of a test from a cassette."""

from __future__ import annotations

import os
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional

from pytest_flowsecrets.backend.cassettes.exchanges import (
    GRAPHQL,
    REST,
    Exchange,
    data_of,
    read_cassette,
    response_of,
    settings_for,
)
from pytest_flowsecrets.backend.cassettes.masking import restore
from pytest_flowsecrets.backend.cassettes.server import WorldServer
from pytest_flowsecrets.isolation import stack
from pytest_flowsecrets.isolation.rest_isolation import RestIsolation
from pytest_flowsecrets.versions import installed_version

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.messages import Request, Response

# What a client asks once for each address or process, so that a recording may not have it.
_PROBES: Dict[str, Callable[[], Any]] = {"/health": lambda: True, "/admin/version": installed_version}
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Player:
    """A world that answers from a cassette.

    A request gets the response of the first recorded request with the same method, path and body that has not been
    played, or else of one with the same method and path, in which ids may differ. When all have been played, the last
    one is repeated.

    Args:
        exchanges: the exchanges, in the order of the recording.
        secrets: values to put in the place of masks, by the names that the masks show.
        prefix: the path at which the player is mounted.

    Attributes:
        unexpected: the requests without an answer in the cassette, as ``METHOD path``. They get 404.
    """

    def __init__(self, exchanges: List[Exchange], secrets: Mapping[str, Any], prefix: str) -> None:
        self._exchanges, self._secrets, self._prefix = exchanges, secrets, prefix
        self._played = [False] * len(exchanges)
        self._lock = threading.Lock()
        self.unexpected: List[str] = []

    def __repr__(self) -> str:
        return f"<Player {sum(self._played)} of {len(self._exchanges)} exchanges played>"

    @property
    def not_played(self) -> List[str]:
        """The recorded requests that the client has not sent, as ``METHOD path``."""
        pairs = zip(self._exchanges, self._played)
        return [f"{exchange.method} {exchange.path}" for exchange, played in pairs if not played]

    def answer(self, request: Request) -> Response:
        """Return the recorded response."""
        path = request.path[len(self._prefix) :] + (f"?{request.query}" if request.query else "")
        with self._lock:
            exchange = self._find(request.method, path, data_of(request.body) if request.body else None)
        if exchange is None and path in _PROBES:
            return response_of(200, _PROBES[path]())
        if exchange is None:
            self.unexpected.append(f"{request.method} {path}")
            return response_of(404, {"detail": f"the cassette has no {request.method} {path}"})
        return response_of(exchange.status, restore(exchange.response, self._secrets))

    def _find(self, method: str, path: str, body: Any) -> Optional[Exchange]:
        ranked = [
            (played, exchange.request != body, exchange.path != path, -index if played else index)
            for index, (exchange, played) in enumerate(zip(self._exchanges, self._played))
            if exchange.method == method and _ID.sub("{id}", exchange.path) == _ID.sub("{id}", path)
        ]
        if not ranked:
            return None
        index = abs(min(ranked)[3])
        self._played[index] = True
        return self._exchanges[index]


@contextmanager
def replay(path: str, secrets: Optional[Mapping[str, Any]] = None) -> Iterator[Player]:
    """Answer the requests of Prefect's client from a cassette.

    Inside the block, the settings of the active isolation name the player as the API.

    Args:
        path: the cassette.
        secrets: values for the secrets that the recording masked. Without a value, a secret is its mask.

    Raises:
        UsageError: the file is not a cassette.
    """
    exchanges = read_cassette(path)
    server = WorldServer()
    player = Player(exchanges, secrets or {}, server.prefix)
    with server.serving(player) as url, client_settings(settings_for(url, _kind(exchanges))):
        yield player


def _kind(exchanges: List[Exchange]) -> str:
    is_graphql = any(isinstance(each.request, dict) and "query" in each.request for each in exchanges)
    return GRAPHQL if is_graphql else REST


@contextmanager
def client_settings(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables inside the ``with`` block, and let the Prefect of the active isolation read them.

    Args:
        variables: the variables, such as those of ``settings_for``.
    """
    before = {name: os.environ.get(name) for name in variables}
    _set_and_reload(variables)
    try:
        yield
    finally:
        _set_and_reload(before)


def _set_and_reload(variables: Mapping[str, Optional[str]]) -> None:
    isolation = stack.current()
    if isinstance(isolation, RestIsolation):
        isolation.prefect.drain()  # what it still has to send belongs to the API so far
    for name, text in variables.items():
        if text is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = text
    if isolation is not None:
        isolation.secrets.reload()
