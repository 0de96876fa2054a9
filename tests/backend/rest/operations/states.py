"""Flow runs, task runs and the rules of their states."""

import asyncio
import threading
from datetime import datetime, timedelta, timezone
from uuid import uuid4

from catalogue import async_error_text, error_text, operation, wait_until
from prefect import flow, task
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterName,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.states import (
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Paused,
    Pending,
    Retrying,
    Running,
    Scheduled,
)


@flow(name="state-rules")
def ruled(x: int = 0):
    return x


@task
def worked():
    return 1


def _kinds():
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    return {
        "Scheduled": lambda: Scheduled(),
        "Late": lambda: Scheduled(scheduled_time=later, name="Later"),
        "Pending": lambda: Pending(),
        "Submitting": lambda: Pending(name="Submitting"),
        "Running": lambda: Running(),
        "Retrying": lambda: Retrying(),
        "Paused": lambda: Paused(timeout_seconds=60),
        "Cancelling": lambda: Cancelling(),
        "Cancelled": lambda: Cancelled(),
        "Completed": lambda: Completed(),
        "Failed": lambda: Failed(),
        "Crashed": lambda: Crashed(),
    }


def _outcome(result):
    state = result.state and [result.state.type.value, result.state.name]
    details = (
        {
            key: value
            for key, value in result.details.model_dump().items()
            if key not in ("retry_after_seconds", "delay_seconds") and value is not None
        }
        if hasattr(result.details, "model_dump")
        else {
            key: value
            for key, value in result.details.dict().items()
            if key not in ("retry_after_seconds", "delay_seconds") and value is not None
        }
    )
    return [result.status.value, state, details]


def _transitions(first):
    async def run(client):
        outcome = {}
        for name, make in _kinds().items():
            flow_run = await client.create_flow_run(ruled, state=Pending())
            if first == "Late":
                flow_run = await client.create_flow_run(ruled, state=_kinds()["Late"]())
            elif first != "Pending":
                await client.set_flow_run_state(flow_run.id, _kinds()[first](), force=True)
            outcome[name] = _outcome(await client.set_flow_run_state(flow_run.id, make()))
        return outcome

    return run


for _first in (
    "Scheduled",
    "Late",
    "Pending",
    "Submitting",
    "Running",
    "Paused",
    "Cancelling",
    "Cancelled",
    "Completed",
    "Failed",
    "Crashed",
):
    _function = _transitions(_first)
    _function.__name__ = f"flow_run_transitions_from_{_first.lower()}"
    operation(_function)


def _forced(first):
    async def run(client):
        outcome = {}
        for name, make in _kinds().items():
            flow_run = await client.create_flow_run(ruled, state=_kinds()[first]())
            outcome[name] = _outcome(await client.set_flow_run_state(flow_run.id, make(), force=True))
        return outcome

    return run


for _first in ("Pending", "Completed"):
    _function = _forced(_first)
    _function.__name__ = f"flow_run_forced_from_{_first.lower()}"
    operation(_function)


def _task_transitions(first):
    async def run(client):
        outcome = {}
        flow_run = await client.create_flow_run(ruled, state=Running())
        for name, make in _kinds().items():
            task_run = await client.create_task_run(worked, flow_run.id, dynamic_key=f"{first}{name}", state=Pending())
            if first != "Pending":
                await client.set_task_run_state(task_run.id, _kinds()[first](), force=True)
            outcome[name] = _outcome(await client.set_task_run_state(task_run.id, make()))
        return outcome

    return run


for _first in ("Pending", "Running", "Completed", "Failed", "Cancelling", "Cancelled"):
    _function = _task_transitions(_first)
    _function.__name__ = f"task_run_transitions_from_{_first.lower()}"
    operation(_function, until="3.0")  # later versions report task runs by events


@operation
async def flow_run_create(client):
    flow_run = await client.create_flow_run(ruled, name="named", parameters={"x": 3}, tags=["b", "a"])
    row = await client.read_flow_run(flow_run.id)
    return [
        row.name,
        row.parameters,
        sorted(row.tags),
        row.state.name,
        row.run_count,
        row.auto_scheduled,
        row.flow_version == ruled.version,
    ]


@operation
async def flow_run_missing(client):
    missing = uuid4()
    return [
        await async_error_text(client.read_flow_run(missing)),
        await async_error_text(client.delete_flow_run(missing)),
        await async_error_text(client.set_flow_run_state(missing, Running())),
        await async_error_text(client.update_flow_run(missing, name="x")),
    ]


@operation
async def flow_run_delete(client):
    flow_run = await client.create_flow_run(ruled)
    await client.delete_flow_run(flow_run.id)
    return await async_error_text(client.read_flow_run(flow_run.id))


@operation
async def flow_run_update(client):
    flow_run = await client.create_flow_run(ruled, name="before", tags=["a"])
    await client.update_flow_run(flow_run.id, name="after", tags=["b"], parameters={"x": 4}, infrastructure_pid="1:2")
    row = await client.read_flow_run(flow_run.id)
    if hasattr(client, "set_flow_run_name"):
        await client.set_flow_run_name(flow_run.id, "third")
    return [row.name, row.tags, row.parameters, row.infrastructure_pid, (await client.read_flow_run(flow_run.id)).name]


