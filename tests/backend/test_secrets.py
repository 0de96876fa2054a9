"""Secrets over HTTP, with and without Prefect: set, list, delete and read them, separately for each tenant."""

from __future__ import annotations

import json
import logging
import pickle
import re
import traceback
from copy import deepcopy

import pytest

from pytest_flowsecrets import FakeCloud, FakeServer, UsageError, WriteOnlySecret
from pytest_flowsecrets.backend.records.secret_store import SecretValue
from tests.backend.graphql import Refused, as_agent, as_user, graphql
from tests.backend.http import ask

CANARY = "c4n4ry-9f3b7a61"
SET = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }"
OLD_SET = "mutation($input: setSecretInput!) { setSecret(input: $input) { success } }"
VALUE = "query($name: String!) { secret_value(name: $name) }"


@pytest.fixture(scope="module")
def _cloud():
    with FakeCloud() as cloud:
        yield cloud


@pytest.fixture
def cloud(_cloud):
    """One cloud for all tests of this module, without the secrets, requests and faults of the previous test."""
    for name in _cloud.secrets.names():
        _cloud.secrets.delete(name)
    _cloud.requests.clear()
    return _cloud


# -- setting and listing -----------------------------------------------------------------------------------------------

VALUES = ["x", "", "42", 42, 0, -1.5, 1e300, True, False, None, [], {}, [1, [None]], {"a": {"b": "ü"}}, "\u2028", 2**63]


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "object"])
@pytest.mark.parametrize("mutation", [SET, OLD_SET], ids=["set_secret", "setSecret"])
def test_any_json_value_by_variables(cloud, mutation, as_text):
    """``set_secret`` in both spellings takes any JSON value in variables, sent as a text or as an object."""
    for value in VALUES:
        as_user(cloud, mutation, as_text=as_text, input={"name": "my secret", "value": value})
        assert cloud.secrets.holds("my secret", value), value
    assert cloud.secrets.names() == ["my secret"]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('"x"', "x"),
        ("42", 42),
        ("4.0", 4.0),
        ("true", True),
        ("null", None),
        ("[1, null]", [1, None]),
        ('{a: {b: "c"}}', {"a": {"b": "c"}}),
    ],
)
@pytest.mark.parametrize("field", ["set_secret", "setSecret"])
def test_any_json_value_by_literals(cloud, field, literal, value):
    """``set_secret`` takes any JSON value as a literal, also with variables inside."""
    answer = as_user(cloud, f'mutation {{ {field}(input: {{name: "X", value: {literal}}}) {{ success }} }}')
    assert answer == {field: {"success": True}}
    assert cloud.secrets.holds("X", value)
    as_user(cloud, f'mutation($v: JSON) {{ {field}(input: {{name: "X", value: [$v, 1]}}) {{ success }} }}', v=value)
    assert cloud.secrets.holds("X", [value, 1])


def test_setting_again_overwrites(cloud):
    """A second ``set_secret`` replaces the value."""
    for value in (1, 2):
        as_user(cloud, SET, input={"name": "X", "value": value})
    assert cloud.secrets.holds("X", 2)
    assert len(cloud.secrets) == 1


@pytest.mark.parametrize(
    ("inputs", "expected_message"),
    [
        ({"name": "X"}, "set_secret requires a value, which may be null"),
        ({"name": "", "value": CANARY}, "the name of a secret must not be empty or contain a NUL character"),
        ({"name": "a\0b", "value": CANARY}, "the name of a secret must not be empty or contain a NUL character"),
    ],
)
def test_bad_input(cloud, inputs, expected_message):
    """Invalid names and missing values are rejected with a message without the value; nothing is stored."""
    with pytest.raises(Refused) as caught:
        as_user(cloud, SET, input=inputs)
    assert (caught.value.status, caught.value.messages, caught.value.codes) == (
        200,
        [expected_message],
        ["BAD_USER_INPUT"],
    )
    assert len(cloud.secrets) == 0


@pytest.mark.parametrize("inputs", [{"value": CANARY}, {"name": 1, "value": CANARY}, {"name": "X", "Value": CANARY}])
def test_input_that_is_not_of_the_schema(cloud, inputs):
    """Input that does not match the schema is rejected with a message without the value."""
    with pytest.raises(Refused) as caught:
        as_user(cloud, SET, input=inputs)
    assert caught.value.status == 400
    assert CANARY not in str(caught.value)
    assert len(cloud.secrets) == 0


@pytest.mark.slow
def test_a_large_value(cloud):
    """A value of 10 MB can be set and read."""
    value = "x" * 10_000_000
    as_user(cloud, SET, input={"name": "X", "value": value})
    with cloud.flow_run():
        assert as_agent(cloud, VALUE, name="X") == {"secret_value": value}


