"""What a flow run has left behind, ended: its process group, and, where there is ``/proc``, whoever left that group.

A task's child may lead a session of its own (``start_new_session=True``) and so outlive the group. It is known by the
id of the flow run in the environment that it was started with, which nobody else has, or by its parents.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Dict, Set, Tuple

FLOW_RUN_ID = "PREFECT__CONTEXT__FLOW_RUN_ID"
_PROC = "/proc"
_ROUNDS = 20  # those that are found may just be starting others


def end(pid: int, run_id: str = "") -> None:
    """End the processes of a flow run.

    Args:
        pid: of the process that leads the group.
        run_id: the flow run.
    """
    found = _found(pid, run_id)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    rounds = _ROUNDS
    while found and rounds:
        for each in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        found, rounds = _found(pid, run_id), rounds - 1


def _found(pid: int, run_id: str) -> Set[int]:
    """The processes of a flow run, but for the first one, ourselves and those that are dead already."""
    mark = f"{FLOW_RUN_ID}={run_id}".encode()
    parents: Dict[int, int] = {}
    family: Set[int] = {pid}
    for name in os.listdir(_PROC) if os.path.isdir(_PROC) else ():
        with suppress(OSError, ValueError):  # it is no process, it is gone, or it is another user's
            each = int(name)
            state, parents[each] = _state(each)
            if state in "ZX":
                del parents[each]
            elif run_id and mark in _read(each, "environ").split(b"\0"):
                family.add(each)
    size = 0
    while len(family) > size:
        size = len(family)
        family.update(each for each, parent in parents.items() if parent in family)
    return family - {pid, os.getpid()}


def _state(pid: int) -> Tuple[str, int]:
    """Of a process, and its parent; the name before them may hold anything."""
    state, parent = _read(pid, "stat").rpartition(b")")[2].split()[:2]
    return state.decode(), int(parent)


def _read(pid: int, what: str) -> bytes:
    with open(f"{_PROC}/{pid}/{what}", "rb") as file:
        return file.read()
