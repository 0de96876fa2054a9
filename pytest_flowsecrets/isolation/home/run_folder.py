"""The temporary folder of a test run, which holds its private homes and is always removed.

The process removes the folder at exit, and when ``SIGTERM`` or ``SIGHUP`` ends it, as in a cancelled CI job. If
``SIGKILL`` ends the process, the next run removes the folder, because its lock is free. The kernel releases a lock when
its owner ends. Process ids are not used, because they differ between containers.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Optional

from pytest_flowsecrets.operating_system import (
    NO_FOLLOW,
    RENAMES_OPEN_FILES,
    TERMINATING_SIGNALS,
    block_termination,
    has_parent,
    is_own,
    lock_file,
    register_at_fork,
    restore_mask,
    terminate_main_thread,
)

_PREFIX, _LOCK = "flowsecrets-", ".lock"


class RunFolder:
    """A temporary folder with mode 0700, which this process owns."""

    def __init__(self) -> None:
        self._path: Optional[Path] = None
        self._lock = -1

    def path(self) -> Path:
        """Return the folder. The first call creates it."""
        if self._path is None or not self._path.is_dir():  # a test that replaces the file system can make it disappear
            remove_abandoned(Path(tempfile.gettempdir()))
            path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            new_lock = path / (f"{_LOCK}-new" if RENAMES_OPEN_FILES else _LOCK)
            self._lock = os.open(new_lock, os.O_CREAT | os.O_RDWR, 0o600)
            lock_file(self._lock)
            if RENAMES_OPEN_FILES:  # only once it is locked, so that no other run sees it unlocked
                os.rename(new_lock, path / _LOCK)
            self._path = path
        return self._path

    def close(self) -> None:
        """Remove the folder."""
        path, self._path = self._path, None
        if path is not None:
            os.close(self._lock)  # Windows removes no open file; another run may remove the folder at the same time
            remove_tree(path)


def remove_abandoned(temporary: Path) -> None:
    """Remove the folders of killed runs.

    Args:
        temporary: the system's folder for temporary files.
    """
    for path in temporary.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # the folder has no lock, belongs to another user, or is in use
            if not is_own(path.stat()):
                continue
            lock = os.open(path / _LOCK, os.O_RDWR | NO_FOLLOW)
            try:
                lock_file(lock, wait=False)
            finally:
                os.close(lock)
            remove_tree(path)


def remove_tree(root: Path) -> bool:
    """Remove a folder, including its read-only contents.

    Returns:
        Whether the folder no longer exists.
    """
    shutil.rmtree(root, ignore_errors=True)
    if os.path.lexists(root):
        _make_writable(str(root))
        shutil.rmtree(root, ignore_errors=True)
    return not os.path.lexists(root)


def _make_writable(folder: str) -> None:
    with suppress(OSError):
        os.chmod(folder, stat.S_IRWXU)
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                _make_writable(entry.path)


def on_termination(clean_up: Callable[[], Any]) -> None:
    """Call a function before ``SIGTERM`` or ``SIGHUP`` ends this process.

    The process still ends by that signal. Signals that the program handles or ignores are not changed. Outside the main
    thread, this function does nothing. A new fork also ends if it gets the signal immediately: CPython loses signals
    that arrive before the fork's hooks have run, so they are blocked until then.

    Args:
        clean_up: the function. Forks of this process do not call it.
    """
    owner = os.getpid()

    def handle(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        try:
            if os.getpid() == owner:
                clean_up()
        finally:
            os.kill(os.getpid(), number)

    if threading.current_thread() is threading.main_thread():
        for number in TERMINATING_SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, handle)
        block = _ForkBlock()
        register_at_fork(before=block.begin, after_in_parent=block.end, after_in_child=block.end)


class _ForkBlock(threading.local):
    """Blocks terminating signals in the thread that forks, so that the kernel keeps them until the fork is ready."""

    def begin(self) -> None:
        self._mask = block_termination()

    def end(self) -> None:
        restore_mask(self._mask)


def end_with_parent(seconds: float = 1.0) -> threading.Thread:
    """Send ``SIGTERM`` to the main thread of this process when its parent ends. Workers of pytest-xdist need it.

    Args:
        seconds: the interval between checks of the parent.

    Returns:
        The thread that checks.
    """
    parent, main = os.getppid(), threading.main_thread().ident or 0

    def watch() -> None:
        while has_parent(parent):
            time.sleep(seconds)
        terminate_main_thread(main)

    thread = threading.Thread(target=watch, name="flowsecrets-parent", daemon=True)
    thread.start()
    return thread
