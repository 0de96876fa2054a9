"""The schema, compared with a snapshot so that a review shows each change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_flowsecrets.backend.records import tables
from tests.backend.asking import Team
from tests.compat import VERSION, needs_prefect

pytest.importorskip("graphql")
SNAPSHOTS = Path(__file__).parent / "schemas"


def printed(backend):
    from graphql import lexicographic_sort_schema, print_schema

    from pytest_flowsecrets.backend.graphql.schema import schema

    return print_schema(lexicographic_sort_schema(schema(backend))) + "\n"


@pytest.mark.parametrize("backend", ["cloud", "server"])
def test_the_printed_schema_is_the_snapshot(backend):
    """The schema matches the snapshot, which ``python -m tests.backend.test_schema`` updates."""
    assert printed(backend) == (SNAPSHOTS / f"{backend}.graphql").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["cloud", "server"])
def test_the_schema_is_valid(backend):
    """The schema is valid, although it is built without validation."""
    from graphql import build_schema, validate_schema

    from pytest_flowsecrets.backend.graphql.schema import text_of

    text, _ = text_of(backend)
    assert validate_schema(build_schema(text)) == []


@pytest.mark.parametrize("backend", ["cloud", "server"])
def test_every_field_has_a_resolver(backend):
    """Each root field in both spellings has a resolver, and each resolver has a field."""
    from pytest_flowsecrets.backend import resolvers
    from pytest_flowsecrets.backend.graphql.schema import schema, text_of

    built, names = schema(backend), text_of(backend)[1]
    result = [
        (root.fields, functions) for root, functions in zip((built.query_type, built.mutation_type), resolvers.load())
    ]
    for fields, _ in result:
        assert [name for name, field in fields.items() if field.resolve is None] == []
    if backend == "cloud":
        for fields, functions in result:
            server = {"create_tenant"}
            assert set(functions) - server <= {names.get(name, name) for name in fields}


def test_no_type_has_a_field_for_the_value_of_a_secret():
    """No type of the table ``secret`` has a field for the value."""
    from pytest_flowsecrets.backend.graphql.schema import schema

    types = {name: type_ for name, type_ in schema("cloud").type_map.items() if name.startswith(("secret", "Secret"))}
    assert len(types) >= 8
    for name, type_ in types.items():
        assert "value" not in getattr(type_, "fields", getattr(type_, "values", {})), name


@pytest.mark.parametrize(
    "document",
    [
        "{ secret { value } }",
        '{ secret(where: {value: {_eq: "x"}}) { name } }',
        '{ secret(where: {_not: {_or: [{value: {_like: "x%"}}]}}) { name } }',
        "{ secret(order_by: {value: asc}) { name } }",
        "{ secret(distinct_on: value) { name } }",
        "{ secret_aggregate { aggregate { max { value } } } }",
        "{ secret_aggregate { aggregate { count(columns: value) } } }",
        "{ secret_aggregate { nodes { value } } }",
        '{ secret_by_pk(id: "835db11c-d8c1-47b1-b443-00bd056712fd") { value } }',
        'mutation { set_secret(input: {name: "x", value: 1}) { success value } }',
        'mutation { set_secret(input: {name: "x", value: 1}) { secret { value } } }',
        '{ secret_value(name: "x") { value } }',
    ],
)
def test_asking_for_the_value_of_a_secret_is_no_valid_operation(document):
    """A query for the value of a secret is not valid."""
    team = Team()
    team.world.vault.put(team.id, "x", "kei4Aiwo-the-value")
    answer = team.execute(document)
    assert (answer.status, answer.data) == (400, None)
    assert "kei4Aiwo" not in str(answer.errors)


def test_the_message_is_graphqls_own():
    """The message of an unknown field is that of graphql-core, as from the real API."""
    message = Team().refused("{ secret { value } }")["message"]
    assert message.startswith("Cannot query field 'value' on type 'secret'.")


@pytest.mark.slow
def test_introspection_shows_no_value():
    """No default and no description in the schema contains a value."""
    from graphql import get_introspection_query

    team = Team()
    team.world.vault.put(team.id, "x", "kei4Aiwo-the-value")
    assert "kei4Aiwo" not in str(team.ask(get_introspection_query()))


def test_server_has_no_secrets():
    """Server lacks everything that only Cloud has, and only Server has ``create_tenant``."""
    from pytest_flowsecrets.backend.graphql.schema import schema

    cloud, server = schema("cloud"), schema("server")
    assert not [name for name in server.type_map if "secret" in name.lower()]
    assert not [name for root in (server.query_type, server.mutation_type) for name in root.fields if "ecret" in name]
    only_cloud = {name for name in cloud.query_type.fields if name not in server.query_type.fields}
    assert {"secret", "secret_names", "secret_value", "auth_info", "auth_api_key", "key_value", "user"} <= only_cloud
    assert {name for name in server.query_type.fields if name not in cloud.query_type.fields} == set()
    assert {name for name in server.mutation_type.fields if name not in cloud.mutation_type.fields} == {
        "create_tenant",
        "createTenant",
    }


def test_types_of_tables_come_from_the_table():
    """A new column of a table appears in all types that are generated from it."""
    from pytest_flowsecrets.backend.graphql.schema import query_types

    table = tables.Table("thing", {"id": "uuid", "size": "Int", "data": "jsonb"}, {"owner": ("user", "owner_id")})
    text = query_types({"thing": table})
    assert "  size: Int\n" in text
    assert "  data(path: String): jsonb\n" in text
    assert "  owner: user\n" in text
    assert "  owner: user_bool_exp\n" in text
    assert "enum thing_select_column {\n  id\n  size\n  data\n}" in text


# -- what clients send -------------------------------------------------------------------------------------------------

# Where Prefect's sources name fields and types of the API: `with_args("name", …)`, `"name(input: $input)"`,
# `mutation($input: name_input!)`, `query { name …`.
_FIELDS = [r'with_args\(\s*"(\w+)"', r'"(\w+)\(input: \$input\)"', r'"(?:query|mutation) ?{ ?(\w+)']
_TYPES = [r"\$\w+: ?(\w+)!?[,)]"]


@needs_prefect
def test_all_that_the_installed_client_asks_for_is_there():
    """The schema has each field and input that the sources of the installed Prefect use."""
    import prefect

    from pytest_flowsecrets.backend.graphql.schema import schema

    cloud, server = schema("cloud"), schema("server")
    fields = {
        name for built in (cloud, server) for type_ in built.type_map.values() for name in getattr(type_, "fields", ())
    }
    types = set(cloud.type_map) | set(server.type_map)
    named = {"field": set(), "type": set()}
    for path in Path(prefect.__file__).parent.rglob("*.py"):
        text = path.read_text("utf-8")
        named["field"] |= {name for pattern in _FIELDS for name in re.findall(pattern, text)}
        named["type"] |= {name for pattern in _TYPES for name in re.findall(pattern, text)}
    assert len(named["field"]) >= 15
    assert len(named["type"]) >= 5
    if VERSION >= (1, 0):
        assert len(named["field"]) >= 45
    assert named["field"] - fields == set()
    assert named["type"] - types == set()


if __name__ == "__main__":
    SNAPSHOTS.mkdir(exist_ok=True)
    for name in ("cloud", "server"):
        (SNAPSHOTS / f"{name}.graphql").write_text(printed(name), "utf-8")
