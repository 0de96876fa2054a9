"""Execution of operations: answers, limits, and errors that do not contain values."""

from __future__ import annotations

import threading

import pytest

from pytest_flowsecrets.backend.messages import Answer, Operation, Unauthenticated
from pytest_flowsecrets.backend.records.keys import Caller
from tests.backend.asking import Team

SECRET = "kei4Aiwo-the-value"


@pytest.fixture
def team():
    return Team()


def test_a_query_is_answered_with_data_kind_and_fields(team):
    """An answer contains the data, and kind and root fields for the request log."""
    answer = team.execute("query Q { hello greeting: hello project { name } }")
    assert answer == Answer(
        {"hello": "👋", "greeting": "👋", "project": []}, [], 200, "query", ("hello", "hello", "project")
    )


def test_a_document_that_is_not_valid_gets_400(team):
    """An invalid document gets status 400 without data, as from the real API."""
    answer = team.execute("mutation { create_project(input: {name: 1}) { id } }")
    assert (answer.status, answer.data) == (400, None)
    assert team.ask("{ project { id } }") == {"project": []}


def test_a_resolver_that_fails_gets_200(team):
    """The error of a resolver has status 200, path and code."""
    answer = team.execute('mutation { set: delete_project(input: {project_id: "%s"}) { success } }' % team.id)
    assert (answer.status, answer.data) == (200, {"set": None})
    assert answer.errors == [
        {
            "message": "Project not found",
            "locations": [{"line": 1, "column": 12}],
            "path": ["set"],
            "extensions": {"code": "INTERNAL_SERVER_ERROR"},
        }
    ]


def test_a_key_that_is_not_good_gets_nothing(team):
    """An invalid key gets UNAUTHENTICATED for valid operations, and 400 for invalid ones."""
    nobody = Caller(refusal=Unauthenticated())
    answer = team.execute("{ hello }", caller=nobody)
    assert (answer.status, answer.data, answer.kind, answer.fields) == (200, None, "query", ("hello",))
    assert answer.errors[0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert team.execute("{ nothing }", caller=nobody).status == 400


@pytest.mark.parametrize(
    ("document", "name", "message"),
    [
        (
            "query A { hello } query B { hello }",
            None,
            "Must provide operation name if query contains multiple operations.",
        ),
        ("query A { hello } query B { hello }", "C", "There is no such operation."),
        ("query A { hello }", "", "There is no such operation."),
        ("{ hello }", "A", "There is no such operation."),
        ("fragment F on Query { hello }", None, "Fragment 'F' is never used."),
        ("", None, "Syntax Error: Unexpected <EOF>."),
        ("{ hello", None, "Syntax Error: Expected Name, found <EOF>."),
        ("{ hello(x: 1) }", None, "Unknown argument 'x' on field 'Query.hello'."),
        ("{ hel\0lo }", None, "Syntax Error: Unexpected character"),
        ("type T { a: Int }", None, "The 'T' definition is not executable."),
    ],
)
def test_what_cannot_be_executed(team, document, name, message):
    """Each kind of invalid operation gets its own message and status 400."""
    answer = team.execute(document, name=name)
    assert answer.status == 400
    assert answer.data is None
    assert message in [error["message"] for error in answer.errors]


def test_there_are_no_subscriptions(team):
    """Subscriptions are rejected."""
    answer = team.execute("subscription { hello }")
    assert (answer.status, answer.data) == (400, None)
    assert "subscription" in answer.errors[0]["message"]


def test_the_operation_of_that_name_is_the_one(team):
    """The operation name selects one of several operations of a document."""
    document = 'query A { hello } mutation B { create_project(input: {name: "p"}) { id } }'
    assert team.execute(document, name="A").kind == "query"
    assert team.ask("{ project { id } }") == {"project": []}
    assert team.execute(document, name="B").kind == "mutation"
    assert len(team.ask("{ project { id } }")["project"]) == 1


def test_only_queries_come_by_get(team):
    """A mutation sent with GET is rejected before it is executed."""
    assert team.execute("{ hello }", get=True).status == 200
    answer = team.execute('mutation { create_project(input: {name: "p"}) { id } }', get=True)
    assert (answer.status, answer.data, answer.kind) == (405, None, "mutation")
    assert team.ask("{ project { id } }") == {"project": []}


# -- limits ------------------------------------------------------------------------------------------------------------


def nested(depth):
    return "{ project " + "{ flows { project " * depth + "{ id }" + " } }" * depth + " }"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "message"),
    [
        (nested(11), "The depth of this operation is 24; the limit is 20"),
        (nested(2_000), ""),
        (
            "{ ...F0 } " + " ".join(f"fragment F{i} on Query {{ ...F{i + 1} }}" for i in range(1_500)),
            "The operation is nested too deeply",
        ),
        ("{ " + " ".join(f"a{i}: hello" for i in range(101)) + " }", "The number of aliases of this operation is 101"),
        ("{ " + "hello " * 501 + "}", "The number of fields, fragments included, of this operation is 501"),
        ("{ " + "hello " * 20_000 + "}", "Syntax Error: Document contains more than 20000 tokens"),
        ("{ project(where: " + "{_and: [" * 5_000 + "]}" * 5_000 + ") { id } }", ""),
        ("{ hello(a: " + "[" * 100_000 + "]" * 100_000 + ") }", ""),
    ],
    ids=["depth", "parser", "fragments", "aliases", "fields", "tokens", "where", "list"],
)
def test_an_operation_that_is_too_large(team, document, message):
    """An operation above a limit is rejected with the number and the limit."""
    answer = team.execute(document)
    assert (answer.status, answer.data) == (400, None)
    assert answer.errors[0]["message"].startswith(message)
    assert team.ask("{ hello }") == {"hello": "👋"}


