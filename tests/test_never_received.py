"""``assert_never_received``: the search for the value of a secret in all requests, in all encodings."""

from __future__ import annotations

import base64
import gzip
import json
import urllib.parse
import uuid
import zlib
from datetime import timedelta

import pytest

from pytest_flowsecrets import FakeCloud, SecretReceived, UsageError
from pytest_flowsecrets.leaks.search.finder import any_of, finder, forms_of
from tests.backend.graphql import as_agent, as_user
from tests.backend.http import ask
from tests.compat import VERSION

CANARY = 'c4n4ry "9f/3b+ü\\'
SET = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }"
PROJECT = "query($name: String) { project(where: {name: {_eq: $name}}) { id } }"

new = pytest.mark.skipif((VERSION or ()) < (0, 15), reason="the backend package and artifacts came with 0.15.0")


@pytest.fixture
def cloud():
    with FakeCloud({"X": CANARY}) as cloud:
        yield cloud


def places(cloud, name="X"):
    """Return the places where the value occurs."""
    with pytest.raises(SecretReceived) as caught:
        cloud.assert_never_received(name)
    assert CANARY not in repr(caught.value) + str(caught.value)
    return list(caught.value.places)


def packed(compress):
    return base64.b64encode(compress(json.dumps({"deep": [CANARY]}).encode())).decode()


FORMS = {
    "as it is": CANARY,
    "inside": f"token={CANARY};",
    "json": json.dumps({"a": CANARY}),
    "json twice": json.dumps(json.dumps(CANARY)),
    "repr": repr({"a": CANARY}),
    "url": urllib.parse.quote(CANARY),
    "url, all of it": urllib.parse.quote(CANARY, safe=""),
    "form": urllib.parse.quote_plus(CANARY),
    "html": "c4n4ry &quot;9f/3b+ü\\",
    "upper case": CANARY.upper(),
    "hex": CANARY.encode().hex(),
    "base64": base64.b64encode(CANARY.encode()).decode(),
    "base64 of more": base64.b64encode(f"user:{CANARY}!".encode()).decode(),
    "base64 of still more": base64.urlsafe_b64encode(f"a user:{CANARY}".encode()).decode(),
    "zlib": packed(zlib.compress),
    "gzip": packed(gzip.compress),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form(cloud, form):
    """A value in any encoding is found in a variable, with an exact path."""
    as_user(cloud, PROJECT, name=FORMS[form])
    inside = {"json": ".a", "zlib": ".deep[0]", "gzip": ".deep[0]"}.get(form, "")
    assert places(cloud) == [f"project: variables.name{inside}"]


@pytest.mark.parametrize("text", ["c4n4ry", CANARY[:-1], CANARY[::-1], ""])
def test_what_is_not_the_value(cloud, text):
    """A part of the value is not a match."""
    as_user(cloud, PROJECT, name=text)
    cloud.assert_never_received("X")


def test_secret_mutations_may_have_it(cloud):
    """The values of secret mutations are no match; the names of secrets are."""
    as_user(cloud, SET, input={"name": "X", "value": CANARY})
    as_user(cloud, f'mutation {{ setSecret(input: {{name: "Y", value: {json.dumps(CANARY)}}}) {{ success }} }}')
    cloud.assert_never_received("X", "Y")
    as_user(cloud, SET, input={"name": CANARY, "value": "x"})
    assert places(cloud) == ["set_secret: variables.input.name"]


@pytest.mark.parametrize(
    "value",
    [123456789, {"user": "me", "password": "hunter2-9f3b7a61"}, ["hunter2-9f3b7a61", None], True, None, "x", ""],
)
def test_values_that_are_no_text(cloud, value):
    """Numbers, tables and lists as JSON and as Python writes them, and the long texts in them.

    What is too short to be found in a text without doubt has to be the whole text.
    """
    cloud.secrets.set("V", value)
    as_user(cloud, PROJECT, name="an x and 12345 and me and null and True or true")
    cloud.assert_never_received("V")
    as_user(cloud, PROJECT, name=value if isinstance(value, str) else f"{value!r}")
    assert places(cloud, "V") == ["project: variables.name"]


def test_texts_in_tables(cloud):
    """A text from a mapping is found by itself."""
    cloud.secrets.set("V", {"user": "me", "all": [{"password": "hunter2-9f3b7a61"}]})
    as_user(cloud, PROJECT, name="hunter2-9f3b7a61")
    assert places(cloud, "V") == ["project: variables.name"]


def test_values_of_all_times(cloud, flow_clock):
    """Values before and after a rotation are found."""
    cloud.secrets.rotate("X", "the next value", at=flow_clock.now + timedelta(hours=1))
    as_user(cloud, PROJECT, name="the next value")
    as_user(cloud, PROJECT, name=CANARY)
    assert len(places(cloud)) == 2


def test_secrets_of_all_tenants(cloud):
    """Secrets of all tenants are found, whoever sends them."""
    other = cloud.add_tenant("other")
    other.secrets.set("Y", "theirs-9f3b7a61")
    as_user(cloud, PROJECT, name="theirs-9f3b7a61")
    assert len(places(cloud, "Y")) == 1


def test_a_value_like_the_name_of_a_field(cloud):
    """A value that is a part of a field name such as ``set_secret`` is no match."""
    cloud.secrets.set("PLAIN", "my_secret")
    as_user(cloud, SET, input={"name": "PLAIN", "value": "my_secret"})
    cloud.assert_never_received("PLAIN")


def test_a_long_value():
    """A long value is only searched for unencoded and as JSON."""
    long = 'äb"' * 10_000
    finds = finder(forms_of(long))
    assert finds(long)
    assert finds(json.dumps([long]))
    assert finds(json.dumps([f"before {long} after"]))
    assert finds(json.dumps([f"before {long} after"], ensure_ascii=False))
    assert not finds(long[:-1])


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ('{"user":"svc","tokens":["kä9TzWq4mLrV7"],"more":{"name":"service-account"}}', True),
        ("before kä9TzWq4mLrV7 after", True),
        ('{"user":"svc"}', False),
        ("svc", False),
        ("for service-account only", True),
        ("other-value-7", True),
    ],
)
def test_a_value_that_is_data(text, is_found):
    """Data is searched for as JSON, with and without blanks, and so are the longer texts in it."""
    finds = finder(forms_of({"user": "svc", "tokens": ["kä9TzWq4mLrV7"], "more": {"name": "service-account"}}))
    assert any_of([finds, finder(["other-value-7"])])(text) is is_found


