"""Real flows on real executors get the secrets of the test."""

from __future__ import annotations

import pytest

from tests.compat import VERSION, dask_executor, executors, needs_prefect

pytestmark = [needs_prefect, pytest.mark.secrets(FLOW_TOKEN="from-the-test", PORT=8080)]


def _flow():
    """Return a flow that fails unless its tasks get both secrets, in any process."""
    from prefect import Flow, task

    @task
    def ask():
        from prefect.client import Secret

        return Secret("FLOW_TOKEN").get(), Secret("PORT").get()

    with Flow("asks") as flow:
        flow.secret_task = ask()
    return flow


def _result(flow, executor=None):
    state = flow.run(executor=executor) if executor else flow.run()
    assert state.is_successful(), state.message
    return tuple(state.result[flow.secret_task].result)


def _executor(name):
    if name == "local":
        return executors().LocalExecutor()
    if name in ("dask in-process", "dask processes"):
        return dask_executor(processes=name == "dask processes")
    if VERSION < (0, 6, 1):
        pytest.skip("LocalDaskExecutor came with 0.6.1")
    return executors().LocalDaskExecutor(scheduler=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "threads", "processes", "dask in-process", "dask processes"])
def test_tasks_get_the_secrets_in_every_executor(name):
    """Tasks get the secrets with every executor, in threads and in processes."""
    executor = _executor(name)
    assert _result(_flow(), executor) == ("from-the-test", 8080)


@pytest.fixture(scope="module")
def old_cluster():
    """Start a Dask cluster with a worker process before any test of this module."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


@pytest.mark.slow
def test_tasks_in_a_cluster_that_is_older_than_the_test_get_the_secrets(old_cluster):
    """Prefect passes on the context of the submitting thread."""
    if (0, 6, 0) <= VERSION <= (0, 6, 6):
        pytest.skip("these versions give a client of Dask 2 options that it refuses")
    assert _result(_flow(), executors().DaskExecutor(address=old_cluster)) == ("from-the-test", 8080)


def test_the_default_executor_gets_the_secrets():
    """``flow.run()`` without an executor gets the secrets."""
    assert _result(_flow()) == ("from-the-test", 8080)


def test_state_handlers_and_callbacks_get_the_secrets():
    """State handlers and callbacks, which run outside tasks, get the secrets."""
    from prefect import Flow, task
    from prefect.client import Secret

    values = {}

    def handler(obj, old, new):
        values[f"{type(obj).__name__} handler"] = Secret("FLOW_TOKEN").get()
        return new

    def on_failure(obj, state):
        values[f"{type(obj).__name__} callback"] = Secret("FLOW_TOKEN").get()

    @task(state_handlers=[handler], on_failure=on_failure)
    def fails():
        raise ValueError("on purpose")

    with Flow("handlers", state_handlers=[handler], on_failure=on_failure) as flow:
        fails()
    assert flow.run().is_failed()
    assert set(values.values()) == {"from-the-test"}
    assert len(values) == 4


def test_result_handlers_get_the_secrets(tmp_path):
    """A user's result handler (0.5 to 0.13) or Result (0.11 on) gets a secret while it writes."""
    from prefect import Flow, task
    from prefect.client import Secret

    written = []
    if VERSION >= (0, 11):
        from prefect.engine.results import LocalResult

        class Asking(LocalResult):
            def write(self, value, **kwargs):
                written.append(Secret("FLOW_TOKEN").get())
                return super().write(value, **kwargs)

        arguments = {"checkpoint": True, "result": Asking(dir=str(tmp_path))}
    else:
        from prefect.engine.result_handlers import ResultHandler

        class Asking(ResultHandler):
            def write(self, result):
                written.append(Secret("FLOW_TOKEN").get())
                return "somewhere"

            def read(self, place):
                raise NotImplementedError

        arguments = {"checkpoint": True, "result_handler": Asking()}

    @task(**arguments)
    def make():
        return 1

    with Flow("results") as flow:
        make()

    from prefect import context
    from prefect.utilities.configuration import set_temporary_config

    # Up to 0.6.0 results are written only in Cloud runs, later also with checkpointing.
    with set_temporary_config({"flows.checkpointing": True}), context(checkpointing=True, cloud=VERSION < (0, 6, 1)):
        assert flow.run().is_successful()
    assert written == ["from-the-test"]


@pytest.mark.skipif(VERSION is not None and VERSION < (0, 10, 2), reason="PrefectSecret came with 0.10.2")
def test_prefect_secret_task():
    """The secret task of Prefect gets the secret in a flow."""
    from prefect import Flow, task
    from prefect.tasks.secrets import PrefectSecret

    @task
    def use(token):
        return token.upper()

    with Flow("secret task") as flow:
        used = use(PrefectSecret("FLOW_TOKEN"))
    state = flow.run()
    assert state.is_successful()
    assert state.result[used].result == "FROM-THE-TEST"


def test_a_missing_secret_fails_the_flow_as_in_production(local_secrets):
    """A missing secret fails the flow as in production."""
    del local_secrets["PORT"]
    state = _flow().run()
    assert state.is_failed()


@pytest.mark.slow
def test_a_change_between_two_runs_is_seen(local_secrets):
    """A second run of the same flow object gets the changed secret."""
    flow = _flow()
    assert _result(flow) == ("from-the-test", 8080)
    local_secrets["FLOW_TOKEN"] = "rotated"
    assert _result(flow) == ("rotated", 8080)