def test_fragments_count_where_they_are_used(team):
    """Fields of fragments count at each use, so nested fragments cannot multiply unnoticed."""
    doubled = [f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(10)]
    document = "{ ...F0 } " + " ".join(doubled) + " fragment F10 on Query { hello }"
    assert "The number of fields, fragments included," in team.refused(document)["message"]


def test_a_fragment_that_spreads_itself(team):
    """The size check ends for a cyclic fragment, which GraphQL's own rule rejects."""
    error = team.execute("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A hello }").errors[0]
    assert error["message"] == "Cannot spread fragment 'A' within itself via 'B'."


def test_inline_and_unknown_fragments(team):
    """The size check includes inline fragments, and leaves unknown fragments to validation."""
    assert team.ask("{ ... on Query { greeting: hello } }") == {"greeting": "👋"}
    assert team.refused("{ ...Nothing }")["message"] == "Unknown fragment 'Nothing'."


@pytest.mark.slow
def test_introspection_is_within_the_limits(team):
    """The introspection query of common tools is within the limits."""
    from graphql import build_client_schema, get_introspection_query

    data = team.ask(get_introspection_query(descriptions=True, input_value_deprecation=True))
    assert build_client_schema(data).query_type.name == "Query"


# -- odd values --------------------------------------------------------------------------------------------------------

BIG = "9" * 5_000


@pytest.mark.parametrize("text", ["{ project(limit: 99999999999) { id } }", "{ project(limit: %s) { id } }" % BIG])
def test_numbers_that_are_too_large(team, text):
    """Integers beyond GraphQL's Int are rejected, as literals and as variables."""
    answer = team.execute(text)
    assert (answer.status, answer.data) == (400, None)
    assert answer.errors[0]["message"] == "Expected value of type 'Int'."
    answer = team.execute("query($n: Int) { project(limit: $n) { id } }", {"n": 10**30})
    assert answer.errors[0]["message"] == "Variable '$n' got an invalid value at 'n'; Expected type 'Int'."


def test_large_numbers_in_json(team):
    """JSON values keep large numbers; infinite numbers are rejected, and nothing is stored."""
    key = 'mutation { set_key_value(input: {key: "k", value: %s}) { id } }'
    team.ask(key % 10**30)
    for text in (BIG, "1e999", f"{{a: [1, {{b: {BIG}}}]}}"):
        answer = team.execute(key % text)
        assert (answer.status, answer.data) == (400, None)
        assert BIG not in str(answer.errors)
    request = 'mutation($v: JSON) { set_key_value(input: {key: "k", value: $v}) { id } }'
    for value in (float("nan"), [float("inf")], {"a": -float("inf")}):
        assert "Expected type 'JSON'" in team.refused(request, {"v": value})["message"]
    assert team.one("key_value { value }") == {"value": 10**30}


def test_deep_json(team):
    """A JSON value with thousands of levels is stored or rejected as a whole."""
    deep = []
    for _ in range(5_000):
        deep = [deep]
    answer = team.execute('mutation($v: JSON) { set_key_value(input: {key: "k", value: $v}) { id } }', {"v": deep})
    assert bool(answer.errors) == (team.ask("{ key_value { key } }") == {"key_value": []})


