"""The messages of a fake API: a request holds an operation, which gets an answer, which becomes a response."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence, Tuple

Headers = Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    Attributes:
        method: as sent, in capitals.
        path: the target without its query.
        headers: names in lower case; never shown.
        body: never shown.
        query: what stood after the ``?``, still encoded.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    query: str = field(default="", repr=False)


@dataclass(frozen=True)
class Response:
    """One HTTP response. ``Content-Length``, ``Date`` and ``Connection`` are the server's business.

    Attributes:
        status: of HTTP.
        headers: as they are written.
        body: never shown.
        sent: how much of it really goes out: 1.0 all, 0.5 half of the body, 0.0 nothing, not even the status line;
            below 1.0 the connection is cut afterwards.
    """

    status: int
    headers: Headers
    body: bytes = field(repr=False)
    sent: float = 1.0


class HttpFault(Exception):  # noqa: N818 - what HTTP calls it is a status
    """A request that gets an HTTP status instead of an answer.

    Args:
        status: 400 to 599.
        message: one line for the client; nothing of the request's body.
        headers: more headers of the response.
    """

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(status, message, headers)
        self.status, self.message, self.headers = status, message, headers


@dataclass(frozen=True)
class Operation:
    """What a client asks for: a document, the values of its variables, and which of its operations is meant."""

    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    name: Optional[str] = None
    get: bool = False
    """Sent by GET, so that only queries are allowed."""

    def __repr__(self) -> str:
        """Neither the document nor the variables: both may hold a secret's value."""
        return f"<Operation {self.name or 'without a name'}>"


@dataclass(frozen=True)
class Answer:
    """What the client gets, and what the request log wants to know of the operation."""

    data: Any = None
    errors: Sequence[Mapping[str, Any]] = ()
    status: int = 200
    """400 if the operation was refused before any resolver ran, as the real API does; else 200."""
    kind: str = ""
    """``query`` or ``mutation``; empty where the document does not tell."""
    fields: Tuple[str, ...] = ()
    """The root fields that were asked for, without aliases."""

    def __repr__(self) -> str:
        """Without the data: the answer to ``secret_value`` is a value."""
        return f"<Answer {self.status} {self.kind} {', '.join(self.fields)}>"
