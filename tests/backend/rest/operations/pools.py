"""Work pools, work queues and what workers ask for."""

from catalogue import async_error_text, operation
from prefect import flow
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound


@flow(name="pooled")
def pooled():
    return 1


TEMPLATE = {
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}"},
    "variables": {
        "type": "object",
        "properties": {"command": {"type": "string"}, "env": {"type": "object", "default": {}}},
    },
}


async def _pool(client, name, **fields):
    return await client.create_work_pool(WorkPoolCreate(name=name, type="process", **fields))


async def _run(client, pool, name, **fields):
    flow_id = await client.create_flow(pooled)
    deployment_id = await client.create_deployment(flow_id=flow_id, name=name, work_pool_name=pool, **fields)
    return await client.create_flow_run_from_deployment(deployment_id, name=f"run-{name}")


@operation
async def pool_create_and_read(client):
    await _pool(client, "pool-1", description="d", base_job_template=TEMPLATE, concurrency_limit=3)
    row = await client.read_work_pool("pool-1")
    return [
        row.name,
        row.type,
        row.description,
        row.base_job_template,
        row.concurrency_limit,
        row.is_paused,
        row.status and row.status.value,
        row.default_queue_id is not None,
    ]


@operation
async def pool_create_twice(client):
    await _pool(client, "pool-2")
    return await async_error_text(_pool(client, "pool-2"))


@operation
async def pool_missing(client):
    return [
        await async_error_text(client.read_work_pool("pool-none")),
        await async_error_text(client.update_work_pool("pool-none", WorkPoolUpdate(description="x"))),
        await async_error_text(client.delete_work_pool("pool-none")),
    ]


@operation
async def pool_update_and_delete(client):
    await _pool(client, "pool-3")
    await client.update_work_pool("pool-3", WorkPoolUpdate(is_paused=True, description="new", concurrency_limit=2))
    row = await client.read_work_pool("pool-3")
    await client.delete_work_pool("pool-3")
    return [
        row.is_paused,
        row.description,
        row.concurrency_limit,
        row.status.value,
        await async_error_text(client.read_work_pool("pool-3")),
    ]


@operation
async def pools_list(client):
    await _pool(client, "pool-4b")
    await _pool(client, "pool-4a")
    return [each.name for each in await client.read_work_pools() if each.name.startswith("pool-4")]


@operation
async def pool_default_queue(client):
    await _pool(client, "pool-5")
    queues = await client.read_work_queues(work_pool_name="pool-5")
    return [[each.name, each.priority, each.is_paused, each.concurrency_limit] for each in queues]


@operation
async def queue_create_and_read(client):
    await _pool(client, "pool-6")
    await client.create_work_queue(name="fast", work_pool_name="pool-6", priority=1, description="q")
    queues = await client.read_work_queues(work_pool_name="pool-6")
    row = await client.read_work_queue_by_name("fast", work_pool_name="pool-6")
    again = await client.read_work_queue(row.id)
    return [[[each.name, each.priority] for each in queues], row.description, again.name]


@operation
async def queue_create_twice(client):
    await _pool(client, "pool-7")
    await client.create_work_queue(name="q", work_pool_name="pool-7")
    return await async_error_text(client.create_work_queue(name="q", work_pool_name="pool-7"))


@operation
async def queue_missing(client):
    await _pool(client, "pool-8")
    return [
        await async_error_text(client.read_work_queue_by_name("none", work_pool_name="pool-8")),
        await async_error_text(client.read_work_queue_by_name("none", work_pool_name="pool-none")),
    ]


@operation
async def queue_update_and_delete(client):
    await _pool(client, "pool-9")
    queue = await client.create_work_queue(name="q", work_pool_name="pool-9")
    await client.update_work_queue(queue.id, is_paused=True, concurrency_limit=4)
    row = await client.read_work_queue(queue.id)
    await client.delete_work_queue_by_id(queue.id)
    return [row.is_paused, row.concurrency_limit, await async_error_text(client.read_work_queue(queue.id))]


@operation
async def queue_without_pool(client):
    queue = await client.create_work_queue(name="free-queue")
    row = await client.read_work_queue_by_name("free-queue")
    return [row.name, row.id == queue.id, getattr(row, "work_pool_name", None)]


@operation
async def pool_scheduled_runs(client):
    await _pool(client, "pool-10")
    await _run(client, "pool-10", "d-10")
    found = await client.get_scheduled_flow_runs_for_work_pool("pool-10")
    return [[each.flow_run.name, each.flow_run.state_name] for each in found]  # older servers leave out the state


@operation
async def pool_scheduled_runs_paused(client):
    await _pool(client, "pool-11")
    await _run(client, "pool-11", "d-11")
    await client.update_work_pool("pool-11", WorkPoolUpdate(is_paused=True))
    return len(await client.get_scheduled_flow_runs_for_work_pool("pool-11"))


@operation
async def pool_scheduled_runs_limited(client):
    await _pool(client, "pool-12", concurrency_limit=1)
    await _run(client, "pool-12", "d-12")
    await _run(client, "pool-12", "d-12")
    return len(await client.get_scheduled_flow_runs_for_work_pool("pool-12"))


@operation
async def pool_scheduled_runs_queues(client):
    await _pool(client, "pool-13")
    await client.create_work_queue(name="fast", work_pool_name="pool-13", priority=1)
    await _run(client, "pool-13", "d-13-slow")
    await _run(client, "pool-13", "d-13-fast", work_queue_name="fast")
    found = await client.get_scheduled_flow_runs_for_work_pool("pool-13")
    fast = await client.get_scheduled_flow_runs_for_work_pool("pool-13", work_queue_names=["fast"])
    return [[each.flow_run.name for each in found], [each.flow_run.name for each in fast]]


@operation
async def pool_heartbeat_and_workers(client):
    await _pool(client, "pool-14")
    await client.send_worker_heartbeat("pool-14", "worker-1", heartbeat_interval_seconds=30)
    workers = await client.read_workers_for_work_pool("pool-14")
    pool = await client.read_work_pool("pool-14")
    return [
        [[each.name, each.status and str(getattr(each.status, "value", each.status))] for each in workers],
        pool.status.value,
    ]


@operation
async def pool_heartbeat_missing_pool(client):
    return await async_error_text(client.send_worker_heartbeat("pool-none", "worker-1"))


@operation
async def pool_reserved_name(client):
    return await async_error_text(client.create_work_pool(WorkPoolCreate(name="Prefect-x", type="process")))


@operation
async def pool_overwrite(client):
    import inspect

    if "overwrite" not in inspect.signature(client.create_work_pool).parameters:
        return "no overwrite"
    await _pool(client, "pool-15", description="one")
    row = await client.create_work_pool(
        WorkPoolCreate(name="pool-15", type="process", description="two"), overwrite=True
    )
    return row.description


@operation
async def not_found_is_an_object_not_found(client):
    try:
        await client.read_work_pool("pool-none")
    except ObjectNotFound as error:
        return type(error.__cause__ or error.http_exc).__name__
    return None


@operation
async def pool_queue_runs(client):
    await _pool(client, "pool-16")
    run = await _run(client, "pool-16", "d-16")
    queue = await client.read_work_queue_by_name("default", work_pool_name="pool-16")
    found = await client.get_runs_in_work_queue(queue.id, limit=5)
    row = await client.read_flow_run(run.id)
    return [[each.name for each in found], row.work_pool_name, row.work_queue_name]
