"""Flows and tasks, and the rows that they leave."""

import asyncio
import time
from uuid import uuid4

from catalogue import error_text, operation, wait_until
from prefect import flow, get_client, get_run_logger, tags, task
from prefect.blocks.system import Secret
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter, LogFilterFlowRunId
from prefect.states import Completed, Failed

SETTLED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def _in_client(function):
    async def run():
        async with get_client() as client:
            return await function(client)

    return asyncio.run(run())


def run_rows(state):
    """The flow run of a state and its task runs, once these have ended."""
    flow_run_id = state.state_details.flow_run_id
    only = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))

    def rows():
        async def read(client):
            return await client.read_flow_run(flow_run_id), await client.read_task_runs(flow_run_filter=only)

        flow_run, task_runs = _in_client(read)
        settled = all(each.state and each.state.type.value in SETTLED for each in task_runs)
        return (flow_run, task_runs) if settled and task_runs else None

    found = wait_until(rows, 5)
    if found is None:

        async def read(client):
            return await client.read_flow_run(flow_run_id), await client.read_task_runs(flow_run_filter=only)

        found = _in_client(read)
    return found


def summary(state):
    """State, counts and task runs of a flow run."""
    flow_run, task_runs = run_rows(state)
    return {
        "state": [flow_run.state.type.value, flow_run.state.name],
        "run_count": flow_run.run_count,
        "tags": sorted(flow_run.tags),
        "parameters": flow_run.parameters,
        "tasks": sorted([each.name.rpartition("-")[0], each.state.name, each.run_count] for each in task_runs),
    }


def logs_of(state, expected=1):
    """Messages that a flow run logged to the API."""
    flow_run_id = state.state_details.flow_run_id
    chosen = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run_id]))

    def read():
        logs = _in_client(lambda client: client.read_logs(log_filter=chosen))
        own = [each for each in logs if each.message.startswith("own ")]
        return sorted([each.level, each.name, each.message] for each in own) if len(own) >= expected else None

    return wait_until(read)


@operation
def flow_with_task_and_secret():
    Secret(value="v").save("in-a-flow")

    @task
    def use():
        return len(Secret.load("in-a-flow").get())

    @flow
    def uses_a_secret():
        return use() + 1

    return uses_a_secret()


@operation
def flow_rows():
    @task
    def add(a, b):
        return a + b

    @flow(name="rows")
    def adds(x: int = 1):
        return add(x, 2)

    return summary(adds(5, return_state=True))


@operation
def flow_failing():
    @flow(name="failing")
    def fails():
        raise ValueError("broken")

    state = fails(return_state=True)
    return [state.type.value, state.name, state.message, summary(state)]


@operation
def flow_failing_task():
    @task
    def fails():
        raise ValueError("broken")

    @flow(name="failing-task")
    def runs():
        fails()

    return [error_text(runs), summary(runs(return_state=True))]


@operation
def flow_returns_states():
    @flow
    def completed():
        return Completed(message="done by hand")

    @flow
    def failed():
        return Failed(message="failed by hand")

    states = completed(return_state=True), failed(return_state=True)
    return [[each.type.value, each.name, each.message] for each in states]


@operation
def flow_retries():
    tries = []

    @flow(name="retried", retries=2, retry_delay_seconds=0)
    def retried():
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("again")
        return len(tries)

    state = retried(return_state=True)
    return [len(tries), summary(state)]


@operation
def flow_retries_used_up():
    tries = []

    @flow(name="retried-in-vain", retries=1)
    def retried():
        tries.append(1)
        raise ValueError("again")

    state = retried(return_state=True)
    return [len(tries), state.name, summary(state)]


@operation
def task_retries():
    tries = []

    @task(retries=2, retry_delay_seconds=0)
    def retried():
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("again")
        return len(tries)

    @flow(name="retried-task")
    def runs():
        return retried()

    state = runs(return_state=True)
    return [len(tries), summary(state)]


@operation
def task_retries_used_up():
    @task(retries=1, retry_delay_seconds=0)
    def retried():
        raise ValueError("again")

    @flow(name="task-retried-in-vain")
    def runs():
        return retried(return_state=True).name

    return runs()


@operation
def task_cached():
    runs, key = [], f"cache-key-{uuid4()}"

    @task(cache_key_fn=lambda *_: key, persist_result=True)
    def cached():
        runs.append(1)
        return 7

    @flow(name="cached")
    def twice():
        first, second = cached(return_state=True), cached(return_state=True)
        return [first.name, second.name, first.result(), second.result()]

    return [twice(), len(runs)]


@operation
def flow_async():
    @task
    async def double(x):
        return 2 * x

    @flow(name="async")
    async def doubles():
        return await double(4)

    return asyncio.run(doubles())


@operation
def flow_subflow():
    @flow(name="inner")
    def inner(x):
        return x + 1

    @flow(name="outer")
    def outer():
        return inner(1) + inner(2)

    state = outer(return_state=True)
    rows = summary(state)

    async def children(client):
        from prefect.client.schemas.filters import FlowRunFilterParentFlowRunId as Parent

        chosen = FlowRunFilter(parent_flow_run_id=Parent(any_=[state.state_details.flow_run_id]))
        return [[each.state.name, each.parameters] for each in await client.read_flow_runs(flow_run_filter=chosen)]

    return [rows["state"], sorted(_in_client(children), key=str), len(rows["tasks"])]


