"""The schema of a backend, built once: the hand-written part, its camelCase names, the tables, and the resolvers.

This module imports graphql-core, so it is only imported with the first operation.
"""

from __future__ import annotations

import pkgutil
import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Tuple

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    build_ast_schema,
    parse,
    value_from_ast_untyped,
)

from pytest_flowsecrets.backend import resolvers
from pytest_flowsecrets.backend.graphql.hasura_filters import Arguments, aggregate, candidates, select
from pytest_flowsecrets.backend.graphql.hasura_operators import step_into
from pytest_flowsecrets.backend.records import tables
from pytest_flowsecrets.backend.request_context import RequestContext

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.tables import Table

Resolve = Callable[..., Any]

COMPARED = {"String", "Int", "Boolean", "uuid", "timestamptz", "interval", "jsonb"}
_OPERATORS = "_eq: {0} _neq: {0} _gt: {0} _gte: {0} _lt: {0} _lte: {0} _in: [{0}!] _nin: [{0}!] _is_null: Boolean"
_MORE = {
    "String": "_like: String _nlike: String _ilike: String _nilike: String",
    "jsonb": "_contains: jsonb _contained_in: jsonb _has_key: String _has_keys_any: [String!] _has_keys_all: [String!]",
}
_LISTED = "(where: {0}_bool_exp, order_by: [{0}_order_by!], limit: Int, offset: Int, distinct_on: [{0}_select_column!])"
_ORDER = "enum order_by { asc asc_nulls_first asc_nulls_last desc desc_nulls_first desc_nulls_last }"


@lru_cache(maxsize=None)
def schema(backend: str) -> GraphQLSchema:
    """Return the schema of ``cloud`` or ``server``. A test validates it; building it without takes half the time."""
    text, names = text_of(backend)
    built = build_ast_schema(parse(text, no_location=True), assume_valid=True, assume_valid_sdl=True)
    _set_scalars(built)
    for table in tables.tables(backend).values():
        _resolve_table(built, table)
    queries, mutations = resolvers.load()
    _resolve_written(built.type_map["Query"], queries, names, _query)
    _resolve_written(built.type_map["Mutation"], mutations, names, _mutation)
    _rename_inputs(built, names)
    _resolve_answers(built, names)
    return built


def root_fields(backend: str) -> Dict[str, str]:
    """Return all root fields, including introspection, each with ``query`` or ``mutation``.

    ``__typename`` is both, and has an empty text. Names with underscores come last, so they win in a mapping by
    normalized name.
    """
    fields = {"__schema": "query", "__type": "query", "__typename": ""}
    for kind in ("query", "mutation"):
        fields.update(dict.fromkeys(_fields(schema(backend), kind.capitalize()), kind))
    return dict(sorted(fields.items(), key=lambda pair: pair[0].islower()))


def text_of(backend: str) -> Tuple[str, Dict[str, str]]:
    """Return the text of the schema, and a mapping from camelCase names to names with underscores."""
    source = "\n".join(_file(name) for name in ("schema.graphql", f"schema_{backend}.graphql"))
    text, names = both_spellings(source)
    return f"{text}\n{query_types(tables.tables(backend))}", names


def _file(name: str) -> str:
    return (pkgutil.get_data(__package__, name) or b"").decode("utf-8")


def _set_scalars(built: GraphQLSchema) -> None:
    for name, (read, write) in tables.CODECS.items():
        scalar: Any = built.type_map[name]
        if hasattr(scalar, "coerce_input_value"):  # graphql-core 3.3
            scalar.coerce_input_value, scalar.coerce_output_value = read, write
            scalar.coerce_input_literal = partial(_read_literal, read)
        else:
            scalar.parse_value, scalar.serialize = read, write


def _read_literal(read: Callable[[Any], Any], node: Any) -> Any:
    return read(value_from_ast_untyped(node))


def _fields(built: GraphQLSchema, name: str) -> Dict[str, GraphQLField]:
    type_ = built.type_map[name]
    return type_.fields if isinstance(type_, GraphQLObjectType) else {}


def _resolve_table(built: GraphQLSchema, table: tables.Table) -> None:
    name, query, fields = table.name, _fields(built, "Query"), _fields(built, table.name)
    _resolve_list(query, name, name, lambda context, _, arguments: candidates(context, name, arguments.get("where")))
    query[f"{name}_by_pk"].resolve = lambda _, info, **arguments: info.context.row(name, arguments["id"])
    for relation, (target, column) in table.one.items():
        fields[relation].resolve = partial(_one, target, column)
    for relation, link in table.many.items():
        _resolve_list(fields, relation, link[0], partial(_linked, link))
    for column, scalar in table.columns.items():
        if scalar == "jsonb":
            fields[column].resolve = partial(_json, column)


