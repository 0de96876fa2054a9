"""The request log of an API. A record shows caller, operation, time and duration, but no values.

The log also stores the contents of requests, so that a test can search them for a value. Only ``search`` can access
them: they lie in a closure, which repr, ``vars()``, pickle and copy do not show. Values that secret mutations set are
removed before. The log stores the last ``MAX_REQUESTS`` requests and ``MAX_BYTES`` of contents; ``forgotten`` counts
the discarded ones.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Deque,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
    overload,
)

from pytest_flowsecrets.backend.graphql.document_masking import OwnValues, own_values, shown
from pytest_flowsecrets.backend.messages import texts_in
from pytest_flowsecrets.leaks.registry import registry

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.messages import Operation, Request
    from pytest_flowsecrets.backend.records.keys import Caller

MAX_REQUESTS = 10_000
MAX_BYTES = 64 * 1024 * 1024


class RecordedRequest(NamedTuple):
    """One request that an API received.

    Attributes:
        at: when it arrived, on the clock of the API (UTC).
        kind: ``query`` or ``mutation``; empty if the request contained no operation.
        fields: the names of the root fields as the client spelled them, without aliases.
        scope: the scope of the key, ``USER`` or ``RUNNER``; None without a key.
        tenant_id: the tenant of the request; None without a key.
        seconds: the time until the response was ready.
        status: the HTTP status.
        codes: the codes of the errors in the answer, such as ``UNAUTHENTICATED``.
        name: the name of the operation; Prefect's clients send none.
        query: the document, with masked literals.
        variables: the type and length of each variable.
        fault: a description of the fault that answered; empty if none did.
    """

    at: datetime
    kind: str
    fields: Tuple[str, ...]
    scope: Optional[str]
    tenant_id: Optional[str]
    seconds: float
    status: int
    codes: Tuple[str, ...]
    name: Optional[str]
    query: str
    variables: Mapping[str, Any]
    fault: str

    def __repr__(self) -> str:
        operation = f"{self.kind} {', '.join(self.fields)}".strip() or "no operation"
        details = "".join(f", {part}" for part in (self.scope, *self.codes, self.fault) if part)
        return f"<{operation}{details}: {self.status} in {self.seconds * 1000:.1f} ms>"


class Place(NamedTuple):
    """A match of a search: the request, and a path in it such as ``variables.input.logs[0].message``."""

    request: RecordedRequest
    where: str


class Requests(Sequence[RecordedRequest]):
    """The requests that an API received, oldest first. New requests are appended."""

    def __init__(self, records: Deque[RecordedRequest], log: RequestLog) -> None:
        self._records, self._log = records, log

    def __repr__(self) -> str:
        return f"<{len(self)} requests>"

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> RecordedRequest: ...
    @overload
    def __getitem__(self, index: slice) -> List[RecordedRequest]: ...
    def __getitem__(self, index: Union[int, slice]) -> Union[RecordedRequest, List[RecordedRequest]]:
        return self._log.snapshot()[index]

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(self._log.snapshot())

    def to(self, field: str) -> List[RecordedRequest]:
        """Return the requests with a root field, in either spelling: ``set_secret`` also matches ``setSecret``."""
        return [request for request in self if normalize(field) in map(normalize, request.fields)]

    def clear(self) -> None:
        """Discard the requests so far."""
        self._log.clear()

    @property
    def forgotten(self) -> int:
        """The number of older requests that have been discarded."""
        return self._log.forgotten


class RequestLog:
    """Records requests.

    Args:
        max_requests: how many requests are stored.
        max_bytes: how many bytes of their contents are stored.
    """

    def __init__(self, max_requests: int = MAX_REQUESTS, max_bytes: int = MAX_BYTES) -> None:
        self._lock = threading.Lock()
        self._records: Deque[RecordedRequest] = deque(maxlen=max_requests)
        self._store, self._search, self._clear = _contents(max_requests, max_bytes)
        self.requests = Requests(self._records, self)
        self.watchers: List[Callable[[RecordedRequest], object]] = []
        self.forgotten = 0

    def record(  # noqa: PLR0913 - keyword arguments, one for each fact
        self,
        request: Request,
        *,
        at: datetime,
        seconds: float,
        status: int,
        operation: Optional[Operation] = None,
        caller: Optional[Caller] = None,
        kind: str = "",
        fields: Tuple[str, ...] = (),
        codes: Tuple[str, ...] = (),
        fault: str = "",
    ) -> None:
        """Record a request. One that is not valid GraphQL over HTTP has neither operation nor caller."""
        own = own_values(operation.query) if operation else None
        query, variables = shown(operation.query, operation.variables, own) if operation else ("", {})
        record = RecordedRequest(
            at,
            kind,
            fields,
            caller.scope if caller else None,
            caller.tenant_id if caller else None,
            seconds,
            status,
            codes,
            operation.name if operation else None,
            query,
            variables,
            fault,
        )
        content = _without_own_values(request, operation, own)
        with self._lock:
            is_full = len(self._records) == self._records.maxlen
            self._records.append(record)
            self.forgotten += max(int(is_full), self._store(record, request, content))
        for watcher in self.watchers:
            watcher(record)

    def snapshot(self) -> List[RecordedRequest]:
        """Return the current records."""
        with self._lock:
            return list(self._records)

    def clear(self) -> None:
        """Discard everything, and reset ``forgotten``."""
        with self._lock:
            self._records.clear()
            self._clear()
            self.forgotten = 0

    def search(self, matches: Callable[[str], Any]) -> List[Place]:
        """Return the places of all names and texts for which ``matches`` is true.

        The search includes JSON inside a text, and compressed texts such as serialized flows.
        """
        with self._lock:
            return self._search(matches)


def normalize(field: str) -> str:
    """Return the name of a field in a form that is equal for ``set_secret`` and ``setSecret``."""
    return field.replace("_", "").lower()


def _without_own_values(request: Request, operation: Optional[Operation], own: Optional[OwnValues]) -> bytes:
    """Return the body, or the parameters of a GET, without the values that secret mutations set."""
    if operation is None:
        return request.body or request.query.encode()
    if own is None and request.body:
        return request.body
    query, variables = operation.query, operation.variables
    if own is not None:
        query, variables = own.remove_from(query, variables)
        for name, value in operation.variables.items():
            if variables[name] is not value:
                _register(name, value)
    rest = json.loads(request.body) if request.body else {}
    return json.dumps({**rest, "query": query, "variables": variables, "operationName": operation.name}).encode()


def _register(name: str, variable: Any) -> None:
    """Register the value of a secret mutation for masking: if the API rejects the mutation, a client prints it."""
    secret = variable if isinstance(variable, dict) else {"name": name, "value": variable}
    registry.register(str(secret.get("name")), secret.get("value"))


Content = Tuple[RecordedRequest, str, Mapping[str, str], bytes]


def _contents(
    count: int, size: int
) -> Tuple[
    Callable[[RecordedRequest, Request, bytes], int],
    Callable[[Callable[[str], Any]], List[Place]],
    Callable[[], None],
]:
    """Return functions that store, search and discard the contents of requests; nothing else can access them."""
    contents: Deque[Content] = deque()
    total = 0

    def store(record: RecordedRequest, request: Request, body: bytes) -> int:
        nonlocal total
        path = f"{request.path}?{request.query}" if request.query and request.body else request.path
        contents.append((record, path, request.headers, body))
        total += len(body)
        discarded = 0
        while len(contents) > count or (total > size and len(contents) > 1):
            total -= len(contents.popleft()[3])
            discarded += 1
        return discarded

    def search(matches: Callable[[str], Any]) -> List[Place]:
        return [
            Place(record, "a name in the request" if matches(where) else where)
            for record, path, headers, body in contents
            for where, text in texts_in(path, headers, body)
            if matches(text)
        ]

    def clear() -> None:
        nonlocal total
        contents.clear()
        total = 0

    return store, search, clear
