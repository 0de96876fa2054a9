"""The messages of a fake API: a request contains an operation; its answer, or an error, becomes a response.

``texts_in`` yields the texts of a request, in which a test looks for values of secrets.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple

Headers = Tuple[Tuple[str, str], ...]
TextAt = Tuple[str, str]  # the path of a text, and the text

_MAX_DECOMPRESSED = 64 * 1024 * 1024  # bytes of one compressed text that are searched
_MAX_DEPTH = 50


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    Attributes:
        method: the HTTP method, in capitals.
        path: the target without the query.
        headers: the headers, with names in lower case; not in the repr.
        body: the body; not in the repr.
        query: the text after the ``?``, still encoded.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    query: str = field(default="", repr=False)


@dataclass(frozen=True)
class Response:
    """One HTTP response. The server adds ``Content-Length``, ``Date`` and ``Connection``.

    Attributes:
        status: the HTTP status.
        headers: names and values.
        body: the body; not in the repr.
        sent: the fraction that the server sends: 1.0 for everything, 0.5 for half of the body, 0.0 for nothing, not
            even the status line. Below 1.0, the server closes the connection afterwards.
    """

    status: int
    headers: Headers
    body: bytes = field(repr=False)
    sent: float = 1.0


class HttpFault(Exception):  # noqa: N818 - the name says which layer failed
    """A request fails with an HTTP status.

    Args:
        status: 400 to 599.
        message: one line for the client; it must not quote the request's body.
        headers: additional headers of the response.
    """

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(status, message, headers)
        self.status, self.message, self.headers = status, message, headers


@dataclass(frozen=True)
class Operation:
    """A GraphQL operation: a document, the variables, and the name of the operation in the document."""

    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    name: Optional[str] = None
    get: bool = False
    """Whether the client sent it with GET, which allows queries only."""

    def __repr__(self) -> str:
        """Omit document and variables: both may contain the value of a secret."""
        return f"<Operation {self.name or 'without a name'}>"


@dataclass(frozen=True)
class Answer:
    """The result of an operation, with details for the request log."""

    data: Any = None
    errors: Sequence[Mapping[str, Any]] = ()
    status: int = 200
    """400 if validation rejected the operation, as the real API does; else 200."""
    kind: str = ""
    """``query`` or ``mutation``; empty if the document is not valid."""
    fields: Tuple[str, ...] = ()
    """The names of the root fields, without aliases."""

    def __repr__(self) -> str:
        """Omit the data: the answer to ``secret_value`` is a value."""
        return f"<Answer {self.status} {self.kind} {', '.join(self.fields)}>"


class ApiError(Exception):
    """A field cannot be resolved. The client receives the message, so it must not contain a value.

    Clients act on ``code``: for ``UNAUTHENTICATED`` they raise ``AuthorizationError``, for ``VERSION_LOCKING_ERROR``
    ``VersionLockMismatchSignal``, and after ``API_ERROR`` they retry.
    """

    def __init__(self, message: str, code: str = "INTERNAL_SERVER_ERROR") -> None:
        super().__init__(message)
        self.extensions: Dict[str, str] = {"code": code}  # graphql-core reads this attribute


class Unauthenticated(ApiError):  # noqa: N818
    """The key is missing, not valid, or does not permit the operation."""

    def __init__(self, message: str = "Unauthenticated") -> None:
        super().__init__(message, "UNAUTHENTICATED")


class BadInput(ApiError):  # noqa: N818
    """An argument that the schema accepts is not valid."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "BAD_USER_INPUT")


# -- texts of a request ------------------------------------------------------------------------------------------------


def texts_in(path: str, headers: Mapping[str, str], body: bytes) -> Iterator[TextAt]:
    """Yield the URL path, the headers, and all names and texts of the body, including nested JSON and packed flows."""
    yield "path", path
    for name, value in headers.items():
        if name != "authorization":  # the key itself
            yield f"header {name}", value
    text = body.decode("utf-8", "replace")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        yield "body", text
    else:
        yield from _texts_of(content, "", 0)


def _texts_of(value: Any, path: str, depth: int) -> Iterator[TextAt]:
    if depth > _MAX_DEPTH:
        yield path, json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"a name in {path or 'the body'}", key
            yield from _texts_of(inner, f"{path}.{key}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts_of(inner, f"{path}[{number}]", depth + 1)
    elif isinstance(value, str):
        yield path, value
        yield from _encoded_texts(value, path, depth)
    elif value is not None:
        yield path, json.dumps(value)


def _encoded_texts(text: str, path: str, depth: int) -> Iterator[TextAt]:
    """Yield the texts of JSON in a text, such as ``variables``, and of a compressed text, such as a flow."""
    if text[:1] in ("{", "[", '"'):
        try:
            yield from _texts_of(json.loads(text), path, depth + 1)
        except (ValueError, RecursionError):
            return
    elif text.startswith(("H4sI", "eJ", "eN", "eA")):  # gzip and zlib in base64
        decompressed = _decompress(text)
        if decompressed:
            yield path, decompressed
            yield from _encoded_texts(decompressed, path, depth + 1)


def _decompress(text: str) -> str:
    try:
        data = base64.b64decode(text)
        decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # detects gzip and zlib
        return decompressor.decompress(data, _MAX_DECOMPRESSED).decode("utf-8", "replace")
    except (binascii.Error, ValueError, zlib.error):
        return ""
