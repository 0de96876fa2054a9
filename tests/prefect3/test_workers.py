"""Every route of a process worker, down which a real worker starts real flow runs, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import contextmanager
from copy import deepcopy
from importlib.util import find_spec

import pytest
from prefect import flow, get_client  # noqa: F401 - the import completes the models of Prefect 3.0

from pytest_flowsecrets import flow_environment
from pytest_flowsecrets.isolation.context_manager import new_isolation
from tests.prefect3.compat import RELEASE

pytestmark = pytest.mark.slow
# What the flow of a real process sees. It is written to a file, because an API would store the values as a parameter.
FLOW = """
import json
import os
from pathlib import Path

from prefect import flow
from prefect.blocks.system import Secret
from prefect.variables import Variable


@flow(name="report")
def report(path: str):
    variable = Variable.get("token")
    seen = {
        "block": Secret.load("token").get(),
        "variable": getattr(variable, "value", variable),
        "pull_step": Path("TOKEN").read_text(encoding="utf-8"),
        "environ": dict(os.environ),
    }
    Path(path).write_text(json.dumps(seen), encoding="utf-8")
"""
WRITE = "import os; open('TOKEN', 'w', encoding='utf-8').write(os.environ['TOKEN'])"
ENV = {
    "BY_BLOCK": "{{ prefect.blocks.secret.token }}",
    "BY_VARIABLE": "{{ prefect.variables.token }}",
    "BY_SHELL": "{{ $SHELL_TOKEN }}",
    "NO_VARIABLE": "{{ prefect.variables.nope }}",
}
EXPECTED = {
    "SHELL_TOKEN": ("of-the-shell", "worker"),
    "BY_BLOCK": ("of-the-block", "deployment"),
    "BY_VARIABLE": ("of-the-variable", "deployment"),
    "NO_VARIABLE": ("", "deployment"),
    "OF_POOL": ("pool", "template"),
    "OF_RUN": ("run", "run"),
}
RUN = {"env": {"OF_RUN": "run"}}


@contextmanager
def isolated(server):
    """An isolation with the same secret in a block, in a variable and in the environment of the worker."""
    isolation = new_isolation(server=server)
    isolation.enter({"token": "of-the-block"})
    try:
        isolation.set_variables({"token": "of-the-variable"})
        yield isolation
    finally:
        isolation.exit()


async def deploy(client, folder):
    """Create a work pool, and a deployment with pull steps, as ``flow.deploy()`` does."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.workers.process import ProcessWorker

    template = deepcopy(ProcessWorker.get_default_base_job_template())
    template["variables"]["properties"]["env"]["default"] = {"OF_POOL": "pool"}
    await client.create_work_pool(WorkPoolCreate(name="pool", type="process", base_job_template=template))
    flow_id = await client.create_flow_from_name("report")
    step = {
        "script": f'"{sys.executable}" -c "{WRITE}"',
        "directory": "{{ $FLOW_FOLDER }}",
        "env": {"TOKEN": "{{ prefect.blocks.secret.token }}"},
        "stream_output": False,
    }
    return await client.create_deployment(
        flow_id=flow_id,
        name="nightly",
        work_pool_name="pool",
        entrypoint="report_flow.py:report",
        job_variables={"env": {**ENV, "FLOW_FOLDER": str(folder)}},
        pull_steps=[
            {"prefect.deployments.steps.run_shell_script": step},
            {"prefect.deployments.steps.set_working_directory": {"directory": "{{ $FLOW_FOLDER }}"}},
        ],
    )


async def run_by_worker(folder, path):
    """Start a real worker, which runs the flow in a child process, and return the final state of the flow run."""
    from prefect.workers.process import ProcessWorker

    async with get_client() as client:
        deployment_id = await deploy(client, folder)
        flow_run = await client.create_flow_run_from_deployment(
            deployment_id, parameters={"path": str(path)}, job_variables=RUN
        )
        async with ProcessWorker(work_pool_name="pool") as worker:
            await worker.sync_with_backend()
            await worker.get_and_submit_flow_runs()
            state = flow_run.state
            for _ in range(2400):  # a tenth of a second each
                state = (await client.read_flow_run(flow_run.id)).state
                if state.is_final():
                    break
                await asyncio.sleep(0.1)
        return state


def test_a_real_flow_run_gets_what_flow_environment_says(tmp_path, monkeypatch):
    """``block``, ``variable``, ``env``, ``job_variables`` and ``pull_step``: the flow sees them in its own process."""
    monkeypatch.setenv("SHELL_TOKEN", "of-the-shell")
    (tmp_path / "report_flow.py").write_text(FLOW, "utf-8")
    path = tmp_path / "seen.json"
    with isolated("fake") as isolation:
        isolation.api.write_only()
        with isolation.api.flow_run():
            state = asyncio.run(run_by_worker(tmp_path, path))
        assert (state.type.value, state.message) == ("COMPLETED", state.message)
        seen = json.loads(path.read_text("utf-8"))
        env = flow_environment(deployment="report/nightly", run_job_variables=RUN)
        isolation.api.assert_never_received("token")
    assert (seen["block"], seen["variable"], seen["pull_step"]) == ("of-the-block", "of-the-variable", "of-the-block")
    assert {name: (seen["environ"].get(name), env.origin(name)) for name in EXPECTED} == EXPECTED
    assert seen["environ"]["BY_SHELL"] in ("of-the-shell", "{{ $SHELL_TOKEN }}")
    ours = {name: text for name, text in env.items() if not name.startswith("PREFECT_")}
    assert {name: seen["environ"].get(name) for name in ours} == ours
    assert {name for name in env.settings if name not in seen["environ"]} == set()
    assert seen["environ"]["PREFECT_API_URL"] == env["PREFECT_API_URL"]


@pytest.mark.skipif(
    RELEASE < (3, 9, 0) or not find_spec("prefect.server"),
    reason="one release shows it; the packages of today break the servers of older ones",
)
def test_a_deployment_of_the_real_server(tmp_path, monkeypatch):
    """At the server of the installed Prefect, ``flow_environment`` reads the same rows with the same result."""
    monkeypatch.setenv("SHELL_TOKEN", "of-the-shell")

    async def create():
        async with get_client() as client:
            await deploy(client, tmp_path)

    with isolated("real"):
        asyncio.run(create())
        env = flow_environment(deployment="report/nightly", run_job_variables=RUN)
    assert {name: (env[name], env.origin(name)) for name in EXPECTED} == EXPECTED
