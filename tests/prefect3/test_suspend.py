"""A flow run of a deployment that is suspended, resumed with an input, and executed again: fake and real server."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from prefect import flow, get_client
from prefect.blocks.system import Secret

from pytest_flowsecrets.backend.prefect_server.api import close_servers, keep_templates
from pytest_flowsecrets.isolation.context_manager import new_isolation
from tests.backend.rest.test_real_server import RUNS_HERE
from tests.prefect3.compat import RELEASE

pytestmark = pytest.mark.skipif(RELEASE < (3, 0, 0), reason="Prefect 2.20 executes a created run only in a process")
seen = []


@flow(persist_result=False)
def suspends():
    from prefect.flow_runs import suspend_flow_run

    seen.append(Secret.load("token").get())
    seen.append(suspend_flow_run(wait_for_input=int, timeout=3600, key="k"))


async def create():
    async with get_client() as client:
        deployment = await client.create_deployment(await client.create_flow(suspends), "deployed")
        return (await client.create_flow_run_from_deployment(deployment)).id


async def read(run_id):
    async with get_client() as client:
        return await client.read_flow_run(run_id)


def execute(run_id):
    """Execute a created run in this process, and return the name of its state."""
    from prefect.exceptions import Pause
    from prefect.flow_engine import run_flow

    with suppress(Pause):
        run_flow(suspends, flow_run=asyncio.run(read(run_id)))
    return asyncio.run(read(run_id)).state.name


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.slow)])
def isolation(request):
    """An isolation with each kind of API."""
    if request.param == "real" and not RUNS_HERE:
        pytest.skip("the server of this Prefect does not run here")
    keep_templates(request.config.cache.mkdir("flowsecrets"))
    isolation = new_isolation(server=request.param)
    try:
        isolation.enter({"token": "hidden"})
        yield isolation
    finally:
        isolation.exit()
        keep_templates(None)
        if request.param == "real":
            close_servers()


def test_suspend_and_resume(isolation):
    """The flow ends as Suspended. After ``resume_flow_run`` with an input it runs again and gets the input."""
    from prefect.flow_runs import resume_flow_run

    seen.clear()
    run_id = asyncio.run(create())
    assert execute(run_id) == "Suspended"
    resume_flow_run(run_id, run_input={"value": 7})
    assert asyncio.run(read(run_id)).state.name == "Resuming"
    assert execute(run_id) == "Completed"
    assert seen == ["hidden", "hidden", 7]
    assert [run["state_type"] for run in isolation.api.flow_runs] == ["COMPLETED"]
