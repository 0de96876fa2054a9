"""The supervisor process between a test run and a flow run. It ends everything that the flow run started.

The supervisor starts a command and waits for it. On Linux, it adopts orphaned descendants (``PR_SET_CHILD_SUBREAPER``),
so none can escape by leaving its session or clearing its environment. On other systems, it finds the orphans of its
process group. It kills the command and all descendants

- when the command has ended, so a flow run leaves no processes behind;
- when its pipe is written to or closed, because the test run requests the end or has ended, even by ``SIGKILL``.

It only signals its own children. The kernel does not reuse the id of a child until its parent has waited for it, so the
supervisor never signals an unrelated process.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn, Sequence

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
_POLL_SECONDS = 1.0  # between checks of the parent; a forked child of the parent may keep its end of the pipe open


def main(pipe: int, command: Sequence[str]) -> NoReturn:
    """Run a command, and exit with its status or by the same signal.

    Args:
        pipe: the descriptor of the reading end of a pipe.
        command: the program and its arguments; environment, working directory and streams are inherited.
    """
    os.set_inheritable(pipe, False)  # noqa: FBT003 - positional only
    adopts = adopt_orphans()
    for number in (signal.SIGINT, signal.SIGHUP):  # the command decides; not SIG_IGN, which it would inherit
        signal.signal(number, lambda *_: None)
    process = subprocess.Popen(command, close_fds=False)  # noqa: S603 - the command of the agent
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    # The main thread must receive the signals: in another thread, their handlers would not run while it waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    threading.Thread(target=end_with_pipe, args=(pipe, process), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    status = process.wait()
    end_descendants()
    if not adopts:
        end_group()
    if status < 0:  # pragma: no cover - a process that ends by a signal writes no coverage data
        _end_by(-status)
    sys.exit(status)


def adopt_orphans() -> bool:
    """Make this process the new parent of orphaned descendants (``prctl(2)``).

    Returns:
        Whether that worked; only Linux supports it.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def end_descendants() -> None:
    """Kill all descendants and wait for them.

    The children of a killed child become children of this process, so repeatedly killing children reaches all.
    """
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            import psutil

            for child in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            os.waitpid(-1, 0)


def end_group() -> None:
    """Kill the other processes of this process group. Orphans that have left the group are not found."""
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # it has ended, or belongs to another user
            if process.pid != os.getpid() and os.getpgid(process.pid) == os.getpgrp():
                process.kill()


def _end_by(number: int) -> None:  # pragma: no cover - a process that ends by a signal writes no coverage data
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def end_with_pipe(pipe: int, process: subprocess.Popen[Any]) -> None:
    """Kill a process when a pipe is written to or closed, or when the parent of this process has ended.

    Args:
        pipe: the descriptor of the reading end of a pipe.
        process: the process.
    """
    parent = os.getppid()
    while os.getppid() == parent and not select.select([pipe], [], [], _POLL_SECONDS)[0]:
        pass
    process.kill()
