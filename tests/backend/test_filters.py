"""where, order_by, distinct_on, limit, offset and aggregates with the semantics of Hasura, compared with SQLite."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta, timezone

import pytest

from tests.backend.asking import Team

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

LETTERS = st.text("aB%_\\", max_size=4)
WORDS = st.one_of(st.none(), LETTERS)
NUMBERS = st.one_of(st.none(), st.integers(-2, 2))
# A project stands for a parent, its flows for rows: a text, a number, and a link to the parent, any of them null.
ROWS = st.lists(st.tuples(WORDS, NUMBERS, st.sampled_from([None, 0, 1])), max_size=6)
PARENTS = st.tuples(WORDS, WORDS)


def comparisons(values, *, texts=False):
    """Objects of operators; null operands are ignored."""
    one = st.one_of(st.none(), values)
    operators = dict.fromkeys(("_eq", "_neq", "_gt", "_gte", "_lt", "_lte"), one)
    operators.update({name: st.one_of(st.none(), st.lists(values, max_size=2)) for name in ("_in", "_nin")})
    operators["_is_null"] = st.one_of(st.none(), st.booleans())
    if texts:
        operators.update(dict.fromkeys(("_like", "_nlike"), one))
    return st.sets(st.sampled_from(sorted(operators)), max_size=2).flatmap(
        lambda names: st.fixed_dictionaries({name: operators[name] for name in sorted(names)})
    )


PARENT_WHERE = st.fixed_dictionaries({"name": comparisons(LETTERS, texts=True)})
FIELDS = {
    "name": comparisons(LETTERS, texts=True),
    "version": comparisons(st.integers(-2, 2)),
    "project": PARENT_WHERE,
}
PLAIN = st.sets(st.sampled_from(sorted(FIELDS)), max_size=2).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in sorted(names)})
)
WHERE = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"_and": st.lists(inner, max_size=2)}),
        st.fixed_dictionaries({"_and": inner}),
        st.fixed_dictionaries({"_or": st.lists(inner, max_size=2)}),
        st.fixed_dictionaries({"_not": inner}),
    ),
    max_leaves=4,
)
ORDER = st.lists(
    st.dictionaries(
        st.sampled_from(["name", "version"]),
        st.sampled_from(["asc", "desc", "asc_nulls_first", "asc_nulls_last", "desc_nulls_first", "desc_nulls_last"]),
        min_size=1,
    ),
    max_size=2,
)

_SIGNS = {"_eq": "=", "_neq": "<>", "_gt": ">", "_gte": ">=", "_lt": "<", "_lte": "<=", "_in": "IN", "_nin": "NOT IN"}


def sql(where, table="flow"):
    """Return the condition in SQL, with its parameters."""
    parts = [part(table, name, value) for name, value in where.items()]
    return " AND ".join(text for text, _ in parts) or "1", [value for _, values in parts for value in values]


def part(table, name, value):
    if name in ("_and", "_or"):
        inner = [sql(where, table) for where in (value if isinstance(value, list) else [value])]
        nothing = "1" if name == "_and" else "0"
        text = f" {name[1:].upper()} ".join(f"({text})" for text, _ in inner)
        return f"({text or nothing})", [value for _, values in inner for value in values]
    if name == "_not":
        text, values = sql(value, table)
        return f"NOT ({text})", values
    if name == "project":
        text, values = sql(value, "project")
        return f"EXISTS (SELECT 1 FROM project WHERE project.id = flow.project_id AND {text})", values
    return column(f"{table}.{name}", value)


def column(name, comparison):
    texts, values = ["1"], []
    for operator, operand in comparison.items():
        if operand is None:
            continue
        if operator == "_is_null":
            texts.append(f"{name} IS {'NULL' if operand else 'NOT NULL'}")
        elif operator in ("_in", "_nin"):
            texts.append(f"{name} {_SIGNS[operator]} ({', '.join('?' * len(operand))})")
            values += operand
        elif operator.endswith("like"):
            texts.append(f"{name} {'NOT ' * operator.startswith('_n')}LIKE ? ESCAPE '\\'")
            values.append(operand)
        else:
            texts.append(f"{name} {_SIGNS[operator]} ?")
            values.append(operand)
    return f"({' AND '.join(texts)})", values


def ordering(order):
    for entry in order:
        for name, way in entry.items():
            descending = way.startswith("desc")
            first = way in ("asc_nulls_first", "desc", "desc_nulls_first")
            yield f"{name} IS NULL {'DESC' if first else 'ASC'}, {name} {'DESC' if descending else 'ASC'}"


def filled(parents, rows):
    """The same rows in a fake API and in SQLite."""
    team, database = Team(), sqlite3.connect(":memory:")
    database.execute("PRAGMA case_sensitive_like = ON")
    database.execute("CREATE TABLE project (id, name)")
    database.execute("CREATE TABLE flow (id INTEGER PRIMARY KEY, name, version, project_id)")
    projects = [team.store.add("project", tenant_id=team.id, name=name)["id"] for name in parents]
    database.executemany("INSERT INTO project VALUES (?, ?)", enumerate(parents))
    for number, (name, version, parent) in enumerate(rows):
        link = None if parent is None else projects[parent]
        team.store.add("flow", tenant_id=team.id, name=name, version=version, project_id=link, description=str(number))
        database.execute("INSERT INTO flow VALUES (?, ?, ?, ?)", (number, name, version, parent))
    return team, database


def has_dangling_escape(where):
    """Return whether a LIKE pattern ends with an escape, which is an error in SQL."""
    text = json.dumps(where)
    return '\\\\"' in text


@pytest.mark.slow
@given(PARENTS, ROWS, WHERE)
def test_where_selects_what_sql_selects(parents, rows, where):
    """``where`` selects the same rows as SQL, also with nulls."""
    if has_dangling_escape(where):
        return
    team, database = filled(parents, rows)
    document = "query($where: flow_bool_exp) { flow(where: $where, order_by: {created: asc}) { description } }"
    result = [int(row["description"]) for row in team.ask(document, {"where": where})["flow"]]
    text, values = sql(where)
    assert sorted(result) == [
        row[0] for row in database.execute(f"SELECT id FROM flow WHERE {text} ORDER BY id", values)
    ]


@pytest.mark.slow
@given(ROWS, ORDER, st.integers(0, 3), st.one_of(st.none(), st.integers(0, 3)))
def test_order_limit_and_offset_are_those_of_sql(rows, order, offset, limit):
    """Order, limit and offset match SQL, with Hasura's default positions of nulls."""
    team, database = filled(("a", "b"), rows)
    document = """query($order: [flow_order_by!], $offset: Int, $limit: Int) {
        flow(order_by: $order, offset: $offset, limit: $limit) { description } }"""
    result = team.ask(document, {"order": order, "offset": offset, "limit": limit})["flow"]
    by = ", ".join([*ordering(order), "id"])
    expected = database.execute(
        f"SELECT id FROM flow ORDER BY {by} LIMIT ? OFFSET ?", (-1 if limit is None else limit, offset)
    )
    assert [int(row["description"]) for row in result] == [row[0] for row in expected]


