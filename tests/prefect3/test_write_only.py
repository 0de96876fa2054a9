"""Write-only mode on Prefect 2.20 and 3: flow runs read secrets, and other code gets 403."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import anyio.from_thread
import anyio.to_thread
import pytest
from prefect import flow, get_client, task
from prefect.blocks.system import Secret
from prefect.states import Running

from pytest_flowsecrets.backend.rest.store import callers
from tests.backend.rest.catalogue import wait_until
from tests.prefect3.compat import RELEASE


@task
def use():
    return len(Secret.load("token").get())


@flow(name="reader")
def reads():
    return len(Secret.load("token").get()) + use()


async def load_async():
    secret = Secret.load("token")
    return len((await secret if inspect.isawaitable(secret) else secret).get())


@contextmanager
def running_flow(work=lambda proceed: proceed.wait(120)):
    """Run a flow in another thread until the end of a ``with`` statement. The flow then has to read the secret."""
    running, proceed, lengths = threading.Event(), threading.Event(), []

    @flow
    def waits():
        running.set()
        work(proceed)
        lengths.append(len(Secret.load("token").get()))

    thread = threading.Thread(target=waits)
    thread.start()
    try:
        assert running.wait(120)
        yield
    finally:
        proceed.set()
        thread.join(120)
    assert lengths == [12]


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.parametrize("fixture", ["prefect_server", "prefect_cloud"])
def test_write_only_serves_runs_alone(fixture, request):
    """In write-only mode a flow reads the secret, and code outside of a flow gets 403."""
    api = request.getfixturevalue(fixture)
    api.write_only()
    with pytest.raises(Exception, match="write-only"):
        Secret.load("token")
    assert api.secrets.reads == []
    assert reads() == 24
    with api.flow_run():
        assert Secret.load("token").get() == "hidden-token"
    assert [read.flow_name for read in api.secrets.reads] == ["reader", "reader", None]


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_write_only_serves_hooks_and_threads_of_a_run(prefect_server):
    """A hook and a thread without context belong to the run, also if their requests name no flow.

    The system gives the identifier of a thread that has ended to the next one.
    """
    lengths, proceed = {}, threading.Event()
    older = threading.Thread(target=proceed.wait)

    def load(place):
        lengths[place] = [len(Secret.load("token").get()), asyncio.run(load_async())]

    def hook(flow, flow_run, state):
        load("hook")

    @flow(on_running=[hook])
    def reads_in_places():
        proceed.set()
        older.join()
        thread = threading.Thread(target=load, args=["thread"])
        thread.start()
        thread.join()

    prefect_server.write_only()
    older.start()
    reads_in_places()
    assert lengths == {"hook": [12, 12], "thread": [12, 12]}


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_write_only_refuses_others_during_a_run(prefect_server, is_async):
    """A read by the test gets 403 while a flow of another thread is Running, and that flow reads the secret."""
    prefect_server.write_only()
    with running_flow(), pytest.raises(Exception, match="write-only"):
        asyncio.run(load_async()) if is_async else Secret.load("token")


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_write_only_refuses_others_during_a_run_that_was_created_running(prefect_server):
    """A read by the test gets 403 while a run is Running that was never in another state."""

    async def create():
        async with get_client() as client:
            await client.create_flow_run(reads, state=Running())

    prefect_server.write_only()
    asyncio.run(create())
    with pytest.raises(Exception, match="write-only"):
        Secret.load("token")


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_write_only_refuses_others_while_a_subflow_waits(prefect_server):
    """A read by the test gets 403 while a subflow of another thread is Pending, because it waits for a task."""

    def work(proceed):
        future = task(name="waits")(lambda: proceed.wait(120)).submit()
        flow(name="subflow")(lambda: None)(wait_for=[future])

    prefect_server.write_only()
    with running_flow(work):
        assert wait_until(lambda: len(prefect_server.flow_runs) == 2, 120)
        with pytest.raises(Exception, match="write-only"):
            Secret.load("token")


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_write_only_refuses_tasks_of_asyncio_while_a_flow_is_in_a_block(prefect_server):
    """A task of asyncio outside of a flow gets 403 while a flow of another thread executes code of a block."""
    in_block = threading.Event()

    def work(proceed):
        def get_secret_value():
            in_block.set()
            proceed.wait(120)

        # On 2.20, the method sends an event of a real block first.
        inspect.unwrap(Secret.get)(SimpleNamespace(value=SimpleNamespace(get_secret_value=get_secret_value)))

    prefect_server.write_only()
    with running_flow(work):
        assert in_block.wait(120)
        with pytest.raises(Exception, match="write-only"):
            asyncio.run(load_async())


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_write_only_refuses_tasks_of_asyncio_while_a_thread_waits_for_another_loop(prefect_server):
    """A task of asyncio outside of a flow gets 403 while a thread of a flow waits in ``anyio.from_thread``."""
    in_block = threading.Event()

    def work(proceed):
        async def wait():
            in_block.set()
            await anyio.to_thread.run_sync(proceed.wait, 120)

        # The stack of the thread has code of a block, as that of a sync task of Prefect 2.20.
        value = SimpleNamespace(get_secret_value=lambda: anyio.from_thread.run(wait))
        get = functools.partial(inspect.unwrap(Secret.get), SimpleNamespace(value=value))
        asyncio.run(anyio.to_thread.run_sync(get))

    prefect_server.write_only()
    with running_flow(work):
        assert in_block.wait(120)
        with pytest.raises(Exception, match="write-only"):
            asyncio.run(load_async())


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_write_only_serves_a_thread_that_waits_for_another_loop(prefect_server):
    """A thread of a flow reads the secret by ``anyio.from_thread``, in a task of the loop of the flow."""
    lengths = []

    @flow
    def reads_by_another_thread():
        read = functools.partial(anyio.from_thread.run, load_async)
        lengths.append(asyncio.run(anyio.to_thread.run_sync(read)))

    prefect_server.write_only()
    reads_by_another_thread()
    assert lengths == [12]


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_write_only_refuses_a_test_that_names_a_flow_that_has_ended(prefect_server, monkeypatch):
    """A read by the test gets 403 after the end of a run, also if variables make the client name its flow (3.6)."""
    prefect_server.write_only()
    assert reads() == 24
    monkeypatch.setenv("PREFECT__FLOW_ID", prefect_server.flow_runs[0]["flow_id"])
    with pytest.raises(Exception, match="write-only"):
        Secret.load("token")


HOOK_OF_CHILD = """
from prefect import flow
from prefect.blocks.system import Secret