@operation(since="3.1")
async def flow_run_labels(client):
    flow_run = await client.create_flow_run(ruled)
    await client.update_flow_run_labels(flow_run.id, {"a": 1, "b": "c"})
    await client.update_flow_run_labels(flow_run.id, {"a": 2})
    labels = (await client.read_flow_run(flow_run.id)).labels
    return dict(labels)


@operation
async def flow_run_times(client):
    flow_run = await client.create_flow_run(ruled, state=Pending())
    row = await client.read_flow_run(flow_run.id)
    before = [row.start_time is None, row.end_time is None, row.expected_start_time is None]
    await client.set_flow_run_state(flow_run.id, Running())
    row = await client.read_flow_run(flow_run.id)
    running = [row.start_time is None, row.end_time is None, row.run_count]
    await client.set_flow_run_state(flow_run.id, Completed())
    row = await client.read_flow_run(flow_run.id)
    return [before, running, row.end_time is None, row.total_run_time.total_seconds() > 0, row.run_count]


@operation
async def flow_runs_filters(client):
    runs = [await client.create_flow_run(ruled, name=f"filtered-{n}", tags=["filter", f"t{n}"]) for n in range(3)]
    await client.set_flow_run_state(runs[0].id, Failed(), force=True)
    await client.set_flow_run_state(runs[1].id, Completed(name="Odd"), force=True)

    async def names(**chosen):
        found = await client.read_flow_runs(flow_run_filter=FlowRunFilter(**chosen))
        return sorted(each.name for each in found if each.name.startswith("filtered"))

    state, kinds, by_name = FlowRunFilterState, FlowRunFilterStateType, FlowRunFilterStateName
    return [
        await names(id=FlowRunFilterId(any_=[runs[0].id, runs[2].id])),
        await names(id=FlowRunFilterId(not_any_=[runs[0].id])),
        await names(name=FlowRunFilterName(any_=["filtered-1"])),
        await names(name=FlowRunFilterName(like_="FILTERED-")),
        await names(tags=FlowRunFilterTags(all_=["filter", "t2"])),
        await names(state=state(type=kinds(any_=["FAILED"])), tags=FlowRunFilterTags(all_=["filter"])),
        await names(state=state(name=by_name(any_=["Odd"]))),
    ]


@operation
async def flow_runs_by_flow(client):
    @flow(name="by-flow-name")
    def other():
        return 1

    await client.create_flow_run(other, name="of-other")
    found = await client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["by-flow-name"])))
    return [each.name for each in found]


@operation
async def flow_runs_sorted(client):
    from prefect.client.schemas.sorting import FlowRunSort

    for name in ("sort-b", "sort-a", "sort-c"):
        await client.create_flow_run(ruled, name=name, tags=["sort"])
    chosen = FlowRunFilter(tags=FlowRunFilterTags(all_=["sort"]))
    ascending = await client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.NAME_ASC)
    page = await client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.NAME_DESC, limit=1, offset=1)
    return [[each.name for each in ascending], [each.name for each in page]]


@operation(since="3.2")
async def flow_runs_count(client):
    for _ in range(3):
        await client.create_flow_run(ruled, tags=["counted"])
    if not hasattr(client, "count_flow_runs"):
        return 3
    return await client.count_flow_runs(flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=["counted"])))


@operation
async def flow_create_and_read(client):
    @flow(name="created-flow")
    def created():
        return 1

    flow_id = await client.create_flow(created)
    again = await client.create_flow(created)
    row = await client.read_flow(flow_id)
    by_name = await client.read_flow_by_name("created-flow")
    return [flow_id == again, row.name, row.tags, by_name.id == flow_id]


@operation
async def flow_missing(client):
    return [await async_error_text(client.read_flow(uuid4())), await async_error_text(client.read_flow_by_name("no"))]


@operation
async def flows_filters(client):
    await client.create_flow_from_name("listed-b")
    await client.create_flow_from_name("listed-a")
    found = await client.read_flows(flow_filter=FlowFilter(name=FlowFilterName(like_="listed")))
    return sorted(each.name for each in found)


@operation
async def task_run_missing(client):
    return await async_error_text(client.read_task_run(uuid4()))


@operation
async def task_run_create(client):
    flow_run = await client.create_flow_run(ruled)
    task_run = await client.create_task_run(worked, flow_run.id, dynamic_key="0", name="own", state=Pending())
    row = await client.read_task_run(task_run.id)
    await client.set_task_run_name(task_run.id, "renamed")
    renamed = await client.read_task_run(task_run.id)
    states = await client.read_task_run_states(task_run.id)
    return [row.name, row.state.name, row.dynamic_key, renamed.name, [each.name for each in states]]


@operation
async def flow_run_state_read(client):
    flow_run = await client.create_flow_run(ruled, state=Pending(message="m"))
    state = await client.read_flow_run_state(flow_run.state.id) if hasattr(client, "read_flow_run_state") else None
    states = await client.read_flow_run_states(flow_run.id)
    return [[each.name, each.message] for each in states], state is None or state.name