@pytest.mark.slow
@given(ROWS, WHERE)
def test_aggregates_are_those_of_sql(rows, where):
    """Aggregates of the selected rows match SQL."""
    if has_dangling_escape(where):
        return
    team, database = filled(("a", None), rows)
    document = """query($where: flow_bool_exp) { flow_aggregate(where: $where) { nodes { id } aggregate {
        count all: count(columns: [name, version]) names: count(columns: name)
        different: count(columns: name, distinct: true) max { version name } min { version name } } } }"""
    result = team.ask(document, {"where": where})["flow_aggregate"]
    text, values = sql(where)
    expected = database.execute(
        f"""SELECT COUNT(*), COUNT(CASE WHEN name IS NOT NULL OR version IS NOT NULL THEN 1 END), COUNT(name),
            COUNT(DISTINCT name), MAX(version), MAX(name), MIN(version), MIN(name) FROM flow WHERE {text}""",
        values,
    ).fetchone()
    aggregate = result["aggregate"]
    assert len(result["nodes"]) == aggregate["count"]
    extremes = [aggregate[way][name] for way in ("max", "min") for name in ("version", "name")]
    assert (*[aggregate[name] for name in ("count", "all", "names", "different")], *extremes) == expected


# -- what clients rely on ----------------------------------------------------------------------------------------------


@pytest.fixture
def team():
    return Team()