def hook(flow, flow_run, state):
    try:
        print(state.name, len(Secret.load("token").get()), flush=True)
    except Exception as error:
        print(state.name, "write-only" in str(error), flush=True)

flow(name="hooked", on_completion=[hook])(lambda: None)()
"""


@pytest.mark.slow
@pytest.mark.secrets(TOKEN="hidden-token")
def test_write_only_serves_a_hook_of_a_child_process(prefect_server, child):
    """A hook of a child process reads the secret after the run has ended, if the client names the flow (3.6)."""
    prefect_server.write_only()
    names_flow = RELEASE >= (3, 6, 0)
    assert child(HOOK_OF_CHILD) == ("Completed 12" if names_flow else "Completed True")
    runs = [run["id"] for run in prefect_server.flow_runs] if names_flow else []
    assert [read.flow_run_id for read in prefect_server.secrets.reads] == runs


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(RELEASE < (3, 0, 0), reason="Prefect 2 has no task runs outside of flows")
def test_write_only_refuses_a_task_without_a_flow(prefect_server):
    """A task that the test calls gets 403 while a flow of another thread is Running."""
    prefect_server.write_only()
    with running_flow(), pytest.raises(Exception, match="write-only"):
        use()


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_write_only_refuses_tasks_of_asyncio_while_a_thread_starts(prefect_server, monkeypatch):
    """A task of asyncio outside of a flow gets 403 while a thread has no identifier yet, because it only starts."""
    thread = threading.Thread()
    prefect_server.write_only()
    with running_flow(), monkeypatch.context() as patch:
        patch.setitem(threading._limbo, thread, thread)
        assert None in [each.ident for each in threading.enumerate()]
        with pytest.raises(Exception, match="write-only"):
            asyncio.run(load_async())


class Impostor:
    """An object that has all attributes, like a mock."""

    def __getattr__(self, name):
        raise AssertionError(name)


class Awaitable:
    """An object that a task can wait for, and that refers to an impostor."""

    __slots__ = ("impostor", "steps")

    def __init__(self):
        self.impostor, self.steps = Impostor(), iter([None] * 3)

    def __await__(self):
        return self

    def __next__(self):
        return next(self.steps)


def test_the_search_for_readers_ignores_objects_like_mocks():
    """The search for readers follows coroutines and asynchronous generators, and executes no code of other objects."""
    places = []

    async def wait():
        places.extend(sorted({frame.f_code.co_name for _, stack in stacks() for frame in stack}))
        await Awaitable()

    async def generate():
        await Awaitable()
        yield

    async def iterate():
        async for _ in generate():
            pass

    async def main():
        await asyncio.gather(iterate(), wait(), wait())

    def stacks():
        return callers._stacks_of_tasks(callers._stacks_of_threads())

    asyncio.run(main())
    assert {"main", "iterate", "generate", "wait"} <= set(places)


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("has_async_hook", [False, True], ids=["sync-hook", "async-hook"])
def test_write_only_serves_all_hooks_of_a_flow(prefect_server, is_async, has_async_hook):
    """A hook reads the secret also after the run has ended, and the read names the run and its flow."""
    if is_async and not has_async_hook and RELEASE >= (3, 0, 0):
        pytest.skip("Secret.load returns a coroutine in this hook")
    states = []

    def hook(flow, flow_run, state):
        states.append((state.name, Secret.load("token").get()))

    async def async_hook(flow, flow_run, state):
        for load in (Secret.load, getattr(Secret, "aload", Secret.load)):
            secret = load("token")
            states.append((state.name, (await secret if inspect.isawaitable(secret) else secret).get()))

    def body(*, fails):
        if fails:
            raise RuntimeError

    async def async_body(*, fails):
        body(fails=fails)

    hooks = [async_hook if has_async_hook else hook]
    hooked = flow(name="hooked", on_running=hooks, on_completion=hooks, on_failure=hooks)(
        async_body if is_async else body
    )
    prefect_server.write_only()
    for fails in (False, True):
        result = hooked(fails=fails, return_state=True)
        if is_async:
            asyncio.run(result)
    times = 2 if has_async_hook else 1
    names = ("Running", "Completed", "Running", "Failed")
    assert states == [(name, "hidden-token") for name in names for _ in range(times)]
    runs = [run["id"] for run in prefect_server.flow_runs for _ in range(2 * times)]
    assert [(read.flow_run_id, read.flow_name) for read in prefect_server.secrets.reads] == [
        (run, "hooked") for run in runs
    ]
    with pytest.raises(Exception, match="write-only"):
        Secret.load("token")


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_write_only_serves_a_thread_of_a_hook_alone(prefect_server):
    """A thread that a hook starts belongs to the run that has ended. A thread that is older than the run does not."""
    results, proceed, done = {}, threading.Event(), threading.Event()

    def load(place):
        try:
            results[place] = len(Secret.load("token").get())
        except Exception as error:  # noqa: BLE001 - the error is the result
            results[place] = "write-only" in str(error)

    def load_later():
        proceed.wait(120)
        load("older")
        done.set()

    def hook(flow, flow_run, state):
        thread = threading.Thread(target=load, args=["thread"])
        thread.start()
        thread.join()
        proceed.set()
        done.wait(120)

    older = threading.Thread(target=load_later)
    older.start()
    prefect_server.write_only()
    flow(name="hooked", on_completion=[hook])(lambda: None)()
    older.join()
    assert results == {"thread": 12, "older": True}
    assert [read.flow_name for read in prefect_server.secrets.reads] == ["hooked"]


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_write_only_serves_a_thread_of_a_hook_of_a_run_that_was_never_running(prefect_server):
    """A thread that a hook starts reads the secret, also if the parameters are not valid and the run only fails."""
    lengths = []

    def hook(flow, flow_run, state):
        thread = threading.Thread(target=lambda: lengths.append(len(Secret.load("token").get())))
        thread.start()
        thread.join()

    @flow(on_failure=[hook])
    def doubles(number: int):
        return 2 * number

    prefect_server.write_only()
    assert doubles("text", return_state=True).is_failed()
    assert lengths == [12]


@pytest.mark.slow
def test_the_setting_write_only(run_tests):
    """With the setting, both APIs are write-only from the start, and a test can change that. Other values are errors."""
    tests = """
