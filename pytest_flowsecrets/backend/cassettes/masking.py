"""Masks in recorded traffic: the secrets that the traffic itself shows, and the known ones, wherever they occur.

REST: the secret fields of block documents, as their schemas name them; of a block whose schema was not recorded, all
fields. GraphQL: the values of ``set_secret``, the answers to ``secret_value``, and keys. Each of these values is then
masked in all other texts, too, in every encoding that the search for leaks finds, unless it is a common word or short.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

from pytest_flowsecrets.backend.graphql.document_masking import own_values, root_fields, sets_secrets
from pytest_flowsecrets.backend.http.graphql_http import variables_of
from pytest_flowsecrets.backend.messages import HttpFault
from pytest_flowsecrets.backend.rest.store.masking import secret_fields, secret_name, secret_values
from pytest_flowsecrets.leaks.formats import is_common
from pytest_flowsecrets.leaks.mask.redactor import Redactor
from pytest_flowsecrets.leaks.registry import texts_of

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.cassettes.exchanges import Exchange

_KEYS = frozenset({"access_token", "refresh_token", "api_token", "token", "key"})  # in answers of GraphQL
_READS = frozenset({"secret_value", "secretValue"})
_BLOCK_PATH = re.compile(r"/block_documents/([0-9a-fA-F-]{36})\b")
_MASK, _END = "[secret ", "]"


def mask_exchanges(exchanges: Sequence[Exchange], known: Mapping[str, Any]) -> List[Exchange]:
    """Return exchanges without the values of secrets.

    Args:
        exchanges: the recorded ones.
        known: further secrets by name.
    """
    secrets = _Secrets(exchanges)
    masked = [secrets.mask(exchange) for exchange in exchanges]
    values: Dict[str, Tuple[str, ...]] = {}
    for name, value in (*known.items(), *secrets.values):
        values.update({text: (name,) for text in texts_of(value) if text and not is_common(text)})
    redactor = Redactor(values)
    return [
        replace(
            each,
            path=redactor.redact(each.path),
            request=_redacted(each.request, redactor),
            response=_redacted(each.response, redactor),
        )
        for each in masked
    ]


def restore(data: Any, secrets: Mapping[str, Any]) -> Any:
    """Return data in which each mask is replaced by the value of its secret, if there is one.

    Args:
        data: the JSON of a response.
        secrets: the values by the names that the masks show.
    """
    if isinstance(data, dict):
        return {key: restore(value, secrets) for key, value in data.items()}
    if isinstance(data, list):
        return [restore(each, secrets) for each in data]
    is_mask = isinstance(data, str) and data.startswith(_MASK) and data.endswith(_END)
    return secrets.get(data[len(_MASK) : -len(_END)], data) if is_mask else data


class _Secrets:
    """Collects the secrets that exchanges show.

    Attributes:
        values: the names and values so far.
    """

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self.values: List[Tuple[str, Any]] = []
        self._secret_fields: Dict[str, List[str]] = {}  # by the id of the schema
        self._names: Dict[str, str] = {}  # of block documents, by id
        self._schemas: Dict[str, Any] = {}  # the ids of their schemas
        for exchange in exchanges:
            self._learn(exchange.response)

    def _learn(self, data: Any) -> None:
        if isinstance(data, dict):
            fields = data.get("fields")
            if isinstance(fields, dict) and isinstance(fields.get("secret_fields"), list):
                self._secret_fields[str(data.get("id"))] = secret_fields(data)
            if _is_block(data):
                self._names[str(data.get("id"))] = str(data.get("name"))
                self._schemas[str(data.get("id"))] = data.get("block_schema_id")
        for value in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
            self._learn(value)

    def mask(self, exchange: Exchange) -> Exchange:
        """Return an exchange with a mask in the place of each secret, and collect their values."""
        if isinstance(exchange.request, dict) and isinstance(exchange.request.get("query"), str):
            return self._mask_graphql(exchange)
        document = _BLOCK_PATH.match(exchange.path)
        name, request = "", exchange.request
        if document is not None:
            name = self._names.get(document.group(1), "")
            if isinstance(request, dict) and isinstance(request.get("data"), dict) and not _is_block(request):
                request = {**request, "block_schema_id": self._schemas.get(document.group(1))}
        request, response = (self._mask_blocks(data, name) for data in (request, exchange.response))
        return replace(exchange, request=request, response=response)

    def _add(self, name: str, value: Any) -> str:
        self.values.append((name, value))
        return f"{_MASK}{name}{_END}"

    # -- REST ----------------------------------------------------------------------------------------------------------

    def _mask_blocks(self, data: Any, name: str) -> Any:
        if isinstance(data, list):
            return [self._mask_blocks(each, name) for each in data]
        if not isinstance(data, dict):
            return data
        if not _is_block(data):
            return {key: self._mask_blocks(value, name) for key, value in data.items()}
        rest = {key: self._mask_blocks(value, "") for key, value in data.items() if key != "data"}
        return {**rest, "data": self._mask_data(data, str(data.get("name") or name or "block"))}

    def _mask_data(self, block: Mapping[str, Any], name: str) -> Any:
        fields = self._secret_fields.get(str(block.get("block_schema_id")))
        if fields is None:
            fields = [f"{key}.*" for key in block["data"]]
        data = json.loads(json.dumps(block["data"]))
        for path, value in secret_values(data, fields):
            if isinstance(value, str) and not value.strip("*"):  # the API has masked it
                continue
            *parents, key = path.split(".")
            inner = data
            for parent in parents:
                inner = inner[parent]
            inner[key] = self._add(secret_name(name, path), value)
        return data

    # -- GraphQL -------------------------------------------------------------------------------------------------------

    def _mask_graphql(self, exchange: Exchange) -> Exchange:
        query, variables = exchange.request["query"], _variables(exchange.request)
        own, request = own_values(query), dict(exchange.request)
        if own is not None:
            request["query"] = own.remove_from_document(query)
            request["variables"] = self._mask_variables(variables, own.remove_from_variables(variables))
        elif sets_secrets(query):  # not a valid document
            request["query"], request["variables"] = None, None
        return replace(exchange, request=request, response=self._mask_answer(exchange, query, variables))

    def _mask_variables(self, variables: Mapping[str, Any], rest: Mapping[str, Any]) -> Dict[str, Any]:
        masked = dict(rest)
        for variable, value in variables.items():
            if rest[variable] is value:
                continue
            if isinstance(value, dict) and "value" in value:
                name = str(value.get("name"))
                masked[variable] = {**value, "value": self._add(name, value["value"])}
            else:
                masked[variable] = self._add(str(variables.get("name", variable)), value)
        return masked

    def _mask_answer(self, exchange: Exchange, query: str, variables: Mapping[str, Any]) -> Any:
        response = exchange.response
        if not (isinstance(response, dict) and isinstance(response.get("data"), dict)):
            return response
        data = {key: self._mask_keys(value) for key, value in response["data"].items()}
        for node in root_fields(query)[1]:
            key = node.alias.value if node.alias is not None else node.name.value
            if node.name.value in _READS and data.get(key) is not None:
                data[key] = self._add(_argument(node, "name", variables), data[key])
        return {**response, "data": data}

    def _mask_keys(self, data: Any) -> Any:
        if isinstance(data, list):
            return [self._mask_keys(each) for each in data]
        if not isinstance(data, dict):
            return data
        return {
            key: self._add(key, value) if key in _KEYS and isinstance(value, str) else self._mask_keys(value)
            for key, value in data.items()
        }


def _is_block(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("data"), dict) and ("block_schema_id" in data or "block_document_type" in data)


def _argument(node: Any, name: str, variables: Mapping[str, Any]) -> str:
    for argument in node.arguments:
        if argument.name.value == name:
            value = argument.value
            return str(variables.get(value.name.value) if value.kind == "variable" else getattr(value, "value", name))
    return name


def _variables(request: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return variables_of(request)
    except HttpFault:
        return {}


def _redacted(data: Any, redactor: Redactor) -> Any:
    if isinstance(data, str):
        return redactor.redact(data)
    if isinstance(data, list):
        return [_redacted(each, redactor) for each in data]
    if isinstance(data, dict):
        return {redactor.redact(key): _redacted(value, redactor) for key, value in data.items()}
    return data
