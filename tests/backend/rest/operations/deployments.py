"""Deployments, their schedules and runs."""

import asyncio
from datetime import datetime, timedelta, timezone
from uuid import uuid4

from catalogue import async_error_text, error_text, operation
from prefect import flow, get_client


@flow(name="deployed")
def deployed(x: int = 1, y: str = "z"):
    return x


async def create(client, name, **fields):
    flow_id = await client.create_flow(deployed)
    return await client.create_deployment(flow_id=flow_id, name=name, **fields)


def _interval(hours=1):
    from prefect.client.schemas.schedules import IntervalSchedule

    anchor = datetime(2030, 1, 1, tzinfo=timezone.utc)
    return IntervalSchedule(interval=timedelta(hours=hours), anchor_date=anchor)


def _schedule(hours=1, active=True):
    from prefect.client.schemas.actions import DeploymentScheduleCreate

    return DeploymentScheduleCreate(schedule=_interval(hours), active=active)


@operation
async def deployment_create_and_read(client):
    deployment_id = await create(
        client,
        "d-read",
        tags=["b", "a"],
        parameters={"x": 2},
        description="text",
        version="1",
        entrypoint="f.py:f",
        path="/p",
    )
    row = await client.read_deployment(deployment_id)
    return [
        row.name,
        row.tags,
        row.parameters,
        row.description,
        row.version,
        row.entrypoint,
        row.path,
        row.paused,
        row.enforce_parameter_schema,
        row.work_pool_name,
        row.work_queue_name,
        row.status and row.status.value,
    ]


@operation
async def deployment_by_name(client):
    deployment_id = await create(client, "d-by-name")
    return (await client.read_deployment_by_name("deployed/d-by-name")).id == deployment_id


@operation
async def deployment_missing(client):
    return [
        await async_error_text(client.read_deployment(uuid4())),
        await async_error_text(client.read_deployment_by_name("deployed/none")),
        await async_error_text(client.delete_deployment(uuid4())),
        await async_error_text(client.create_flow_run_from_deployment(uuid4())),
    ]


@operation
async def deployment_create_twice(client):
    first = await create(client, "d-twice", tags=["a"], description="one")
    second = await create(client, "d-twice", tags=["b"])
    row = await client.read_deployment(first)
    return [first == second, row.tags, row.description]


@operation
async def deployment_delete(client):
    deployment_id = await create(client, "d-delete")
    await client.delete_deployment(deployment_id)
    return await async_error_text(client.read_deployment(deployment_id))


@operation
async def deployment_pause(client):
    deployment_id = await create(client, "d-pause")
    await client.set_deployment_paused_state(deployment_id, True)
    paused = (await client.read_deployment(deployment_id)).paused
    await client.set_deployment_paused_state(deployment_id, False)
    return [paused, (await client.read_deployment(deployment_id)).paused]


@operation(since="3.0")
async def deployment_update(client):
    from prefect.client.schemas.actions import DeploymentUpdate

    deployment_id = await create(client, "d-update", tags=["a"], description="one")
    await client.update_deployment(deployment_id, DeploymentUpdate(description="two", tags=["c"], parameters={"x": 9}))
    row = await client.read_deployment(deployment_id)
    return [row.description, row.tags, row.parameters, row.name]


@operation
async def deployments_list(client):
    await create(client, "d-list-b")
    await create(client, "d-list-a")
    return [each.name for each in await client.read_deployments() if each.name.startswith("d-list")]


@operation
async def deployments_filter(client):
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, DeploymentFilterTags

    await create(client, "d-filter-1", tags=["dep-tag"])
    await create(client, "d-filter-2")
    by_name = await client.read_deployments(
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=["d-filter-2"]))
    )
    by_tag = await client.read_deployments(
        deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=["dep-tag"]))
    )
    return [[each.name for each in by_name], [each.name for each in by_tag]]


@operation
async def deployment_flow_run(client):
    deployment_id = await create(client, "d-run", parameters={"x": 5}, tags=["dep"])
    flow_run = await client.create_flow_run_from_deployment(
        deployment_id, parameters={"y": "q"}, tags=["run"], name="given"
    )
    row = await client.read_flow_run(flow_run.id)
    return [
        row.name,
        row.parameters,
        sorted(row.tags),
        row.state.type.value,
        row.state.name,
        row.deployment_id == deployment_id,
        row.auto_scheduled,
    ]


@operation
async def deployment_flow_run_with_state(client):
    from prefect.states import Pending, Scheduled

    deployment_id = await create(client, "d-run-state")
    later = datetime.now(timezone.utc) + timedelta(hours=2)
    first = await client.create_flow_run_from_deployment(deployment_id, state=Scheduled(scheduled_time=later))
    second = await client.create_flow_run_from_deployment(deployment_id, state=Pending())
    row = await client.read_flow_run(first.id)
    return [row.state.name, row.next_scheduled_start_time == later, second.state.name]


@operation(since="3.0")
async def deployment_parameter_schema(client):
    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(deployed).model_dump()
    deployment_id = await create(client, "d-schema", parameter_openapi_schema=schema, enforce_parameter_schema=True)
    return [
        (await async_error_text(client.create_flow_run_from_deployment(deployment_id, parameters={"x": "text"}))),
        (await client.create_flow_run_from_deployment(deployment_id, parameters={"x": 3})).parameters,
    ]


