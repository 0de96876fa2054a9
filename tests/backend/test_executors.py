"""Which executor's tasks see which secret: each cell of the table in docs/how-to/real-runs.md.

A task sees the secrets of the flow run, whatever runs it, and instead of what its worker's own environment defines. For
a missing one the worker's own ``backend`` decides: a Dask worker that was started without settings has ``cloud``, and
asks the API of the flow run, whose address and key have come along, even if that is a Server, which knows no secrets.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.routes.conftest import can_run, needs_kubernetes

pytestmark = needs_kubernetes  # once for each Prefect is enough
S = "PREFECT__CONTEXT__SECRETS__"
KINDS = ["local", "threads", "processes", "dask"]


@pytest.fixture(scope="session")
def dask(tmp_path_factory):
    """The address of a real cluster: a scheduler and two worker processes with their own environment."""
    if not can_run("kubernetes"):
        pytest.skip("real flow runs with Dask: once for each Prefect is enough")
    folder = tmp_path_factory.mktemp("dask")
    place = folder / "scheduler.json"
    own = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT__")}
    env = {**own, "HOME": str(folder), f"{S}OF_WORKER": "of the worker", "PYTHONPATH": os.getcwd()}
    file = ["--scheduler-file", str(place)]
    commands = [
        ["dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *file],
        *[["dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", *file]] * 2,
    ]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{command[0]}", *command[1:]],
            env=env,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    from distributed import Client

    try:
        for _ in range(600):
            if place.exists():
                break
            time.sleep(0.05)
        with Client(scheduler_file=str(place), set_as_default=False) as client:
            client.wait_for_workers(2)
            yield client.scheduler.address
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture(params=KINDS)
def executor(request):
    from prefect.executors import DaskExecutor, LocalDaskExecutor, LocalExecutor

    if request.param == "local":
        return LocalExecutor()
    if request.param == "dask":
        return DaskExecutor(address=request.getfixturevalue("dask"))
    return LocalDaskExecutor(scheduler=request.param, num_workers=2)


@pytest.fixture
def flow(executor):
    """Return a flow whose task checks which secrets its executor provides: texts, or types of errors."""
    import prefect

    @prefect.task
    def compare(expected):
        from prefect.client import Secret
        from prefect.exceptions import ClientError

        def read(name):
            try:
                return Secret(name).get()
            except (ValueError, KeyError, ClientError) as error:
                return type(error).__name__

        result = {name: read(name) for name in expected}
        assert result == expected, result

    with prefect.Flow("compare", executor=executor) as flow:
        compare(prefect.Parameter("expected"))
    return flow


def checked(api, flow, expected, **more):
    """Run the flow in this process, which is faster, unless its executor would fork it."""
    here = getattr(flow.executor, "scheduler", None) != "processes"
    run = api.run(flow, parameters={"expected": expected}, in_process=here, **more)
    assert run.state.is_successful(), run.task_states["compare-1"].message


def missing(executor):
    """Return the result of a missing secret on Server."""
    return "ClientError" if type(executor).__name__ == "DaskExecutor" else "ValueError"


def test_the_environment_of_the_flow_run(prefect_server, flow, executor):
    """The run's environment reaches each executor, and overrides a worker's own environment."""
    expected = {"TOKEN": "of the run", "OF_WORKER": missing(executor)}
    checked(prefect_server, flow, expected, run_config={f"{S}TOKEN": "of the run"})


def test_the_context_of_the_flow_run(prefect_server, flow, executor):
    """``context={"secrets": …}`` replaces all secrets in each executor."""
    context = {"secrets": {"TOKEN": "of the context"}}
    deleted = missing(executor)
    expected = {"TOKEN": "of the context", "OTHER": deleted, "OF_WORKER": deleted}
    checked(prefect_server, flow, expected, context=context, run_config={f"{S}OTHER": "x"})


def test_secrets_of_cloud(prefect_cloud, flow):
    """Tasks query Cloud where they run; address and key are passed to them."""
    prefect_cloud.secrets.set("TOKEN", "of Cloud")
    checked(prefect_cloud, flow, {"TOKEN": "of Cloud"})


def test_a_flow_run_without_any_secret(prefect_server, flow, executor):
    """A run without secrets passes an empty table, so a worker's own environment is ignored."""
    checked(prefect_server, flow, {"OF_WORKER": missing(executor)})


SCRIPT = """
import sys
from prefect import Flow, task
from prefect.client import Secret
from prefect.executors import DaskExecutor

@task
def read():
    return Secret("OF_WORKER").get()

with Flow("f") as flow:
    result = read()
state = flow.run(executor=DaskExecutor(address=sys.argv[1]))
assert state.result[result].result == "of the worker", state.result[result]
"""


def test_flow_run_without_any_secret_nor_api(dask, tmp_path):
    """``flow.run()`` without secrets passes no table, so a Dask worker uses its own."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT__")}
    command = [sys.executable, "-Wignore", "-c", SCRIPT, dask]
    completed = subprocess.run(
        command, env={**env, "HOME": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert completed.returncode == 0, completed.stdout


CONTEXT = """
import sys
from prefect import Flow, task
from prefect.client import Secret
from prefect.executors import DaskExecutor, LocalDaskExecutor, LocalExecutor

@task
def read(name):
    try:
        return Secret(name).get()
    except ValueError as error:
        return type(error).__name__

with Flow("f") as flow:
    found = [read("TOKEN"), read("OTHER")]

if __name__ == "__main__":
    for executor in (
        LocalExecutor(),
        LocalDaskExecutor(scheduler="threads"),
        LocalDaskExecutor(scheduler="processes", num_workers=2),
        DaskExecutor(address=sys.argv[1]),
    ):
        state = flow.run(executor=executor, context={"secrets": {"TOKEN": "x"}})
        results = [state.result[task].result for task in found]
        assert results == ["x", "ValueError"], (executor, results)
"""


def test_flow_run_with_a_context(dask, tmp_path):
    """``flow.run(context={"secrets": …})`` overrides all other secrets in each executor, without an API."""
    script = tmp_path / "script.py"
    script.write_text(CONTEXT)
    env = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT__")}
    env.update({"HOME": str(tmp_path), f"{S}OTHER": "of the environment"})
    command = [sys.executable, "-Wignore", str(script), dask]
    completed = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert completed.returncode == 0, completed.stdout


def test_prefect_run_execute(prefect_cloud, local_secrets, tmp_path):
    """``prefect run --execute`` uses the secrets of its environment, and never queries Cloud."""
    from prefect import Flow, task
    from prefect.client import Secret
    from prefect.run_configs import UniversalRun
    from prefect.storage import Local

    @task
    def read():
        return Secret("TOKEN").get()

    with Flow("executed", storage=Local(directory=str(tmp_path)), run_config=UniversalRun()) as flow:
        read()
    client = prefect_cloud.client
    client.create_project("p")
    client.register(flow, "p", no_url=True)
    prefect_cloud.secrets.set("TOKEN", "of Cloud")
    command = [sys.executable, "-Wignore", "-m", "prefect", "run", "--name", "executed", "--execute", "--quiet"]

    def states():
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return sorted(row["state"] for row in prefect_cloud.world.store.all("flow_run"))

    assert states() == ["Failed"]
    assert not [request for request in prefect_cloud.requests if "secret_value" in request.fields]
    local_secrets.setenv("TOKEN", "of the environment")
    assert states() == ["Failed", "Success"]
