"""Leaks through Prefect's own objects: states, flows, run configs, and requests to a fake API."""

from __future__ import annotations

import pytest

from tests.compat import VERSION, needs_prefect

pytestmark = [needs_prefect, pytest.mark.skipif(VERSION is not None and VERSION < (0, 15), reason="as of 0.15")]

TOKEN = "ghp_abcDEF0123456789xyzQRS"
FLOW = f"""
import pytest
from prefect import Flow, Task, task, Parameter
from prefect.run_configs import LocalRun
from prefect.client import Secret

pytestmark = pytest.mark.secrets(TOKEN="{TOKEN}")

class Asks(Task):
    def __init__(self, held=None, **arguments):
        self.held = held
        super().__init__(**arguments)
    def run(self, how):
        token = Secret("TOKEN").get()
        if how == "raise":
            raise RuntimeError("no access with " + token)
        return token if how == "return" else None

def flow_that(how, **arguments):
    with Flow("leaky", **arguments) as flow:
        Asks()(how)
    return flow
"""


def test_states(run_tests):
    """``search`` finds the result and the message of a task in the state of the flow."""
    source = (
        FLOW
        + """
def test_result(secret_leaks):
    assert [leak.name for leak in secret_leaks.search(flow_that("return").run(), "state")]
def test_message(secret_leaks):
    assert [leak.name for leak in secret_leaks.search(flow_that("raise").run(), "state")]
def test_nothing(secret_leaks):
    assert secret_leaks.search(flow_that("nothing").run(), "state") == []
"""
    )
    run_tests(source).assert_outcomes(passed=3)


def test_flows(run_tests):
    """``search`` finds secrets in a serialized flow, in a pickled one, and in its run config."""
    source = (
        FLOW
        + f"""
def places(leaks, flow):
    return {{leak.place for leak in leaks.search(flow)}}
def test_default(secret_leaks):
    with Flow("leaky") as flow:
        flow.add_task(Parameter("token", default="{TOKEN}"))
    assert "searched flow, serialized" in places(secret_leaks, flow)
def test_pickled(secret_leaks):
    with Flow("leaky") as flow:
        Asks(held="{TOKEN}")("nothing")
    assert places(secret_leaks, flow) == {{"searched flow, pickled"}}
def test_run_config(secret_leaks):
    flow = flow_that("nothing", run_config=LocalRun(env={{"SESSION": "{TOKEN}"}}))
    assert "run config env SESSION" in places(secret_leaks, flow)
def test_no_leak(secret_leaks):
    assert places(secret_leaks, flow_that("return")) == set()
"""
    )
    run_tests(source).assert_outcomes(passed=4)


SENDING = f"""
import pytest
from prefect import Flow, Parameter
@pytest.mark.parametrize("value", ["harmless", pytest.param("{TOKEN}", id="leaks")])
def test_it(prefect_cloud, value, request):
    prefect_cloud.secrets.set("TOKEN", "{TOKEN}")
    prefect_cloud.client.create_project("p")
    with Flow("leaky") as flow:
        flow.add_task(Parameter("x", default=value))
    flow.register("p", build=False, no_url=True)
"""


def test_leaks_in_requests(run_tests):
    """A secret in a registered flow is reported when the API closes. The mutation that sets the secret is no leak."""
    result = run_tests(SENDING, "--flowsecrets-leaks=fail", "-W", "ignore")
    result.assert_outcomes(passed=2, errors=1)  # the requests are searched when the API closes
    place = "api create_flow_from_compressed_string variables.input.serialized_flow.parameters[[]0[]].default"
    result.stdout.fnmatch_lines(["1 secret leak:", f"secret TOKEN, raw, in {place}:"])
    result.stdout.no_fnmatch_line(f"*{TOKEN}*")


def test_leaks_in_requests_so_far(run_tests):
    """``secret_leaks.found`` includes leaks in requests so far, in every mode."""
    asking = (
        SENDING.replace("value, request", "value, secret_leaks")
        + "    assert bool(secret_leaks.found) == (value != 'harmless')\n"
    )
    run_tests(asking, "-W", "ignore").assert_outcomes(passed=2)


@pytest.mark.parametrize("path", ["/services/T024F7K9P/B024F7K9Q/abcDEFghi123JKLmno456", "/services/team/channel/hook"])
def test_the_path_of_a_webhook(run_tests, path):
    """The path and query of a webhook URL are masked when ``slack_notifier`` logs a refused connection."""
    source = f"""
import inspect
import pytest
from prefect import Flow, task
from prefect.utilities.notifications import slack_notifier

OPTIONS = {{"backend_info": False}} if "backend_info" in str(inspect.signature(slack_notifier)) else {{}}

@pytest.mark.secrets(SLACK_WEBHOOK_URL="http://127.0.0.1:9{path}?wait=true")
def test_it(local_secrets):
    @task(state_handlers=[slack_notifier(**OPTIONS)])
    def work():
        return 1
    with Flow("notifies") as flow:
        work()
    assert flow.run().is_failed()
"""
    result = run_tests(source, "--flowsecrets-leaks=fail", "-rA")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*secret SLACK_WEBHOOK_URL, raw, in captured log*"])
    output = result.stdout.str()
    assert "Max retries exceeded with url: [secret SLACK_WEBHOOK_URL]" in output
    assert path not in output
