"""The schema of a backend, built once: what was written by hand, its old spelling, and the tables, with their resolvers.

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
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    value_from_ast_untyped,
)

from pytest_flowsecrets.backend import resolvers, scalars, sdl, spelling, tables
from pytest_flowsecrets.backend.call import Call
from pytest_flowsecrets.backend.filters import Arguments, aggregate, select, step_into

Resolve = Callable[..., Any]


@lru_cache(maxsize=None)
def schema(backend: str) -> GraphQLSchema:
    """Of ``cloud`` or ``server``. Not validated here: a test does it, and building takes half the time."""
    text, names = text_of(backend)
    built = build_schema(text, assume_valid=True)
    _give_scalars(built)
    for table in tables.tables(backend).values():
        _resolve_table(built, table)
    queries, mutations = resolvers.load()
    _resolve_written(built.type_map["Query"], queries, names, _query)
    _resolve_written(built.type_map["Mutation"], mutations, names, _mutation)
    _resolve_old_names(built, names)
    return built


def text_of(backend: str) -> Tuple[str, Dict[str, str]]:
    """The schema's text, and the names in camelCase with what they stand for."""
    written = "\n".join(_file(name) for name in ("schema.graphql", f"schema_{backend}.graphql"))
    text, names = spelling.both_spellings(written)
    return f"{text}\n{sdl.query_types(tables.tables(backend))}", names


def _file(name: str) -> str:
    return (pkgutil.get_data(__package__, name) or b"").decode("utf-8")


def _give_scalars(built: GraphQLSchema) -> None:
    for name, (read, write) in scalars.CODECS.items():
        scalar = built.type_map[name]
        if isinstance(scalar, GraphQLScalarType):
            scalar.parse_value = read  # type: ignore[method-assign]
            scalar.serialize = write  # type: ignore[method-assign]


def _fields(built: GraphQLSchema, name: str) -> Dict[str, GraphQLField]:
    type_ = built.type_map[name]
    return type_.fields if isinstance(type_, GraphQLObjectType) else {}


def _resolve_table(built: GraphQLSchema, table: tables.Table) -> None:
    name = table.name
    query = _fields(built, "Query")
    query[name].resolve = partial(_listed, name, lambda call, _: call.rows(name))
    query[f"{name}_aggregate"].resolve = partial(_aggregated, name, lambda call, _: call.rows(name))
    query[f"{name}_by_pk"].resolve = lambda _, info, id: info.context.row(name, id)
    fields = _fields(built, name)
    for relation, (target, column) in table.one.items():
        fields[relation].resolve = partial(_one, target, column)
    for relation, link in table.many.items():
        rows = partial(_linked, link)
        fields[relation].resolve = partial(_listed, link[0], rows)
        fields[f"{relation}_aggregate"].resolve = partial(_aggregated, link[0], rows)
    for column, scalar in table.columns.items():
        if scalar == "jsonb":
            fields[column].resolve = partial(_json, column)


Rows = Callable[[Call, Any], List[Any]]


def _linked(link: tables.Link, call: Call, row: Mapping[str, Any]) -> List[Any]:
    return call.linked(link, row)


def _listed(table: str, rows: Rows, row: Any, info: GraphQLResolveInfo, **given: Any) -> Any:
    return select(info.context, table, partial(rows, info.context, row), _arguments(info, given))


def _aggregated(table: str, rows: Rows, row: Any, info: GraphQLResolveInfo, **given: Any) -> Any:
    return aggregate(select(info.context, table, partial(rows, info.context, row), _arguments(info, given)))


def _one(target: str, column: str, row: Mapping[str, Any], info: GraphQLResolveInfo) -> Any:
    return info.context.row(target, row[column])


def _json(column: str, row: Mapping[str, Any], _: GraphQLResolveInfo, path: Any = None) -> Any:
    return row[column] if path is None else step_into(row[column], path)


def _arguments(info: GraphQLResolveInfo, given: Dict[str, Any]) -> Arguments:
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
    def resolve(_: Any, info: GraphQLResolveInfo, **given: Any) -> Any:
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
                if name in names:
                    answer.resolve = partial(_by_name, names[name])
    for root in ("Query", "Mutation"):
        for field in _fields(built, root).values():
            for name, argument in field.args.items():
                argument.out_name = names.get(name, name)


def _by_name(name: str, row: Mapping[str, Any], _: GraphQLResolveInfo) -> Any:
    return row.get(name)
