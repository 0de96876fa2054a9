"""Concurrency limits: by tag, global, and their leases."""

import threading
import time
from uuid import uuid4

from catalogue import async_error_text, error_text, operation
from prefect import flow, task


def _create(**fields):
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate

    return GlobalConcurrencyLimitCreate(**fields)


@operation
async def tag_limit_create_and_read(client):
    await client.create_concurrency_limit(tag="tag-1", concurrency_limit=2)
    row = await client.read_concurrency_limit_by_tag("tag-1")
    return [row.tag, row.concurrency_limit, row.active_slots]


@operation
async def tag_limit_create_twice(client):
    first = await client.create_concurrency_limit(tag="tag-2", concurrency_limit=2)
    second = await client.create_concurrency_limit(tag="tag-2", concurrency_limit=5)
    return [first == second, (await client.read_concurrency_limit_by_tag("tag-2")).concurrency_limit]


@operation
async def tag_limit_missing(client):
    return [
        await async_error_text(client.read_concurrency_limit_by_tag("tag-none")),
        await async_error_text(client.delete_concurrency_limit_by_tag("tag-none")),
        await async_error_text(client.reset_concurrency_limit_by_tag("tag-none")),
    ]


@operation
async def tag_limits_list(client):
    await client.create_concurrency_limit(tag="tag-3", concurrency_limit=1)
    found = await client.read_concurrency_limits(limit=100, offset=0)
    return [each.tag for each in found if each.tag == "tag-3"]


@operation
async def tag_limit_reset_and_delete(client):
    await client.create_concurrency_limit(tag="tag-4", concurrency_limit=1)
    await client.reset_concurrency_limit_by_tag("tag-4", slot_override=[uuid4()])
    slots = len((await client.read_concurrency_limit_by_tag("tag-4")).active_slots)
    await client.delete_concurrency_limit_by_tag("tag-4")
    return [slots, await async_error_text(client.read_concurrency_limit_by_tag("tag-4"))]


def _overlap(tag, limit):
    """Run four tasks with a tag; the largest number of them that ran at once."""
    import asyncio

    from prefect import get_client

    async def create():
        async with get_client() as client:
            await client.create_concurrency_limit(tag=tag, concurrency_limit=limit)

    asyncio.run(create())
    lock, now, most = threading.Lock(), [0], [0]

    @task(tags=[tag])
    def limited():
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.2)
        with lock:
            now[0] -= 1

    @flow(name=f"limited-{tag}")
    def runs():
        for each in [limited.submit() for _ in range(2)]:
            each.wait()
        return most[0]

    return runs()


@operation(since="3.0")
def tag_limit_in_a_flow():
    return _overlap("tag-one-at-a-time", 1)


@operation
def tag_limit_zero():
    import asyncio

    from prefect import get_client

    async def create():
        async with get_client() as client:
            await client.create_concurrency_limit(tag="tag-zero", concurrency_limit=0)

    asyncio.run(create())

    @task(tags=["tag-zero"])
    def limited():
        return 1

    @flow(name="limited-zero")
    def runs():
        state = limited(return_state=True)
        return [state.type.value, state.name]

    return error_text(lambda: runs())


@operation
async def global_limit_create_and_read(client):
    await client.create_global_concurrency_limit(_create(name="global-1", limit=3, slot_decay_per_second=0.5))
    row = await client.read_global_concurrency_limit_by_name("global-1")
    return [row.name, row.limit, row.active, row.active_slots, row.slot_decay_per_second]


@operation
async def global_limit_create_twice(client):
    await client.create_global_concurrency_limit(_create(name="global-2", limit=3))
    return await async_error_text(client.create_global_concurrency_limit(_create(name="global-2", limit=3)))


@operation
async def global_limit_missing(client):
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    return [
        await async_error_text(client.read_global_concurrency_limit_by_name("global-none")),
        await async_error_text(client.delete_global_concurrency_limit_by_name("global-none")),
        await async_error_text(
            client.update_global_concurrency_limit("global-none", GlobalConcurrencyLimitUpdate(limit=1))
        ),
    ]


@operation
async def global_limit_update_and_delete(client):
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    await client.create_global_concurrency_limit(_create(name="global-3", limit=3))
    await client.update_global_concurrency_limit("global-3", GlobalConcurrencyLimitUpdate(limit=5, active=False))
    row = await client.read_global_concurrency_limit_by_name("global-3")
    await client.delete_global_concurrency_limit_by_name("global-3")
    return [row.limit, row.active, await async_error_text(client.read_global_concurrency_limit_by_name("global-3"))]


@operation
async def global_limits_list(client):
    await client.create_global_concurrency_limit(_create(name="global-4", limit=3))
    found = await client.read_global_concurrency_limits(limit=200)
    return [each.name for each in found if each.name == "global-4"]


