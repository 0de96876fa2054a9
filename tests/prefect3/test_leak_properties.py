"""Generated secrets in each form, in each place of the API of Prefect 2.20 and 3: found there, and nowhere else."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

pytest.importorskip("hypothesis")

from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_flowsecrets.backend.rest import RestApi
from pytest_flowsecrets.backend.rest.fake_server import RestServer
from pytest_flowsecrets.leaks.artifacts import scan_source
from pytest_flowsecrets.leaks.findings import PLACES as DOCUMENTED
from pytest_flowsecrets.leaks.mask.redactor import Redactor
from tests.backend.rest.conftest import SECRET_FIELDS, Client
from tests.leaks.disguises import FORMS, traces_of, value_of
from tests.prefect3.compat import VERSION

IS_OLD = VERSION.startswith("2.")
TIME = "2026-01-31T08:00:00Z"


def log(ask, text):
    ask("POST", "/logs/", [{"name": "prefect", "level": 20, "message": text, "timestamp": TIME}])


def state_of_a_flow_run(ask, text):
    ask.set_state(ask.flow_run(), "RUNNING", message=text)


def state_of_a_task_run(ask, text):
    if IS_OLD:
        run = ask.post("/task_runs/", flow_run_id=ask.flow_run()["id"], task_key="t", dynamic_key="0")
        ask.set_state(run, "RUNNING", table="task_runs", message=text)
    else:
        ask.post("/task_runs/", task_key="t", dynamic_key="0", state={"type": "RUNNING", "message": text})


def replaced_name(ask, text):
    run = ask.flow_run(name=text)
    ask("PATCH", f"/flow_runs/{run['id']}", {"name": "other"})


def deployment(**fields):
    """Return a function that creates a deployment with the text in its fields."""

    def create(ask, text):
        flow = ask.post("/flows/", name="f")
        ask.post("/deployments/", name="daily", flow_id=flow["id"], **filled(fields, text))

    return create


def row(path, **fields):
    """Return a function that creates a row with the text in its fields."""
    return lambda ask, text: ask.post(path, **filled(fields, text))


def filled(data, text):
    """Return data with the text instead of an ellipsis."""
    if isinstance(data, dict):
        return {key: filled(value, text) for key, value in data.items()}
    return [filled(each, text) for each in data] if isinstance(data, list) else text if data is ... else data


def block(ask, text):
    kind = ask.post("/block_types/", name=f"n{uuid4()}", slug=f"s{uuid4()}")
    fields = {"type": "object", "properties": {"user": {}, "token": {}}, "secret_fields": ["token"]}
    schema = ask.post("/block_schemas/", block_type_id=kind["id"], fields=fields)
    ids = {"block_type_id": kind["id"], "block_schema_id": schema["id"]}
    ask.post("/block_documents/", name="plain", data={"user": text, "token": text}, **ids)


def schema_of_a_block(ask, text):
    kind = ask.post("/block_types/", name=f"n{uuid4()}", slug=f"s{uuid4()}")
    fields = {**SECRET_FIELDS, "properties": {"value": {"default": text}}}
    ask.post("/block_schemas/", block_type_id=kind["id"], fields=fields)


def deleted_variable(ask, text):
    ask.post("/variables/", name="zone", value=text)
    ask("DELETE", "/variables/name/zone")


def job_template(ask, text):
    template = {
        "job_configuration": {"env": "{{ env }}"},
        "variables": {"properties": {"env": {"default": {"A": text}}}},
    }
    ask.post("/work_pools/", name="pool", type="process", base_job_template=template)


def input_of_a_flow_run(ask, text):
    ask.post(f"/flow_runs/{ask.flow_run()['id']}/input", key="k", value=json.dumps(text))


def event(ask, text):
    resource = {"prefect.resource.id": "r"}
    fields = {"id": str(uuid4()), "occurred": TIME, "event": "it.happened", "resource": resource}
    ask("POST", "/events", [{**fields, "payload": {"deep": [text]}}])


# What brings a text into the API, and the place that findings name.
PLACES = {
    "api log message": log,
    "api flow run parameters.options.token": lambda ask, text: ask.flow_run(parameters={"options": {"token": text}}),
    "api flow run a name in parameters": lambda ask, text: ask.flow_run(parameters={text: 1}),
    "api flow run tags": lambda ask, text: ask.flow_run(tags=["nightly", text]),
    "api flow run name": replaced_name,
    "api flow run state.message": state_of_a_flow_run,
    "api flow run input value": input_of_a_flow_run,
    "api task run state.message": state_of_a_task_run,
    "api deployment job_variables.env.TOKEN of 'daily'": deployment(job_variables={"env": {"TOKEN": ...}}),
    "api deployment parameters.token of 'daily'": deployment(parameters={"token": ...}),
    "api deployment pull_steps.git.token of 'daily'": deployment(pull_steps=[{"git": {"token": ...}}]),
    "api deployment description of 'daily'": deployment(description=...),
    "api artifact data of 'report'": row("/artifacts/", key="report", type="markdown", data=...),
    "api variable value of 'region'": row("/variables/", name="region", value=...),
    "api variable value of 'zone'": deleted_variable,
    "api event it.happened": event,
    "api concurrency limit name": row("/v2/concurrency_limits/", name=..., limit=1),
    "api work pool base_job_template.variables.properties.env.default.A": job_template,
    "api work queue description": row("/work_queues/", name="queue", description=...),
    "api block schema fields.properties.value.default": schema_of_a_block,
    "api block data.user of 'plain'": block,
    "api flow tags": row("/flows/", name="f", tags=[...]),
    "api request": row("/flow_runs/filter", flow_runs={"name": {"any_": [...]}}),
}
SECRETS = st.tuples(st.integers(0, 10**6), st.sampled_from(sorted(FORMS)))
LEAKS = st.dictionaries(st.sampled_from(sorted(PLACES)), SECRETS, min_size=1, max_size=4)


@pytest.fixture(scope="module")
def api():
    with RestApi(VERSION) as api:
        yield api


def is_at(found, place):
    """Return whether a place in a finding is the expected one, or an event about the run there."""
    run = place.startswith(("api flow run", "api task run"))
    return found.startswith((place, "api event prefect.") if run else place)


@given(leaks=LEAKS, absent=st.integers(0, 10**6))
def test_each_secret_is_found_in_its_place(api, leaks, absent):
    """Each secret is found where it was sent to and nowhere else, absent ones are not, and masks leave no trace."""
    view = api.new_view()
    server, ask = RestServer(api, view), Client(api, view)
    values = {place: value_of(f"{place} {number}", form) for place, (number, form) in leaks.items()}
    for place, (_, form) in leaks.items():
        text = FORMS[form][1](values[place])
        assume(place != "api concurrency limit name" or not set("/%&><").intersection(text))  # the API refuses these
        PLACES[place](ask, text)
    names = {value: (place,) for place, value in {**values, "absent": value_of(f"{absent}", "raw")}.items()}
    redactor, found, shown = Redactor(names), set(), []

    def clean(text, place):
        masked = []
        redactor.redact(text, masked)
        found.update((name, place) for each in masked for name in each.names)

    scan_source(server.texts, redactor, clean)
    shown = "\0".join(redactor.redact(text) for text, _ in server.texts())
    api.remove_view(view)
    assert {name for name, _ in found} == set(values)
    assert not [(name, place) for name, place in found if not is_at(place, name)]
    for place, (number, form) in leaks.items():
        assert not [trace for trace in traces_of(f"{place} {number}", form) if len(trace) > 5 and trace in shown]


def test_each_documented_place_is_generated():
    """The property covers each place that has its own advice, except those that only `test_places.py` reaches."""
    reached = {next(each.name for each in DOCUMENTED if is_below(place, each.name)) for place in PLACES}
    others = {
        "api flow run job_variables",
        "api deployment parameter_openapi_schema",
        "api automation",
        "api block type",
    }
    others |= {"api task run"}
    assert {each.name for each in DOCUMENTED} - reached == others
    assert {each.example for each in DOCUMENTED if each.name not in others} <= {*PLACES}


def is_below(place, name):
    return f"{place} ".startswith((f"{name} ", f"{name}."))
