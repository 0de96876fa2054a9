"""What the clients of one view have sent, so that a test can check that a secret was not in it.

The contents lie in a closure, which repr, ``vars()``, pickle and copy do not show. The secret fields of block documents
are left out: that is where a secret belongs. Their other fields are kept.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from pytest_flowsecrets.backend.messages import texts_in
from pytest_flowsecrets.backend.rest.store.masking import secret_fields, without_secrets
from pytest_flowsecrets.leaks.registry import register
from pytest_flowsecrets.report import api_events

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.messages import Request, Response
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

MAX_REQUESTS = 10_000
MAX_BYTES = 64 * 1024 * 1024
_DOCUMENTS = re.compile(r"/block_documents(/[0-9a-f-]+)?/?$")

Content = Tuple[str, str, Mapping[str, str], bytes]  # method and route, path with query, headers, body


class ReceivedRequests:
    """The requests and events that a view has received.

    Args:
        view: whose requests.

    Attributes:
        forgotten: the number of requests whose contents have been discarded.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self.forgotten = 0
        self._authorization = ""  # of the last request
        self._store, self._contents = _store()
        self._remember, self._texts = _secret_texts()

    def register_secret(self, name: str, value: Any, block: str) -> None:
        """Register the new value of a secret of a block. The search also includes the earlier values."""
        register(name, value)
        self._remember(block, value)
        api_events.emit("write", name)

    def texts_of(self, block: str) -> List[str]:
        """Return the texts to search for: those of all current and earlier secrets of a block, except empty texts."""
        return self._texts(block)

    def record(self, request: Request, answer: Callable[[], Response]) -> Response:
        """Record a request, and answer it. This is an interceptor of a view."""
        self._register(request.headers.get("authorization", ""))
        route = self._route(request.path)
        path = f"{request.path}?{request.query}" if request.query else request.path
        body = self._body(route, request)
        self.forgotten += self._store((f"{request.method} {route}", path, request.headers, body))
        with api_events.serving() as events:
            response = answer()
        api_events.emit_request(f"{request.method} {route}", events, status=response.status)
        return response

    def _register(self, authorization: str) -> None:
        """Report the credentials of a request as secrets: code can set them for a moment only."""
        if authorization != self._authorization:
            self._authorization = authorization
            scheme, _, credentials = authorization.partition(" ")
            if scheme == "Bearer":
                register("PREFECT_API_KEY", credentials)
            elif scheme == "Basic":
                with suppress(ValueError):
                    register("PREFECT_API_AUTH_STRING", base64.b64decode(credentials).decode())

    def _route(self, path: str) -> str:
        """Return the part of a path below the view."""
        return path[len(urlsplit(self._view.url).path) :]

    def _body(self, route: str, request: Request) -> bytes:
        """Return the body of a request without the secret fields of a block document."""
        document = _DOCUMENTS.fullmatch(route)
        if not document or request.method not in ("POST", "PATCH"):
            return request.body
        try:
            content = json.loads(request.body)
        except ValueError:
            return request.body
        if not isinstance(content, dict) or not isinstance(content.get("data"), dict):
            return request.body
        schema = self._schema(content.get("block_schema_id"), document[1])
        return json.dumps({**content, "data": without_secrets(content["data"], secret_fields(schema))}).encode()

    def _schema(self, schema_id: Any, document_id: Optional[str]) -> Optional[Row]:
        """Return the schema with an id, or that of an existing document."""
        if schema_id is None and document_id:
            row = self._view.block_documents.get(document_id[1:])
            schema_id = row and row["block_schema_id"]
        return self._view.block_types.schemas.get(schema_id) if isinstance(schema_id, str) else None

    def contents(self) -> Iterator[Content]:
        """Return the stored requests, oldest first."""
        return self._contents()

    def search(self, matches: Callable[[str], Any]) -> List[str]:
        """Return a description of each place whose text matches: the request or event, and the path in it."""
        places = [
            f"{route}: {where}"
            for route, path, headers, body in self._contents()
            for where, text in texts_in(path, headers, body)
            if matches(text)
        ]
        for event in list(self._view.events.items):
            body = json.dumps(event, default=str).encode()
            texts = texts_in("", {}, body)
            places += [f"event {event.get('event')}: {where}" for where, text in texts if matches(text)]
        return list(dict.fromkeys(places))


def _secret_texts() -> Tuple[Callable[[str, Any], None], Callable[[str], List[str]]]:
    """Return two functions: one remembers a secret of a block, the other returns the texts of all its secrets.

    The texts are computed on demand, because importing the search takes longer than starting an isolation.
    """
    values: Dict[str, List[Any]] = {}

    def remember(block: str, value: Any) -> None:
        values.setdefault(block, []).append(deepcopy(value))

    def texts(block: str) -> List[str]:
        from pytest_flowsecrets.leaks.search.finder import forms_of

        forms = (form for value in values.get(block, ()) for form in forms_of(value))
        return [text for text in dict.fromkeys(forms) if text]

    return remember, texts


def _store() -> Tuple[Callable[[Content], int], Callable[[], Iterator[Content]]]:
    """Return functions that store contents, and that yield them. Nothing else can access them."""
    contents: Deque[Content] = deque()
    total = 0

    def store(content: Content) -> int:
        nonlocal total
        contents.append(content)
        total += len(content[3])
        discarded = 0
        while len(contents) > MAX_REQUESTS or (total > MAX_BYTES and len(contents) > 1):
            total -= len(contents.popleft()[3])
            discarded += 1
        return discarded

    return store, lambda: iter(list(contents))