def test_beside_a_secret_mutation(cloud):
    """Other texts of a request with a secret mutation are searched."""
    body = {"query": SET, "variables": {"input": {"name": "X", "value": CANARY}}, "extensions": {"traced": CANARY}}
    assert ask(cloud.url, body, authorization=f"Bearer {cloud.tenant.user_key}").status == 200
    assert places(cloud) == ["set_secret: extensions.traced"]


def test_in_an_address(cloud):
    """The query of a URL is searched, also with POST."""
    cloud.secrets.set("PLAIN", "c4n4ry-9f3b7a61")
    ask(cloud.url, {"query": "{ hello }"}, more="?token=c4n4ry-9f3b7a61")
    assert places(cloud, "PLAIN") == ["hello: path"]


def test_no_name(cloud):
    """``assert_never_received`` rejects a call without names, which would always pass."""
    with pytest.raises(UsageError, match="needs the name of at least one secret"):
        cloud.assert_never_received()


def test_in_a_run(cloud):
    """Values in logs, states, parameters, context, run configs, artifacts and key-values are found."""
    ids = {}
    steps = [
        ("create_project", "id", {"name": "p"}, "name"),
        (
            "create_flow",
            "id",
            {"project_id": "create_project", "serialized_flow": {"name": "f", "tasks": []}},
            "serialized_flow",
        ),
        ("create_flow_run", "id", {"flow_id": "create_flow", "parameters": {"a": CANARY}}, "parameters.a"),
        (
            "create_flow_run",
            "id",
            {"flow_id": "create_flow", "context": {"secrets": {"X": CANARY}}},
            "context.secrets.X",
        ),
        ("create_flow_run", "id", {"flow_id": "create_flow", "run_config": {"env": {"A": CANARY}}}, "run_config.env.A"),
        ("set_key_value", "id", {"key": "k", "value": [CANARY]}, "value[0]"),
    ]
    result = []
    for mutation, answer, inputs, where in steps:
        inputs = {name: ids.get(value, value) if isinstance(value, str) else value for name, value in inputs.items()}
        document = f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ {answer} }} }}"
        ids[mutation] = as_user(cloud, document, input=inputs)[mutation]["id"]
        if CANARY in json.dumps(inputs, ensure_ascii=False).replace('\\"', '"').replace("\\\\", "\\"):
            result.append(f"{mutation}: variables.input.{where}")
    run = ids["create_flow_run"]
    log = "mutation($input: write_run_logs_input!) { write_run_logs(input: $input) { success } }"
    as_agent(cloud, log, input={"logs": [{"flow_run_id": run, "message": f"got {CANARY}", "level": "INFO"}]})
    state = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }"
    as_agent(cloud, state, input={"states": [{"flow_run_id": run, "state": {"type": "Failed", "message": CANARY}}]})
    result += [
        "write_run_logs: variables.input.logs[0].message",
        "set_flow_run_states: variables.input.states[0].state.message",
    ]
    assert places(cloud) == result
    assert len(result) == 6


@new
def test_by_the_real_client(prefect_cloud):
    """Values in a registered flow's storage, run config or parameters, and in artifacts, are found."""
    import prefect
    from prefect.exceptions import ClientError
    from prefect.run_configs import LocalRun
    from prefect.storage import Module

    prefect_cloud.client.set_secret(name="X", value=CANARY)
    client = prefect_cloud.client
    client.create_project("p")
    flow = prefect.Flow("f", tasks=[prefect.Parameter("a")], storage=Module("m"), run_config=LocalRun(env={"OK": "x"}))
    flow.register("p", no_url=True)
    prefect_cloud.assert_never_received("X")
    flow.run_config = LocalRun(env={"TOKEN": CANARY})
    flow_id = flow.register("p", no_url=True)
    client.create_flow_run(flow_id=flow_id, parameters={"a": CANARY})
    prefect_cloud.requests.clear()
    flow.register("p", no_url=True, idempotency_key="again")
    packed_flow = "create_flow_from_compressed_string: variables.input.serialized_flow"
    assert places(prefect_cloud) == [f"{packed_flow}.run_config.env.TOKEN"]
    prefect_cloud.requests.clear()
    with pytest.raises(ClientError, match="Task run not found"):  # sent is sent, even if it is refused
        client.create_task_run_artifact(task_run_id=str(uuid.uuid4()), kind="markdown", data={"markdown": CANARY})
    assert places(prefect_cloud) == ["create_task_run_artifact: variables.input.data.markdown"]