@operation(since="3.0")
async def global_limit_upsert(client):
    await client.upsert_global_concurrency_limit_by_name("global-5", 2)
    first = (await client.read_global_concurrency_limit_by_name("global-5")).limit
    await client.upsert_global_concurrency_limit_by_name("global-5", 4)
    return [first, (await client.read_global_concurrency_limit_by_name("global-5")).limit]


@operation
async def global_limit_slots(client):
    await client.create_global_concurrency_limit(_create(name="global-6", limit=2))
    first = await client.increment_concurrency_slots(["global-6"], 2, "concurrency")
    slots = (await client.read_global_concurrency_limit_by_name("global-6")).active_slots
    second = await async_error_text(client.increment_concurrency_slots(["global-6"], 1, "concurrency"))
    released = await client.release_concurrency_slots(["global-6"], 2, 0.1)
    after = (await client.read_global_concurrency_limit_by_name("global-6")).active_slots
    names = [[each["name"], each["limit"]] for each in first.json()]
    return [names, slots, second, [each["name"] for each in released.json()], after]


@operation
def concurrency_context_manager():
    import asyncio

    from prefect import get_client
    from prefect.concurrency.sync import concurrency

    async def create():
        async with get_client() as client:
            await client.create_global_concurrency_limit(_create(name="global-7", limit=1))

    async def active():
        async with get_client() as client:
            return (await client.read_global_concurrency_limit_by_name("global-7")).active_slots

    asyncio.run(create())

    @flow(name="limited-globally")
    def runs():
        with concurrency("global-7", occupy=1):
            return asyncio.run(active())

    return [runs(), asyncio.run(active())]


@operation
def concurrency_timeout():
    import asyncio

    from prefect import get_client
    from prefect.concurrency.sync import concurrency

    async def create():
        async with get_client() as client:
            await client.create_global_concurrency_limit(_create(name="global-8", limit=1))
            await client.increment_concurrency_slots(["global-8"], 1, "concurrency")

    asyncio.run(create())

    def runs():
        with concurrency("global-8", occupy=1, timeout_seconds=0.5):
            return "entered"

    return error_text(runs).split(":")[0]


@operation
def concurrency_without_limit():
    from prefect.concurrency.sync import concurrency

    def runs():
        with concurrency("global-not-there", occupy=1, timeout_seconds=2):
            return "entered"

    return error_text(runs)


@operation(since="3.0")
def concurrency_without_limit_strict():
    from prefect.concurrency.sync import concurrency

    def runs():
        with concurrency("global-not-there-2", occupy=1, timeout_seconds=2, strict=True):
            return "entered"

    return error_text(runs)


@operation
def rate_limit():
    import asyncio

    from prefect import get_client
    from prefect.concurrency.sync import rate_limit

    async def create():
        async with get_client() as client:
            await client.create_global_concurrency_limit(_create(name="global-9", limit=2, slot_decay_per_second=10.0))

    asyncio.run(create())

    @flow(name="rated")
    def runs():
        for _ in range(3):
            rate_limit("global-9")
        return "passed"

    return runs()


@operation
def rate_limit_without_decay():
    import asyncio

    from prefect import get_client
    from prefect.concurrency.sync import rate_limit

    async def create():
        async with get_client() as client:
            await client.create_global_concurrency_limit(_create(name="global-10", limit=2))

    asyncio.run(create())
    return error_text(lambda: rate_limit("global-10"))


@operation(since="3.4.25")
async def lease_life(client):
    await client.create_global_concurrency_limit(_create(name="global-11", limit=2))
    answer = await client.increment_concurrency_slots_with_lease(["global-11"], 1, "concurrency", lease_duration=60)
    body = answer.json()
    held = (await client.read_global_concurrency_limit_by_name("global-11")).active_slots
    renewed = (await client.renew_concurrency_lease(body["lease_id"], lease_duration=60)).status_code
    await client.release_concurrency_slots_with_lease(body["lease_id"])
    free = (await client.read_global_concurrency_limit_by_name("global-11")).active_slots
    gone = await async_error_text(client.renew_concurrency_lease(uuid4(), lease_duration=60))
    return [sorted(body), [each["name"] for each in body["limits"]], held, renewed, free, gone]


@operation(since="3.0")
async def global_limit_inactive(client):
    await client.create_global_concurrency_limit(_create(name="global-12", limit=1, active=False))
    answers = [await client.increment_concurrency_slots(["global-12"], 1, "concurrency") for _ in range(2)]
    return [[each["name"] for each in answer.json()] for answer in answers]


@operation
async def global_limit_larger_request(client):
    await client.create_global_concurrency_limit(_create(name="global-13", limit=1))
    return await async_error_text(client.increment_concurrency_slots(["global-13"], 5, "concurrency"))
