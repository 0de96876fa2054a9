"""GraphQL over HTTP: convert requests to operations, and answers to responses. This module uses no sockets.

The rules are those of the GraphQL-over-HTTP specification, as its public server audit (the ``graphql-http`` package)
checks them. Prefect's clients require a different status for invalid documents, so the ``Accept`` header decides:

=========================================  ===================================  =================================
``Accept``                                 type of the response                 status for an invalid document
=========================================  ===================================  =================================
``application/graphql-response+json``      the same                             400
``application/json``, by name              the same                             200 (the specification's SHOULD)
anything (``*/*``, as Prefect's clients)   ``application/json``                 400 (what Prefect's clients expect)
=========================================  ===================================  =================================

A second deviation: ``variables`` may be a JSON text inside the JSON body, because all Prefect clients send them so.
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
MAX_DOCUMENT = 1024 * 1024  # characters: graphql-core reads them one by one, and other clients would have to wait
GRAPHQL = "application/graphql-response+json"


def internal_fault(status: int, error: Exception) -> HttpFault:
    """Log an error of this API, and return the fault for the client. Both omit its text, which may contain a value."""
    frame = extract_tb(error.__traceback__)[-1]
    _log.error("%s while answering a request, %s:%s", type(error).__name__, frame.filename, frame.lineno)
    return HttpFault(status, f"internal error of this API: {type(error).__name__}")


# -- requests ----------------------------------------------------------------------------------------------------------


def read_operation(request: Request) -> Operation:
    """Return the operation of a request.

    Raises:
        HttpFault: 400, 405, 406 or 415.
    """
    if negotiate(request.headers.get("accept")) is None:
        raise HttpFault(406, f"this API answers in {GRAPHQL} or {JSON}, which the request does not accept")
    if request.method == "POST":
        return _operation(_body_of(request), get=False)
    if request.method in ("GET", "HEAD"):  # RFC 9110, section 9.1: servers support both
        return _operation(_parameters_of(request.query), get=True)
    raise HttpFault(
        405, f"{request.method} is not allowed: use POST, or GET for queries", (("Allow", "GET, HEAD, POST"),)
    )


def _body_of(request: Request) -> Dict[str, Any]:
    if not _is_json(request.headers.get("content-type", "")):
        raise HttpFault(415, f"the body must be {JSON} in UTF-8", (("Accept-Post", JSON),))
    try:
        body = _loads(request.body.decode("utf-8"))
    except UnicodeDecodeError:
        raise HttpFault(400, "the body is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise HttpFault(400, f"the body is not valid JSON: {_reason(error)}") from None
    if isinstance(body, list):
        raise HttpFault(400, "the body is a list: batches of operations are not supported, send them one by one")
    if not isinstance(body, dict):
        raise HttpFault(400, "the body must be a JSON object with the key query")
    return body


def _parameters_of(query: str) -> Dict[str, Any]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError:
        raise HttpFault(400, "the parameters of the URL are not UTF-8") from None
    parameters: Dict[str, Any] = dict(pairs)
    if len(parameters) < len(pairs):
        raise HttpFault(400, "a parameter of the URL occurs twice")
    for name in ("variables", "extensions"):
        parameters[name] = parameters.get(name) or None
    if parameters["extensions"]:
        parameters["extensions"] = _parse(parameters["extensions"], "extensions")
    return parameters


def _operation(body: Mapping[str, Any], *, get: bool) -> Operation:
    query, name = body.get("query"), body.get("operationName")
    if not isinstance(query, str):
        raise HttpFault(400, "query is missing or not a text: it must contain the GraphQL document")
    if len(query) > MAX_DOCUMENT:
        raise HttpFault(400, f"query is longer than {MAX_DOCUMENT} characters: send large values in the variables")
    variables = variables_of(body)
    if not isinstance(name, (str, type(None))):
        raise HttpFault(400, "operationName must be a text")
    if not isinstance(body.get("extensions"), (dict, type(None))):
        raise HttpFault(400, "extensions must be a JSON object")
    return Operation(query=query, variables=variables, name=name or None, get=get)


def variables_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the variables of an operation; Prefect's clients send them as a JSON text.

    Raises:
        HttpFault: 400.
    """
    variables = body.get("variables")
    if isinstance(variables, str):
        variables = _parse(variables, "variables")
    if not isinstance(variables, (dict, type(None))):
        raise HttpFault(400, "variables must be a JSON object, or a text that contains one")
    return variables or {}