@pytest.mark.parametrize("field", ["delete_secret", "deleteSecret"])
def test_delete(cloud, field):
    """``delete_secret`` returns whether the secret existed."""
    cloud.secrets.set("X", "x")
    query = f'mutation {{ {field}(input: {{name: "X"}}) {{ success error }} }}'
    assert as_user(cloud, query) == {field: {"success": True, "error": None}}
    assert as_user(cloud, query) == {field: {"success": False, "error": "There is no secret of that name"}}
    assert cloud.secrets.names() == []


def test_names_are_listed(cloud):
    """Clients can list names with ``secret_names`` in both spellings, and query rows of the table."""
    for name in ("b", "a", "C", "my secret"):
        cloud.secrets.set(name, CANARY)
    assert as_user(cloud, "{ secret_names secretNames }") == {
        "secret_names": ["b", "a", "C", "my secret"],
        "secretNames": ["b", "a", "C", "my secret"],
    }

    def rows(arguments):
        return [row["name"] for row in as_user(cloud, f"query {{ secret{arguments} {{ name }} }}")["secret"]]

    assert rows("") == ["b", "a", "C", "my secret"]
    assert rows("(order_by: {name: asc})") == ["C", "a", "b", "my secret"]
    assert rows("(order_by: {name: desc}, limit: 2, offset: 1)") == ["b", "a"]
    assert rows('(where: {name: {_in: ["a", "x"]}})') == ["a"]
    assert rows('(where: {_or: [{name: {_eq: "b"}}, {name: {_like: "my%"}}]})') == ["b", "my secret"]
    counted = as_user(cloud, "{ secret_aggregate { aggregate { count max { name } } nodes { name } } }")
    assert counted["secret_aggregate"]["aggregate"] == {"count": 4, "max": {"name": "my secret"}}
    (row,) = as_user(cloud, '{ secret(where: {name: {_eq: "a"}}) { id tenant_id created updated } }')["secret"]
    assert row["tenant_id"] == cloud.tenant.id
    assert as_user(cloud, f'{{ secret_by_pk(id: "{row["id"]}") {{ name }} }}') == {"secret_by_pk": {"name": "a"}}


def test_an_agent_sets_no_secret(cloud):
    """A RUNNER key can neither set nor delete secrets."""
    cloud.secrets.set("X", "x")
    for query in (
        'mutation { set_secret(input: {name: "X", value: 1}) { success } }',
        'mutation { delete_secret(input: {name: "X"}) { success } }',
    ):
        with pytest.raises(Refused) as caught:
            as_agent(cloud, query)
        assert caught.value.codes == ["UNAUTHENTICATED"]
    assert cloud.secrets.holds("X", "x")


# -- tenants -----------------------------------------------------------------------------------------------------------


def test_teams_do_not_meet(cloud):
    """No query shows names or values of another tenant, and its keys are not accepted."""
    other = cloud.add_tenant("Other team")
    cloud.secrets.set("X", CANARY)
    other.secrets.set("Y", "y")
    theirs = other.user_key
    assert graphql(cloud, "{ secret_names secret { name } }", theirs) == {
        "secret_names": ["Y"],
        "secret": [{"name": "Y"}],
    }
    assert (
        graphql(cloud, "{ secret_aggregate { aggregate { count } } }", theirs)["secret_aggregate"]["aggregate"]["count"]
        == 1
    )
    (row,) = as_user(cloud, "{ secret { id } }")["secret"]
    assert graphql(cloud, f'{{ secret_by_pk(id: "{row["id"]}") {{ name }} }}', theirs) == {"secret_by_pk": None}
    where = f'{{ secret(where: {{tenant_id: {{_eq: "{cloud.tenant.id}"}}}}) {{ name }} }}'
    assert graphql(cloud, where, theirs) == {"secret": []}
    assert as_user(cloud, "{ tenant { name } }") == {"tenant": [{"name": "flowsecrets"}]}
    for key in (other.user_key, other.runner_key):
        with pytest.raises(Refused) as caught:
            graphql(cloud, "{ secret_names }", key, cloud.tenant.id)
        assert (caught.value.status, caught.value.codes) == (200, ["UNAUTHENTICATED"])
    with other.flow_run(), pytest.raises(Refused, match="UNAUTHENTICATED"):  # their run, our key
        as_agent(cloud, VALUE, name="X")
    with cloud.flow_run(), pytest.raises(Refused, match="UNAUTHENTICATED"):  # our run, their key
        graphql(cloud, VALUE, other.runner_key, name="X")
    with cloud.flow_run(), other.flow_run(), pytest.raises(Refused, match="No value found for the requested key"):
        graphql(cloud, VALUE, other.runner_key, name="X")


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["secret_value", "secretValue"])
def test_an_agent_reads_while_a_run_is_running(cloud, field):
    """``secret_value`` in both spellings returns the value to a RUNNER key while a run is active."""
    query = f"query($name: String!) {{ {field}(name: $name) }}"
    with cloud.flow_run():
        for value in VALUES:
            cloud.secrets.set("X", value)
            assert json.dumps(as_agent(cloud, query, name="X")) == json.dumps({field: value})


