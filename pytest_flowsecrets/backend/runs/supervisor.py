"""A process between a test run and a flow run, which ends everything that the flow run started, whatever happens.

It starts a command and waits for it. On Linux it adopts the orphans among the descendants (``PR_SET_CHILD_SUBREAPER``),
so that none can escape by leaving its session or by clearing its environment. Elsewhere it finds the orphans of its
process group. It kills the command and all descendants

- when the command has ended: a flow run leaves nothing behind;
- when it reads from its line or the line is closed: the test run asks for the end, or is gone, even by ``SIGKILL``.

It signals its own children only. The kernel keeps the number of a child until it is waited for, so a number that
belongs to another process by now is never signalled.
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
_POLL_SECONDS = 1.0  # between looks at the parent, whose end of the line a forked child of it may keep open


def main(line: int, command: Sequence[str]) -> NoReturn:
    """Run a command, and exit as it did: with its status, or by the signal that ended it.

    Args:
        line: descriptor of a pipe's reading end.
        command: the program and its arguments; environment, working directory and streams are inherited.
    """
    os.set_inheritable(line, False)  # noqa: FBT003 - positional only
    adopts = adopt_orphans()
    for number in (signal.SIGINT, signal.SIGHUP):  # for the command to decide; a handler, as SIG_IGN is inherited
        signal.signal(number, lambda *_: None)
    process = subprocess.Popen(command, close_fds=False)  # noqa: S603 - what the agent asked for
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    # Signals go to the main thread, which waits: another one could take them without running their handlers.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    threading.Thread(target=end_with_the_line, args=(line, process), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    status = process.wait()
    end_descendants()
    if not adopts:
        end_group()
    if status < 0:
        _end_by(-status)
    sys.exit(status)


def adopt_orphans() -> bool:
    """Make this process the parent of descendants whose own parent ends (``prctl(2)``).

    Returns:
        Whether it is; only Linux can do it.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def end_descendants() -> None:
    """Kill all descendants and wait for them.

    The children of a killed child become children of this process, so killing children again and again reaches all.
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
    """Kill the other processes of this process group; orphans that left it are not found."""
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # it has ended, or belongs to another user
            if process.pid != os.getpid() and os.getpgid(process.pid) == os.getpgrp():
                process.kill()


def _end_by(number: int) -> None:  # pragma: no cover - a process that a signal ends writes no coverage
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def end_with_the_line(line: int, process: subprocess.Popen[Any]) -> None:
    """Kill a process when its line is written to or closed, or when the parent of this process has ended.

    Args:
        line: descriptor of a pipe's reading end.
        process: the process.
    """
    parent = os.getppid()
    while os.getppid() == parent and not select.select([line], [], [], _POLL_SECONDS)[0]:
        pass
    process.kill()
