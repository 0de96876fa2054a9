"""Documents and inputs that no Prefect client sends: each gets an answer, and none causes an internal error."""

from __future__ import annotations

import json
import logging
import re

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("graphql")

from hypothesis import given
from hypothesis import strategies as st

from pytest_flowsecrets.backend.graphql_service import GraphqlService
from pytest_flowsecrets.backend.messages import Request
from tests.backend.asking import Team
from tests.backend.documents import FLOWS, JSON_VALUES, broken_texts, documents, mutations


def ask(team, body, **headers):
    """Return status and messages of the answer to a body, which is sent as JSON unless it is bytes."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    key = team.world.keyring.issue((team.id,), "USER", user_id=team.user).key
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json", **headers}
    response = team.world.answer(Request("POST", "/", headers, body))
    return response.status, [error["message"] for error in json.loads(response.body).get("errors", ())]


def require_no_fault(team, status, messages):
    """Check that no message and no status indicates an internal error, and that the request is recorded."""
    assert status in (200, 400, 413), messages
    assert not [message for message in messages if message.startswith(("Internal error", "internal error of this API"))]
    assert team.world.journal.forgotten == 0


@pytest.fixture(scope="module", params=["cloud", "server"])
def team(request):
    return Team(request.param, GraphqlService(request.param))


def ids_of(team):
    """Return the id of a row for each name of an id in inputs, such as ``flowrun``."""
    run = team.run()
    flow = team.one(f'flow_run(where: {{id: {{_eq: "{run}"}}}}) {{ flow {{ id project_id flow_group_id }} }}')["flow"]
    task_run = team.ask("{ task_run { id task_id } }")["task_run"][0]
    ids = {"flowrun": run, "flow": flow["id"], "project": flow["project_id"], "flowgroup": flow["flow_group_id"]}
    return {**ids, "taskrun": task_run["id"], "task": task_run["task_id"], "tenant": team.id}


@pytest.fixture(scope="module")
def cloud():
    return Team("cloud", GraphqlService("cloud"))


REQUIRED = {
    "mutation { set_secret { success } }": "'input' of type|set_secret\\(input:\\)",
    "mutation { setSecret { success } }": "'input' of type|setSecret\\(input:\\)",
    "mutation { ...F } fragment F on Mutation { set_secret { success } }": "'input' of type|set_secret\\(input:\\)",
    "mutation { ... on Mutation { set_secret { success } } }": "'input' of type|set_secret\\(input:\\)",
    "mutation { set_secret }": "must have a selection of subfields",
    "mutation { set_secret @skip { success } }": "@skip",
    "mutation { set_secret(input: {}) { success } }": "Field 'set_secret_input.name' was not provided",
    "{ secret_value }": "'name' of type|secret_value\\(name:\\)",
    "subscription { set_secret { success } }": "This API has no subscriptions|not supported by the schema",
    "fragment F on Mutation { set_secret { success } }": "'input' of type|set_secret\\(input:\\)",
}


@pytest.mark.parametrize("document", REQUIRED)
def test_what_is_required_and_left_out(cloud, document):
    """A missing required argument gets 400 with GraphQL's message, with any graphql-core."""
    status, messages = ask(cloud, {"query": document})
    require_no_fault(cloud, status, messages)
    assert status == 400
    assert any(re.search(REQUIRED[document], message) for message in messages), messages


@pytest.mark.slow
@given(data=st.data())
def test_documents(team, data):
    """Any document, valid or broken, with any variables gets an answer without an internal error."""
    backend = team.world.backend
    query = data.draw(st.one_of(documents(backend), broken_texts(documents(backend)), st.text(max_size=20)))
    variables = data.draw(st.one_of(st.none(), st.dictionaries(st.sampled_from("vw"), JSON_VALUES)))
    name = data.draw(st.sampled_from([None, None, "M", "", "N", "\ud800"]))
    require_no_fault(team, *ask(team, {"query": query, "variables": variables, "operationName": name}))


EVERYTHING = """{
  flow { name version parameters schedule run_config labels: flow_group { labels } tasks { slug tags } }
  flow_run { name state state_message parameters labels scheduled_start_time } task_run { state duration }
}"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["cloud", "server"])
@given(data=st.data())
def test_inputs(backend, data):
    """Mutations with inputs of the right types and any content, and later queries, cause no internal error."""
    team = Team(backend, GraphqlService(backend))
    ids = ids_of(team)
    for _ in range(data.draw(st.integers(1, 3))):
        document, variables = data.draw(mutations(backend, ids))
        require_no_fault(team, *ask(team, {"query": document, "variables": variables}))
    require_no_fault(team, *ask(team, {"query": EVERYTHING}))


CREATE_FLOW = """mutation($project: UUID!, $flow: JSON!) {
  create_flow(input: {project_id: $project, serialized_flow: $flow, set_schedule_active: true}) { id }
}"""
CREATE_RUN = (
    "mutation($flow: UUID!, $more: JSON) { create_flow_run(input: {flow_id: $flow, parameters: $more}) { id } }"
)


@pytest.mark.slow
@given(flow=FLOWS, parameters=JSON_VALUES)
def test_registered_flows(flow, parameters):
    """A flow with any content besides its name can be registered, run and shown, or is rejected."""
    team = Team("cloud", GraphqlService("cloud"))
    registration = {"project": team.project(), "flow": flow}
    require_no_fault(team, *ask(team, {"query": CREATE_FLOW, "variables": registration}))
    for row in team.ask("{ flow { id } }")["flow"]:
        run = {"flow": row["id"], "more": parameters}
        require_no_fault(team, *ask(team, {"query": CREATE_RUN, "variables": run}))
    require_no_fault(team, *ask(team, {"query": EVERYTHING}))


@pytest.mark.parametrize("parameters", [{"name": "x"}, "x", 5, True, 0, {}])
def test_parameters_that_are_no_list(cloud, parameters):
    """A flow whose parameters are not a list is rejected at registration."""
    project = cloud.project(str(parameters))
    registration = {"project": project, "flow": {"name": "f", "parameters": parameters}}
    status, (message,) = ask(cloud, {"query": CREATE_FLOW, "variables": registration})
    assert status == 200
    assert message == "the parameters of a flow must be a list"
    assert cloud.ask('{ flow(where: {project_id: {_eq: "%s"}}) { id } }' % project) == {"flow": []}


@pytest.mark.slow
@given(body=st.one_of(st.binary(max_size=20), JSON_VALUES.map(lambda value: json.dumps(value).encode())))
def test_bodies(cloud, body):
    """Any JSON body gets an answer without an internal error."""
    require_no_fault(cloud, *ask(cloud, body))


@pytest.mark.slow
@given(body=st.dictionaries(st.sampled_from(["query", "variables", "operationName", "extensions"]), JSON_VALUES))
def test_bodies_of_any_types(cloud, body):
    """A body with the right keys and any values gets an answer without an internal error."""
    require_no_fault(cloud, *ask(cloud, body))


def test_a_fault_of_the_api(cloud, monkeypatch, caplog):
    """An internal error gets 400 and a line in the log without its text, and counts as forgotten in the log."""
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR, "pytest_flowsecrets"):
        patch.setattr(cloud.world.journal, "record", lambda *_, **__: {}["ghp_secret"])
        status, messages = ask(cloud, {"query": "{ hello }"})
    assert (status, messages) == (400, ["internal error of this API: KeyError"])
    assert cloud.world.journal.forgotten == 1
    assert "KeyError while answering a request, " in caplog.text
    assert "ghp" not in caplog.text
    cloud.world.journal.clear()
