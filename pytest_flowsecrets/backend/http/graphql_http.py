"""GraphQL over HTTP: requests become operations, answers become responses. No sockets here.

The rules are those of the GraphQL-over-HTTP specification, as its public server audit (the ``graphql-http`` package)
checks them. Where Prefect's own API and its clients need otherwise, the client decides by what it asks for:

=========================================  ===================================  =================================
the request accepts                        it gets                              a document that is not valid gets
=========================================  ===================================  =================================
``application/graphql-response+json``      that                                 400
``application/json``, by name              that                                 200 (the specification's SHOULD)
anything (``*/*``, as Prefect's clients)   ``application/json``                 400 (what Prefect's clients expect)
=========================================  ===================================  =================================

A second liberty: ``variables`` may be a JSON text inside the JSON, which is how every Prefect client sends them.
"""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from traceback import extract_tb
from typing import Any, Dict, List, Mapping, NamedTuple, NoReturn, Optional, Sequence, Tuple
from urllib.parse import parse_qsl

from pytest_flowsecrets.backend.messages import Answer, Headers, HttpFault, Operation, Request, Response

_log = logging.getLogger("pytest_flowsecrets")

JSON = "application/json"
MAX_DOCUMENT = 1024 * 1024  # characters: graphql-core reads them one by one, which other clients would have to wait for
GRAPHQL = "application/graphql-response+json"


def internal_fault(status: int, error: Exception) -> HttpFault:
    """Log an error of this API by its type and place, and return what the client is sent: its text may hold a value."""
    frame = extract_tb(error.__traceback__)[-1]
    _log.error("%s while a request was answered, %s:%s", type(error).__name__, frame.filename, frame.lineno)
    return HttpFault(status, f"a fault of this API itself: {type(error).__name__}")


# -- requests ----------------------------------------------------------------------------------------------------------


def read_operation(request: Request) -> Operation:
    """What a request asks for.

    Raises:
        HttpFault: 400, 405, 406 or 415.
    """
    if negotiate(request.headers.get("accept")) is None:
        raise HttpFault(406, f"this API answers in {GRAPHQL} or {JSON}, which the request does not accept")
    if request.method == "POST":
        return _operation(_posted(request), get=False)
    if request.method in ("GET", "HEAD"):  # RFC 9110, section 9.1: servers support both
        return _operation(_asked(request.query), get=True)
    raise HttpFault(
        405, f"{request.method} is not allowed: POST an operation, or GET a query", (("Allow", "GET, HEAD, POST"),)
    )


