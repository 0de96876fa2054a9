"""Generate the query types of the tables, in the style of Hasura 1, as Prefect's clients expect them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, List, Mapping

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.tables import Table

COMPARED = {"String", "Int", "Boolean", "uuid", "timestamptz", "interval", "jsonb"}
_OPERATORS = "_eq: {0} _neq: {0} _gt: {0} _gte: {0} _lt: {0} _lte: {0} _in: [{0}!] _nin: [{0}!] _is_null: Boolean"
_MORE = {
    "String": "_like: String _nlike: String _ilike: String _nilike: String",
    "jsonb": "_contains: jsonb _contained_in: jsonb _has_key: String _has_keys_any: [String!] _has_keys_all: [String!]",
}
_LISTED = "(where: {0}_bool_exp, order_by: [{0}_order_by!], limit: Int, offset: Int, distinct_on: [{0}_select_column!])"


def query_types(tables: Mapping[str, Table]) -> str:
    """Return the SDL of all tables and of their fields in ``Query``."""
    parts = [text for table in tables.values() for text in _types(table)]
    fields = [text for name in tables for text in _root_fields(name)]
    parts += [_comparison(scalar) for scalar in sorted(COMPARED)]
    parts += [_block("extend type Query", fields), _ORDER]
    return "\n".join(parts)


_ORDER = "enum order_by { asc asc_nulls_first asc_nulls_last desc desc_nulls_first desc_nulls_last }"


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
