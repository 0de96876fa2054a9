"""A test for each place where a flow of Prefect 2.20 or 3 can leak a value. ``PLACES`` names the findings of each."""

import warnings

import prefect
import pytest
from prefect import flow, get_client, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.blocks.core import Block
from prefect.variables import Variable

warnings.simplefilter("ignore")
IS_3 = not prefect.__version__.startswith("2.")
if IS_3:
    from prefect.events import emit_event

# The test of a place: the beginnings of the places in its findings.
PLACES = {
    "logged": ["api log message"],
    "logged_by_a_task": ["api log message"],
    "printed_in_a_flow": ["api log message"],
    "raised_in_a_flow": ["api flow run state.message", "api log message"],
    "raised_in_a_task": ["api task run state.message", "api flow run state.message", "api log message"],
    "message_of_a_state": ["api flow run state.message"],
    "parameter": ["api flow run parameters.token"],
    "parameter_of_a_subflow": ["api flow run parameters.token"],
    "nested_parameter": ["api flow run parameters.options.inner.token"],
    "name_of_a_flow_run": ["api flow run name"],
    "name_of_a_task_run": ["api task run name"],
    "tag_of_a_flow_run": ["api flow run tags"],
    "tag_of_a_task": ["api task run tags"],
    "result_as_json": ["result file "],
    "result_as_pickle": ["result file "],
    "compressed_json": ["result file "],
    "compressed_pickle": ["result file "],
    "result_of_a_task": ["result file "],
    "artifact": ["api artifact data of 'report'"],
    "description_of_an_artifact": ["api artifact description"],
    "variable": ["api variable value of 'region'"],
    "deleted_variable": ["api variable value"],
    "event": ["api event test.leaks"],
    "field_of_a_block": ["api block data.user of 'plain'"],
    "replaced_block": ["api block data.user of 'plain'"],
    "default_of_a_block": ["api block schema fields.properties.user.default"],
    "deployment_parameters": ["api deployment parameters.token of 'daily'"],
    "deployment_job_variables": ["api deployment job_variables.env.TOKEN of 'daily'"],
    "deployment_description": ["api deployment description of 'daily'"],
    "deployment_tags": ["api deployment tags of 'daily'"],
    "default_of_a_parameter": ["api deployment parameter_openapi_schema.properties.token.default of 'daily'"],
    "flow_run_job_variables": ["api flow run job_variables.env.TOKEN"],
    "flow_run_parameters": ["api flow run parameters.token"],
    "work_pool": ["api work pool base_job_template.variables"],
    "tag_of_a_limit": ["api concurrency limit tag"],
    "automation": ["api automation description"],
    "input_of_a_flow_run": ["api flow run input value"],
    "filter": ["api request"],
}


class Account(Block):
    """An account whose user is no secret field."""

    _block_type_slug = "account-of-the-places"
    user: str


def run_failing(function, *arguments):
    with pytest.raises(ValueError, match="no access"):
        function(*arguments)


def call(method, path, body):
    """Send a request with the real client, for objects whose Python API differs between releases."""
    with get_client(sync_client=True) as client:
        response = client._client.request(method, path, json=body)
        response.raise_for_status()
        return response.json() if response.content else None


# -- logs and states ---------------------------------------------------------------------------------------------------


def test_logged(secret):
    @flow
    def logs():
        get_run_logger().info("the token is %s", secret)

    logs()


def test_logged_by_a_task(secret):
    @task
    def logs():
        get_run_logger().warning(f"the token is {secret}")

    @flow
    def runs():
        logs()

    runs()


def test_printed_in_a_flow(secret):
    @flow(log_prints=True)
    def prints():
        print(secret)

    prints()


def test_raised_in_a_flow(secret):
    @flow
    def fails():
        raise ValueError(f"no access with {secret}")

    run_failing(fails)


def test_raised_in_a_task(secret):
    @task
    def fails():
        raise ValueError(f"no access with {secret}")

    @flow
    def runs():
        fails()

    run_failing(runs)


def test_message_of_a_state(secret):
    from prefect.states import Completed

    @flow
    def ends():
        return Completed(message=secret)

    ends()


# -- parameters, names, tags -------------------------------------------------------------------------------------------


@flow
def takes(token="", options=None):
    return len(token)


def test_parameter(secret):
    takes(secret)


def test_parameter_of_a_subflow(secret):
    @flow
    def outer():
        takes(secret)

    outer()


def test_nested_parameter(secret):
    takes(options={"inner": {"token": secret}})


def test_name_of_a_flow_run(secret):
    @flow(flow_run_name=lambda: f"run {secret}")
    def named():
        return 1

    named()


