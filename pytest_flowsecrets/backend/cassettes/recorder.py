"""The recorder: it forwards requests to an API and keeps the exchanges."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

from pytest_flowsecrets.backend.cassettes.exchanges import Exchange, data_of, response_of, write_cassette
from pytest_flowsecrets.backend.cassettes.masking import mask_exchanges
from pytest_flowsecrets.backend.messages import Response

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.messages import Request

_TIMEOUT = 60.0  # seconds for a response of the real API
_FORWARDED = ("accept", "authorization", "content-type", "x-prefect-tenant-id", "x-prefect-api-version", "user-agent")


class Recorder:
    """A world that forwards requests to an API and keeps the exchanges.

    Args:
        target: the address of the API, as for ``PREFECT_API_URL`` or ``PREFECT__CLOUD__API``.
        prefix: the path at which the recorder is mounted.
    """

    def __init__(self, target: str, prefix: str) -> None:
        self._target, self._prefix = target.rstrip("/"), prefix
        self._exchanges: List[Exchange] = []
        self._credentials: Dict[str, Any] = {}
        self._opener = urllib.request.build_opener(_NoRedirects)

    def answer(self, request: Request) -> Response:
        """Forward a request, and return the response of the API, or 502 if it cannot be reached."""
        path = request.path[len(self._prefix) :] + (f"?{request.query}" if request.query else "")
        try:
            status, headers, body = self._forward(request, path)
        except OSError as error:
            return response_of(502, {"detail": f"the recorded API cannot be reached ({type(error).__name__})"})
        sent, received = data_of(request.body) if request.body else None, data_of(body)
        self._exchanges.append(Exchange(request.method, path, sent, status, received))
        credentials = request.headers.get("authorization", "").partition(" ")[2]
        if credentials:
            self._credentials["authorization"] = credentials
        kept = [(name, headers[name]) for name in ("content-type", "location") if name in headers]
        return Response(status, tuple((name, value.replace(self._target, self._prefix)) for name, value in kept), body)

    def _forward(self, request: Request, path: str) -> Tuple[int, Mapping[str, str], bytes]:
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        body = request.body if request.body or request.method in ("POST", "PUT", "PATCH") else None
        forwarded = urllib.request.Request(self._target + path, body, headers, method=request.method)  # noqa: S310
        try:
            with self._opener.open(forwarded, timeout=_TIMEOUT) as response:
                return response.status, _lower(response.headers), response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _lower(error.headers), error.read()

    def write(self, path: str, known: Mapping[str, Any]) -> int:
        """Write the cassette, without values of secrets.

        Args:
            path: the file.
            known: secrets that the traffic need not show as such, by name.

        Returns:
            The number of exchanges.
        """
        exchanges = mask_exchanges(self._exchanges, {**known, **self._credentials})
        write_cassette(path, exchanges)
        return len(exchanges)


def _lower(headers: Any) -> Dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Passes redirects on to the client."""

    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect."""