@operation
async def flow_run_inputs(client):
    flow_run = await client.create_flow_run(ruled)
    await client.create_flow_run_input(flow_run.id, "key-1", '{"a": 1}')
    await client.create_flow_run_input(flow_run.id, "key-2", '"x"', sender="prefect.flow-run.x")
    found = await client.filter_flow_run_input(flow_run.id, "key-", 10, {"key-1"})
    await client.delete_flow_run_input(flow_run.id, "key-2")
    return [
        await client.read_flow_run_input(flow_run.id, "key-1"),
        [[each.key, each.value, each.sender] for each in found],
        await async_error_text(client.read_flow_run_input(flow_run.id, "key-2")),
        await async_error_text(client.create_flow_run_input(flow_run.id, "key-1", "1")),
        await async_error_text(client.delete_flow_run_input(flow_run.id, "key-9")),
    ]


@operation
async def flow_run_resume_not_paused(client):
    flow_run = await client.create_flow_run(ruled, state=Running())
    return _outcome(await client.resume_flow_run(flow_run.id))


@operation
async def flow_run_resume_paused(client):
    flow_run = await client.create_flow_run(ruled, state=Running())
    paused = _outcome(await client.set_flow_run_state(flow_run.id, Paused(timeout_seconds=60)))
    return [paused, _outcome(await client.resume_flow_run(flow_run.id))]


@operation(since="3.0")
def flow_pause_and_resume():
    from prefect import get_client, pause_flow_run
    from prefect.flow_runs import resume_flow_run

    @flow(name="pausing")
    def pauses():
        pause_flow_run(timeout=30, poll_interval=1)
        return "went on"

    def resume():
        async def find():
            async with get_client() as client:
                chosen = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=["PAUSED"])))
                found = await client.read_flow_runs(
                    flow_run_filter=chosen, flow_filter=FlowFilter(name=FlowFilterName(any_=["pausing"]))
                )
                return found[0].id if found else None

        flow_run_id = wait_until(lambda: asyncio.run(find()), 20)
        resume_flow_run(flow_run_id)

    resumer = threading.Thread(target=resume)
    resumer.start()
    outcome = pauses()
    resumer.join()
    return outcome


@operation(since="3.0")
def flow_pause_with_input():
    from prefect import get_client, pause_flow_run
    from prefect.flow_runs import resume_flow_run
    from prefect.input import RunInput

    class Answer(RunInput):
        number: int

    @flow(name="asking")
    def asks():
        return pause_flow_run(wait_for_input=Answer, timeout=30, poll_interval=1).number

    def resume():
        async def find():
            async with get_client() as client:
                chosen = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=["PAUSED"])))
                found = await client.read_flow_runs(
                    flow_run_filter=chosen, flow_filter=FlowFilter(name=FlowFilterName(any_=["asking"]))
                )
                return found[0].id if found else None

        resume_flow_run(wait_until(lambda: asyncio.run(find()), 20), run_input={"number": 7})

    resumer = threading.Thread(target=resume)
    resumer.start()
    outcome = asks()
    resumer.join()
    return outcome


@operation(since="3.0")
def flow_pause_times_out():
    from prefect import pause_flow_run

    @flow(name="pausing-in-vain")
    def pauses():
        pause_flow_run(timeout=1, poll_interval=1)

    return error_text(pauses).splitlines()[0]


@operation(since="3.0")
def flow_suspend_without_deployment():
    from prefect import suspend_flow_run

    @flow(name="suspending")
    def suspends():
        suspend_flow_run(timeout=10)

    return error_text(suspends)


@operation
async def flow_run_retry_policy(client):
    @flow(name="policy", retries=1, retry_delay_seconds=30)
    def retried():
        return 1

    flow_run = await client.create_flow_run(retried, state=Pending())
    await client.set_flow_run_state(flow_run.id, Running())
    rejected = await client.set_flow_run_state(flow_run.id, Failed(message="first"))
    row = await client.read_flow_run(flow_run.id)
    waiting = await client.set_flow_run_state(flow_run.id, Running())
    return [_outcome(rejected), [row.state.name, row.run_count], _outcome(waiting)[0]]


@operation
async def flow_run_same_transition(client):
    from prefect.states import State

    flow_run = await client.create_flow_run(ruled, state=Pending())
    running = Running()
    running.state_details.transition_id = uuid4()
    first = await client.set_flow_run_state(flow_run.id, running)
    again = Running()
    again.state_details.transition_id = running.state_details.transition_id
    return [_outcome(first), _outcome(await client.set_flow_run_state(flow_run.id, again)), State.__name__]


@operation
async def flow_run_idempotency(client):
    deployment = await _deployment(client, "idempotent")
    first = await client.create_flow_run_from_deployment(deployment, idempotency_key="one")
    second = await client.create_flow_run_from_deployment(deployment, idempotency_key="one")
    third = await client.create_flow_run_from_deployment(deployment, idempotency_key="two")
    return [first.id == second.id, first.id == third.id]


async def _deployment(client, name):
    flow_id = await client.create_flow(ruled)
    return await client.create_deployment(flow_id=flow_id, name=name)
