"""Operations, validated and executed by graphql-core. Imported with the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from graphql import DocumentNode, FieldNode, GraphQLError, OperationDefinitionNode, execute, parse, validate

from pytest_flowsecrets.backend.call import Call
from pytest_flowsecrets.backend.engine import Answer, Operation
from pytest_flowsecrets.backend.errors import ApiError
from pytest_flowsecrets.backend.schema import schema

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.api import World
    from pytest_flowsecrets.backend.keys import Caller


def run(operation: Operation, world: World, caller: Caller) -> Answer:
    """See `engine.execute`."""
    try:
        return _run(operation, world, caller)
    except GraphQLError as error:
        return Answer(errors=[_error(error)], status=400)
    except RecursionError:
        return Answer(errors=[{"message": "The operation is nested too deeply"}], status=400)


def _run(operation: Operation, world: World, caller: Caller) -> Answer:
    document = parse(operation.query)
    built = schema(world.backend)
    faults = validate(built, document)
    if faults:
        return Answer(errors=[_error(fault) for fault in faults], status=400)
    definition = _definition(document, operation.name)
    if caller.refusal is not None:
        return _refused(caller.refusal, definition)
    call = Call(world, caller, operation.variables)
    with world.store.lock:
        result = execute(
            built,
            document,
            context_value=call,
            variable_values=dict(operation.variables),
            operation_name=operation.name,
        )
    errors = [_error(error) for error in result.errors or ()]
    status = 400 if errors and all("path" not in error for error in errors) else 200
    return Answer(result.data, errors, status, definition.operation.value, _root_fields(definition))


def _refused(refusal: ApiError, definition: OperationDefinitionNode) -> Answer:
    """What the real API says to a key that is not good: status 200, no data, ``UNAUTHENTICATED``."""
    fields = _root_fields(definition)
    error = {"message": str(refusal), "path": list(fields[:1]), "extensions": refusal.extensions}
    return Answer(None, [error], 200, definition.operation.value, fields)


def _definition(document: DocumentNode, name: Optional[str]) -> OperationDefinitionNode:
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return next(node for node in found if name is None or (node.name and node.name.value == name))


def _root_fields(definition: OperationDefinitionNode) -> Tuple[str, ...]:
    return tuple(node.name.value for node in definition.selection_set.selections if isinstance(node, FieldNode))


def _error(error: GraphQLError) -> Dict[str, Any]:
    written = dict(error.formatted)
    if error.original_error is not None and not isinstance(error.original_error, (ApiError, GraphQLError)):
        written["message"] = f"Internal error: {type(error.original_error).__name__}"
    return written