@operation(since="3.0")
async def deployment_schedules(client):
    deployment_id = await create(client, "d-schedules", schedules=[_schedule(1)])
    listed = (await client.read_deployment(deployment_id)).schedules
    created = await client.create_deployment_schedules(deployment_id, [(_interval(2), True)])
    schedules = await client.read_deployment_schedules(deployment_id)
    await client.update_deployment_schedule(deployment_id, created[0].id, active=False)
    after = {each.id: each.active for each in await client.read_deployment_schedules(deployment_id)}
    await client.delete_deployment_schedule(deployment_id, created[0].id)
    return [
        [each.schedule.interval for each in listed],
        [each.active for each in schedules],
        after[created[0].id],
        len(await client.read_deployment_schedules(deployment_id)),
    ]


@operation(since="3.0")
async def deployment_schedule_missing(client):
    deployment_id = await create(client, "d-no-schedule")
    return [
        await async_error_text(client.delete_deployment_schedule(deployment_id, uuid4())),
        await async_error_text(client.update_deployment_schedule(deployment_id, uuid4(), active=True)),
        await async_error_text(client.read_deployment_schedules(uuid4())),
    ]


@operation
async def deployment_scheduled_runs(client):
    deployment_id = await create(client, "d-scheduled")
    await client.create_flow_run_from_deployment(deployment_id, name="now")
    soon = datetime.now(timezone.utc) + timedelta(minutes=1)
    found = await client.get_scheduled_flow_runs_for_deployments([deployment_id], scheduled_before=soon)
    return [[each.name, each.state.name] for each in found]


@operation
async def deployment_concurrency_limit(client):
    if not hasattr(deployed, "serve"):
        return None
    import inspect

    if "concurrency_limit" not in inspect.signature(client.create_deployment).parameters:
        return "no limit"
    deployment_id = await create(client, "d-limit", concurrency_limit=2)
    row = await client.read_deployment(deployment_id)
    limit = getattr(row, "global_concurrency_limit", None)
    return [limit and limit.limit, limit and limit.active_slots]


@operation
async def deployment_limit_of_runs(client):
    import inspect

    from prefect.states import Completed, Pending

    if "concurrency_limit" not in inspect.signature(client.create_deployment).parameters:
        return "no limit"
    deployment_id = await create(client, "d-limited-runs", concurrency_limit=1)
    runs = [await client.create_flow_run_from_deployment(deployment_id) for _ in range(2)]
    first = await client.set_flow_run_state(runs[0].id, Pending())
    second = await client.set_flow_run_state(runs[1].id, Pending())
    await client.set_flow_run_state(runs[0].id, Completed())
    third = await client.set_flow_run_state(runs[1].id, Pending(), force=True)
    return [[each.status.value, each.state and each.state.name] for each in (first, second, third)]


@operation
def run_deployment_without_waiting():
    from prefect.deployments import run_deployment

    async def make():
        async with get_client() as client:
            await create(client, "d-run-deployment")

    asyncio.run(make())
    flow_run = run_deployment("deployed/d-run-deployment", timeout=0, parameters={"x": 2}, flow_run_name="by-hand")
    return [flow_run.name, flow_run.parameters, flow_run.state.name, sorted(flow_run.tags)]


@operation
def run_deployment_missing():
    from prefect.deployments import run_deployment

    return error_text(lambda: run_deployment("deployed/never-there", timeout=0))


@operation
def run_deployment_in_a_flow():
    from prefect.deployments import run_deployment

    async def make():
        async with get_client() as client:
            await create(client, "d-in-flow")

    asyncio.run(make())

    @flow(name="calling")
    def calls():
        return run_deployment("deployed/d-in-flow", timeout=0, as_subflow=True).parent_task_run_id is not None

    return calls()


@operation(since="3.0")
def flow_to_deployment_apply():
    runner_deployment = deployed.to_deployment("d-applied", tags=["x"], interval=3600, parameters={"x": 4})
    deployment_id = runner_deployment.apply()

    async def read():
        async with get_client() as client:
            row = await client.read_deployment(deployment_id)
            return [row.name, row.tags, row.parameters, [each.schedule.interval for each in row.schedules], row.paused]

    return asyncio.run(read())


@operation
async def flow_delete_cascades(client):
    @flow(name="deleted-flow")
    def doomed():
        return 1

    flow_id = await client.create_flow(doomed)
    deployment_id = await client.create_deployment(flow_id=flow_id, name="d-doomed")
    flow_run = await client.create_flow_run(doomed)
    response = await client._client.delete(f"/flows/{flow_id}")
    return [
        response.status_code,
        await async_error_text(client.read_deployment(deployment_id)),
        await async_error_text(client.read_flow_run(flow_run.id)),
    ]


@operation(since="3.0")
async def deployment_with_pool_and_queue(client):
    from prefect.client.schemas.actions import WorkPoolCreate

    await client.create_work_pool(WorkPoolCreate(name="pool-of-d", type="process"))
    deployment_id = await create(client, "d-pool", work_pool_name="pool-of-d", job_variables={"env": {"A": "b"}})
    row = await client.read_deployment(deployment_id)
    missing = await async_error_text(create(client, "d-no-pool", work_pool_name="pool-none"))
    return [row.work_pool_name, row.work_queue_name, row.job_variables, missing]
