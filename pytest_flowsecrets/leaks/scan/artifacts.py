"""Search what a test leaves behind: files below ``tmp_path``, and the results and flows in Prefect's home directory."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Tuple

from pytest_flowsecrets.leaks.registry import Search, TextSource, registry
from pytest_flowsecrets.leaks.scan.result_files import layers_of

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.mask.redactor import Redactor

Clean = Callable[..., Any]  # masks a text, given its place and the test

_CONTAINERS = "{", "[", '"', "H4sI", "eJ"  # JSON and compressed JSON, whose parts are searched, too
_SEPARATOR = "\0"  # joins texts for one search; no value continues across it
_LARGEST = 200_000_000  # bytes; larger files are not searched
RESULT = "result file"
# The folders in Prefect's home and what their files are called. Other files may contain secrets: settings, tokens.
_WRITTEN_BY_PREFECT = {"results": "file", "flows": "file", "storage": RESULT}
_RUN_CONFIG = re.compile(r"\brun_config\.env(?:\.|\[)(.+?)\]?$")


def scan_files(path: Path, clean: Clean, test: str, kind: str = "file") -> None:
    """Search a file, or all files below a folder, and their names."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        with suppress(OSError):  # deleted, or not readable
            if file.is_file() and file.stat().st_size <= _LARGEST:
                shown = clean(file.name, f"{kind} name", test)
                data = file.read_bytes()
                for layer in (data, *layers_of(data)) if kind == RESULT else (data,):
                    clean(layer, f"{kind} {shown}", test)


def folders_of(item: Any) -> Iterator[Tuple[Path, str]]:
    """Yield the folders into which a test can have written so far, and what their files are called."""
    fixtures = getattr(item, "funcargs", {})
    for folder in {Path(str(fixtures[name])) for name in ("tmp_path", "tmpdir") if name in fixtures}:
        yield folder, "file"
    for home in registry.folders:
        yield from _written_into(home)


def scan_home(home: Path, clean: Clean, test: str) -> None:
    """Search the home directory of an isolation that ends."""
    for folder, kind in _written_into(home):
        scan_files(folder, clean, test, kind)


def _written_into(home: Path) -> Iterator[Tuple[Path, str]]:
    return ((home / name, kind) for name, kind in _WRITTEN_BY_PREFECT.items())


def scan_requests(search: Search, redactor: Redactor, clean: Clean) -> None:
    """Search the requests that an API received.

    Args:
        search: returns the places of the texts for which a predicate is true.
        redactor: finds secrets in a text.
        clean: called with each text that contains a secret, and its place.
    """
    texts: List[str] = []

    def is_leaking(text: str) -> bool:
        is_leak = any(not match.is_truncated for match in redactor.find(text))  # no client truncates values
        if is_leak:
            texts.append(text)
        return is_leak

    places = search(is_leaking)
    for number, place in enumerate(places):
        text = texts.pop(0)
        inside = number + 1 < len(places) and places[number + 1].request is place.request
        if inside and text.startswith(_CONTAINERS):
            continue  # the next match has a more precise place
        where = clean(place.where, "api")
        clean(text, in_run_config(where) or f"api {', '.join(place.request.fields)} {where}")


def scan_source(source: TextSource, redactor: Redactor, clean: Clean) -> None:
    """Search the texts that an API stores.

    All texts are searched together first, because most tests leak nothing.
    """
    texts = list(source())
    if redactor.find(_SEPARATOR.join(text for text, _ in texts)):
        for text, place in texts:
            if redactor.find(text):
                clean(text, redactor.redact(place))


def in_run_config(where: str) -> str:
    """Return the name of an ``env`` value in a run config as a place, or an empty string for other places."""
    match = _RUN_CONFIG.search(where)
    return f"run config env {match.group(1)} in the backend" if match else ""