def _parse(text: str, what: str) -> Any:
    try:
        return _loads(text)
    except (ValueError, RecursionError) as error:
        raise HttpFault(400, f"the text of {what} is not valid JSON: {_reason(error)}") from None


@lru_cache(maxsize=64)
def _is_json(content_type: str) -> bool:
    kind, parameters = _parsed(content_type)
    return kind == JSON and parameters.get("charset", "utf-8").lower() in ("utf-8", "utf8")


# -- JSON --------------------------------------------------------------------------------------------------------------


def _loads(text: str) -> Any:
    return _decoder.decode(text)


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key occurs twice")
    return result


def _constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not valid in JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _reason(error: Exception) -> str:
    """Return why a JSON text is not valid, without quoting it."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, line {error.lineno} column {error.colno}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error) if str(error).startswith(("a key", "NaN")) else "a number has too many digits"


# -- responses ---------------------------------------------------------------------------------------------------------


class Media(NamedTuple):
    """The type of a response, and whether the request named it (or else accepts anything)."""

    type: str
    named: bool


_BY_DEFAULT = Media(JSON, named=False)


@lru_cache(maxsize=64)
def negotiate(accept: Optional[str]) -> Optional[Media]:
    """Return the type of the response to a request with this ``Accept`` header, or None if it accepts no type."""
    if accept is None or not accept.strip():
        return _BY_DEFAULT
    ranges = [_parsed(part) for part in accept.split(",") if part.strip()]
    candidates: List[Tuple[Tuple[float, int, int], Media]] = []
    for preference, offered in enumerate((JSON, GRAPHQL)):
        quality, specificity = _quality(offered, ranges)
        named = specificity == _NAMED
        if quality > 0:
            rank = (quality, specificity, preference if named else -preference)
            candidates.append((rank, Media(offered, named=named)))
    return max(candidates)[1] if candidates else None


_NAMED = 2  # the specificity of a range that is the type itself; 1 is `application/*`, 0 is `*/*`


def _quality(offered: str, ranges: List[Tuple[str, Dict[str, str]]]) -> Tuple[float, int]:
    """Return the quality of a type, and the specificity of the most specific range that matches it."""
    best = (0.0, -1)
    for kind, parameters in ranges:
        specificity = {offered: _NAMED, "application/*": 1, "*/*": 0}.get(kind, -1)
        charset = parameters.get("charset", "utf-8").lower()
        if specificity > best[1] and charset in ("utf-8", "utf8"):
            try:
                best = float(parameters.get("q", "1")), specificity
            except ValueError:
                best = 1.0, specificity
    return best


def _parsed(text: str) -> Tuple[str, Dict[str, str]]:
    kind, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return kind.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def write_answer(request: Request, answer: Answer) -> Response:
    """Return the response to a request whose operation was validated or executed."""
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
    """Return the response to a rejected request, in the format of a GraphQL error."""
    media = (negotiate(request.headers.get("accept")) if request else None) or _BY_DEFAULT
    body = _encode({"errors": [{"message": fault.message}]}).encode()
    return Response(fault.status, _content_type(media) + fault.headers, body)


@lru_cache(maxsize=4)
def _content_type(media: Media) -> Headers:
    return (("Content-Type", f"{media.type}; charset=utf-8"),)


def write_error(
    request: Request, message: str, code: str = "INTERNAL_SERVER_ERROR", path: Sequence[str] = ()
) -> Response:
    """Return a response with one error and no data, with status 200 as for errors of resolvers."""
    media = negotiate(request.headers.get("accept")) or _BY_DEFAULT
    errors = [{"message": message, "path": list(path), "extensions": {"code": code}}]
    return Response(200, _content_type(media), _encode({"errors": errors, "data": None}).encode())
