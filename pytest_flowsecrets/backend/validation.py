"""What is checked before any resolver runs: limits, the rules of GraphQL, the variables.

Real clients pass all of it; what is refused is a mistake of the code under test, or an attack. graphql-core's own
messages quote the value that is wrong, which may be a secret's: ours keep its place and the type that was expected.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Union

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableDefinitionNode,
    coerce_input_value,
    get_named_type,
    get_nullable_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    parse,
    specified_rules,
    type_from_ast,
    validate,
    value_from_ast_untyped,
)
from graphql.execution import get_variable_values
from graphql.validation import ValuesOfCorrectTypeRule

# Prefect's own operations stay below a tenth of these, but for the tokens: an agent lists the ids of all due runs.
MAX_TOKENS = 20_000
MAX_DEPTH = 20
MAX_ALIASES = 100
MAX_FIELDS = 500


class Refused(Exception):  # noqa: N818
    """An operation that is not executed, with what the client is told."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__()
        self.errors = errors


def read(text: str, schema: GraphQLSchema) -> DocumentNode:
    """The document, valid and within the limits.

    Raises:
        Refused: it is not.
    """
    try:
        document = parse(text, max_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        raise Refused(_without_tokens(error)) from None
    _check_size(document)
    errors = validate(schema, document, _RULES)
    if errors:
        raise Refused(*errors)
    return document


def check_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, given: Mapping[str, Any]
) -> Dict[str, Any]:
    """The variables as they were sent, with the defaults as they were written.

    Raises:
        Refused: one is missing or of another type.
    """
    definitions = operation.variable_definitions or ()
    if isinstance(get_variable_values(schema, definitions, dict(given)), dict):
        defaults = {node.variable.name.value: node.default_value for node in definitions if node.default_value}
        return {**{name: value_from_ast_untyped(node) for name, node in defaults.items()}, **given}
    raise Refused(*(fault for definition in definitions for fault in _faults(schema, definition, given)))


# -- syntax ------------------------------------------------------------------------------------------------------------


def _without_tokens(error: GraphQLSyntaxError) -> GraphQLError:
    """The token that was found is named by its kind."""
    text = re.sub(r"\b(Name|Int|Float|String|BlockString) '.*'", r"\1", error.description, flags=re.DOTALL)
    text = re.sub(r": .*", "", text, flags=re.DOTALL)
    return GraphQLError(f"Syntax Error: {text}", source=error.source, positions=error.positions)


# -- limits ------------------------------------------------------------------------------------------------------------


class _Size(NamedTuple):
    depth: int = 0
    fields: int = 0


def _check_size(document: DocumentNode) -> None:
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    sizes: Dict[str, _Size] = {}
    aliases: List[FieldNode] = []
    measured = [
        _measure(node.selection_set, fragments, sizes, aliases)
        for node in document.definitions
        if isinstance(node, (OperationDefinitionNode, FragmentDefinitionNode))
    ]
    _limit("depth", max((size.depth for size in measured), default=0), MAX_DEPTH)
    _limit("number of fields, fragments included,", sum(size.fields for size in measured), MAX_FIELDS)
    _limit("number of aliases", len(aliases), MAX_ALIASES)


def _limit(what: str, number: int, most: int) -> None:
    if number > most:
        raise Refused(GraphQLError(f"The {what} of this operation is {number}; {most} is the limit"))


def _measure(
    selections: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    sizes: Dict[str, _Size],
    aliases: List[FieldNode],
) -> _Size:
    """Depth and number of fields with each fragment in its places; a fragment is walked through once."""
    depth, fields = 0, 0
    for node in selections.selections:
        own, inner = 0, _Size()
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name in fragments and name not in sizes:
                sizes[name] = _Size()  # so that a circle ends; validation refuses it
                sizes[name] = _measure(fragments[name].selection_set, fragments, sizes, aliases)
            inner = sizes.get(name, inner)
        elif isinstance(node, (FieldNode, InlineFragmentNode)):
            own = int(isinstance(node, FieldNode))
            if isinstance(node, FieldNode) and node.alias:
                aliases.append(node)
            if node.selection_set:
                inner = _measure(node.selection_set, fragments, sizes, aliases)
        depth, fields = max(depth, own + inner.depth), fields + own + inner.fields
    return _Size(depth, fields)


# -- values ------------------------------------------------------------------------------------------------------------


class _ValuesUnquoted(ValuesOfCorrectTypeRule):
    """A literal of the wrong type is told of by its place."""

    def report_error(self, error: GraphQLError) -> None:
        if not error.message.startswith("Field "):  # that one is missing or unknown
            error = GraphQLError(f"Expected value of type '{self.context.get_input_type()}'.", error.nodes)
        super().report_error(error)


_RULES = [_ValuesUnquoted if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules]


def _faults(schema: GraphQLSchema, definition: VariableDefinitionNode, given: Mapping[str, Any]) -> List[GraphQLError]:
    name, type_ = definition.variable.name.value, type_from_ast(schema, definition.type)
    if name not in given:
        missing = str(type_).endswith("!") and definition.default_value is None
        return [GraphQLError(f"Variable '${name}' of required type '{type_}' was not provided.", definition)] * missing
    faults: List[GraphQLError] = []

    def note(path: Sequence[Union[str, int]], _: Any, error: GraphQLError) -> None:
        expected = _type_at(type_, path)
        leaf = expected is not None and is_leaf_type(get_named_type(expected))
        reason = f"Expected type '{expected}'." if leaf else error.message
        at = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        faults.append(GraphQLError(f"Variable '${name}' got an invalid value at '{name}{at}'; {reason}", definition))

    coerce_input_value(given[name], type_, note)  # type: ignore[arg-type]
    return faults


def _type_at(type_: Any, path: Sequence[Union[str, int]]) -> Any:
    for step in path:
        inner = get_nullable_type(type_)
        while is_list_type(inner) and isinstance(step, str):  # one thing in the place of a list
            inner = get_nullable_type(inner.of_type)
        type_ = inner.fields[step].type if is_input_object_type(inner) else inner.of_type
    return type_