Rows = Callable[[RequestContext, Any, Arguments], List[Any]]


def _resolve_list(fields: Dict[str, GraphQLField], name: str, table: str, rows: Rows) -> None:
    """Set the resolvers of a field that returns rows of a table, and of its aggregate field."""

    def resolve(row: Any, info: Any, **coerced: Any) -> Any:
        arguments = _arguments(info, coerced)
        return select(info.context, table, rows(info.context, row, arguments), arguments)

    fields[name].resolve = resolve
    fields[f"{name}_aggregate"].resolve = lambda row, info, **coerced: aggregate(resolve(row, info, **coerced))


def _linked(link: tables.Link, context: RequestContext, row: Mapping[str, Any], _: Arguments) -> List[Any]:
    return context.linked(link, row["id"])


def _one(target: str, column: str, row: Mapping[str, Any], info: Any) -> Any:
    return info.context.row(target, row[column])


def _json(column: str, row: Mapping[str, Any], _: Any, path: Any = None) -> Any:
    return row[column] if path is None else step_into(row[column], path)


def _arguments(info: Any, coerced: Dict[str, Any]) -> Arguments:
    """Restore the order of keys in ``order_by``: coercion puts the keys of an object into the order of its type."""
    if coerced.get("order_by"):
        node = next(node for node in info.field_nodes[0].arguments if node.name.value == "order_by")
        coerced["order_by"] = value_from_ast_untyped(node.value, info.context.variables)
    return coerced


def _resolve_written(
    type_: Any, functions: Mapping[str, resolvers.Resolver], names: Mapping[str, str], wrap: Callable[[Any], Resolve]
) -> None:
    for name, field in type_.fields.items():
        function = functions.get(names.get(name, name))
        if function is not None:
            field.resolve = wrap(function)


def _query(function: resolvers.Resolver) -> Resolve:
    return lambda _, info, **arguments: function(info.context, **arguments)


def _mutation(function: resolvers.Resolver) -> Resolve:
    def resolve(_: Any, info: Any, **arguments: Any) -> Any:
        with info.context.store.transaction():
            return function(info.context, arguments.get("input", arguments))

    return resolve


def _rename_inputs(built: GraphQLSchema, names: Mapping[str, str]) -> None:
    """Pass arguments and fields of inputs to resolvers with underscores, whatever the client's spelling."""
    inputs = [type_ for type_ in built.type_map.values() if isinstance(type_, GraphQLInputObjectType)]
    parts: List[Any] = [item for type_ in inputs for item in type_.fields.items()]
    for root in ("Query", "Mutation"):
        parts += [item for field in _fields(built, root).values() for item in field.args.items()]
    for name, part in parts:
        part.out_name = names.get(name, name)


def _resolve_answers(built: GraphQLSchema, names: Mapping[str, str]) -> None:
    """Resolve the camelCase fields of answers from the values with underscores."""
    for type_name in built.type_map.keys() - {"Query", "Mutation"}:
        for name, field in _fields(built, type_name).items():
            if names.get(name, name) != name:
                field.resolve = partial(_by_name, names[name])


def _by_name(name: str, row: Mapping[str, Any], _: Any) -> Any:
    return row.get(name)


# -- the camelCase names of Prefect 0.5 to 0.9 -------------------------------------------------------------------------

# For ``set_secret(input: set_secret_input!): success_payload``, the schema also gets ``setSecret(input:
# setSecretInput!)`` with the same answer. The fields of answers exist in both spellings, because those clients mix
# them: ``getRunsInQueue {flow_run_ids}``. The schema text has one field per line, and each block ends with a line of
# its own, so regular expressions can parse it.
_EXCEPTIONS = {"createApiToken": "createAPIToken", "deleteApiToken": "deleteAPIToken"}  # spelling of 0.6 to 0.9
_BLOCK = re.compile(r"^(?:extend )?(type|input) (\w+) \{\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (\w+)(\(.*\))?: (.+)$", re.MULTILINE)


def camel(name: str) -> str:
    """Return the spelling of old clients: ``setSecretInput`` for ``set_secret_input``."""
    spelling = re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)
    for regular, exception in _EXCEPTIONS.items():
        spelling = spelling.replace(regular, exception)
    return spelling


