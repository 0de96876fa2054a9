"""Validation before any resolver runs: limits, the rules of GraphQL, the variables.

Real clients pass it; it rejects mistakes of the code under test, and attacks. The messages of graphql-core quote the
wrong value, which may be the value of a secret. The messages here contain its place and the expected type instead.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    SelectionSetNode,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    parse,
    specified_rules,
    type_from_ast,
    validate,
    value_from_ast_untyped,
)
from graphql.validation import ValuesOfCorrectTypeRule

# Prefect's own operations stay below a tenth of these limits, except tokens: an agent lists the ids of all due runs.
MAX_TOKENS = 20_000
MAX_DEPTH = 20
MAX_ALIASES = 100
MAX_FIELDS = 500


class InvalidOperation(Exception):  # noqa: N818 - GraphQL's errors are its contents
    """An operation is not valid.

    Attributes:
        errors: the errors for the client.
    """

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__()
        self.errors = errors


def read(text: str, schema: GraphQLSchema) -> DocumentNode:
    """Parse and validate a document.

    Raises:
        InvalidOperation: the document is not valid, or exceeds a limit.
    """
    try:
        document = parse(text, max_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        raise InvalidOperation(_without_tokens(error)) from None
    _check_size(document)
    errors = validate(schema, document, _RULES)
    if errors:
        raise InvalidOperation(*errors)
    return document


def check_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, inputs: Mapping[str, Any]
) -> Dict[str, Any]:
    """Return the uncoerced variables of a request, completed with the defaults of the document.

    Raises:
        InvalidOperation: a variable is missing or has the wrong type.
    """
    errors: List[GraphQLError] = []
    variables = dict(inputs)
    for node in operation.variable_definitions or ():
        name, type_ = node.variable.name.value, type_from_ast(schema, node.type)
        if name in inputs:
            problems = _problems(type_, inputs[name], name)
            errors += [GraphQLError(f"Variable '${name}' got an invalid value at {text}", node) for text in problems]
        elif node.default_value is not None:
            variables[name] = value_from_ast_untyped(node.default_value)
        elif is_non_null_type(type_):
            errors.append(GraphQLError(f"Variable '${name}' of required type '{type_}' was not provided.", node))
    if errors:
        raise InvalidOperation(*errors)
    return variables


# -- syntax ------------------------------------------------------------------------------------------------------------


def _without_tokens(error: GraphQLSyntaxError) -> GraphQLError:
    """Replace the text of an unexpected token by its kind."""
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


def _limit(what: str, number: int, limit: int) -> None:
    if number > limit:
        raise InvalidOperation(GraphQLError(f"The {what} of this operation is {number}; the limit is {limit}"))


def _measure(
    selections: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    sizes: Dict[str, _Size],
    aliases: List[FieldNode],
) -> _Size:
    """Return depth and number of fields with all fragments expanded; each fragment is visited once."""
    depth, fields = 0, 0
    for node in selections.selections:
        own, inner = 0, _Size()
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name in fragments and name not in sizes:
                sizes[name] = _Size()  # ends the recursion of a cycle, which validation rejects
                sizes[name] = _measure(fragments[name].selection_set, fragments, sizes, aliases)
            inner = sizes.get(name, inner)
        else:
            own = int(isinstance(node, FieldNode))
            if isinstance(node, FieldNode) and node.alias:
                aliases.append(node)
            selection_set = getattr(node, "selection_set", None)
            if selection_set:
                inner = _measure(selection_set, fragments, sizes, aliases)
        depth, fields = max(depth, own + inner.depth), fields + own + inner.fields
    return _Size(depth, fields)


# -- values ------------------------------------------------------------------------------------------------------------


class _ValuesUnquoted(ValuesOfCorrectTypeRule):
    """Report a literal of the wrong type by its place and by the type or field that graphql-core names."""

    def report_error(self, error: GraphQLError) -> None:
        text = without_value(error.message) or f"Expected value of type '{self.context.get_input_type()}'."
        super().report_error(GraphQLError(text, error.nodes))


# The messages of graphql-core 3.2 and 3.3, and their replacements.
_REPLACEMENTS = [
    (re.compile(r"Field '(\w+)' is not defined by type '(\w+)'"), "Field '{}' is not defined by type '{}'."),
    (re.compile(r"Field '(\S+)' of required type"), "Field '{}' was not provided."),
    (
        re.compile(r"Expected .* '(\w+)' not to include unknown field '(\w+)'"),
        "Field '{1}' is not defined by type '{0}'.",
    ),
    (re.compile(r"Expected .* '(\w+)' to include required field '(\w+)'"), "Field '{0}.{1}' was not provided."),
    (re.compile(r"Expected value of (?:non-null )?type '([\w\[\]!]+)'"), "Expected value of type '{}'."),
    (re.compile(r"(?:Enum ')?(\w+)'? cannot represent"), "Expected value of type '{}'."),
    (re.compile(r"Value '\w+' does not exist in '(\w+)' enum"), "Expected value of type '{}'."),
]


def without_value(message: str) -> Optional[str]:
    """Return a message of graphql-core about a literal without the literal; None for an unknown message."""
    for pattern, text in _REPLACEMENTS:
        match = pattern.match(message)
        if match:
            return text.format(*match.groups())
    return None


_RULES = [_ValuesUnquoted if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules]


def _problems(type_: Any, value: Any, path: str) -> Iterator[str]:
    """Yield each problem of a variable's value, with its path."""
    kind = get_nullable_type(type_)
    if value is None:
        if is_non_null_type(type_):
            yield f"'{path}'; Expected type '{type_}', not null."
    elif is_list_type(kind):
        for entry_path, entry in _entries(value, path):
            yield from _problems(kind.of_type, entry, entry_path)
    elif is_input_object_type(kind):
        yield from _problems_of_fields(kind, value, path)
    elif not _accepts(kind, value):
        yield f"'{path}'; Expected type '{type_}'."


def _entries(value: Any, path: str) -> List[Tuple[str, Any]]:
    """Return the entries of a list with their paths. A single value is a list of one."""
    if not isinstance(value, list):
        return [(path, value)]
    return [(f"{path}[{number}]", entry) for number, entry in enumerate(value)]


def _problems_of_fields(type_: GraphQLInputObjectType, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"'{path}'; Expected type '{type_}' to be a mapping."
        return
    for name, field in type_.fields.items():
        if name in value:
            yield from _problems(field.type, value[name], f"{path}.{name}")
        elif is_required_input_field(field):
            yield f"'{path}'; Field '{name}' of required type '{field.type}' was not provided."
    for name in value.keys() - type_.fields.keys():
        shown = name if re.fullmatch(r"\w{1,100}", name) else "…"
        yield f"'{path}'; Field '{shown}' is not defined by type '{type_}'."


def _accepts(type_: Any, value: Any) -> bool:
    read = getattr(type_, "coerce_input_value", None) or type_.parse_value  # graphql-core 3.3 or 3.2
    try:
        read(value)
    except (GraphQLError, ValueError, TypeError, OverflowError):
        return False
    return True