def _posted(request: Request) -> Dict[str, Any]:
    if not _is_json(request.headers.get("content-type", "")):
        raise HttpFault(415, f"the body has to be {JSON} in UTF-8", (("Accept-Post", JSON),))
    try:
        body = _loads(request.body.decode("utf-8"))
    except UnicodeDecodeError:
        raise HttpFault(400, "the body is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise HttpFault(400, f"the body is no JSON that this API reads: {_reason(error)}") from None
    if isinstance(body, list):
        raise HttpFault(400, "the body is a list: batches of operations are not supported, send them one by one")
    if not isinstance(body, dict):
        raise HttpFault(400, "the body has to be a JSON object with the key query")
    return body


def _asked(query: str) -> Dict[str, Any]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError:
        raise HttpFault(400, "the parameters of the URL are not UTF-8") from None
    asked: Dict[str, Any] = dict(pairs)
    if len(asked) < len(pairs):
        raise HttpFault(400, "a parameter of the URL is given twice")
    for name in ("variables", "extensions"):
        asked[name] = asked.get(name) or None
    if asked["extensions"]:
        asked["extensions"] = _object_in(asked["extensions"], "extensions")
    return asked


def _operation(body: Mapping[str, Any], *, get: bool) -> Operation:
    query, variables, name = body.get("query"), body.get("variables"), body.get("operationName")
    if not isinstance(query, str):
        raise HttpFault(400, "query is missing or no text: it has to hold the GraphQL document")
    if len(query) > MAX_DOCUMENT:
        raise HttpFault(400, f"query is longer than {MAX_DOCUMENT} characters: send large values in the variables")
    if isinstance(variables, str):
        variables = _object_in(variables, "variables")
    if not (variables is None or isinstance(variables, dict)):
        raise HttpFault(400, "variables have to be a JSON object, or a text that holds one")
    if not (name is None or isinstance(name, str)):
        raise HttpFault(400, "operationName has to be a text")
    if not isinstance(body.get("extensions"), (dict, type(None))):
        raise HttpFault(400, "extensions have to be a JSON object")
    return Operation(query=query, variables=variables or {}, name=name or None, get=get)


def _object_in(text: str, what: str) -> Any:
    try:
        return _loads(text)
    except (ValueError, RecursionError) as error:
        raise HttpFault(400, f"the text of {what} is no JSON that this API reads: {_reason(error)}") from None


@lru_cache(maxsize=64)
def _is_json(content_type: str) -> bool:
    kind, parameters = _parsed(content_type)
    return kind == JSON and parameters.get("charset", "utf-8").lower() in ("utf-8", "utf8")


# -- JSON --------------------------------------------------------------------------------------------------------------


def _loads(text: str) -> Any:
    return _decoder.decode(text)


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no numbers of JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _reason(error: Exception) -> str:
    """Why JSON could not be read, without any of its text."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, line {error.lineno} column {error.colno}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error) if str(error).startswith(("a key", "NaN")) else "a number has too many digits"


# -- responses ---------------------------------------------------------------------------------------------------------


class Media(NamedTuple):
    """The type of a response, and whether the request named it or takes anything."""

    type: str
    named: bool


_BY_DEFAULT = Media(JSON, named=False)


@lru_cache(maxsize=64)
def negotiate(accept: Optional[str]) -> Optional[Media]:
    """The type of the response to a request with this ``Accept`` header; None: there is none that it takes."""
    if accept is None or not accept.strip():
        return _BY_DEFAULT
    ranges = [_parsed(part) for part in accept.split(",") if part.strip()]
    best: Tuple[float, int, int] = (0.0, 0, 0)
    chosen = None
    for preference, offered in enumerate((JSON, GRAPHQL)):
        quality, closeness = _quality(offered, ranges)
        rank = (quality, closeness, preference if closeness == 2 else -preference)  # noqa: PLR2004 - named
        if quality > 0 and (chosen is None or rank > best):
            best, chosen = rank, Media(offered, named=closeness == 2)  # noqa: PLR2004
    return chosen


def _quality(offered: str, ranges: List[Tuple[str, Dict[str, str]]]) -> Tuple[float, int]:
    """How much a type is wanted, by the range that is closest to it: 2 names it, 1 is ``application/*``, 0 ``*/*``."""
    found = (0.0, -1)
    for kind, parameters in ranges:
        closeness = {offered: 2, "application/*": 1, "*/*": 0}.get(kind, -1)
        charset = parameters.get("charset", "utf-8").lower()
        if closeness > found[1] and charset in ("utf-8", "utf8"):
            try:
                found = float(parameters.get("q", "1")), closeness
            except ValueError:
                found = 1.0, closeness
    return found


def _parsed(text: str) -> Tuple[str, Dict[str, str]]:
    kind, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return kind.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def write_answer(request: Request, answer: Answer) -> Response:
    """The response to a request whose operation was looked at or carried out."""
    content: Dict[str, Any] = {"errors": list(answer.errors)} if answer.errors else {}
    media = negotiate(request.headers.get("accept")) or _BY_DEFAULT
    status, headers = answer.status, _content_type(media)
    if status == 200:  # noqa: PLR2004
        content["data"] = answer.data
    elif status == 405:  # noqa: PLR2004
        headers += (("Allow", "POST"),)
    elif media.named and media.type == JSON:
        status = 200
    return Response(status, headers, _encode(content).encode())


def write_fault(request: Optional[Request], fault: HttpFault) -> Response:
    """The response to a request that is refused, in the shape of a GraphQL error."""
    media = (negotiate(request.headers.get("accept")) if request else None) or _BY_DEFAULT
    body = _encode({"errors": [{"message": fault.message}]}).encode()
    return Response(fault.status, _content_type(media) + fault.headers, body)


@lru_cache(maxsize=4)
def _content_type(media: Media) -> Headers:
    return (("Content-Type", f"{media.type}; charset=utf-8"),)


def write_error(
    request: Request, message: str, code: str = "INTERNAL_SERVER_ERROR", path: Sequence[str] = ()
) -> Response:
    """The response of an operation that gives nothing but one error, at HTTP 200 as resolvers' errors have it."""
    media = negotiate(request.headers.get("accept")) or _BY_DEFAULT
    errors = [{"message": message, "path": list(path), "extensions": {"code": code}}]
    return Response(200, _content_type(media), _encode({"errors": errors, "data": None}).encode())