def flows(team, *rows):
    for row in rows:
        team.store.add("flow", tenant_id=team.id, **row)


def names(team, arguments, variables=None, *, declared=""):
    head = f"query({declared}) " if declared else ""
    return [row["name"] for row in team.ask("%s{ flow(%s) { name } }" % (head, arguments), variables)["flow"]]


def test_the_order_of_keys_is_kept(team):
    """``order_by: {name: asc, version: desc}`` sorts by name first, independent of the type's order of fields."""
    flows(team, *({"name": name, "version": version} for name, version in [("a", 1), ("b", 2), ("a", 3), ("b", 0)]))
    by_name = {"order_by": {"name": "asc", "version": "desc"}}
    by_version = {"version": "desc", "name": "asc"}
    document = "query($o: [flow_order_by!]) { flow(order_by: $o) { name version } }"

    def order(text, variables=None):
        return "".join(f"{row['name']}{row['version']}" for row in team.ask(text, variables)["flow"])

    assert order("{ flow(order_by: {name: asc, version: desc}) { name version } }") == "a3a1b2b0"
    assert order("{ flow(order_by: {version: desc, name: asc}) { name version } }") == "a3b2a1b0"
    assert order(document, {"o": by_name["order_by"]}) == "a3a1b2b0"
    assert order(document, {"o": [by_version]}) == "a3b2a1b0"
    default = document.replace("[flow_order_by!]", "[flow_order_by!] = {version: asc}")
    assert order(default) == "b0a1b2a3"
    assert order(default, {"o": None}) == order(default, {"o": []}) == order("{ flow { name version } }")
    nested = "query($w: order_by) { flow(order_by: {version: $w, name: asc}) { name version } }"
    assert order(nested, {"w": "desc"}) == "a3b2a1b0"
    assert order(nested) == "a1a3b2b0"


def test_one_thing_stands_for_a_list_of_one(team):
    """A single value is accepted in place of a list of one."""
    flows(team, {"name": "a", "version": 1}, {"name": "a", "version": 2}, {"name": "b", "version": 1})
    assert names(team, 'where: {_and: {name: {_eq: "a"}}}') == ["a", "a"]
    assert names(team, 'where: {_or: {name: {_in: "b"}}}') == ["b"]
    assert names(team, 'where: {_and: [null, {name: {_eq: "b"}}], _or: null, project: null}') == ["b"]
    assert names(team, "distinct_on: name, order_by: {name: desc, version: asc}") == ["b", "a"]
    assert names(team, "distinct_on: null") == ["a", "a", "b"]
    assert names(team, "distinct_on: [version]") == ["a", "a"]


def test_distinct_on_begins_the_order(team):
    """``order_by`` must start with the columns of ``distinct_on``, as in PostgreSQL."""
    error = team.refused("{ flow(distinct_on: name, order_by: {version: asc}) { name } }")
    assert error["message"] == '"distinct_on" columns must match initial "order_by" columns'
    assert error["extensions"] == {"code": "validation-failed"}


@pytest.mark.parametrize("argument", ["limit", "offset"])
def test_negative_numbers(team, argument):
    """A negative limit or offset is rejected; zero is accepted."""
    assert team.refused("{ flow(%s: -1) { name } }" % argument)["message"] == f"{argument} must not be negative"
    assert names(team, f"{argument}: 0") == []


def test_rows_are_found_by_id_and_by_link(team):
    """A lookup by index returns the same rows as a scan of the table."""
    one, two = team.project("one"), team.project("two")
    flows(team, *({"name": name, "project_id": project} for name, project in [("a", one), ("b", two), ("c", one)]))
    every = {row["name"]: row["id"] for row in team.ask("{ flow { name id } }")["flow"]}
    assert names(team, f'where: {{id: {{_eq: "{every["b"]}"}}}}') == ["b"]
    assert names(team, f'where: {{id: {{_in: ["{every["c"]}", "{every["a"]}", "{one}"]}}}}') == ["c", "a"]
    assert names(team, f'where: {{project_id: {{_eq: "{one}"}}}}') == ["a", "c"]
    assert names(team, f'where: {{_and: [{{name: {{_neq: "a"}}}}, {{project_id: {{_in: ["{one}"]}}}}]}}') == ["c"]
    assert names(team, f'where: {{project_id: {{_eq: "{one}", _in: ["{two}"]}}}}') == []
    assert names(team, f'where: {{_or: [{{project_id: {{_eq: "{one}"}}}}, {{name: {{_eq: "b"}}}}]}}') == ["a", "b", "c"]
    assert names(team, f'where: {{_not: {{project_id: {{_eq: "{one}"}}}}}}') == ["b"]
    assert team.ask('{ flow_by_pk(id: "%s") { name } }' % every["a"])["flow_by_pk"] == {"name": "a"}
    assert team.ask('{ flow_by_pk(id: "%s") { name } }' % one)["flow_by_pk"] is None