def test_a_condition_that_is_too_deep(team):
    """A condition that is nested too deeply gets an error, from validation or the resolver."""
    team.run()
    deep = []
    for _ in range(5_000):
        deep = [deep]
    error = team.refused("query($j: jsonb) { flow_run(where: {context: {_eq: $j}}) { id } }", {"j": deep})
    assert error["message"] == "The operation is nested too deeply"


@pytest.mark.parametrize(
    "mutation",
    [
        'create_project(input: {name: "a\\u0000b"}) { id }',
        'set_key_value(input: {key: "a\\u0000b", value: 1}) { id }',
        'set_project_name(input: {project_id: "%s", name: "\\u0000"}) { id }',
    ],
)
def test_nul_in_names(team, mutation):
    """Texts with NUL characters are rejected, because PostgreSQL does not store them."""
    team.project("p")
    mutation = mutation.replace("%s", team.one("project { id }")["id"])
    error = team.refused("mutation { %s }" % mutation)
    assert error["message"] in (
        "name: text must not contain a NUL character",
        "key: text must not contain a NUL character",
    )
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert team.ask("{ project { name } key_value { key } }") == {"project": [{"name": "p"}], "key_value": []}


# -- no error tells a value --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"name": SECRET, "labels": SECRET},
            "Variable '$input' got an invalid value at 'input'; Field 'labels' is not",
        ),
        ({"name": {SECRET: 1}}, "Variable '$input' got an invalid value at 'input.name'; Expected type 'String!'."),
        ({"name": [SECRET]}, "Variable '$input' got an invalid value at 'input.name'; Expected type 'String!'."),
        (
            {"value": SECRET},
            "Variable '$input' got an invalid value at 'input'; Field 'name' of required type 'String!'",
        ),
        ({"name": None}, "Variable '$input' got an invalid value at 'input.name'; Expected type 'String!', not null."),
        (
            SECRET,
            "Variable '$input' got an invalid value at 'input'; Expected type 'set_secret_input' to be a mapping.",
        ),
        (None, "Variable '$input' of required type 'set_secret_input!' was not provided."),
    ],
)
def test_a_variable_of_the_wrong_type(team, variables, message):
    """The error of a wrong variable contains its place and the expected type, not the value."""
    inputs = {} if variables is None else {"input": variables}
    answer = team.execute("mutation($input: set_secret_input!) { set_secret(input: $input) { success } }", inputs)
    assert answer.status == 400
    assert answer.errors[0]["message"].startswith(message)
    assert SECRET not in str(answer.errors)
    assert answer.errors[0]["locations"] == [{"line": 1, "column": 10}]
    assert (answer.kind, answer.fields) == ("mutation", ("set_secret",))


def test_a_wrong_value_deep_inside(team):
    """The place of a wrong value includes lists, inputs, and single values in place of lists."""
    document = "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }"
    logs = [{"level": "INFO"}, {"level": SECRET, "flow_run_id": SECRET, "timestamp": SECRET}]
    messages = [error["message"] for error in team.execute(document, {"input": {"logs": logs}}).errors]
    assert messages == [
        "Variable '$input' got an invalid value at 'input.logs[1].flow_run_id'; Expected type 'UUID'.",
        "Variable '$input' got an invalid value at 'input.logs[1].timestamp'; Expected type 'DateTime'.",
        "Variable '$input' got an invalid value at 'input.logs[1].level'; Expected type 'log_level'.",
    ]
    alone = team.refused(document, {"input": {"logs": {"level": SECRET}}})["message"]
    assert alone == "Variable '$input' got an invalid value at 'input.logs.level'; Expected type 'log_level'."


