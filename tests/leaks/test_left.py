"""What a test leaves outside of pytest: files, Prefect's results and flows, the env of run configs and of children."""

from __future__ import annotations

import pytest

from tests.compat import VERSION, needs_prefect

TOKEN = "ghp_abcDEF0123456789xyzQRS"
MARK = f"""
import pytest
pytestmark = pytest.mark.secrets(TOKEN="{TOKEN}")
VALUE = "{TOKEN}"
"""
with_results = [needs_prefect, pytest.mark.skipif(VERSION is not None and VERSION < (0, 15), reason="as of 0.15")]
FLOW = (
    MARK
    + """
from prefect import Flow, Parameter, task
from prefect.client import Secret
from prefect.engine.results import LocalResult
from prefect.utilities.configuration import set_temporary_config

def run_flow(**arguments):
    @task(checkpoint=True, **arguments)
    def ask():
        return Secret("TOKEN").get()
    with Flow("leaky", result=LocalResult()) as flow:
        ask()
    with set_temporary_config({"flows.checkpointing": True}):
        assert flow.run().is_successful()
"""
)


def test_without_registered_secrets(run_tests):
    """A file is searched only if a secret is registered, also one that the test sets as a variable."""
    source = """
import pytest
def test_quiet(tmp_path):
    (tmp_path / "a").write_text("unknown-secret")
def test_learns(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__LATE", "unknown-secret")
    (tmp_path / "b").write_text("unknown-secret")
"""
    result = run_tests(source, "--flowsecrets-leaks=fail", "-p", "no:cacheprovider", "-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["secret LATE, raw, in file b:"])


def test_files_below_tmp_path(run_tests):
    """Files below ``tmp_path`` and ``tmpdir`` are searched without a request, and belong to their own test."""
    source = (
        MARK
        + """
def test_leaves(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "state.bin").write_bytes(b"\\xff" + VALUE.encode().hex(":").encode())
def test_leaves_tmpdir(tmpdir):
    tmpdir.join("a").write(VALUE)
@pytest.mark.allow_leaks("TOKEN", where="file")
def test_may(tmp_path):
    (tmp_path / "a").write_text(VALUE)
def test_quiet(tmp_path):
    (tmp_path / "gone").symlink_to("nowhere")
def test_none(): pass
"""
    )
    result = run_tests(source, "--flowsecrets-leaks=fail")
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(
        ["secret TOKEN, hex, in file state.bin:", "*remove the files", "secret TOKEN, raw, in file a:"]
    )
    run_tests(None, "--flowsecrets-leaks=warn").assert_outcomes(passed=5)
    run_tests(None, "-rP").assert_outcomes(passed=5)


class TestResults:
    """Results of tasks, as Prefect stores them."""

    pytestmark = with_results

    def test_in_the_home(self, run_tests):
        """Results in Prefect's home are searched, also if the isolation ends before the test."""
        source = (
            FLOW
            + """
def test_leaves(local_secrets):
    run_flow()
def test_within():
    from pytest_flowsecrets import isolated_prefect
    with isolated_prefect({"TOKEN": VALUE}):
        run_flow()
def test_by_the_fixture(local_secrets, secret_leaks):
    run_flow()
    assert [leak.place.startswith("file prefect-result-") for leak in secret_leaks.found] == [True]
def test_none(local_secrets, prefect_home):
    prefect_home.write_config({"context": {"secrets": {"OTHER": VALUE}}})
"""
        )
        result = run_tests(source, "--flowsecrets-leaks=fail", "-W", "ignore")
        result.stdout.fnmatch_lines(["secret TOKEN, raw, in file prefect-result-*"])
        result.assert_outcomes(passed=1, failed=3)

    def test_in_a_folder_of_the_test(self, run_tests):
        """Results in the folder of ``LocalResult(dir=tmp_path)`` are searched."""
        source = (
            FLOW
            + """
def test_leaves(local_secrets, tmp_path):
    run_flow(result=LocalResult(dir=str(tmp_path), location="kept.prefect"))
"""
        )
        result = run_tests(source, "--flowsecrets-leaks=fail", "-W", "ignore")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["secret TOKEN, raw, in file kept.prefect:"])


