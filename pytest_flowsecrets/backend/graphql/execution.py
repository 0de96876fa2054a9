"""Validate and execute operations with graphql-core. This module is imported with the first operation."""

from __future__ import annotations

import re
from collections import OrderedDict
from threading import Lock
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    OperationDefinitionNode,
    VariableNode,
    execute_sync,
)

from pytest_flowsecrets.backend.graphql.document_masking import OwnValues, own_values
from pytest_flowsecrets.backend.graphql.schema import schema
from pytest_flowsecrets.backend.graphql.validation import InvalidOperation, check_variables, read
from pytest_flowsecrets.backend.messages import Answer, ApiError, Operation
from pytest_flowsecrets.backend.request_context import RequestContext, Service
from pytest_flowsecrets.operating_system import register_at_fork

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.keys import Caller


def run(operation: Operation, world: Service, caller: Caller) -> Answer:
    """Validate and execute an operation: see ``GraphqlService.execute``."""
    outline: Tuple[str, Tuple[str, ...]] = ("", ())
    try:
        document = documents.read(world.backend, operation.query)
        definition = _select_operation(document, operation.name)
        outline = (definition.operation.value, _root_fields(definition))
        if operation.get and outline[0] != "query":
            return Answer(None, [{"message": "GET allows queries only: send this operation with POST"}], 405, *outline)
        variables = check_variables(schema(world.backend), definition, operation.variables)
        if caller.refusal is not None:
            return _refusal(caller.refusal, *outline)
        return Answer(*_execute(document, operation, RequestContext(world, caller, variables)), 200, *outline)
    except InvalidOperation as invalid:
        own = own_values(operation.query)
        errors = [_without_names(error, own) for error in invalid.errors]
    except Exception as error:  # noqa: BLE001 - the client gets an answer even if this API has a bug
        errors = [{"message": _internal(error)}]
    return Answer(None, errors, 400, *outline)


def _execute(
    document: DocumentNode, operation: Operation, context: RequestContext
) -> Tuple[Any, Sequence[Mapping[str, Any]]]:
    with context.store.lock:
        result = execute_sync(
            schema(context.world.backend),
            document,
            context_value=context,
            variable_values=dict(operation.variables),
            operation_name=operation.name,
        )
    return result.data, [_without_quotes(error) for error in result.errors or ()]


def _refusal(refusal: ApiError, kind: str, fields: Tuple[str, ...]) -> Answer:
    """Return the answer to a key that is not valid. Like the real API: status 200, no data, ``UNAUTHENTICATED``."""
    error = {"message": str(refusal), "path": list(fields[:1]), "extensions": refusal.extensions}
    return Answer(None, [error], 200, kind, fields)


# -- documents ---------------------------------------------------------------------------------------------------------


class DocumentCache:
    """A cache of parsed and validated documents.

    It does not store documents that might contain the value of a secret: a mutation is stored only if all its
    arguments are variables.

    Attributes:
        lock: is held while a thread looks up or stores a document.
    """

    MAX_DOCUMENTS, MAX_LENGTH = 256, 8_192  # the length is in characters

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove all documents, and replace the lock, which the parent of a forked child may have held."""
        self.lock = Lock()
        self._cache: OrderedDict[Tuple[str, str], DocumentNode] = OrderedDict()

    def __len__(self) -> int:
        return len(self._cache)

    def __contains__(self, key: Tuple[str, str]) -> bool:
        """Return whether the cache has a document, by backend and text."""
        return key in self._cache

    def read(self, backend: str, text: str) -> DocumentNode:
        """Parse and validate a document.

        Raises:
            InvalidOperation: the document is not valid, or too large.
        """
        key = (backend, text)
        with self.lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        document = read(text, schema(backend))
        if len(text) <= self.MAX_LENGTH and _is_cacheable(document):
            with self.lock:
                self._cache[key] = document
                if len(self._cache) > self.MAX_DOCUMENTS:
                    self._cache.popitem(last=False)
        return document


documents = DocumentCache()
register_at_fork(after_in_child=documents.clear)


def _operations(document: DocumentNode) -> List[OperationDefinitionNode]:
    return [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]


def _is_cacheable(document: DocumentNode) -> bool:
    operations = _operations(document)
    if all(node.operation.value == "query" for node in operations):
        return True
    return len(document.definitions) == 1 and _has_only_variables(operations[0])


def _has_only_variables(operation: OperationDefinitionNode) -> bool:
    """Return whether all arguments of the root fields are variables without defaults."""
    fields = operation.selection_set.selections
    defaults = [definition.default_value for definition in operation.variable_definitions or ()]
    return not any(defaults) and all(isinstance(field, FieldNode) and _takes_variables(field) for field in fields)


def _takes_variables(field: FieldNode) -> bool:
    return all(isinstance(argument.value, VariableNode) for argument in field.arguments or ())


def _select_operation(document: DocumentNode, name: Optional[str]) -> OperationDefinitionNode:
    operations = _operations(document)
    if name is not None:
        operations = [node for node in operations if node.name and node.name.value == name]
    if not operations:
        raise InvalidOperation(GraphQLError("There is no such operation."))
    if len(operations) > 1:
        raise InvalidOperation(GraphQLError("Must provide operation name if query contains multiple operations."))
    if operations[0].operation.value == "subscription":  # the validation of graphql-core 3.2.3 accepts it
        raise InvalidOperation(GraphQLError("This API has no subscriptions.", operations[0]))
    return operations[0]


def _root_fields(definition: OperationDefinitionNode) -> Tuple[str, ...]:
    return tuple(node.name.value for node in definition.selection_set.selections if isinstance(node, FieldNode))


# -- errors ------------------------------------------------------------------------------------------------------------


def _without_names(error: GraphQLError, own: Optional[OwnValues]) -> Dict[str, Any]:
    """Format an error of validation. Remove names that lie inside a value that a mutation sets a secret to."""
    formatted: Dict[str, Any] = dict(error.formatted)
    if own is not None and any(position in own for position in error.positions or ()):
        formatted["message"] = re.sub("'[^']*'", "'…'", error.message)
    return formatted


def _without_quotes(error: GraphQLError) -> Dict[str, Any]:
    """Format an error of execution. Only the message of an ``ApiError`` is certain not to quote values."""
    formatted: Dict[str, Any] = dict(error.formatted)
    cause = error.original_error
    if cause is not None and not isinstance(cause, (ApiError, GraphQLError)):
        formatted["message"] = _internal(cause)
    elif not isinstance(cause, ApiError):
        formatted["message"] = re.sub(r"( cannot represent|invalid value) .*", r"\1", error.message, flags=re.DOTALL)
    return formatted


def _internal(error: BaseException) -> str:
    """Describe an unexpected error by its type and place, because its text may contain a value."""
    if isinstance(error, RecursionError):
        return "The operation is nested too deeply"
    steps = extract_tb(error.__traceback__)
    return f"Internal error: {type(error).__name__}" + (f" at {steps[-1].name}:{steps[-1].lineno}" if steps else "")
