"""The files that a run writes: the log file is masked as it is written, the others once the run is over.

Reporters write what they are told by reports, which are masked; but some are also told by fixtures directly
(``record_testsuite_property``), by variables of the environment (pytest-metadata) or by the trace of ``--debug``. Where
a file of text still holds a secret, it is written anew; an example in Hypothesis' database is removed.
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

# Options that name a file to be written.
_FILES = "xmlpath", "htmlpath", "json_report_file", "report_log", "debug", "cucumber_json_path"
_LARGEST = 200_000_000  # bytes; a larger file is not looked through


class WrittenFiles:
    """What pytest's reporters write in a run.

    Args:
        config: of pytest.
        run: masks.
    """

    def __init__(self, config: Any, run: Masker) -> None:
        self._config, self._run = config, run
        self._began = time.time() - 2  # file systems round
        plugin = config.pluginmanager.get_plugin("logging-plugin")
        handler = getattr(plugin, "log_file_handler", None)
        if handler is not None:
            handler.setFormatter(_MaskedFormatter(handler, run))

    def mask(self) -> None:
        """Mask every file that was written since, and look through the pages of coverage."""
        for path in self._paths():
            with suppress(OSError):  # it is gone, or not ours
                if self._is_new(path):
                    self._mask_file(path)
        for path in self._pages_of_coverage():
            with suppress(OSError):
                if self._is_new(path):
                    self._clean(path.read_bytes(), f"file {path.name}")

    def _clean(self, data: bytes, place: str) -> bytes:
        masked: bytes = self._run.clean(data, place, "")
        return masked

    def _is_new(self, path: Path) -> bool:
        return path.is_file() and path.stat().st_mtime >= self._began and path.stat().st_size <= _LARGEST

    def _pages_of_coverage(self) -> Iterator[Path]:
        """The HTML pages of pytest-cov, which show sources: they are not rewritten, as the secret is in the source."""
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
            values = self._config.cache.mkdir("flowsecrets").parent.parent  # it may be anybody's folder
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
            path.unlink()  # an example that is kept for the next run; Hypothesis finds another one
            return
        temporary = path.with_name(f".{path.name}.masked")
        temporary.write_bytes(masked)
        temporary.chmod(path.stat().st_mode & 0o777)
        os.replace(temporary, path)


def masked_content(data: bytes, clean: Callable[[Any], Any]) -> bytes:
    """The content of a file with its secrets masked, the same object if it holds none.

    XML and JSON are masked text by text: a value that holds quotes may also be found across the border of two texts.
    """
    masked: bytes = clean(data)
    if masked is data:
        return data
    try:
        return (_masked_xml if data.lstrip().startswith(b"<?xml") else _masked_json)(data, clean)
    except (ValueError, SyntaxError, RecursionError):  # it is something else
        return masked


def _masked_xml(data: bytes, clean: Callable[[Any], Any]) -> bytes:
    import xml.etree.ElementTree as ET

    root = ET.fromstring(data)  # noqa: S314 - a reporter of this very run has written it
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
    """A ``logging.Formatter`` around that of a handler, which writes to nowhere as long as there is no log file."""

    def __init__(self, handler: Any, run: Masker) -> None:
        self._handler, self._formatter, self._run = handler, handler.formatter, run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._formatter, name)

    def format(self, record: logging.LogRecord) -> Any:
        text = self._formatter.format(record)
        return text if self._handler.baseFilename == os.devnull else self._run.clean(text, "log file")
