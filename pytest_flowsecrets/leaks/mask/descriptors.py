"""Mask descriptors 1 and 2, to which child processes and ``os.write`` write.

This output bypasses ``sys.stdout`` and ``sys.stderr``. While pytest does not capture the descriptors, they lead to
temporary files. The content of the files is masked and forwarded. The masked streams write to the same files and
forward after each write, so the order within a stream is kept. The files exist for the whole run, so output of a child
that outlives its test is forwarded, too. Nothing waits for a child.
"""

from __future__ import annotations

import os
import select
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.mask.finding_log import Faults

_OUT, _ERR = 1, 2
_PLACES = "live stdout", "live stderr"
_NAMES = "close", "dup", "dup2", "fstat", "getpid", "isatty", "open", "pread", "unlink", "write"
_os: Any = SimpleNamespace(**{name: getattr(os, name) for name in _NAMES})  # the real functions, even under pyfakefs


class Descriptors:
    """Masks what is written to descriptors 1 and 2.

    Args:
        clean: masks bytes, given their place.
        is_needed: returns whether there is anything to mask.
        faults: suppresses and records errors.
    """

    def __init__(self, clean: Callable[[bytes, str], bytes], is_needed: Callable[[], bool], faults: Faults) -> None:
        self._clean, self._is_needed, self._faults = clean, is_needed, faults
        self._files: List[_File] = []
        self._saved: List[int] = []  # copies of the real descriptors; empty while they are not redirected
        self._depth = 0
        self._lock = threading.Lock()
        self._pid = _os.getpid()

    def __repr__(self) -> str:
        return f"<Descriptors {'redirected' if self._saved else 'untouched'}>"

    @contextmanager
    def redirected(self) -> Iterator[None]:
        """Redirect both descriptors inside a block, except on an interactive terminal. Blocks can be nested."""
        if _os.getpid() != self._pid:  # in a forked child: it writes to the files of its parent
            yield
            return
        try:
            with self._lock, self._faults:
                self._depth += 1
                if self._depth == 1 and self._is_needed() and not _is_interactive():
                    self._start()
            yield
        finally:
            with self._lock, self._faults:
                self._depth -= 1
                if not self._depth:
                    self._stop()

    def pause(self) -> None:
        """Undo the redirection until the outermost block ends, because a debugger takes over."""
        with self._lock, self._faults:
            self._restore()

    def forward(self) -> None:
        """Mask and forward new output, unless another thread or a caller of this function already does so."""
        if self._files and _os.getpid() == self._pid and self._lock.acquire(blocking=False):
            try:
                with self._faults:
                    self._drain()
            finally:
                self._lock.release()

    def end(self) -> None:
        """Forward the remaining output and close the files."""
        self.forward()
        while self._files:
            self._files.pop().close()

    def _start(self) -> None:
        is_one_stream = _identity(_OUT) == _identity(_ERR)  # after 2>&1, keep the order of both
        _flush_streams()
        while len(self._files) < len(_PLACES):
            self._files.append(_File())
        self._drain()
        self._saved = [_os.dup(_OUT), _os.dup(_ERR)]
        _os.dup2(self._files[0].descriptor, _OUT)
        _os.dup2(self._files[0 if is_one_stream else 1].descriptor, _ERR)

    def _stop(self) -> None:
        try:
            self._restore()
            self._drain()  # what other threads and processes wrote in the meantime
        finally:
            while self._saved:
                _os.close(self._saved.pop())

    def _restore(self) -> None:
        """Restore the descriptors, except one that somebody else has redirected since."""
        if self._saved:
            _flush_streams()
            try:
                self._drain()
            finally:
                ours = [_identity(file.descriptor) for file in self._files]
                for descriptor, saved in zip((_OUT, _ERR), self._saved):
                    if _identity(descriptor) in ours:
                        _os.dup2(saved, descriptor)

    def _drain(self) -> None:
        for file, target, place in zip(self._files, self._saved or (_OUT, _ERR), _PLACES):
            data = file.read()
            if data:
                _write_all(target, self._clean(data, place))


class _File:
    """A file without a name, which only this process and its children can read."""

    def __init__(self) -> None:
        path = os.path.join(tempfile.gettempdir(), f"flowsecrets-{os.urandom(8).hex()}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self.descriptor: int = _os.open(path, flags, 0o600)
        _os.unlink(path)
        self._position = 0

    def read(self) -> bytes:
        """Return what was written since the last call."""
        size = _os.fstat(self.descriptor).st_size
        if size < self._position:  # a child has opened /dev/stdout, which truncates the file
            self._position = 0
        pieces = []
        while self._position < size:
            pieces.append(_os.pread(self.descriptor, size - self._position, self._position))
            self._position += len(pieces[-1])
        return b"".join(pieces)

    def close(self) -> None:
        """Close the file. A child can still write to it."""
        _os.close(self.descriptor)


def _identity(descriptor: int) -> Tuple[int, int]:
    status = _os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _is_interactive() -> bool:
    """Return whether a person at the terminal answers prompts and sees what programs draw."""
    return bool(_os.isatty(0) and (_os.isatty(_OUT) or _os.isatty(_ERR)))


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with suppress(Exception):  # closed, None, or an object of a test
            stream.flush()  # type: ignore[union-attr]


def _write_all(descriptor: int, data: bytes) -> None:
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[_write_some(descriptor, remaining) :]


def _write_some(descriptor: int, data: memoryview) -> int:
    """Write a part of some bytes and return its length, or 0 after waiting for a full pipe."""
    try:
        return int(_os.write(descriptor, data))
    except BlockingIOError:  # the pipe is non-blocking and full
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        poll.poll()
        return 0


def redirect_in_disabled_capture(manager: Any, descriptors: Descriptors) -> Callable[[], None]:
    """Redirect the descriptors whenever pytest's capture is disabled for a while.

    Args:
        manager: pytest's plugin ``capturemanager``.
        descriptors: the descriptors to redirect.

    Returns:
        A function that undoes this.
    """
    disabled = manager.global_and_fixture_disabled

    @contextmanager
    def disabled_and_redirected() -> Iterator[None]:
        if manager.is_capturing():
            with disabled(), descriptors.redirected():
                yield
        else:  # -s: capture is off anyway
            yield

    manager.global_and_fixture_disabled = disabled_and_redirected
    return lambda: delattr(manager, "global_and_fixture_disabled")