@operation
def flow_failing_subflow():
    @flow
    def inner():
        raise ValueError("inner broken")

    @flow
    def outer():
        inner()

    return error_text(outer)


@operation
def task_map():
    @task
    def double(x):
        return 2 * x

    @flow(name="mapped")
    def runs():
        return [each.result() for each in double.map([1, 2, 3])]

    state = runs(return_state=True)
    return [state.result(), summary(state)["tasks"]]


@operation
def task_submit_and_wait_for():
    @task
    def one():
        return 1

    @task
    def two(x):
        return x + 1

    @flow(name="submitted")
    def runs():
        first = one.submit()
        return two.submit(first, wait_for=[first]).result()

    return runs()


@operation
def task_outside_a_flow():
    @task
    def alone(x):
        return x + 1

    return error_text(lambda: alone(1))


@operation
def task_run_names():
    @task(task_run_name="named-{x}")
    def named(x):
        return x

    @flow(flow_run_name="run-{y}")
    def runs(y):
        return named(y)

    flow_run, task_runs = run_rows(runs(3, return_state=True))
    return [flow_run.name, [each.name for each in task_runs]]


@operation
def flow_tags():
    @task(tags=["of-task"])
    def tagged():
        return 1

    @flow(name="tagged")
    def runs():
        return tagged()

    with tags("outer-tag"):
        state = runs(return_state=True)
    flow_run, task_runs = run_rows(state)
    return [sorted(flow_run.tags), [sorted(each.tags) for each in task_runs]]


@operation
def flow_timeout():
    @flow(timeout_seconds=0.2)
    def slow():
        for _ in range(50):
            time.sleep(0.1)

    state = slow(return_state=True)
    return [state.type.value, state.name, state.message]


@operation
def flow_logs():
    @flow(name="logging", log_prints=True)
    def logs():
        get_run_logger().info("own %s", "info")
        get_run_logger().warning("own warning")
        print("own print")

    return logs_of(logs(return_state=True), 3)


@operation
def task_logs():
    @task
    def logs():
        get_run_logger().error("own error")

    @flow(name="task-logging")
    def runs():
        logs()

    return [[level, name] for level, name, _ in logs_of(runs(return_state=True))]


@operation
def flow_hooks():
    calls = []

    def hook(flow, flow_run, state):
        calls.append([flow.name, state.name])

    @flow(name="hooked", on_completion=[hook])
    def good():
        return 1

    @flow(name="hooked-bad", on_failure=[hook])
    def bad():
        raise ValueError("x")

    good()
    bad(return_state=True)
    return calls


@operation
def task_hooks():
    calls = []

    @task(on_completion=[lambda task, task_run, state: calls.append([task.name, state.name])])
    def hooked():
        return 1

    @flow
    def runs():
        hooked()

    runs()
    return calls


@operation
def flow_crashes():
    @flow(name="crashing")
    def crashes():
        raise KeyboardInterrupt

    return error_text(crashes)


@operation
def flow_parameters_validated():
    @flow
    def typed(x: int):
        return x

    return [typed("7"), error_text(lambda: typed("no number")).splitlines()[0]]


@operation
def flow_persisted_result():
    @flow(persist_result=True)
    def persisted():
        return {"a": 1}

    return persisted(return_state=True).result()


@operation
def runtime_values():
    from prefect.runtime import flow_run

    @flow(name="runtime", flow_run_name="runtime-run")
    def reads():
        return [flow_run.name, flow_run.flow_name, flow_run.parameters, flow_run.tags, flow_run.parent_flow_run_id]

    return reads()


@operation
def states_history():
    @flow(name="history")
    def runs():
        return 1

    state = runs(return_state=True)

    async def read(client):
        states = await client.read_flow_run_states(state.state_details.flow_run_id)
        return [[each.type.value, each.name] for each in states]

    return _in_client(read)


@operation(since="3.0")
def transaction_rollback():
    from prefect.transactions import transaction

    calls = []

    @task
    def step():
        return 1

    @step.on_rollback
    def undo(transaction):
        calls.append("undone")

    @flow
    def runs():
        with transaction():
            step()
            raise ValueError("no")

    return [error_text(runs), calls]


@operation
def task_run_with_upstream_failure():
    @task
    def fails():
        raise ValueError("x")

    @task
    def after(x):
        return x

    @flow(name="upstream")
    def runs():
        after.submit(fails.submit()).wait()
        return 1

    state = runs(return_state=True)
    return summary(state)["tasks"]


@operation(since="3.0")
def task_run_details():
    @task
    def one():
        return 1

    @task
    def two(x):
        return x

    @flow(name="inputs-of-tasks")
    def runs():
        return two(one.submit())

    _, task_runs = run_rows(runs(return_state=True))
    found = {each.name.rpartition("-")[0]: each for each in task_runs}
    return [
        {key: [part.input_type for part in value] for key, value in found["two"].task_inputs.items()},
        found["one"].flow_run_id == found["two"].flow_run_id,
        found["one"].task_key.startswith("one-"),
        found["one"].start_time is not None and found["one"].end_time is not None,
        found["one"].expected_start_time is not None,
    ]
