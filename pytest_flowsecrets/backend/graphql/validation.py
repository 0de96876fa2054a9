"""What is checked before any resolver runs: limits, the rules of GraphQL, the variables.

Real clients pass all of it; what is refused is a mistake of the code under test, or an attack. graphql-core's own
messages quote the value that is wrong, which may be a secret's: ours keep its place and the type that was expected.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional

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
    faults: List[GraphQLError] = []
    variables = dict(given)
    for node in operation.variable_definitions or ():
        name, type_ = node.variable.name.value, type_from_ast(schema, node.type)
        if name in given:
            found = _faults(type_, given[name], name)
            faults += [GraphQLError(f"Variable '${name}' got an invalid value at {fault}", node) for fault in found]
        elif node.default_value is not None:
            variables[name] = value_from_ast_untyped(node.default_value)
        elif is_non_null_type(type_):
            faults.append(GraphQLError(f"Variable '${name}' of required type '{type_}' was not provided.", node))
    if faults:
        raise Refused(*faults)
    return variables


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
        else:
            own = int(isinstance(node, FieldNode))
            if isinstance(node, FieldNode) and node.alias:
                aliases.append(node)
            selected = getattr(node, "selection_set", None)
            if selected:
                inner = _measure(selected, fragments, sizes, aliases)
        depth, fields = max(depth, own + inner.depth), fields + own + inner.fields
    return _Size(depth, fields)


# -- values ------------------------------------------------------------------------------------------------------------


class _ValuesUnquoted(ValuesOfCorrectTypeRule):
    """A literal of the wrong type is told of by its place, and by the type or the field that graphql-core names."""

    def report_error(self, error: GraphQLError) -> None:
        text = _told(error.message) or f"Expected value of type '{self.context.get_input_type()}'."
        super().report_error(GraphQLError(text, error.nodes))


# What graphql-core says, 3.2 or 3.3, and what of it is said here.
_TOLD = [
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


def _told(message: str) -> Optional[str]:
    for pattern, text in _TOLD:
        found = pattern.match(message)
        if found:
            return text.format(*found.groups())
    return None


_RULES = [_ValuesUnquoted if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules]


def _faults(type_: Any, value: Any, at: str) -> Iterator[str]:
    """What is wrong with a value that was sent, and where."""
    kind = get_nullable_type(type_)
    if value is None:
        if is_non_null_type(type_):
            yield f"'{at}'; Expected type '{type_}', not null."
    elif is_list_type(kind):
        entries = value if isinstance(value, list) else None
        for number, entry in enumerate([value] if entries is None else entries):
            yield from _faults(kind.of_type, entry, at if entries is None else f"{at}[{number}]")
    elif is_input_object_type(kind):
        yield from _faults_of_fields(kind, value, at)
    elif not _accepts(kind, value):
        yield f"'{at}'; Expected type '{type_}'."


def _faults_of_fields(type_: GraphQLInputObjectType, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"'{at}'; Expected type '{type_}' to be a mapping."
        return
    for name, field in type_.fields.items():
        if name in value:
            yield from _faults(field.type, value[name], f"{at}.{name}")
        elif is_required_input_field(field):
            yield f"'{at}'; Field '{name}' of required type '{field.type}' was not provided."
    for name in value.keys() - type_.fields.keys():
        told = name if re.fullmatch(r"\w{1,100}", name) else "…"
        yield f"'{at}'; Field '{told}' is not defined by type '{type_}'."


def _accepts(type_: Any, value: Any) -> bool:
    read = getattr(type_, "coerce_input_value", None) or type_.parse_value  # graphql-core 3.3 or 3.2
    try:
        read(value)
    except (GraphQLError, ValueError, TypeError, OverflowError):
        return False
    return True