def test_who_may_not_read(cloud):
    """A USER key, a missing key, and a RUNNER key without an active run get UNAUTHENTICATED."""
    cloud.secrets.set("X", CANARY)
    cases = [
        (
            True,
            cloud.tenant.user_key,
            "AuthenticationError: Forbidden: reading a secret requires a key of scope RUNNER",
        ),
        (
            False,
            cloud.tenant.runner_key,
            "AuthenticationError: Forbidden: the value of a secret can only be read while a flow run is Submitted or Running",
        ),
        (
            False,
            cloud.tenant.user_key,
            "AuthenticationError: Forbidden: reading a secret requires a key of scope RUNNER",
        ),
        (True, None, "Unauthenticated"),
        (True, "wrong", "Unauthenticated"),
    ]
    before = cloud.secrets.reads
    for running, key, expected_message in cases:
        for name in ("X", "Y"):  # whether it is there is not told
            context = cloud.flow_run() if running else cloud.isolation.overlay({})
            with context, pytest.raises(Refused) as caught:
                graphql(cloud, VALUE, key, name=name)
            assert (caught.value.status, caught.value.messages) == (200, [expected_message])
            assert caught.value.codes == ["UNAUTHENTICATED"]
    assert cloud.secrets.reads == before


STATES = ["Scheduled", "Submitted", "Running", "Cancelling", "Failed", "Success", "Cancelled", "Paused"]


@pytest.mark.parametrize("state", STATES)
def test_states_of_a_run_that_reads(cloud, state):
    """A run can read secrets in the states Submitted and Running only."""
    cloud.secrets.set("X", "x")
    with cloud.flow_run() as run_id:
        cloud.world.store.change("flow_run", run_id, state=state)
        if state in ("Submitted", "Running"):
            assert as_agent(cloud, VALUE, name="X") == {"secret_value": "x"}
        else:
            with pytest.raises(Refused, match="only be read while a flow run is Submitted or Running"):
                as_agent(cloud, VALUE, name="X")


def test_reads_are_told(cloud):
    """``reads`` lists the secret, the time and the runs of each read."""
    cloud.secrets.set("X", "x")
    before = len(cloud.secrets.reads)
    with cloud.flow_run() as run_id:
        as_agent(cloud, VALUE, name="X")
        with pytest.raises(Refused):
            as_agent(cloud, VALUE, name="Y")
    (read,) = cloud.secrets.reads[before:]
    assert (read.name, read.tenant_id, read.flow_run_ids) == ("X", cloud.tenant.id, (run_id,))
    assert (cloud.world.now() - read.at).total_seconds() < 60
    keys = as_user(cloud, "{ auth_api_key { id name } }")["auth_api_key"]
    assert [key["name"] for key in keys if key["id"] == read.key_id] == ["of the agents"]
    assert "'x'" not in repr(read)


def test_runs_go_on_after_a_flow_was_deleted(cloud):
    """``flow_run`` recreates a deleted project and flow, and raises if the tenant is deleted."""
    cloud.secrets.set("X", "x")
    deleted = cloud.add_tenant("gone")
    for _ in range(2):
        with cloud.flow_run():
            assert as_agent(cloud, VALUE, name="X") == {"secret_value": "x"}
        for project in cloud.world.store.linked("project", "tenant_id", cloud.tenant.id):
            cloud.world.store.remove("project", project["id"])
    cloud.world.store.remove("tenant", deleted.id)
    with pytest.raises(
        UsageError, match="rejected create_project, so there is no run: Tenant not found"
    ), deleted.flow_run():
        pass


def test_keys_of_no_scope_and_of_others(cloud):
    """``create_key`` rejects unknown scopes, and ``create_api_key`` rejects other users."""
    with pytest.raises(UsageError, match="scope='ADMIN': the scope of a key must be 'USER' or 'RUNNER'"):
        cloud.tenant.create_key("ADMIN")
    create = "mutation($input: create_api_key_input!) { create_api_key(input: $input) { key } }"
    inputs = {"name": "x", "user_id": cloud.add_tenant("other").user_id}
    with pytest.raises(Refused, match="this is not your user id"):
        as_user(cloud, create, input=inputs)
    key = cloud.tenant.create_key("RUNNER", expires_at="2020-01-01")
    with pytest.raises(Refused, match="UNAUTHENTICATED"):
        graphql(cloud, "{ hello }", key)


