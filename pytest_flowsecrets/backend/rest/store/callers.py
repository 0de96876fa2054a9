"""Find the code of this process that reads a block document, and whether that code belongs to a flow run.

A request does not say this: a hook and a thread without context name no flow, and clients before Prefect 3.6 never do.
The fake API is in the process of its clients, and the client waits while the API answers. The stacks of the threads and
the tasks therefore show which code waits for a block.
"""

from __future__ import annotations

import gc
import sys
import threading
from typing import TYPE_CHECKING, Any, Collection, Iterator, List, Optional
from weakref import WeakSet

if TYPE_CHECKING:
    from threading import Thread
    from types import FrameType

_ENGINES = ("prefect.engine", "prefect.flow_engine", "prefect.task_engine")
_BLOCKS = "prefect.blocks."


def running_threads() -> Collection[Thread]:
    """Return the threads of this process, weakly: a later thread may have the identifier of one that has ended."""
    return WeakSet(threading.enumerate())


def readers_are_in_runs(older: Collection[Thread]) -> Optional[bool]:
    """Return whether all code that waits for a block belongs to a flow run; None if no code of this process waits.

    Code belongs to a run if an engine of Prefect has called it, or if its thread is younger than the run.

    Args:
        older: the threads that are older than the run.
    """
    younger = {thread.ident for thread in threading.enumerate() if thread not in older}
    stacks = ((ident, list(_outwards(frame))) for ident, frame in sys._current_frames().items())  # noqa: SLF001
    threads = [
        (ident, stack) for ident, stack in stacks if any(map(_waits_for_block, stack)) and not _is_event_loop(stack)
    ]
    if threads:
        return all(ident in younger or any(map(_is_engine, stack)) for ident, stack in threads)
    tasks = [stack for stack in _stacks_of_tasks() if any(map(_waits_for_block, stack))]
    return all(any(map(_is_engine, stack)) for stack in tasks) if tasks else None


def _outwards(frame: Optional[FrameType]) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _stacks_of_tasks() -> Iterator[List[FrameType]]:
    """Yield the frames of the coroutines that each task of asyncio waits for."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return
    for each in gc.get_objects():
        if issubclass(type(each), asyncio.Task) and not each.done():
            yield list(_awaited(each.get_coro()))


def _awaited(coroutine: Any) -> Iterator[FrameType]:
    while coroutine is not None:
        for prefix in ("cr", "gi", "ag"):
            frame = getattr(coroutine, f"{prefix}_frame", None)
            if frame is not None:
                yield frame
                coroutine = getattr(coroutine, f"{prefix}_await", None) or getattr(coroutine, "gi_yieldfrom", None)
                break
        else:
            return


def _waits_for_block(frame: FrameType) -> bool:
    module = _module(frame)
    if module == "prefect.utilities.asyncutils":  # the coroutine of `sync_compatible` runs in another thread
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
