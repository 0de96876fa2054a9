"""Secret blocks and variables of a real server, with the methods that those of the fake API have; its REST client."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterator, List, Mapping, MutableMapping, Optional
from urllib.parse import quote, urlsplit

from pytest_flowsecrets.backend.rest.blocks_and_variables import check_block_name, check_json, check_variable_name
from pytest_flowsecrets.backend.rest.store.read_log import same_value
from pytest_flowsecrets.errors import FlowSecretsError

_SECONDS = 120.0
_PAGE = 200  # rows of a page, the server's maximum


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


class ServerSecrets:
    """The Secret blocks of a server. They can be set, named, compared and deleted; nothing gives a value out.

    Args:
        client: of the server.
    """

    def __init__(self, client: RestClient) -> None:
        self._client = client

    def __repr__(self) -> str:
        return "<ServerSecrets>"

    def __setitem__(self, name: str, value: Any) -> None:
        """Create or replace a block.

        Raises:
            UsageError: the name cannot be that of a block, or the value is not JSON data.
        """
        check_block_name(name)
        check_json(f"secret {name!r}", value)
        document = self._document(name)
        if document is None:
            self._client.ask("POST", "/block_documents/", {"name": name, "data": {"value": value}, **self._type()})
        else:
            body = {"data": {"value": value}, "merge_existing_data": False}
            self._client.ask("PATCH", f"/block_documents/{document['id']}", body)

    def __delitem__(self, name: str) -> None:
        """Remove a block.

        Raises:
            KeyError: there is none.
        """
        document = self._document(name)
        if document is None:
            raise KeyError(name)
        self._client.ask("DELETE", f"/block_documents/{document['id']}")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._document(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter([row["name"] for row in self._documents()])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def holds(self, name: str, value: Any) -> bool:
        """Return whether a block has exactly this value: 1, 1.0 and True are three."""
        document = self._document(name, "?include_secrets=true")
        return document is not None and same_value(document["data"].get("value"), value)

    def values(self) -> Dict[str, Any]:
        """Return the stored value of each block by its name, for the isolation that has set it."""
        return {row["name"]: row["data"].get("value") for row in self._documents("?include_secrets=true")}

    def _documents(self, query: str = "") -> List[Dict[str, Any]]:
        return self._client.ask("GET", f"/block_types/slug/secret/block_documents{query}", missing=True) or []

    def _document(self, name: str, query: str = "") -> Optional[Dict[str, Any]]:
        path = f"/block_types/slug/secret/block_documents/name/{quote(name, safe='')}{query}"
        document: Optional[Dict[str, Any]] = self._client.ask("GET", path, missing=True)
        return document

    def _type(self) -> Dict[str, str]:
        block_type = self._client.ask("GET", "/block_types/slug/secret")
        chosen = {"block_schemas": {"block_type_id": {"any_": [block_type["id"]]}}}
        schemas = self._client.ask("POST", "/block_schemas/filter", chosen)
        return {"block_type_id": block_type["id"], "block_schema_id": schemas[0]["id"]}  # the newest is the first


class ServerVariables(MutableMapping[str, Any]):
    """The variables of a server.

    Args:
        client: of the server.
    """

    def __init__(self, client: RestClient) -> None:
        self._client = client

    def __repr__(self) -> str:
        return "<ServerVariables>"

    def __getitem__(self, name: str) -> Any:
        row = self._row(name)
        if row is None:
            raise KeyError(name)
        return row["value"]

    def __setitem__(self, name: str, value: Any) -> None:
        """Create or replace a variable; its tags stay.

        Raises:
            UsageError: the name cannot be that of a variable, or the value is not JSON data.
        """
        check_variable_name(name)
        check_json(f"variable {name!r}", value)
        if self._row(name) is None:
            self._client.ask("POST", "/variables/", {"name": name, "value": value})
        else:
            self._client.ask("PATCH", f"/variables/name/{quote(name, safe='')}", {"value": value})

    def __delitem__(self, name: str) -> None:
        if self._row(name) is None:
            raise KeyError(name)
        self._client.ask("DELETE", f"/variables/name/{quote(name, safe='')}")

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(row["name"] for row in self._rows()))

    def __len__(self) -> int:
        return len(self._rows())

    def _row(self, name: str) -> Optional[Dict[str, Any]]:
        row: Optional[Dict[str, Any]] = self._client.ask("GET", f"/variables/name/{quote(name, safe='')}", missing=True)
        return row

    def _rows(self) -> List[Dict[str, Any]]:
        return self._client.pages("/variables/filter", _PAGE)
