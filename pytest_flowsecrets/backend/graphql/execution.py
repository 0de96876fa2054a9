"""Operations, validated and executed by graphql-core. Imported with the first one."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from threading import Lock
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence, Tuple

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    VariableNode,
    execute_sync,
)

from pytest_flowsecrets.backend.client_errors import ApiError
from pytest_flowsecrets.backend.graphql.document_masking import OwnValues, own_values
from pytest_flowsecrets.backend.graphql.schema import schema
from pytest_flowsecrets.backend.graphql.validation import Refused, check_variables, read
from pytest_flowsecrets.backend.messages import Answer, Operation
from pytest_flowsecrets.backend.request_context import Call, Service

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.keys import Caller


def run(operation: Operation, world: Service, caller: Caller) -> Answer:
    """See ``World.execute``."""
    seen: Tuple[str, Tuple[str, ...]] = ("", ())
    try:
        document = _documents.read(world.backend, operation.query)
        definition = _chosen(document, operation.name)
        seen = (definition.operation.value, _root_fields(definition))
        if operation.get and seen[0] != "query":
            return Answer(None, [{"message": "By GET only queries can be sent: POST this one"}], 405, *seen)
        variables = check_variables(schema(world.backend), definition, operation.variables)
        if caller.refusal is not None:
            return _refused(caller.refusal, *seen)
        return Answer(*_resolved(document, operation, Call(world, caller, variables)), 200, *seen)
    except Refused as refused:
        own = own_values(operation.query)
        errors = [_without_names(error, own) for error in refused.errors]
    except Exception as error:  # noqa: BLE001 - a client that meets a bug gets an answer, too
        errors = [{"message": _internal(error)}]
    return Answer(None, errors, 400, *seen)


def _resolved(document: DocumentNode, operation: Operation, call: Call) -> Tuple[Any, Sequence[Mapping[str, Any]]]:
    with call.store.lock:
        result = execute_sync(
            schema(call.world.backend),
            document,
            context_value=call,
            variable_values=dict(operation.variables),
            operation_name=operation.name,
        )
    return result.data, [_without_quotes(error) for error in result.errors or ()]


def _refused(refusal: ApiError, kind: str, fields: Tuple[str, ...]) -> Answer:
    """What the real API says to a key that is not good: status 200, no data, ``UNAUTHENTICATED``."""
    error = {"message": str(refusal), "path": list(fields[:1]), "extensions": refusal.extensions}
    return Answer(None, [error], 200, kind, fields)


# -- documents ---------------------------------------------------------------------------------------------------------


class _Documents:
    """The valid documents of late, by their text.

    One with a value in it that might be a secret's is not kept: a mutation is, if its arguments are variables.
    """

    MOST, LONGEST = 256, 8_192  # documents, characters of each

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all documents, in a forked child, too, whose parent may have held the lock."""
        self._lock = Lock()
        self._kept: OrderedDict[Tuple[str, str], DocumentNode] = OrderedDict()

    def read(self, backend: str, text: str) -> DocumentNode:
        """The document of a text.

        Raises:
            Refused: it is not valid, or too large.
        """
        key = (backend, text)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        document = read(text, schema(backend))
        if len(text) <= self.LONGEST and _may_be_kept(document):
            with self._lock:
                self._kept[key] = document
                if len(self._kept) > self.MOST:
                    self._kept.popitem(last=False)
        return document


_documents = _Documents()
os.register_at_fork(after_in_child=_documents.clear)


def _may_be_kept(document: DocumentNode) -> bool:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if all(node.operation.value == "query" for node in operations):
        return True
    return (
        len(document.definitions) == 1
        and all(
            isinstance(node, FieldNode)
            and all(isinstance(argument.value, VariableNode) for argument in node.arguments or ())
            for node in operations[0].selection_set.selections
        )
        and not any(definition.default_value for definition in operations[0].variable_definitions or ())
    )


def _chosen(document: DocumentNode, name: Optional[str]) -> OperationDefinitionNode:
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is not None:
        found = [node for node in found if node.name and node.name.value == name]
    if not found:
        raise Refused(GraphQLError("There is no such operation."))
    if len(found) > 1:
        raise Refused(GraphQLError("Must provide operation name if query contains multiple operations."))
    if found[0].operation.value == "subscription":
        raise Refused(GraphQLError("This API has no subscriptions.", found[0]))
    return found[0]


def _root_fields(definition: OperationDefinitionNode) -> Tuple[str, ...]:
    return tuple(node.name.value for node in definition.selection_set.selections if isinstance(node, FieldNode))


# -- errors ------------------------------------------------------------------------------------------------------------


def _written(error: GraphQLError) -> Dict[str, Any]:
    return dict(error.formatted)


def _without_names(error: GraphQLError, own: Optional[OwnValues]) -> Dict[str, Any]:
    """One of validation; what it names is not told where it lies within a value that a secret would be set to."""
    written = _written(error)
    if own is not None and any(position in own for position in error.positions or ()):
        written["message"] = re.sub("'[^']*'", "'…'", error.message)
    return written


def _without_quotes(error: GraphQLError) -> Dict[str, Any]:
    """One of execution: an `ApiError` speaks for itself; graphql-core's own quote values, others are made of them."""
    written, cause = _written(error), error.original_error
    if cause is not None and not isinstance(cause, (ApiError, GraphQLError)):
        written["message"] = _internal(cause)
    elif not isinstance(cause, ApiError):
        written["message"] = re.sub(r"( cannot represent|invalid value) .*", r"\1", error.message, flags=re.DOTALL)
    return written


def _internal(error: BaseException) -> str:
    """Its text may hold a value, so it is told of by type and place."""
    if isinstance(error, RecursionError):
        return "The operation is nested too deeply"
    steps = extract_tb(error.__traceback__)
    return f"Internal error: {type(error).__name__}" + (f" at {steps[-1].name}:{steps[-1].lineno}" if steps else "")
