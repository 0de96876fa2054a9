"""Files to which a run appends without pytest: those of GitHub Actions, and logs of ``logging.FileHandler``.

They are masked in place after the last write. Text from before the run stays unchanged.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

_GITHUB_VARIABLES = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE", "GITHUB_PATH"
_FileId = Tuple[int, int]  # device and inode, which log rotation does not change


class _LogFile(NamedTuple):
    """A file that a handler has opened.

    Attributes:
        folder: the folder at the time of opening.
        size: the size in bytes before the run wrote to it.
    """

    folder: Path
    size: int


class AppendedFiles:
    """The files to which a run appends, with the size that each had before."""

    def __init__(self) -> None:
        paths = {name: Path(os.environ[name]) for name in _GITHUB_VARIABLES if os.environ.get(name)}
        self._github_files = {name: (path, _size(path) or 0) for name, path in paths.items()}
        self._logs: Dict[_FileId, _LogFile] = {}

    def watch_handlers(self) -> Callable[[], None]:
        """Note the files of open handlers, and of handlers that open a file from now on.

        Returns:
            A function that stops this.
        """
        handlers: Any = logging.FileHandler
        open_file = handlers._open  # noqa: SLF001 - the only method with which handlers open their file

        def open_and_remember(handler: Any) -> Any:
            size = _size_before(handler)
            stream = open_file(handler)
            self._remember(handler, size)
            return stream

        for reference in list(logging._handlerList):  # type: ignore[attr-defined]  # noqa: SLF001 - the only list of them
            handler = reference()
            if isinstance(handler, logging.FileHandler) and handler.stream is not None:
                self._remember(handler, _size_before(handler))
        handlers._open = open_and_remember  # noqa: SLF001
        return lambda: setattr(handlers, "_open", open_file)

    def _remember(self, handler: Any, size: Optional[int]) -> None:
        """Note an open file. Without a size, it was empty when it was opened."""
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
            clean: masks bytes, given their place.
        """
        for path, size, place in self._files():
            with suppress(OSError):  # deleted, or not readable
                data = _read_from(path, size)
                masked = clean(data, place)
                if masked is not data:
                    _write_from(path, size, masked)

    def search(self, clean: Callable[[bytes, str], bytes]) -> None:
        """Search what was written to each file so far. A handler can still write at its own position."""
        for path, size, place in self._files():
            with suppress(OSError):
                clean(_read_from(path, size), place)

    def _files(self) -> Iterator[Tuple[Path, int, str]]:
        for name, (path, size) in self._github_files.items():
            if path.is_file():
                yield path, size, f"file ${name}"
        for folder in {log.folder for log in self._logs.values()}:
            with suppress(OSError):
                for path in folder.iterdir():
                    with suppress(OSError):  # deleted
                        log = self._logs.get(_identity(path.lstat()))
                        if log is not None:
                            yield path, log.size, f"file {path.name}"


def _size(path: Any) -> Optional[int]:
    """Return the size of a file in bytes, or None if there is no such file."""
    with suppress(OSError):
        return os.stat(path).st_size
    return None


def _size_before(handler: Any) -> Optional[int]:
    """Return how many bytes of its file a handler keeps, or None if the file is new or truncated."""
    return _size(handler.baseFilename) if "a" in handler.mode else None


def _identity(status: os.stat_result) -> _FileId:
    return status.st_dev, status.st_ino


def _read_from(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(size)
        return file.read()


def _write_from(path: Path, size: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(size)
        file.write(data)
        file.truncate()
