"""Requests of this process to a real server, to prepare a test without a Prefect client."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Mapping
from urllib.parse import urlsplit

from pytest_flowsecrets.errors import FlowSecretsError

_SECONDS = 120.0


class RestClient:
    """Asks the REST API of a server.

    Args:
        url: returns the URL of the API.
        headers: that every request carries.
    """

    def __init__(self, url: Callable[[], str], headers: Mapping[str, str]) -> None:
        self._url, self._headers = url, {"Content-Type": "application/json", **headers}

    def pages(self, path: str, size: int, *, missing: bool = False, **options: Any) -> List[Dict[str, Any]]:
        """Return all rows of a ``/filter`` route, which answers with at most ``size`` rows.

        Args:
            path: of the route.
            size: of a page.
            missing: whether the server may lack the route, as Prefect 2.20 lacks automations. There are then no rows.
            options: more fields of the request.
        """
        rows: List[Dict[str, Any]] = []
        while len(rows) % size == 0:
            page = self.ask("POST", path, {"limit": size, "offset": len(rows), **options}, missing=missing)
            if not page:
                break
            rows += page
        return rows

    def ask(self, method: str, path: str, body: Any = None, *, missing: bool = False) -> Any:
        """Return the JSON of a response.

        Args:
            method: of HTTP.
            path: below the URL of the API.
            body: JSON data, or None for no body.
            missing: whether 404 is an answer, too: None.

        Raises:
            FlowSecretsError: the server refuses the request. Its message is left out, because it may hold the body.
        """
        from http.client import HTTPConnection

        url = urlsplit(self._url())
        connection = HTTPConnection(url.netloc, timeout=_SECONDS)
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, url.path + path, data, self._headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if missing and response.status == 404:  # noqa: PLR2004 - Not Found
            return None
        if response.status >= 400:  # noqa: PLR2004 - client and server errors
            raise FlowSecretsError(f"the Prefect server answered {response.status} to {method} {path}: see its log")
        return json.loads(text) if text else None
