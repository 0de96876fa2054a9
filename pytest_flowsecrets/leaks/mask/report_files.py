"""Files that pytest's reporters write: the log file is masked as it is written, the others at the end of the run.

Most of what reporters write comes from reports, which are masked. Some comes from fixtures
(``record_testsuite_property``), from environment variables (pytest-metadata) or from the trace of ``--debug``. A text
file that still contains a secret is rewritten; an example in Hypothesis' database is deleted.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator

if TYPE_CHECKING:
    import logging

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

    from pytest_flowsecrets.leaks.mask.reports import mask_data

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
