"""Files that a run writes: those of pytest's reporters, and those to which it appends without pytest.

The log file is masked as it is written, the other files of reporters at the end of the run.

Most of what reporters write comes from reports, which are masked. Some comes from fixtures
(``record_testsuite_property``), from environment variables (pytest-metadata) or from the trace of ``--debug``. A text
file that still contains a secret is rewritten; an example in Hypothesis' database is deleted.

The run appends to files of GitHub Actions and to logs of ``logging.FileHandler``. They are masked in place after the
last write. Text from before the run stays unchanged.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.mask.masker import Masker


# Options that name an output file.
_FILES = "xmlpath", "htmlpath", "json_report_file", "report_log", "debug", "cucumber_json_path"
_LARGEST = 200_000_000  # bytes; larger files are not searched


class WrittenFiles:
    """The files that reporters write in a run.

    Args:
        config: pytest's configuration.
        run: masks texts.
    """

    def __init__(self, config: Any, run: Masker) -> None:
        self._config, self._run = config, run
        self._began = time.time() - 2  # file systems round times
        plugin = config.pluginmanager.get_plugin("logging-plugin")
        handler = getattr(plugin, "log_file_handler", None)
        if handler is not None:
            handler.setFormatter(_MaskedFormatter(handler, run))

    def mask(self) -> None:
        """Mask every file that was written since the start of the run, and search the HTML pages of coverage."""
        for path in self._paths():
            with suppress(OSError):  # deleted, or not readable
                if self._is_new(path):
                    self._mask_file(path)
        for path in self._coverage_pages():
            with suppress(OSError):
                if self._is_new(path):
                    self._clean(path.read_bytes(), f"file {path.name}")

    def _clean(self, data: bytes, place: str) -> bytes:
        masked: bytes = self._run.clean(data, place, "")
        return masked

    def _is_new(self, path: Path) -> bool:
        return path.is_file() and path.stat().st_mtime >= self._began and path.stat().st_size <= _LARGEST

    def _coverage_pages(self) -> Iterator[Path]:
        """Yield the HTML pages of pytest-cov.

        They show the sources, which contain the secret, so they are searched but not rewritten.
        """
        reports = getattr(self._config.option, "cov_report", None)
        if isinstance(reports, dict) and "html" in reports:
            yield from (self._config.rootpath / (reports["html"] or "htmlcov")).rglob("*.html")

    def _paths(self) -> Iterator[Path]:
        option, root = self._config.option, self._config.rootpath
        for name in _FILES:
            path = getattr(option, name, None)
            if path and isinstance(path, (str, os.PathLike)):
                yield root / os.path.expanduser(path)
        folders = [root / folder for folder in (getattr(option, "allure_report_dir", None),) if folder]
        if getattr(self._config, "cache", None) is not None:
            values = self._config.cache.mkdir("flowsecrets").parent.parent  # the folder can contain other files
            folders += [values / "v", values / "d"]
        folders.append(Path.cwd() / os.environ.get("HYPOTHESIS_STORAGE_DIRECTORY", ".hypothesis"))
        for folder in folders:
            yield from folder.rglob("*")

    def _mask_file(self, path: Path) -> None:
        data = path.read_bytes()
        masked = masked_content(data, lambda part: self._run.clean(part, f"file {path.name}", ""))
        if masked is data:
            return
        if "examples" in path.parts and ".hypothesis" in path.parts:
            path.unlink()  # Hypothesis finds another example in the next run
            return
        temporary = path.with_name(f".{path.name}.masked")
        temporary.write_bytes(masked)
        temporary.chmod(path.stat().st_mode & 0o777)
        os.replace(temporary, path)


def masked_content(data: bytes, clean: Callable[[Any], Any]) -> bytes:
    """Return the content of a file with secrets masked, or the same object if it contains none.

    In XML and JSON, each text is masked separately: a value that contains quotes can match across two texts.
    """
    masked: bytes = clean(data)
    if masked is data:
        return data
    try:
        return (_masked_xml if data.lstrip().startswith(b"<?xml") else _masked_json)(data, clean)
    except (ValueError, SyntaxError, RecursionError):  # neither XML nor JSON
        return masked


def _masked_xml(data: bytes, clean: Callable[[Any], Any]) -> bytes:
    import xml.etree.ElementTree as ET

    root = ET.fromstring(data)  # noqa: S314 - written by a reporter of this run
    for element in root.iter():
        element.text, element.tail = (part and clean(part) for part in (element.text, element.tail))
        for name, value in element.items():
            element.set(name, clean(value))
    content: bytes = ET.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>' + content


def _masked_json(data: bytes, clean: Callable[[Any], Any]) -> bytes:
    import json

    from pytest_flowsecrets.leaks.mask.masked_copies import mask_data

    text = data.decode()
    try:
        return json.dumps(mask_data(json.loads(text), clean), indent=2).encode()
    except ValueError:  # JSON lines
        lines = [json.dumps(mask_data(json.loads(line), clean)) for line in text.splitlines() if line.strip()]
        return ("\n".join(lines) + "\n").encode()


class _MaskedFormatter:
    """A ``logging.Formatter`` that wraps that of a handler, whose path is the null device until there is a log file."""

    def __init__(self, handler: Any, run: Masker) -> None:
        self._handler, self._formatter, self._run = handler, handler.formatter, run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._formatter, name)

    def format(self, record: logging.LogRecord) -> Any:
        text = self._formatter.format(record)
        return text if self._handler.baseFilename == os.devnull else self._run.clean(text, "log file")


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
