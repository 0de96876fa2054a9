"""Files to which a run appends without pytest: those of GitHub Actions, and logs of ``logging.FileHandler``.

Only what was written since the run began is masked, in place, once nothing more is written.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

_OF_GITHUB = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE", "GITHUB_PATH"
_FileId = Tuple[int, int]  # device and inode, which stay the same when a log is rotated


class _LogFile(NamedTuple):
    """A file that a handler has opened.

    Attributes:
        folder: where it was opened.
        size: bytes that it had before the run wrote to it.
    """

    folder: Path
    size: int


class AppendedFiles:
    """Remembers how large each file was before the run wrote to it."""

    def __init__(self) -> None:
        paths = {name: Path(os.environ[name]) for name in _OF_GITHUB if os.environ.get(name)}
        self._of_github = {name: (path, _size(path) or 0) for name, path in paths.items()}
        self._logs: Dict[_FileId, _LogFile] = {}

    def watch_handlers(self) -> Callable[[], None]:
        """Remember the files of the handlers that are open, and of those that open one from now on.

        Returns:
            What ends it.
        """
        handlers: Any = logging.FileHandler
        opens = handlers._open  # noqa: SLF001 - handlers open their file by it, and by nothing else

        def open_and_remember(handler: Any) -> Any:
            size = _size_before(handler)
            stream = opens(handler)
            self._remember(handler, size)
            return stream

        for reference in list(logging._handlerList):  # type: ignore[attr-defined]  # noqa: SLF001 - nothing else knows them
            handler = reference()
            if isinstance(handler, logging.FileHandler) and handler.stream is not None:
                self._remember(handler, _size_before(handler))
        handlers._open = open_and_remember  # noqa: SLF001
        return lambda: setattr(handlers, "_open", opens)

    def _remember(self, handler: Any, size: Optional[int]) -> None:
        """Remember a file that is open now; without a size it began empty, whatever was known about it."""
        with suppress(OSError):
            path = Path(handler.baseFilename)
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                identity = _identity(status)
                if size is None or identity not in self._logs:
                    self._logs[identity] = _LogFile(path.parent, size or 0)

    def mask(self, clean: Callable[[bytes, str], bytes]) -> None:
        """Mask what was written to each file.

        Args:
            clean: masks bytes, and gets the place at which they stand.
        """
        for path, size, place in self._files():
            with suppress(OSError):  # it is gone, or not ours
                data = _read_behind(path, size)
                masked = clean(data, place)
                if masked is not data:
                    _write_behind(path, size, masked)

    def search(self, clean: Callable[[bytes, str], bytes]) -> None:
        """Search what was written to each file so far, and leave it: a handler may still write at its own position."""
        for path, size, place in self._files():
            with suppress(OSError):
                clean(_read_behind(path, size), place)

    def _files(self) -> Iterator[Tuple[Path, int, str]]:
        for name, (path, size) in self._of_github.items():
            if path.is_file():
                yield path, size, f"file ${name}"
        for folder in {log.folder for log in self._logs.values()}:
            with suppress(OSError):
                for path in folder.iterdir():
                    with suppress(OSError):  # it is gone
                        log = self._logs.get(_identity(path.lstat()))
                        if log is not None:
                            yield path, log.size, f"file {path.name}"


def _size(path: Any) -> Optional[int]:
    """Return the size of a file in bytes, None if there is no such file."""
    with suppress(OSError):
        return os.stat(path).st_size
    return None


def _size_before(handler: Any) -> Optional[int]:
    """Return how many bytes of its file a handler leaves as they are; None if the file is new or emptied."""
    return _size(handler.baseFilename) if "a" in handler.mode else None


def _identity(status: os.stat_result) -> _FileId:
    return status.st_dev, status.st_ino


def _read_behind(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(size)
        return file.read()


def _write_behind(path: Path, size: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(size)
        file.write(data)
        file.truncate()