# -- write-only --------------------------------------------------------------------------------------------------------


def introspected(api, key=None):
    return graphql(
        api,
        """{ __schema { types { name fields { name args { name } type { name ofType { name } } }
             inputFields { name } enumValues { name } } } }""",
        key,
    )["__schema"]["types"]


@pytest.mark.slow
def test_the_type_secret_has_no_value(cloud):
    """In introspection, no type of the table ``secret`` has a field for the value."""
    types = {result["name"]: result for result in introspected(cloud, cloud.tenant.user_key)}
    columns = {"id", "name", "tenant_id", "created", "updated"}
    assert {field["name"] for field in types["secret"]["fields"]} == columns
    about = [name for name in types if name.startswith("secret") and name != "secret"]
    assert len(about) >= 4
    for name in about:
        kind = types[name]
        for part in ("fields", "inputFields", "enumValues"):
            assert "value" not in [field["name"] for field in kind[part] or []], name
    # The only field that answers with a value is the one that asks for the right key.
    fields = [field["name"] for field in types["Query"]["fields"] if "secret" in field["name"].lower()]
    assert sorted(fields) == [
        "secret",
        "secretNames",
        "secretValue",
        "secret_aggregate",
        "secret_by_pk",
        "secret_names",
        "secret_value",
    ]


@pytest.mark.parametrize(
    ("query", "expected_message"),
    [
        ("{ secret { value } }", "Cannot query field 'value' on type 'secret'."),
        (
            '{ secret(where: {value: {_eq: "c4n4ry-9f3b7a61"}}) { name } }',
            "Field 'value' is not defined by type 'secret_bool_exp'",
        ),
        (
            '{ secret(where: {_not: {value: {_like: "c%"}}}) { name } }',
            "Field 'value' is not defined by type 'secret_bool_exp'",
        ),
        ("{ secret(order_by: {value: asc}) { name } }", "Field 'value' is not defined by type 'secret_order_by'"),
        ("{ secret(distinct_on: value) { name } }", "Expected value of type 'secret_select_column'."),
        ("{ secret_aggregate { aggregate { max { value } } } }", "Cannot query field 'value'"),
        ("{ secret_aggregate { nodes { value } } }", "Cannot query field 'value' on type 'secret'."),
        ('mutation { set_secret(input: {name: "X", value: 1}) { value } }', "Cannot query field 'value'"),
        ("{ tenant { secrets { value } } }", "Cannot query field 'secrets' on type 'tenant'"),
    ],
)
def test_no_query_gives_a_value(cloud, query, expected_message):
    """Each query for the value is a validation error with status 400 for every key, also during a run."""
    cloud.secrets.set("X", CANARY)
    with cloud.flow_run():
        for key in (cloud.tenant.user_key, cloud.tenant.runner_key):
            with pytest.raises(Refused) as caught:
                graphql(cloud, query, key)
            assert caught.value.status == 400
            assert any(message.startswith(expected_message) for message in caught.value.messages), caught.value.messages
    assert cloud.secrets.holds("X", CANARY)


def everything_about(cloud):
    """Return repr and ``vars()`` of a cloud and of its attributes, three levels deep."""
    shown, level = [], [cloud]
    for _ in range(3):
        shown += [repr(thing) for thing in level]
        contents = [vars(thing) if hasattr(thing, "__dict__") else {} for thing in level]
        shown += map(repr, contents)
        level = [value for items in contents for value in items.values()]
    return "\n".join(shown)