def test_name_of_a_task_run(secret):
    @task(task_run_name=lambda: f"run {secret}")
    def named():
        return 1

    @flow
    def runs():
        return named()

    runs()


def test_tag_of_a_flow_run(secret):
    with prefect.tags(secret):
        takes()


def test_tag_of_a_task(secret):
    @task(tags=[secret])
    def tagged():
        return 1

    @flow
    def runs():
        return tagged()

    runs()


# -- results -----------------------------------------------------------------------------------------------------------


def run_returning(value, serializer):
    @flow(persist_result=True, result_serializer=serializer)
    def returns():
        return {"token": value}

    returns()


def test_result_as_json(secret):
    run_returning(secret, "json")


def test_result_as_pickle(secret):
    run_returning(secret, "pickle")


def test_compressed_json(secret):
    run_returning(secret, "compressed/json")


def test_compressed_pickle(secret):
    run_returning(secret, "compressed/pickle")


def test_result_of_a_task(secret):
    @task(persist_result=True)
    def returns():
        return secret

    @flow
    def runs():
        returns()

    runs()


# -- artifacts, variables, events, blocks ------------------------------------------------------------------------------


def test_artifact(secret):
    @flow
    def creates():
        create_markdown_artifact(markdown=f"# report\n\n{secret}\n", key="report")

    creates()


def test_description_of_an_artifact(secret):
    @flow
    def creates():
        create_markdown_artifact(markdown="done", key="report", description=secret)

    creates()


def test_variable(secret):
    Variable.set("region", secret)


def test_deleted_variable(secret):
    Variable.set("region", secret)
    call("DELETE", "/variables/name/region", None)


@pytest.mark.skipif(not IS_3, reason="Prefect 2.20 sends events to Cloud only")
def test_event(secret):
    @flow
    def emits():
        emit_event("test.leaks", resource={"prefect.resource.id": "leaks"}, payload={"token": secret})

    emits()


def test_field_of_a_block(secret):
    Account(user=secret).save("plain")


def test_replaced_block(secret):
    Account(user=secret).save("plain")
    Account(user="somebody").save("plain", overwrite=True)


def test_default_of_a_block(secret):
    name = f"account-{abs(hash(secret))}"
    space = {"_block_type_slug": name, "_block_type_name": name, "__annotations__": {"user": str}, "user": secret}
    type("Account", (Block,), {**space, "__module__": __name__}).register_type_and_schema()


# -- deployments -------------------------------------------------------------------------------------------------------


def deploy(function=takes, **options):
    call("POST", "/work_pools/", {"name": "pool", "type": "process"})
    deployment = function.to_deployment("daily", **options)
    return deployment.apply(work_pool_name="pool")


def test_deployment_parameters(secret):
    deploy(parameters={"token": secret})


def test_deployment_job_variables(secret):
    deploy(job_variables={"env": {"TOKEN": secret}}, work_pool_name="pool")


def test_deployment_description(secret):
    deploy(description=secret)


def test_deployment_tags(secret):
    deploy(tags=[secret])


def test_default_of_a_parameter(secret):
    @flow
    def has_default(token: str = secret):
        return len(token)

    deploy(has_default)


def test_flow_run_job_variables(secret):
    call("POST", f"/deployments/{deploy()}/create_flow_run", {"job_variables": {"env": {"TOKEN": secret}}})


def test_flow_run_parameters(secret):
    call("POST", f"/deployments/{deploy()}/create_flow_run", {"parameters": {"token": secret}})


def test_work_pool(secret):
    template = {
        "job_configuration": {"env": "{{ env }}"},
        "variables": {"properties": {"env": {"type": "object", "default": {"TOKEN": secret}}}, "type": "object"},
    }
    call("POST", "/work_pools/", {"name": "pool", "type": "process", "base_job_template": template})


# -- limits, automations, inputs, queries ------------------------------------------------------------------------------


def test_tag_of_a_limit(secret):
    with get_client(sync_client=True) as client:
        body = {"tag": secret, "concurrency_limit": 1}
        client._client.post("/concurrency_limits/", json=body).raise_for_status()


def test_automation(secret):
    trigger = {"type": "event", "expect": ["test.leaks"], "posture": "Reactive", "threshold": 1, "within": 10}
    body = {"name": "acts", "description": secret, "trigger": trigger, "actions": [{"type": "do-nothing"}]}
    call("POST", "/automations/", body)


def test_input_of_a_flow_run(secret):
    from prefect.context import get_run_context
    from prefect.input.run_input import send_input

    @flow
    def sends():
        send_input(secret, flow_run_id=get_run_context().flow_run.id)

    sends()


def test_filter(secret):
    call("POST", "/flow_runs/filter", {"flow_runs": {"name": {"any_": [secret]}}})
