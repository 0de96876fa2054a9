"""Find the code of this process that reads a block document, and the flow run that this code belongs to.

A request does not say this: a hook and a thread without context name no flow, and clients before Prefect 3.6 never do.
The fake API is in the process of its clients, and the client waits while the API answers. The stacks of the threads and
the tasks therefore show which code waits for a block.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
import types
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Collection,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Set,
    Tuple,
    TypeVar,
)
from weakref import WeakSet

if TYPE_CHECKING:
    from threading import Thread
    from types import FrameType

    Threads = List[Tuple[int, List[FrameType]]]
    Tasks = List[Tuple[Optional[int], List[FrameType]]]

T = TypeVar("T")

_ATTEMPTS = 20
_FLOW_ENGINES = ("prefect.engine", "prefect.flow_engine")
_ENGINES = (*_FLOW_ENGINES, "prefect.task_engine")
_BLOCKS = "prefect.blocks."
_ANYIO = "anyio._backends._asyncio"
_OWN_BLOCKS = "pytest_flowsecrets.backend.rest.blocks_and_variables"
_ASYNC = "prefect.utilities.asyncutils"
# The attributes with the frame of a coroutine, and with the object that it awaits.
_COROUTINES: Dict[type, Tuple[str, str]] = {
    types.CoroutineType: ("cr_frame", "cr_await"),
    types.GeneratorType: ("gi_frame", "gi_yieldfrom"),
    types.AsyncGeneratorType: ("ag_frame", "ag_await"),
}


class Reader(NamedTuple):
    """Code of this process that waits for a block.

    Attributes:
        thread: the identifier of its thread; None for a task of asyncio in a thread of Prefect's own.
        in_flow: whether an engine of flows has called it.
        flow_run_id: the flow run that the engine executes; None without an engine, for a task without a flow, and in
            the thread that calls a flow of Prefect 2, whose engine is in another thread.
        is_plugin: whether it saves a block for ``prefect_server.blocks``: Prefect reads a block before it replaces it.
    """

    thread: Optional[int]
    in_flow: bool
    flow_run_id: Optional[str]
    is_plugin: bool


def running_threads() -> Collection[Thread]:
    """Return weak references to the threads of this process, because later threads may reuse the identifiers."""
    return WeakSet(threading.enumerate())


def find_readers() -> List[Reader]:
    """Return the code that waits for a block: threads and tasks.

    While a thread waits, the tasks in the threads of Prefect are not listed, because they may work for that thread.
    """
    return _while_others_wait(_find_readers)


def runs_of_engines() -> Set[str]:
    """Return the ids of the flow runs that engines execute in this process now, even if they only call hooks."""
    return _while_others_wait(_runs_of_engines)


def _while_others_wait(inspect: Callable[[], T]) -> T:
    """Inspect the stacks while no other thread runs, and return the result.

    If a coroutine resumes or starts to wait during the inspection, its callers are lost. The client that has sent the
    request soon starts to wait.
    """
    for _ in range(_ATTEMPTS):
        positions = _positions()
        result = inspect()
        if _positions() == positions:
            break
        time.sleep(0.001)
    return result


def _positions() -> Dict[int, Tuple[FrameType, int]]:
    """Return where each other thread is."""
    own = threading.get_ident()
    frames = sys._current_frames()  # noqa: SLF001 - the documented way to see other threads
    return {ident: (frame, frame.f_lasti) for ident, frame in frames.items() if ident != own}


def _find_readers() -> List[Reader]:
    threads = _stacks_of_threads()
    tasks = list(_stacks_of_tasks(threads))
    stacks = ((ident, list(_with_coroutines(frames, threads, tasks))) for ident, frames in threads)
    readers = [
        _reader(ident, stack)
        for ident, stack in stacks
        if any(map(_waits_for_block, stack)) and not _is_event_loop(stack)
    ]
    return readers + [
        _reader(ident, stack)
        for ident, stack in tasks
        if any(map(_waits_for_block, stack)) and _anyio_wrapper(stack) is None and (ident is not None or not readers)
    ]


def _runs_of_engines() -> Set[str]:
    threads = _stacks_of_threads()
    run_ids = (_flow_run_id(stack) for _, stack in (*threads, *_stacks_of_tasks(threads)))
    return {run_id for run_id in run_ids if run_id is not None}


def _reader(thread: Optional[int], stack: List[FrameType]) -> Reader:
    is_plugin = any(_module(frame) == _OWN_BLOCKS for frame in stack)
    in_flow = any(_module(frame) in _FLOW_ENGINES for frame in stack)
    return Reader(thread, in_flow, _flow_run_id(stack), is_plugin)


def _flow_run_id(stack: List[FrameType]) -> Optional[str]:
    """Return the flow run of the innermost engine on a stack."""
    for frame in filter(_is_engine, stack):
        local = frame.f_locals
        owner = local.get("self") or local.get("engine")
        task_run = getattr(owner, "task_run", None) or local.get("task_run")
        run_id = getattr(task_run, "flow_run_id", None)
        if run_id is None:
            run_id = getattr(getattr(owner, "flow_run", None) or local.get("flow_run"), "id", None)
        if run_id is not None:
            return str(run_id)
    return None


# -- stacks, innermost frame first -------------------------------------------------------------------------------------


def _stacks_of_threads() -> Threads:
    current = sys._current_frames()  # noqa: SLF001
    return [(ident, list(_outwards(frame))) for ident, frame in current.items()]


def _outwards(frame: Optional[FrameType]) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _with_coroutines(stack: List[FrameType], threads: Threads, tasks: Tasks) -> Iterator[FrameType]:
    """Yield the frames of a stack, and of the coroutine that it waits for, which runs in another thread.

    Prefect runs async hooks this way, and ``anyio.from_thread`` the coroutines of sync tasks.
    """
    for frame in stack:
        if frame.f_code.co_name == "run_coro_as_sync" and _module(frame) == _ASYNC:
            yield from _stack_of_coroutine(frame.f_locals.get("coroutine"), threads)
        elif frame.f_code.co_name == "run_async_from_thread" and _module(frame) == _ANYIO:
            yield from _stack_of_anyio_task(frame.f_locals.get("func"), tasks)
        yield frame


def _stack_of_anyio_task(function: Any, tasks: Tasks) -> List[FrameType]:
    """Return the frames of the task in which ``anyio.from_thread`` runs a function for a thread."""
    for _, stack in tasks:
        wrapper = _anyio_wrapper(stack)
        if wrapper is not None and wrapper.f_locals.get("func") is function:
            return stack[: stack.index(wrapper)]
    return []


def _anyio_wrapper(stack: List[FrameType]) -> Optional[FrameType]:
    """Return the frame of ``anyio`` in the stack of a task that runs for a thread, or None for other tasks."""
    return next((frame for frame in stack if _module(frame) == _ANYIO and frame.f_code.co_name == "task_wrapper"), None)


def _stacks_of_tasks(threads: Threads) -> Iterator[Tuple[Optional[int], List[FrameType]]]:
    """Yield the thread of each task of asyncio, or None for a thread of Prefect, and the frames of the task.

    The code that runs the event loop belongs to the frames: a flow may call ``asyncio.run``.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return
    for ident, stack in threads:
        thread = None if _is_event_loop(stack) else ident
        for position, frame in enumerate(stack):
            if frame.f_code.co_name == "run_forever" and _module(frame) == "asyncio.base_events":
                for task in asyncio.all_tasks(frame.f_locals["self"]):
                    yield thread, [*_stack_of_coroutine(task.get_coro(), threads), *stack[position:]]