@pytest.mark.parametrize(
    "document",
    [
        'mutation { set_secret(input: {name: %s, value: "x"}) { success } }' % SECRET.replace("-", "_"),
        'mutation { set_secret(input: {name: ["%s"], value: 1}) { success } }' % SECRET,
        'mutation { set_secret(input: {name: {a: "%s"}, value: 1}) { success } }' % SECRET,
        'mutation { set_secret(input: "%s") { success } }' % SECRET,
        'mutation { set_secret(input: {name: "x", value: "%s" "%s"}) { success } }' % (SECRET, SECRET),
        'mutation { set_secret(input: {name: "x", value: ""%s"}) { success } }' % SECRET.replace("-", "_"),
        'mutation { set_secret(input: {name: "x", value: "\\u%s"}) { success } }' % SECRET,
        'mutation { set_secret(input: {name: "x", value: """%s""" """%s"""}) { success } }' % (SECRET, SECRET),
        'mutation { set_secret(input: {name: "x", value: "%s) { success } }' % SECRET,
        'query { project(where: {id: {_eq: "%s"}}) { id } }' % SECRET,
        'query { project(limit: "%s") { id } }' % SECRET,
        'query { project(order_by: {name: "%s"}) { id } }' % SECRET,
        "query { project(order_by: {name: %s}) { id } }" % SECRET.replace("-", "_"),
        'mutation($n: String = "%s") { set_secret(input: {name: $n, value: "%s"}) { success } }' % (SECRET, SECRET),
    ],
)
def test_a_literal_of_the_wrong_type(team, document):
    """The error of a wrong literal contains its place and the expected type, not the value."""
    answer = team.execute(document, {"n": None})
    assert answer.errors
    shown = str(answer.errors)
    assert SECRET not in shown
    assert SECRET.replace("-", "_") not in shown


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            'mutation { set_secret(input: {value: "%s"}) { success } }',
            "Field 'set_secret_input.name' was not provided.",
        ),
        (
            'mutation { set_secret(input: {name: "n", note: "%s"}) { success } }',
            "Field 'note' is not defined by type 'set_secret_input'.",
        ),
        ('mutation { set_secret(input: {name: {a: "%s"}}) { success } }', "Expected value of type 'String'."),
        ("{ project(order_by: {name: %s}) { id } }", "Expected value of type 'order_by'."),
        ('{ project(where: {created: {_gt: "%s"}}) { id } }', "Expected value of type 'timestamptz'."),
        ('{ project(limit: "%s") { id } }', "Expected value of type 'Int'."),
        ('{ project(where: "%s") { id } }', "Expected value of type 'project_bool_exp'."),
    ],
)
def test_the_type_or_the_field_is_named(team, document, message):
    """The error names the type or the field that graphql-core reports."""
    (error,) = team.execute(document % "sekret").errors
    assert error["message"] == message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{sekret: 1, sekret: 2}", "There can be only one input field named '…'."),
        ("{a: [{b: 1, c: {sekret: 1, sekret: 2}}]}", "There can be only one input field named '…'."),
        ("$sekret", "Variable '…' is not defined."),
        ("[1, {a: $sekret}]", "Variable '…' is not defined."),
    ],
)
def test_names_within_a_value(team, value, message):
    """Errors do not contain names inside the value of a secret; other names are shown."""
    (error,) = team.execute('mutation { set_secret(input: {name: "n", value: %s}) { success } }' % value).errors
    assert error["message"] == message
    assert error["locations"]
    (error,) = team.execute("mutation { set_secret(input: {name: $who, value: 1}) { success } }").errors
    assert error["message"] == "Variable '$who' is not defined."
    (error,) = team.execute("mutation($v: Int) { set_secret(input: {name: 1, value: $v}) { success } }").errors[1:]
    assert error["message"] == "Variable '$v' of type 'Int' used in position expecting type 'JSON'."
    (error,) = team.execute("{ flow(where: {name: {_eq: $who}}) { id } }").errors
    assert error["message"] == "Variable '$who' is not defined."


@pytest.mark.parametrize("name", [SECRET, "a'b", "x" * 1_000, ""])
def test_a_key_that_is_no_name_of_graphql(team, name):
    """Errors do not contain a key that is not a valid GraphQL name."""
    document = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }"
    error = team.refused(document, {"input": {"name": "n", "value": 1, name: 1}})
    assert error["message"].endswith("at 'input'; Field '…' is not defined by type 'set_secret_input'.")


def test_unknown_messages_of_graphql_core_are_replaced():
    """``without_value`` drops a message of graphql-core that it does not know, because it might quote a value."""
    from pytest_flowsecrets.backend.graphql.validation import without_value

    assert without_value("Sekret is wrong") is None


def test_a_bug_is_told_by_type_and_place(team, monkeypatch):
    """An unexpected exception is reported by type and place, without its text."""
    from pytest_flowsecrets.backend.graphql import execution

    def broken(*_):
        raise LookupError(SECRET)

    with monkeypatch.context() as patch:
        patch.setattr(team.store, "all", broken)
        patch.setattr(team.store, "linked", broken)
        answer = team.execute("{ project { id } }")
        assert answer.status == 200
        assert answer.errors[0]["message"].startswith("Internal error: LookupError at broken:")
    with monkeypatch.context() as patch:
        patch.setattr(execution, "check_variables", broken)
        answer = team.execute("{ project { id } }")
        assert answer.status == 400
        assert answer.errors[0]["message"].startswith("Internal error: LookupError at broken:")