def test_relations_to_many(team):
    """Rows can be filtered, counted and sorted by their related rows."""
    one, two = team.project("one"), team.project("two")
    team.project("none")
    flows(
        team,
        *(
            {"name": name, "project_id": project, "version": v}
            for name, project, v in [("a", one, 9), ("b", two, 1), ("c", two, 2)]
        ),
    )

    def projects(arguments):
        return [row["name"] for row in team.ask("{ project(%s) { name } }" % arguments)["project"]]

    assert projects('where: {flows: {name: {_eq: "c"}}}') == ["two"]
    assert projects("where: {_not: {flows: {}}}") == ["none"]
    assert projects("order_by: {flows_aggregate: {count: desc}}") == ["two", "one", "none"]
    assert projects("order_by: {flows_aggregate: {max: {version: asc_nulls_first}}}") == ["none", "two", "one"]
    nested = team.ask('{ project(where: {name: {_eq: "two"}}) { flows(order_by: {name: desc}, limit: 1) { name } } }')
    assert nested == {"project": [{"flows": [{"name": "c"}]}]}
    counted = "{ project { flows_aggregate(distinct_on: project_id) { aggregate { count } } } }"
    assert [row["flows_aggregate"]["aggregate"]["count"] for row in team.ask(counted)["project"]] == [1, 1, 0]


def test_order_by_a_relation_to_one(team):
    """In the sort order, a row without a related row counts as null."""
    one, two = team.project("one"), team.project("two")
    flows(team, {"name": "a"}, {"name": "b", "project_id": two}, {"name": "c", "project_id": one})
    assert names(team, "order_by: {project: {name: asc}}") == ["c", "b", "a"]
    assert names(team, "order_by: {project: {name: desc}}") == ["a", "b", "c"]
    assert names(team, "order_by: {project: null, name: desc}") == ["c", "b", "a"]


def test_times_without_an_offset_are_utc(team):
    """Times without an offset, as clients send them, are in UTC."""
    noon = datetime(2022, 1, 31, 12, tzinfo=timezone.utc)
    for hours in (-1, 0, 1):
        team.store.add("task_run", tenant_id=team.id, state_timestamp=noon + timedelta(hours=hours), name=str(hours))
    for text in ("2022-01-31T12:00:00", "2022-01-31T13:00:00+01:00", "2022-01-31 12:00:00Z"):
        rows = team.ask('{ task_run(where: {state_timestamp: {_gte: "%s"}}) { name } }' % text)["task_run"]
        assert [row["name"] for row in rows] == ["0", "1"]


@pytest.mark.parametrize(
    ("comparison", "result"),
    [
        ("{_contains: {a: 1}}", ["object"]),
        ('{_contains: ["x"]}', ["list"]),
        ('{_contains: "x"}', ["list", "text"]),
        ("{_contains: {b: [{c: 2}]}}", ["object"]),
        ("{_contains: {a: true}}", []),
        ("{_contained_in: {a: 1, b: [{c: 2}, 3], d: 4}}", ["object"]),
        ('{_has_key: "a"}', ["object"]),
        ('{_has_key: "x"}', ["list", "text"]),
        ('{_has_keys_any: ["a", "x"]}', ["object", "list", "text"]),
        ('{_has_keys_all: ["a", "b"]}', ["object"]),
        ('{_eq: ["x", 1]}', ["list"]),
        ('{_neq: ["x", true]}', ["object", "list", "text"]),
        ('{_gt: "x"}', ["object", "list"]),
        ('{_in: ["x", {b: [{c: 2}, 3], a: 1}]}', ["object", "text"]),
        ("{_is_null: true}", ["null"]),
    ],
)
def test_json(team, comparison, result):
    """The jsonb operators and the order of types match PostgreSQL."""
    values = {"object": {"a": 1, "b": [{"c": 2}, 3]}, "list": ["x", 1], "text": "x", "null": None}
    flows(team, *({"name": name, "settings": value} for name, value in values.items()))
    assert names(team, "where: {settings: %s}" % comparison) == result