def _stack_of_coroutine(coroutine: Any, threads: Threads) -> List[FrameType]:
    """Return the frames of a coroutine, of those that it awaits, and of the functions that they call now."""
    frames = _awaiting(coroutine)
    for _, stack in threads:
        if frames and frames[0] in stack:
            return [*stack[: stack.index(frames[0])], *frames]
    return frames


def _awaiting(coroutine: Any) -> List[FrameType]:
    """Return the frames of a coroutine and of those that it awaits.

    Only objects of Python's own types are followed: a task can wait for any object, such as a mock.
    """
    frames: List[FrameType] = []
    while True:
        if type(coroutine).__name__.startswith("async_generator_"):  # a step, without an attribute for the generator
            referents = gc.get_referents(coroutine)
            coroutine = next((each for each in referents if type(each) is types.AsyncGeneratorType), None)
        frame_name, awaited_name = _COROUTINES.get(type(coroutine), ("", ""))
        frame = getattr(coroutine, frame_name) if frame_name else None
        if frame is None or frame in frames:
            return frames[::-1]
        frames.append(frame)
        coroutine = getattr(coroutine, awaited_name)


def _waits_for_block(frame: FrameType) -> bool:
    module = _module(frame)
    if module == _ASYNC:  # the coroutine of `sync_compatible` runs in another thread
        return str(getattr(frame.f_locals.get("async_fn"), "__module__", "")).startswith(_BLOCKS)
    is_client = module.startswith("prefect.client.") and "block_document" in frame.f_code.co_name
    return module.startswith(_BLOCKS) or is_client


def _is_engine(frame: FrameType) -> bool:
    return _module(frame) in _ENGINES


def _is_event_loop(stack: List[FrameType]) -> bool:
    """Return whether a stack is that of a thread in which Prefect runs coroutines for other threads."""
    functions = [frame.f_code.co_name for frame in stack if _module(frame) == "prefect._internal.concurrency.threads"]
    return functions == ["_entrypoint"]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