def test_no_repr_pickle_copy_or_log_gives_a_value(cloud, caplog):
    """No repr, attribute, log, pickle or copy of ``prefect_cloud`` contains a value."""
    with caplog.at_level(logging.DEBUG):
        as_user(cloud, SET, input={"name": "X", "value": CANARY})
        cloud.secrets.set("Y", {"a": CANARY})
        cloud.secrets.rotate("Y", [CANARY])
        with cloud.flow_run():
            as_agent(cloud, VALUE, name="X")
        with pytest.raises(Refused):
            as_user(cloud, SET, input={"name": "", "value": CANARY})
    shown = [everything_about(cloud), repr(list(cloud.requests)), repr(cloud.requests[0].query), caplog.text]
    shown += [repr([vars(record) for record in caplog.records]), repr(cloud.secrets), repr(cloud.secrets.reads)]
    assert "Vault" in shown[0]
    assert not any(CANARY in text for text in shown)
    for thing in (cloud, cloud.world, cloud.world.vault, cloud.secrets, cloud.tenant):
        for copied in (deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                copied(thing)


def test_the_view_has_no_getter(cloud):
    """``secrets[name]`` raises an error that names the alternatives; iteration returns names only."""
    cloud.secrets["X"] = CANARY
    with pytest.raises(WriteOnlySecret) as caught:
        cloud.secrets["X"]
    assert str(caught.value) == (
        "secret 'X' is write-only, as in Prefect Cloud: compare its value with prefect_cloud.secrets.holds('X', value), "
        "or read it as a flow run does, with Secret('X').get() inside `with prefect_cloud.flow_run():`"
    )
    assert list(cloud.secrets) == cloud.secrets.names() == ["X"]
    assert repr(cloud.secrets) == "<CloudSecrets ['X']>"
    with pytest.raises(ValueError):
        dict(cloud.secrets)
    assert not any(hasattr(cloud.secrets, name) for name in ("get", "items", "values", "pop", "copy"))
    del cloud.secrets["X"]
    assert "X" not in cloud.secrets


def test_errors_of_the_view(cloud):
    """Errors name the problem; neither the message nor the frames of the package contain the value."""
    cases = [
        (lambda: cloud.secrets.set("X", {CANARY}), "secret 'X': a value must be JSON data .*, not set"),
        (lambda: cloud.secrets.set("", CANARY), "the name of a secret is empty"),
        (lambda: cloud.secrets.set(1, CANARY), "the name of a secret must be text, not int"),
        (lambda: cloud.secrets.rotate("X", CANARY), "there is no secret 'X' to rotate: set it first"),
        (lambda: cloud.secrets.holds("X", {CANARY}), "a value must be JSON data .*, not set"),
        (lambda: cloud.secrets.set("X", CANARY, expires_at=5), "a time must be a datetime, a date or a text, not int"),
    ]
    for call, expected_message in cases:
        with pytest.raises(UsageError, match=expected_message) as caught:
            call()
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        own = [frame for frame in shown.stack if "pytest_flowsecrets" in frame.filename]
        assert own
        assert not any(CANARY in repr(frame.locals) for frame in own)
        assert CANARY not in str(caught.value)
    cloud.secrets.set("X", "x")
    with pytest.raises(UsageError, match="a value must be JSON data"):
        cloud.secrets.rotate("X", object())
    with pytest.raises(KeyError, match="Y"):
        cloud.secrets.delete("Y")


def test_a_request_of_which_nothing_is_understood(cloud):
    """Neither the answer to nor the record of an invalid request contains its text."""
    for body in (f'{{"query": "{CANARY}', f'{{"query": "{{ {CANARY.replace("-", "_")} }}"}}', f'["{CANARY}"]'):
        reply = ask(cloud.url, body.encode(), Authorization=f"Bearer {cloud.tenant.user_key}")
        assert reply.status == 400
    assert CANARY not in repr(cloud.requests[:])
    assert len(cloud.requests) == 3


def test_values_are_compared_by_digest(cloud, monkeypatch):
    """``holds`` does not read the stored value, so its duration cannot depend on the value."""
    cloud.secrets.set("X", CANARY)
    monkeypatch.delattr(SecretValue, "reveal")
    assert cloud.secrets.holds("X", CANARY)
    assert not cloud.secrets.holds("X", CANARY[:-1])
    cloud.secrets.delete("X")


# -- Server ------------------------------------------------------------------------------------------------------------


def test_server_has_no_secrets():
    """The schema of Server has no mutation, query or type for secrets."""
    try:
        with FakeServer() as server:
            assert not [
                result["name"] for result in introspected(server) if re.search("secret", result["name"], re.IGNORECASE)
            ]
            for query in (
                "{ secret_names }",
                "{ secret { name } }",
                'query { secret_value(name: "X") }',
                "{ auth_info { tenant_id } }",
            ):
                with pytest.raises(Refused, match="Cannot query field") as caught:
                    graphql(server, query)
                assert caught.value.status == 400
            with pytest.raises(Refused, match="Cannot query field 'set_secret'"):
                graphql(server, 'mutation { set_secret(input: {name: "X", value: 1}) { success } }')
            assert graphql(server, "{ hello tenant { name slug } }", "any key")["tenant"] == [
                {"name": "default", "slug": "default"}
            ]
    except UsageError as error:
        assert "does not support Prefect Server, which requires 0.10.0" in str(error)
        pytest.skip("no Prefect Server before 0.10.0")
