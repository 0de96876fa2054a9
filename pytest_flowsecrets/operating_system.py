"""What differs between Linux, macOS and Windows. No other module asks for the operating system by itself.

Windows has no fork, no ``fcntl``, no signal masks and no descriptors that a child inherits. Each function looks for
what it uses, so the tests can take it away and run what remains.
"""

from __future__ import annotations

import os
import signal
from typing import Any, Callable, Optional

from pytest_flowsecrets.errors import UsageError

try:
    import fcntl
except ImportError:
    IS_POSIX = False
else:
    IS_POSIX = True

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
RENAMES_OPEN_FILES = IS_POSIX  # Windows also refuses to remove a file that is open
# The signals with which a cancelled CI job or a closed terminal ends a process.
TERMINATING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def register_at_fork(
    *,
    before: Optional[Callable[[], Any]] = None,
    after_in_parent: Optional[Callable[[], Any]] = None,
    after_in_child: Optional[Callable[[], Any]] = None,
) -> None:
    """Call functions around each fork, like ``os.register_at_fork``. Without fork, there is nothing to do."""
    hooks = {"before": before, "after_in_parent": after_in_parent, "after_in_child": after_in_child}
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(**{name: hook for name, hook in hooks.items() if hook is not None})


def lock_file(descriptor: int, *, wait: bool = True) -> None:
    """Lock an open file for this process. Closing it, or the end of the process, releases the lock.

    Args:
        descriptor: of the file, open for writing.
        wait: whether to wait for another process that has the lock; Windows waits for ten seconds at most.

    Raises:
        OSError: another process has the lock.
    """
    if IS_POSIX:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    else:
        import msvcrt

        windows: Any = msvcrt
        windows.locking(descriptor, windows.LK_LOCK if wait else windows.LK_NBLCK, 1)


def is_own(status: os.stat_result) -> bool:
    """Return whether a file belongs to this user. On Windows, the folder for temporary files is the user's own."""
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()


def block_termination() -> Any:
    """Block the terminating signals in this thread. Return the previous mask for ``restore_mask``."""
    return signal.pthread_sigmask(signal.SIG_BLOCK, TERMINATING_SIGNALS)


def restore_mask(mask: Any) -> None:
    """Restore the mask of signals that ``block_termination`` has returned."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def terminate_main_thread(thread_id: int) -> None:
    """Send ``SIGTERM`` to the main thread; on Windows, raise KeyboardInterrupt in it.

    Args:
        thread_id: the ``ident`` of the main thread.
    """
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread_id, signal.SIGTERM)
    else:
        import _thread

        _thread.interrupt_main()


def has_parent(parent: int) -> bool:
    """Return whether the process ``parent``, which has started this one, still runs.

    On Windows, ``os.getppid`` stays the same when the parent ends.
    """
    if os.getppid() != parent:
        return False
    if IS_POSIX:
        return True
    import psutil

    return psutil.pid_exists(parent)


def require_inherited_descriptors(feature: str, instead: str) -> None:
    """Check that child processes can inherit descriptors.

    Args:
        feature: what needs them, in a message.
        instead: what the user can do on Windows.

    Raises:
        UsageError: they cannot, as on Windows.
    """
    if not IS_POSIX:
        raise UsageError(f"{feature} works on Linux and macOS only: {instead}")
