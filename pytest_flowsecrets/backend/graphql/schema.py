"""The schema of a backend, built once: what was written by hand, its old spelling, the tables, and their resolvers.

Imports graphql-core at its top; it is itself imported when the first operation is executed.
"""

from __future__ import annotations

import pkgutil
from functools import lru_cache, partial
from typing import Any, Callable, Dict, List, Mapping, Tuple

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
from pytest_flowsecrets.backend.graphql import camel_case
from pytest_flowsecrets.backend.hasura import sdl
from pytest_flowsecrets.backend.hasura.filters import Arguments, aggregate, candidates, select
from pytest_flowsecrets.backend.hasura.operators import step_into
from pytest_flowsecrets.backend.records import scalars, tables
from pytest_flowsecrets.backend.request_context import Call

Resolve = Callable[..., Any]


@lru_cache(maxsize=None)
def schema(backend: str) -> GraphQLSchema:
    """Of ``cloud`` or ``server``. Not validated here: a test does it, and building takes half the time."""
    text, names = text_of(backend)
    built = build_ast_schema(parse(text, no_location=True), assume_valid=True, assume_valid_sdl=True)
    _give_scalars(built)
    for table in tables.tables(backend).values():
        _resolve_table(built, table)
    queries, mutations = resolvers.load()
    _resolve_written(built.type_map["Query"], queries, names, _query)
    _resolve_written(built.type_map["Mutation"], mutations, names, _mutation)
    _resolve_old_names(built, names)
    return built


def root_fields(backend: str) -> Dict[str, str]:
    """What operations can begin with, those of introspection too, and whether that is a query or a mutation.

    ``__typename`` is both. Names with underscores come last, so that they win where spellings do not count.
    """
    found = {"__schema": "query", "__type": "query", "__typename": ""}
    for kind in ("query", "mutation"):
        found.update(dict.fromkeys(_fields(schema(backend), kind.capitalize()), kind))
    return dict(sorted(found.items(), key=lambda pair: pair[0].islower()))


def text_of(backend: str) -> Tuple[str, Dict[str, str]]:
    """The schema's text, and the names in camelCase with what they stand for."""
    written = "\n".join(_file(name) for name in ("schema.graphql", f"schema_{backend}.graphql"))
    text, names = camel_case.both_spellings(written)
    return f"{text}\n{sdl.query_types(tables.tables(backend))}", names


def _file(name: str) -> str:
    return (pkgutil.get_data(__package__, name) or b"").decode("utf-8")


def _give_scalars(built: GraphQLSchema) -> None:
    for name, (read, write) in scalars.CODECS.items():
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
    _resolve_list(query, name, name, lambda call, _, given: candidates(call, name, given.get("where")))
    query[f"{name}_by_pk"].resolve = lambda _, info, **given: info.context.row(name, given["id"])
    for relation, (target, column) in table.one.items():
        fields[relation].resolve = partial(_one, target, column)
    for relation, link in table.many.items():
        _resolve_list(fields, relation, link[0], partial(_linked, link))
    for column, scalar in table.columns.items():
        if scalar == "jsonb":
            fields[column].resolve = partial(_json, column)


Rows = Callable[[Call, Any, Arguments], List[Any]]


def _resolve_list(fields: Dict[str, GraphQLField], name: str, table: str, rows: Rows) -> None:
    """A field that gives rows of a table, and the one that gives their aggregate."""

    def resolve(row: Any, info: Any, **given: Any) -> Any:
        arguments = _arguments(info, given)
        return select(info.context, table, rows(info.context, row, arguments), arguments)

    fields[name].resolve = resolve
    fields[f"{name}_aggregate"].resolve = lambda row, info, **given: aggregate(resolve(row, info, **given))


def _linked(link: tables.Link, call: Call, row: Mapping[str, Any], _: Arguments) -> List[Any]:
    return call.linked(link, row["id"])


def _one(target: str, column: str, row: Mapping[str, Any], info: Any) -> Any:
    return info.context.row(target, row[column])


def _json(column: str, row: Mapping[str, Any], _: Any, path: Any = None) -> Any:
    return row[column] if path is None else step_into(row[column], path)


def _arguments(info: Any, given: Dict[str, Any]) -> Arguments:
    """As coerced, but ``order_by`` as it was written: coercion puts the keys of an object into the type's order."""
    if given.get("order_by"):
        node = next(node for node in info.field_nodes[0].arguments if node.name.value == "order_by")
        given["order_by"] = value_from_ast_untyped(node.value, info.context.variables)
    return given


def _resolve_written(
    type_: Any, functions: Mapping[str, resolvers.Resolver], names: Mapping[str, str], wrap: Callable[[Any], Resolve]
) -> None:
    for name, field in type_.fields.items():
        function = functions.get(names.get(name, name))
        if function is not None:
            field.resolve = wrap(function)


def _query(function: resolvers.Resolver) -> Resolve:
    return lambda _, info, **given: function(info.context, **given)


def _mutation(function: resolvers.Resolver) -> Resolve:
    def resolve(_: Any, info: Any, **given: Any) -> Any:
        with info.context.store.transaction():
            return function(info.context, given.get("input", given))

    return resolve


def _resolve_old_names(built: GraphQLSchema, names: Mapping[str, str]) -> None:
    """Arguments and inputs arrive at resolvers in one spelling; answers are found by both."""
    for type_ in built.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            for name, field in type_.fields.items():
                field.out_name = names.get(name, name)
        elif isinstance(type_, GraphQLObjectType) and type_.name not in ("Query", "Mutation"):
            for name, answer in type_.fields.items():
                if names.get(name, name) != name:
                    answer.resolve = partial(_by_name, names[name])
    for root in ("Query", "Mutation"):
        for field in _fields(built, root).values():
            for name, argument in field.args.items():
                argument.out_name = names.get(name, name)


def _by_name(name: str, row: Mapping[str, Any], _: Any) -> Any:
    return row.get(name)
