"""Workers, runners and the command line against the API: real child processes."""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from catalogue import error_text, normalize, operation
from prefect import get_client
from prefect.blocks.system import Secret

FLOW = """
import os
from prefect import flow, task
from prefect.blocks.system import Secret

@task
def use():
    return len(Secret.load("for-the-worker").get())

@flow(name="by-worker")
def main(x: int = 1):
    print("sum", use() + x, os.environ.get("FROM_JOB", "-"))
    return 7

if __name__ == "__main__":
    main.serve("served", limit=1)
"""


def _prefect(*arguments):
    command = [str(Path(sys.executable).with_name("prefect")), *arguments]
    environment = {**os.environ, "PREFECT_CLI_COLORS": "false", "PREFECT_CLI_WRAP_LINES": "false", "COLUMNS": "200"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    lines = [normalize(line.strip()) for line in done.stdout.splitlines() if line.strip()]
    return done.returncode, lines


def _read(function):
    async def run():
        async with get_client() as client:
            return await function(client)

    return asyncio.run(run())


@operation(since="3.0")
def worker_runs_a_flow():
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.workers.process import ProcessWorker

    Secret(value="v").save("for-the-worker", overwrite=True)
    folder = Path(tempfile.mkdtemp(prefix="rest-worker-"))
    (folder / "worker_flow.py").write_text(FLOW, "utf-8")

    async def run():
        async with get_client() as client:
            await client.create_work_pool(
                WorkPoolCreate(
                    name="worker-pool",
                    type="process",
                    base_job_template=ProcessWorker.get_default_base_job_template(),
                )
            )
            flow_id = await client.create_flow_from_name("by-worker")
            deployment_id = await client.create_deployment(
                flow_id=flow_id,
                name="work",
                work_pool_name="worker-pool",
                path=str(folder),
                entrypoint="worker_flow.py:main",
                job_variables={"env": {"FROM_JOB": "yes"}},
            )
            flow_run = await client.create_flow_run_from_deployment(deployment_id, parameters={"x": 2})
            async with ProcessWorker(work_pool_name="worker-pool") as worker:
                await worker.get_and_submit_flow_runs()
                for _ in range(600):
                    row = await client.read_flow_run(flow_run.id)
                    if row.state.is_final():
                        break
                    await asyncio.sleep(0.1)
            return [row.state.type.value, row.state.name, row.run_count, row.work_queue_name]

    return asyncio.run(run())


@operation(since="3.0")
def runner_serves_a_flow():
    from prefect.runner import Runner

    Secret(value="v").save("for-the-worker", overwrite=True)
    folder = Path(tempfile.mkdtemp(prefix="rest-runner-"))
    (folder / "served_flow.py").write_text(FLOW, "utf-8")

    async def run():
        from prefect.flows import load_flow_from_entrypoint

        served = await asyncio.to_thread(load_flow_from_entrypoint, f"{folder}/served_flow.py:main")
        runner = Runner(name="rest-runner", query_seconds=1)
        deployment_id = (
            await runner.aadd_flow(served, name="rest")
            if hasattr(runner, "aadd_flow")
            else await runner.add_flow(served, name="rest")
        )
        async with get_client() as client:
            flow_run = await client.create_flow_run_from_deployment(deployment_id)
            await asyncio.wait_for(runner.start(run_once=True), 90)
            row = await client.read_flow_run(flow_run.id)
        return [row.state.type.value, row.run_count]

    return asyncio.run(run())


@operation
def cli_variable():
    results = [
        _prefect("variable", "set", "cli_v", "one"),
        _prefect("variable", "get", "cli_v"),
        _prefect("variable", "inspect", "cli_none"),
    ]
    return [results[0][0], results[1], results[2]]


@operation
def cli_block_types():
    code, lines = _prefect("block", "type", "inspect", "secret")
    return [code, any("Slug" in line or "secret" in line for line in lines)]


@operation
def cli_block_inspect():
    Secret(value="hidden").save("cli-secret", overwrite=True)
    code, lines = _prefect("block", "inspect", "secret/cli-secret")
    return [code, any("hidden" in line for line in lines), any("****" in line for line in lines)]


@operation
def cli_pool():
    created = _prefect("work-pool", "create", "cli-pool", "--type", "process")
    listed = _prefect("work-pool", "ls")
    return [created[0], any("cli-pool" in line for line in listed[1]), _prefect("work-pool", "inspect", "no-pool")]


@operation
def cli_flow_runs():
    code, lines = _prefect("flow-run", "ls", "--limit", "1")
    return [code, bool(lines)]


@operation(since="3.0")
def cli_limits():
    return [
        _prefect("gcl", "create", "cli-gcl", "--limit", "3"),
        _prefect("gcl", "ls")[0],
        _prefect("concurrency-limit", "create", "cli-tag", "2")[0],
        _prefect("concurrency-limit", "read", "cli-tag")[0],
    ]


@operation(since="3.0")
def cli_deployments():
    return [
        _prefect("deployment", "ls")[0],
        _prefect("deployment", "inspect", "no/such"),
        _prefect("deployment", "run", "no/such"),
    ]


@operation(since="3.0")
def cli_artifacts_and_automations():
    return [
        _prefect("artifact", "ls")[0],
        _prefect("automation", "ls")[0],
        _prefect("work-queue", "ls", "-p", "cli-pool")[0],
    ]


@operation(since="3.0")
def secret_in_a_template():
    from prefect.utilities.templating import resolve_block_document_references, resolve_variables
    from prefect.variables import Variable

    Secret(value="tv").save("templated", overwrite=True)
    Variable.set("templated", "vv", overwrite=True)

    async def run(template):
        return await resolve_variables(await resolve_block_document_references(template))

    return [
        asyncio.run(run({"a": "{{ prefect.blocks.secret.templated }}", "b": "{{ prefect.variables.templated }}"})),
        error_text(lambda: asyncio.run(run({"a": "{{ prefect.blocks.secret.no-such }}"}))),
        asyncio.run(run({"a": "{{ prefect.variables.no_such }}"})),
    ]
