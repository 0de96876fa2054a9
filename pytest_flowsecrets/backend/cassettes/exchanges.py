"""Exchanges, and the file that keeps them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Sequence

from pytest_flowsecrets.backend.messages import Response
from pytest_flowsecrets.errors import UsageError

FORMAT = 1
GRAPHQL, REST = "graphql", "rest"
_TEXT = "text/plain"


@dataclass(frozen=True)
class Exchange:
    """A request and its response.

    Attributes:
        method: of HTTP.
        path: below the address of the API, with the query.
        request: the JSON of the body, ``{"text/plain": …}`` if it is no JSON, or None without a body.
        status: of the response.
        response: the JSON of the body, or ``{"text/plain": …}`` if it is no JSON.
    """

    method: str
    path: str
    request: Any = field(repr=False)
    status: int
    response: Any = field(repr=False)


def response_of(status: int, data: Any) -> Response:
    """Return a response with the data of an exchange.

    Args:
        status: of HTTP.
        data: JSON, or ``{"text/plain": …}``.
    """
    if isinstance(data, dict) and list(data) == [_TEXT]:
        return Response(status, (("Content-Type", f"{_TEXT}; charset=utf-8"),), data[_TEXT].encode())
    return Response(status, (("Content-Type", "application/json"),), json.dumps(data).encode())


def data_of(body: bytes) -> Any:
    """Return the data of a body as an exchange has it: JSON, or ``{"text/plain": …}``.

    Args:
        body: of a request or response.
    """
    try:
        return json.loads(body)
    except ValueError:
        return {_TEXT: body.decode("utf-8", "replace")}


def read_cassette(path: str) -> List[Exchange]:
    """Return the exchanges of a cassette.

    Args:
        path: the file.

    Raises:
        UsageError: the file cannot be read, or is not a cassette.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        if data["format"] == FORMAT:
            return [Exchange(**each) for each in data["exchanges"]]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or type(error).__name__}") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise UsageError(f"{path}: not a cassette of this version: record it again with `flowsecrets record`")


def write_cassette(path: str, exchanges: Sequence[Exchange]) -> None:
    """Write a cassette that only its owner can read.

    Args:
        path: the file.
        exchanges: the masked exchanges.

    Raises:
        UsageError: the file cannot be written.
    """
    data = {"format": FORMAT, "exchanges": [asdict(each) for each in exchanges]}
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1, ensure_ascii=False)
            file.write("\n")
        os.replace(temporary, path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or type(error).__name__}") from None


def settings_for(url: str, kind: str) -> Dict[str, str]:
    """Return the variables that make Prefect's client use an API.

    Args:
        url: the address.
        kind: ``graphql`` for Prefect up to 1.4, ``rest`` for 2.20 and 3.
    """
    if kind == REST:
        return {"PREFECT_API_URL": url}
    return {"PREFECT__CLOUD__API": url}
