"""What an API was asked. Records show who asked for what, when and how long it took, and no value.

What was sent is kept as well, so that a test can look for a value in it, but only ``search`` gets at it: it lies in a
closure, which no repr, ``vars()``, pickle or copy opens, and the values that secret mutations set are taken out before.
The last ``KEPT`` requests are kept, and of what they sent the last ``KEPT_BYTES``; ``forgotten`` counts the others.
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
from pytest_flowsecrets.backend.request_text import pieces
from pytest_flowsecrets.leaks.registry import registry

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.messages import Operation, Request
    from pytest_flowsecrets.backend.records.keys import Caller

KEPT = 10_000
KEPT_BYTES = 64 * 1024 * 1024


class RecordedRequest(NamedTuple):
    """One request that an API was sent.

    Attributes:
        at: when it came, by the clock of the API (UTC).
        kind: ``query`` or ``mutation``; empty where the request was no operation.
        fields: the root fields, in the spelling that the client used, without aliases.
        scope: of the key: ``USER`` or ``RUNNER``; None without one.
        tenant_id: the tenant that it was about; None without one.
        seconds: until the response was ready.
        status: of HTTP.
        codes: of the errors in the answer, such as ``UNAUTHENTICATED``.
        name: of the operation; clients of Prefect give none.
        query: the document, its literals masked.
        variables: by type and length.
        fault: the fault that answered, as text; empty where none did.
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
        asked = f"{self.kind} {', '.join(self.fields)}".strip() or "no operation"
        told = "".join(f", {part}" for part in (self.scope, *self.codes, self.fault) if part)
        return f"<{asked}{told}: {self.status} in {self.seconds * 1000:.1f} ms>"


class Place(NamedTuple):
    """Where a search found something: the request, and the way to it, such as ``variables.input.logs[0].message``."""

    request: RecordedRequest
    where: str


class Requests(Sequence[RecordedRequest]):
    """The requests that an API was sent, oldest first: a sequence that grows by itself."""

    def __init__(self, records: Deque[RecordedRequest], journal: Journal) -> None:
        self._records, self._journal = records, journal

    def __repr__(self) -> str:
        return f"<{len(self)} requests>"

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> RecordedRequest: ...
    @overload
    def __getitem__(self, index: slice) -> List[RecordedRequest]: ...
    def __getitem__(self, index: Union[int, slice]) -> Union[RecordedRequest, List[RecordedRequest]]:
        return self._journal.snapshot()[index]

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(self._journal.snapshot())

    def to(self, field: str) -> List[RecordedRequest]:
        """Those that asked for a root field, in either spelling: ``set_secret`` finds ``setSecret``."""
        return [request for request in self if plain(field) in map(plain, request.fields)]

    def clear(self) -> None:
        """Forget what has been sent so far."""
        self._journal.clear()

    @property
    def forgotten(self) -> int:
        """How many older ones are no longer there."""
        return self._journal.forgotten


class Journal:
    """Records requests.

    Args:
        kept: how many are kept.
        kept_bytes: how much of what they sent.
    """

    def __init__(self, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> None:
        self._lock = threading.Lock()
        self._records: Deque[RecordedRequest] = deque(maxlen=kept)
        self._keep, self._search, self._clear = _keeper(kept, kept_bytes)
        self.requests = Requests(self._records, self)
        self.watchers: List[Callable[[RecordedRequest], object]] = []
        self.forgotten = 0

    def record(  # noqa: PLR0913 - all that is known of a request
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
        """Record a request, with what is known of it: a request that is no GraphQL has neither operation nor caller."""
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
        sent = _without_own_values(request, operation, own)
        with self._lock:
            forgotten = len(self._records) == self._records.maxlen
            self._records.append(record)
            self.forgotten += max(int(forgotten), self._keep(record, request, sent))
        for watcher in self.watchers:
            watcher(record)

    def snapshot(self) -> List[RecordedRequest]:
        """The records of now."""
        with self._lock:
            return list(self._records)

    def clear(self) -> None:
        """Forget everything, also what was forgotten before."""
        with self._lock:
            self._records.clear()
            self._clear()
            self.forgotten = 0

    def search(self, finds: Callable[[str], Any]) -> List[Place]:
        """Where in what was sent a text stands for which ``finds`` is true.

        It is asked about each name and text, also inside JSON in a text and inside what is compressed as flows are.
        """
        with self._lock:
            return self._search(finds)


def plain(field: str) -> str:
    """A field's name without the difference between ``set_secret`` and ``setSecret``."""
    return field.replace("_", "").lower()


def _without_own_values(request: Request, operation: Optional[Operation], own: Optional[OwnValues]) -> bytes:
    """The body to keep, with all that clients of Prefect do not send; for a GET the parameters."""
    if operation is None:
        return request.body or request.query.encode()
    if own is None and request.body:
        return request.body
    query, variables = operation.query, operation.variables
    if own is not None:
        query, variables = own.taken_out(query, variables)
        for name, given in operation.variables.items():
            if variables[name] is not given:
                _register(name, given)
    rest = json.loads(request.body) if request.body else {}
    return json.dumps({**rest, "query": query, "variables": variables, "operationName": operation.name}).encode()


def _register(name: str, given: Any) -> None:
    """Make the value known that a secret mutation brought: a client prints it where the mutation is refused."""
    inside = given if isinstance(given, dict) else {"name": name, "value": given}
    registry.register(str(inside.get("name")), inside.get("value"))


Kept = Tuple[RecordedRequest, str, Mapping[str, str], bytes]


def _keeper(
    count: int, size: int
) -> Tuple[
    Callable[[RecordedRequest, Request, bytes], int],
    Callable[[Callable[[str], Any]], List[Place]],
    Callable[[], None],
]:
    """Functions that keep what was sent, search it, and throw it away; they alone have it."""
    kept: Deque[Kept] = deque()
    total = 0

    def keep(record: RecordedRequest, request: Request, sent: bytes) -> int:
        nonlocal total
        path = f"{request.path}?{request.query}" if request.query and request.body else request.path
        kept.append((record, path, request.headers, sent))
        total += len(sent)
        dropped = 0
        while len(kept) > count or (total > size and len(kept) > 1):
            total -= len(kept.popleft()[3])
            dropped += 1
        return dropped

    def search(finds: Callable[[str], Any]) -> List[Place]:
        return [
            Place(record, "the names of what was sent" if finds(where) else where)
            for record, path, headers, sent in kept
            for where, text in pieces(path, headers, sent)
            if finds(text)
        ]

    def clear() -> None:
        nonlocal total
        kept.clear()
        total = 0

    return keep, search, clear
