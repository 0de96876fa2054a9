"""Flows that use secrets and never leak them, and commands of Prefect. The suite expects findings of two tests only."""

import asyncio
import datetime as dt
import os
import subprocess
import sys

import prefect
import pytest
from prefect import flow, get_client, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.concurrency.sync import concurrency
from prefect.tasks import task_input_hash
from prefect.variables import Variable

IS_3 = not prefect.__version__.startswith("2.")
if IS_3:
    from prefect.events import emit_event
    from pydantic import SecretStr
else:
    from pydantic.v1 import SecretStr

needs_cli = pytest.mark.skipif(not os.environ.get("TORTURE_CLI"), reason="prefect-client has no commands and workers")
pytestmark = pytest.mark.secrets(
    SERVICE_TOKEN="tok4vQm8Zr2LxW9sKd7",
    DATABASE_URL="postgresql://reports:n7Vq2mXz9LpR4wTb@db.internal:5432/reports",
    SERVICE_ACCOUNT='{"type": "service_account", "project_id": "reports", "private_key_id": "a8Xv3kQp9ZrT2mLw6Ys4"}',
)
BLOCK = "service-token"


class Connection(Block):
    """A connection with a secret, a nested block and public fields."""

    _block_type_slug = "connection-of-the-places"
    host: str
    password: SecretStr
    token: Secret


def call(method, path, body=None):
    with get_client(sync_client=True) as client:
        response = client._client.request(method, path, json=body)
        response.raise_for_status()
        return response.json() if response.content else None


@task
def use(token):
    return len(token)


@task(cache_key_fn=task_input_hash, cache_expiration=dt.timedelta(minutes=1))
def use_cached(token, factor):
    return len(token) * factor


def test_loads_and_passes_it_on():
    @flow(log_prints=True)
    def reports():
        block = Secret.load(BLOCK)
        token = block.get()
        print("token has", len(token), "characters;", block)
        get_run_logger().info("asked for %s", BLOCK)
        lengths = use.map([token] * 2)
        return use(token) + use_cached(token, 2) + use_cached(token, 2), len(lengths)

    assert reports()[0] == 19 * 5


def test_returns_it_without_persistence():
    @flow
    def reads():
        return Secret.load(BLOCK).get()

    @flow
    def outer():
        return len(reads())

    assert outer() == 19


def test_takes_a_block_and_a_secret_text():
    @flow
    def takes(block: Secret, text: SecretStr):
        return len(block.get()) + len(text.get_secret_value())

    assert takes(Secret.load(BLOCK), SecretStr("tok4vQm8Zr2LxW9sKd7")) == 38


def test_fails_and_retries():
    @task(retries=1)
    def fails(token):
        raise RuntimeError(f"status 401 for a token with {len(token)} characters")

    @flow(retries=1)
    def reports():
        fails(Secret.load(BLOCK).get())

    with pytest.raises(RuntimeError):
        reports()


def test_records_public_values():
    @flow(flow_run_name="report {region}", persist_result=True)
    def reports(region):
        Secret.load("database-url")
        Secret.load("service-account")
        create_markdown_artifact("# reports\n\n| region | rows |\n|---|---|\n| eu | 7 |", key="report")
        create_table_artifact([{"host": "db.internal", "project": "reports", "type": "service_account"}], key="table")
        if IS_3:
            emit_event("reports.done", resource={"prefect.resource.id": f"reports.{region}"}, payload={"rows": 7})
        return {"host": "db.internal", "region": Variable.get("region")}

    Variable.set("region", "eu")
    with prefect.tags("nightly", BLOCK):
        reports("eu")


def test_saves_blocks():
    Connection(host="db.internal", password="n7Vq2mXz9LpR4wTb", token=Secret.load(BLOCK)).save("main")
    Connection(host="db.internal", password="rotated-2mXz9LpR4wTb", token=Secret.load(BLOCK)).save(
        "main", overwrite=True
    )
    assert Connection.load("main").token.get() == "tok4vQm8Zr2LxW9sKd7"


def test_async_flow():
    @task
    async def reads():
        return len((await Secret.load(BLOCK)).get())

    @flow
    async def reports():
        return await reads() + await reads()

    assert asyncio.run(reports()) == 38


def test_deploys_templates():
    @flow
    def reports(block_name="service-token"):
        return len(Secret.load(block_name).get())

    call("POST", "/work_pools/", {"name": "pool", "type": "process"})
    variables = {"env": {"TOKEN": "{{ prefect.blocks.secret.service-token }}"}}
    options = {"parameters": {"block_name": BLOCK}, "job_variables": variables, "work_pool_name": "pool"}
    deployment = reports.to_deployment("daily", tags=["nightly"], description="reads service-token", **options)
    deployment_id = deployment.apply(work_pool_name="pool")
    call("POST", f"/deployments/{deployment_id}/create_flow_run", {"parameters": {"block_name": "database-url"}})


def test_takes_a_slot():
    call("POST", "/v2/concurrency_limits/", {"name": "database", "limit": 1})

    @task
    def reads():
        with concurrency("database", occupy=1):
            return use.fn(Secret.load(BLOCK).get())

    @flow
    def reports():
        return reads()

    assert reports() == 19


@needs_cli
def test_runs_in_a_child_process(tmp_path, monkeypatch):
    """The run inherits a variable that is a secret."""
    from prefect.workers.process import ProcessWorker

    monkeypatch.setenv("INHERITED_TOKEN", "tok4vQm8Zr2LxW9sKd7")
    (tmp_path / "reports.py").write_text("from prefect import flow\n@flow\ndef reports():\n    pass\n")
    template = ProcessWorker.get_default_base_job_template()
    call("POST", "/work_pools/", {"name": "pool", "type": "process", "base_job_template": template})
    flow_id = call("POST", "/flows/", {"name": "reports"})["id"]
    code = {"path": str(tmp_path), "entrypoint": "reports.py:reports"}
    fields = {"name": "daily", "flow_id": flow_id, "work_pool_name": "pool", **code}
    run_id = call("POST", f"/deployments/{call('POST', '/deployments/', fields)['id']}/create_flow_run", {})["id"]

    async def run():
        async with get_client() as client, ProcessWorker(work_pool_name="pool") as worker:
            await worker.sync_with_backend()
            await worker.get_and_submit_flow_runs()
            for _ in range(2400):
                state = (await client.read_flow_run(run_id)).state
                if state.is_final():
                    break
                await asyncio.sleep(0.1)
        return state

    assert asyncio.run(run()).is_completed()


# -- commands ----------------------------------------------------------------------------------------------------------


def run_prefect(*arguments, folder=None):
    code = "from prefect.cli import app; app()"
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, check=False, timeout=300)
    assert done.returncode == 0


@needs_cli
def test_lists_blocks():
    run_prefect("block", "ls")


@needs_cli
def test_shows_settings(monkeypatch):
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_k2Vx7QmZ4rLw9TsB")
    run_prefect("config", "view", "--show-secrets")


PREFECT_YAML = """
deployments:
- name: daily
  entrypoint: reports.py:reports
  work_pool:
    name: pool
    job_variables: {env: {TOKEN: "{{ prefect.blocks.secret.service-token }}"}}
"""


@needs_cli
def test_deploys_a_project(tmp_path):
    call("POST", "/work_pools/", {"name": "pool", "type": "process"})
    (tmp_path / "prefect.yaml").write_text(PREFECT_YAML)
    (tmp_path / "reports.py").write_text("from prefect import flow\n@flow\ndef reports():\n    pass\n")
    run_prefect("--no-prompt", "deploy", "--all", folder=tmp_path)