def test_a_row_of_the_wrong_type_is_not_quoted(team):
    """An error in the serialization of a row does not quote the value."""
    team.store.add("project", tenant_id=team.id, name={"a": SECRET})
    error = team.refused("{ project { name } }")
    assert error["message"] == "String cannot represent"
    assert error["path"] == ["project", 0, "name"]


def test_neither_operation_nor_answer_shows_values():
    """The reprs of operations and answers contain no values."""
    assert repr(Operation(f'{{ a(b: "{SECRET}") }}', {"c": SECRET}, "N")) == "<Operation N>"
    assert repr(Operation("{ hello }")) == "<Operation without a name>"
    assert (
        repr(Answer({"secret_value": SECRET}, kind="query", fields=("secret_value",)))
        == "<Answer 200 query secret_value>"
    )


# -- mutations ---------------------------------------------------------------------------------------------------------


def test_a_mutation_that_fails_changes_nothing(team):
    """If the second of two states is invalid, the first one is not set either."""
    run = team.run()
    states = [{"flow_run_id": run, "state": {"type": "Running"}}, {"flow_run_id": run, "state": {"type": "Nonsense"}}]
    assert "a state must be a mapping" in team.cannot("set_flow_run_states", "states { id }", states=states)["message"]
    assert team.one("flow_run { state version states { state } }") == {
        "state": "Scheduled",
        "version": 1,
        "states": [{"state": "Scheduled"}],
    }


def test_several_mutations_run_one_after_the_other(team):
    """Each mutation of a document is a transaction: if the second fails, the first persists."""
    answer = team.execute(
        'mutation { one: create_project(input: {name: "p"}) { id } two: create_project(input: {name: "p"}) { id } }'
    )
    assert answer.data["one"]["id"]
    assert answer.data["two"] is None
    assert [error["message"] for error in answer.errors] == ["Uniqueness violation."]


@pytest.mark.slow
def test_many_callers_at_once(team):
    """Concurrent writes are not lost, and each list is a consistent snapshot."""
    project, problems = team.project(), []

    def work(number):
        for index in range(20):
            team.flow(project, name=f"{number}-{index}")
            answer = team.execute("{ flow { name tasks_aggregate { aggregate { count } } } }")
            counts = {row["tasks_aggregate"]["aggregate"]["count"] for row in (answer.data or {}).get("flow", [])}
            problems.extend(answer.errors or counts - {2})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert team.ask("{ flow_aggregate { aggregate { count } } }") == {"flow_aggregate": {"aggregate": {"count": 80}}}


# -- the cache of documents --------------------------------------------------------------------------------------------


@pytest.fixture
def documents(monkeypatch):
    from pytest_flowsecrets.backend.graphql import execution

    fresh = execution.DocumentCache()
    monkeypatch.setattr(execution, "documents", fresh)
    return fresh


def test_valid_documents_are_cached(team, documents):
    """The cache stores valid documents by backend and text, and evicts the least recently used one."""
    documents.MAX_DOCUMENTS = 2
    for field in ("hello", "project { id }", "hello", "flow { id }"):
        team.ask("{ %s }" % field)
    assert len(documents) == 2
    assert ("cloud", "{ hello }") in documents
    assert ("cloud", "{ flow { id } }") in documents
    assert Team("server").execute("{ secret_names }").status == 400
    team.ask("{ secret_names }")
    assert Team("server").execute("{ secret_names }").status == 400


@pytest.mark.parametrize(
    "document",
    [
        'mutation { set_secret(input: {name: "x", value: "%s"}) { success } }' % SECRET,
        'mutation($n: String!) { set_secret(input: {name: $n, value: "%s"}) { success } }' % SECRET,
        'mutation($n: String!) { ...M } fragment M on Mutation { set_secret(input: {name: $n, value: "%s"}) { success } }'
        % SECRET,
        'mutation($input: set_secret_input! = {name: "x", value: "%s"}) { set_secret(input: $input) { success } }'
        % SECRET,
        "{ nothing }",
        "{ hello %s }" % (" " * 10_000),
    ],
)
def test_documents_that_are_not_cached(team, documents, document):
    """The cache does not store documents that are long, not valid, or may contain the value of a secret."""
    team.execute(document, {"n": "x"})
    assert len(documents) == 0
    team.execute(
        "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }", {"input": {"name": "x"}}
    )
    assert len(documents) == 1


@pytest.mark.slow
def test_memory_stays_flat(team, documents):
    """The cache does not grow beyond its limit if every document is different."""
    for number in range(documents.MAX_DOCUMENTS + 10):
        team.execute('{ project(where: {name: {_eq: "%d"}}) { id } }' % number)
    assert len(documents) == documents.MAX_DOCUMENTS