def both_spellings(sdl: str) -> Tuple[str, Dict[str, str]]:
    """Return the schema with both spellings, and a mapping from camelCase names to names with underscores."""
    names: Dict[str, str] = {}
    added: List[str] = []
    for kind, name, body in _BLOCK.findall(sdl):
        fields = [field for field in _FIELD.findall(body) if kind == "input" or camel(field[0]) != field[0]]
        names.update((camel(field), field) for field, _, _ in fields)
        lines = [f"  {camel(field + arguments)}: {_type(kind, type_)}" for field, arguments, type_ in fields]
        if lines:
            head = f"input {camel(name)}" if kind == "input" else f"extend type {name}"
            added += [f"{head} {{", *lines, "}", ""]
    return "\n".join([sdl, *added]), names


def _type(kind: str, name: str) -> str:
    """Return the name of a field's type. Only inputs have two: clients never use the name of an answer's type."""
    return camel(name) if kind == "input" and "_input" in name else name


# -- types of tables, in the style of Hasura 1 -------------------------------------------------------------------------


def query_types(tables: Mapping[str, Table]) -> str:
    """Return the SDL of all tables and of their fields in ``Query``, as Prefect's clients expect it."""
    parts = [text for table in tables.values() for text in _types(table)]
    fields = [text for name in tables for text in _root_fields(name)]
    parts += [_comparison(scalar) for scalar in sorted(COMPARED)]
    parts += [_block("extend type Query", fields), _ORDER]
    return "\n".join(parts)


def _block(head: str, lines: List[str]) -> str:
    return f"{head} {{\n  " + "\n  ".join(lines) + "\n}\n"


def _root_fields(name: str) -> List[str]:
    listed = _LISTED.format(name)
    return [
        f"{name}{listed}: [{name}!]!",
        f"{name}_aggregate{listed}: {name}_aggregate!",
        f"{name}_by_pk(id: uuid!): {name}",
    ]


def _types(table: Table) -> Iterator[str]:
    name = table.name
    yield _block(f"type {name}", list(_row_fields(table)))
    yield _block(f"input {name}_bool_exp", list(_conditions(table)))
    yield _block(f"input {name}_order_by", list(_orders(table)))
    yield _block(f"enum {name}_select_column", list(table.columns))
    yield from _aggregates(table)


def _row_fields(table: Table) -> Iterator[str]:
    for column, scalar in table.columns.items():
        yield f"{column}{'(path: String)' if scalar == 'jsonb' else ''}: {scalar}"
    for relation, (target, _) in table.one.items():
        yield f"{relation}: {target}"
    for relation, (target, _) in table.many.items():
        listed = _LISTED.format(target)
        yield f"{relation}{listed}: [{target}!]!"
        yield f"{relation}_aggregate{listed}: {target}_aggregate!"


def _conditions(table: Table) -> Iterator[str]:
    yield f"_and: [{table.name}_bool_exp]"
    yield f"_or: [{table.name}_bool_exp]"
    yield f"_not: {table.name}_bool_exp"
    for column, scalar in table.columns.items():
        yield f"{column}: {scalar}_comparison_exp"
    for relation, (target, _) in {**table.one, **table.many}.items():
        yield f"{relation}: {target}_bool_exp"


def _orders(table: Table) -> Iterator[str]:
    for column in table.columns:
        yield f"{column}: order_by"
    for relation, (target, _) in table.one.items():
        yield f"{relation}: {target}_order_by"
    for relation, (target, _) in table.many.items():
        yield f"{relation}_aggregate: {target}_aggregate_order_by"


def _aggregates(table: Table) -> Iterator[str]:
    name = table.name
    ordered = [f"{column}: {scalar}" for column, scalar in table.columns.items() if scalar not in ("jsonb", "Boolean")]
    yield _block(f"type {name}_aggregate", [f"aggregate: {name}_aggregate_fields", f"nodes: [{name}!]!"])
    counted = f"count(columns: [{name}_select_column!], distinct: Boolean): Int"
    yield _block(
        f"type {name}_aggregate_fields", [counted, f"max: {name}_extreme_fields", f"min: {name}_extreme_fields"]
    )
    yield _block(f"type {name}_extreme_fields", ordered)
    yield _block(f"input {name}_extreme_order_by", [f"{text.partition(':')[0]}: order_by" for text in ordered])
    extremes = [f"{extreme}: {name}_extreme_order_by" for extreme in ("max", "min")]
    yield _block(f"input {name}_aggregate_order_by", ["count: order_by", *extremes])


def _comparison(scalar: str) -> str:
    return _block(f"input {scalar}_comparison_exp", [_OPERATORS.format(scalar), *filter(None, [_MORE.get(scalar)])])