import pytest
from prefect import flow
from prefect.blocks.system import Secret

@flow
def reads(): return len(Secret.load("t").get())

@pytest.mark.secrets(T="value")
def test_server(local_secrets):
    with pytest.raises(Exception, match="write-only"): Secret.load("t")
    assert local_secrets["T"] == "value"
    assert reads() == 5

@pytest.mark.secrets(T="value")
def test_cloud(prefect_cloud):
    with pytest.raises(Exception, match="write-only"): Secret.load("t")
    prefect_cloud.write_only(enabled=False)
    assert Secret.load("t").get() == "value"
"""
    ini = "[pytest]\nflowsecrets_write_only = on\n"
    result = run_tests(tests, ini=ini)
    result.assert_outcomes(passed=2)
    assert "write-only=on (ini)" in result.stdout.str()
    result = run_tests(tests, "--flowsecrets-server=real", ini=ini)
    assert "the real server has no such mode" in result.stderr.str()


@pytest.mark.secrets(TOKEN="hidden-token")
def test_executing_is_the_previous_name_of_flow_run(prefect_server):
    """``executing()`` warns with the current name, and opens a write-only API as ``flow_run()`` does."""
    prefect_server.write_only()
    with pytest.warns(DeprecationWarning, match=r"^executing\(\) is deprecated: use flow_run\(\)$") as caught:
        context = prefect_server.executing()
    assert caught[0].filename == __file__
    with context:
        assert Secret.load("token").get() == "hidden-token"


@pytest.mark.filterwarnings("ignore")
def test_write_only_allows_the_plugin_to_replace_a_block(prefect_server):
    """``blocks.save`` replaces a block. Prefect reads the block for that, which is no read of the test."""
    prefect_server.write_only()
    for password in ("hidden-password", "hidden-rotated"):
        prefect_server.blocks.save("reports", Secret(value=password))
    assert prefect_server.blocks.holds("secret/reports", {"value": "hidden-rotated"})
    assert prefect_server.secrets.reads == []
    with pytest.raises(Exception, match="write-only"):
        Secret.load("reports")