class TestTheBackend:
    """Leaks in requests to a fake API."""

    pytestmark = with_results

    def test_env_of_a_run_config(self, run_tests):
        """A secret in the ``env`` of a run config, of a flow or a flow run, has a separate finding."""
        source = (
            FLOW
            + """
from prefect.run_configs import LocalRun
def test_it(prefect_cloud):
    prefect_cloud.client.create_project("p")
    flow = Flow("leaky", run_config=LocalRun(env={"SESSION": VALUE}))
    flow_id = flow.register("p", build=False, no_url=True)
    prefect_cloud.client.create_flow_run(flow_id=flow_id, run_config=LocalRun(env={"OTHER": VALUE}))
"""
        )
        result = run_tests(source, "--flowsecrets-leaks=fail", "-W", "ignore")
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(
            [
                "secret TOKEN, raw, in run config env SESSION in the backend:",
                "*fix: do not put values into the env of run configs*",
                "secret TOKEN, raw, in run config env OTHER in the backend:",
            ]
        )

    def test_names_parameters_artifacts_and_states(self, run_tests):
        """Secrets that the real client sends are found in names, parameters, states, artifacts and logs."""
        source = (
            FLOW
            + """
import prefect
from prefect.engine.state import Failed, Success
from prefect.engine.result import Result
def test_it(prefect_cloud, secret_leaks):
    client = prefect_cloud.client
    client.create_project("p")
    with Flow("leaky") as flow:
        flow.add_task(Parameter("x", default=1))
    run_id = client.create_flow_run(
        flow_id=flow.register("p", build=False, no_url=True), run_name=f"run {VALUE}", parameters={"x": VALUE}
    )
    task_id = client.graphql({"query": {"task": {"id"}}}).data.task[0].id
    task_run = client.get_task_run_info(run_id, task_id)
    client.set_task_run_name(task_run.id, f"task {VALUE}")
    client.set_flow_run_state(run_id, version=1, state=Failed(f"no access with {VALUE}"))
    client.create_task_run_artifact(task_run.id, "markdown", {"markdown": VALUE})
    client.write_run_logs([{"message": VALUE, "flow_run_id": run_id, "level": "INFO", "name": "x"}])
    places = "\\n".join(sorted(leak.place for leak in secret_leaks.found))
    for part in "flow_run_name", "parameters.x", "set_task_run_name", "state.message", "artifact", "logs":
        assert part in places, places
"""
        )
        run_tests(source, "-W", "ignore").assert_outcomes(passed=1)

    def test_cached_results(self, run_tests):
        """``search`` finds secrets in a ``Cached`` state: in its result, cached inputs and cached parameters."""
        source = (
            FLOW
            + """
import datetime
from prefect.engine.result import Result
from prefect.engine.state import Cached
def test_it(secret_leaks):
    state = Cached(result=Result(VALUE), cached_inputs={"x": Result(VALUE)}, cached_parameters={"y": VALUE})
    places = {leak.place for leak in secret_leaks.search(state, "state")}
    assert len(places) >= 2, places
    assert any("cached_inputs" in place for place in places), places
"""
        )
        run_tests(source, "-W", "ignore").assert_outcomes(passed=1)

    def test_error_of_a_rejected_secret(self, run_tests):
        """The error of a rejected ``set_secret`` is masked, although its value was not registered before."""
        source = """
def test_it(prefect_cloud):
    prefect_cloud.faults.status(400)
    prefect_cloud.client.set_secret("NEW", "-".join(["k9Tz", "Wq4m", "LrPx"]))
"""
        result = run_tests(source, "-W", "ignore", "-l", "-vv")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*[[]secret NEW[]]*"])
        result.stdout.no_fnmatch_line("*k9Tz-Wq4m*")

    def test_the_environment_of_a_child(self, run_tests, monkeypatch):
        """A secret in the environment that a LocalAgent passes to a flow run is reported."""
        monkeypatch.setenv("CI_TOKEN", "k9Tz-Wq4m-LrPx")
        source = (
            FLOW
            + """
@task
def nothing(): pass
def test_it(prefect_cloud):
    with Flow("quiet") as flow:
        nothing()
    assert prefect_cloud.run(flow).state.is_successful()
"""
        )
        result = run_tests(
            source, "--flowsecrets-leaks=fail", "-W", "ignore", ini="[pytest]\nflowsecrets_secret_env_vars = CI_TOKEN\n"
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["secret CI_TOKEN, raw, in environment CI_TOKEN of a flow run:", "*fix: a LocalAgent passes on*"]
        )