def test_json_in_order(team):
    """Any two JSON values can be compared."""
    values = [{}, [], True, 1.5, 1, "x", {"b": None}, {"a": "z", "b": None}, [1], False, [None]]
    flows(team, *({"name": json.dumps(value), "settings": value} for value in values))
    expected = ['"x"', "1", "1.5", "false", "true", "[]", "[null]", "[1]", "{}", '{"b": null}', '{"a": "z", "b": null}']
    assert names(team, "order_by: {settings: asc}") == expected


@pytest.mark.parametrize(
    ("path", "result"),
    [("$.a.b", 1), ("a.b", 1), ("$", {"a": {"b": 1}, "c d": [[5]]}), ('$["c d"][0][0]', 5), ("$['c d'][0]", [5])]
    + [(path, None) for path in ("$.x", "$.a.b.c", "$['c d'][7]", "$['c d'].x", "$.a[0]")],
)
def test_a_path_into_json(team, path, result):
    """The argument ``path`` selects a part of a JSON value."""
    flows(team, {"settings": {"a": {"b": 1}, "c d": [[5]]}})
    assert team.ask("query($p: String) { flow { settings(path: $p) } }", {"p": path}) == {
        "flow": [{"settings": result}]
    }


@pytest.mark.parametrize(
    ("comparison", "result"),
    [
        ('{_ilike: "A%C"}', ["abc", "ABC", "a.c"]),
        ('{_nilike: "a%c"}', ["x%y", "x\ny"]),
        ('{_like: "x_y"}', ["x%y", "x\ny"]),
        ('{_like: "x\\\\%y"}', ["x%y"]),
        ('{_like: "%b%"}', ["abc"]),
        ('{_like: "a%b%c"}', ["abc"]),
        ('{_like: "a%b%b%c"}', []),
        ('{_like: "abc%abc"}', []),
        ('{_like: "\\\\"}', []),
    ],
)
def test_patterns(team, comparison, result):
    """LIKE and ILIKE match their patterns."""
    words = ["abc", "ABC", "a.c", "x%y", "x\ny"]
    flows(team, *({"name": name} for name in words))
    assert names(team, "where: {name: %s}" % comparison) == result


def test_like_takes_linear_time(team):
    """A LIKE pattern with many wildcards takes linear time."""
    flows(team, {"name": "a" * 5_000})
    assert names(team, 'where: {name: {_like: "%s"}}' % ("a%" * 500 + "b")) == []


@pytest.mark.slow
@settings(max_examples=50)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=8), st.data())
def test_a_tenant_sees_its_own_rows_only(owners, data):
    """No list, id, link, relation or aggregate shows rows of another tenant."""
    first = Team()
    teams = [first, *(Team(world=first.world) for _ in range(2))]
    rows = [
        (owner, teams[owner].run(name=f"f{number}") if 0 else teams[owner].project(f"p{number}"))
        for number, owner in enumerate(owners)
    ]
    asking = data.draw(st.integers(0, 2))
    own = {row for owner, row in rows if owner == asking}
    team = teams[asking]
    every = [row for _, row in rows]
    lists = [
        team.ask("{ project { id } }"),
        team.ask("query($ids: [uuid!]) { project(where: {id: {_in: $ids}}) { id } }", {"ids": every}),
        team.ask(
            "query($ids: [uuid!]) { project(where: {tenant_id: {_in: $ids}}) { id } }",
            {"ids": [one.id for one in teams]},
        ),
        {
            "project": [
                row for tenant in team.ask("{ tenant { projects { id } } }")["tenant"] for row in tenant["projects"]
            ]
        },
    ]
    assert [{row["id"] for row in result["project"]} for result in lists] == [own] * 4
    for row in every:
        result = team.ask("query($id: uuid!) { project_by_pk(id: $id) { id } }", {"id": row})["project_by_pk"]
        assert (result is not None) == (row in own)
