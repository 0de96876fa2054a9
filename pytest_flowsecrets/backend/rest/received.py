"""What the clients of one view have sent, so that a test can check that a secret was not in it.

The contents lie in a closure, which repr, ``vars()``, pickle and copy do not show. The data of block documents are left
out: that is where a secret belongs.
"""

from __future__ import annotations

import json
import re
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Iterator, List, Mapping, Tuple
from urllib.parse import urlsplit

from pytest_flowsecrets.backend.request_text import texts_in
from pytest_flowsecrets.report import api_events

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.messages import Request, Response
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
        self._store, self._contents = _store()

    def record(self, request: Request, answer: Callable[[], Response]) -> Response:
        """Record a request, and answer it. This is an interceptor of a view."""
        route = self._route(request.path)
        path = f"{request.path}?{request.query}" if request.query else request.path
        self.forgotten += self._store((f"{request.method} {route}", path, request.headers, _body(route, request)))
        with api_events.serving() as events:
            response = answer()
        api_events.emit_request(f"{request.method} {route}", events, status=response.status)
        return response

    def _route(self, path: str) -> str:
        """Return the part of a path below the view."""
        return path[len(urlsplit(self._view.url).path) :]

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


def _body(route: str, request: Request) -> bytes:
    """Return the body of a request without the data of block documents."""
    if not _DOCUMENTS.fullmatch(route) or request.method not in ("POST", "PATCH"):
        return request.body
    try:
        content = json.loads(request.body)
    except ValueError:
        return b""
    if not isinstance(content, dict):
        return request.body
    return json.dumps({name: value for name, value in content.items() if name != "data"}).encode()


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
