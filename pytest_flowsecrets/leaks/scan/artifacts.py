"""What a test leaves behind: files below ``tmp_path``, and the results and flows that Prefect keeps in its home."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, List

from pytest_flowsecrets.leaks.registry import Search, registry

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.mask.redactor import Redactor

Clean = Callable[..., Any]  # a text, its place, the test

_CONTAINERS = "{", "[", '"', "H4sI", "eJ"  # JSON and compressed JSON, which are looked into
_LARGEST = 200_000_000  # bytes; a larger file is not looked through
_WRITTEN_BY_PREFECT = (
    "results",
    "flows",
)  # the others hold secrets by right: config.toml, backend.toml, the client's tokens
_RUN_CONFIG = re.compile(r"\brun_config\.env(?:\.|\[)(.+?)\]?$")


def scan_files(path: Path, clean: Clean, test: str) -> None:
    """Look through a file, or all files below a folder, and at their names."""
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        with suppress(OSError):  # gone by now, or not ours
            if file.is_file() and file.stat().st_size <= _LARGEST:
                shown = clean(file.name, "file name", test)
                clean(file.read_bytes(), f"file {shown}", test)


def folders_of(item: Any) -> Iterator[Path]:
    """Where a test may have left something so far."""
    given = getattr(item, "funcargs", {})
    yield from {Path(str(given[name])) for name in ("tmp_path", "tmpdir") if name in given}
    for home in registry.folders:
        yield from _written_into(home)


def scan_home(home: Path, clean: Clean, test: str) -> None:
    """Look through the home of an isolation that ends."""
    for folder in _written_into(home):
        scan_files(folder, clean, test)


def _written_into(home: Path) -> Iterator[Path]:
    return (home / name for name in _WRITTEN_BY_PREFECT)


def scan_requests(search: Search, redactor: Redactor, clean: Clean) -> None:
    """Look through what an API was sent.

    Args:
        search: gives the places where a text holds something.
        redactor: tells which texts hold a secret.
        clean: called with each such text and its place.
    """
    texts: List[str] = []

    def finds(text: str) -> bool:
        found = any("cut" not in match.form for match in redactor.find(text))  # nothing on that way cuts values
        if found:
            texts.append(text)
        return found

    places = search(finds)
    for number, place in enumerate(places):
        text = texts.pop(0)
        inside = number + 1 < len(places) and places[number + 1].request is place.request
        if inside and text.startswith(_CONTAINERS):
            continue  # what is found in it tells the place better
        where = clean(place.where, "api")
        clean(text, in_run_config(where) or f"api {', '.join(place.request.fields)} {where}")


def in_run_config(where: str) -> str:
    """What the place of an ``env`` value in a run config is called, as the backend keeps it; empty for other places."""
    found = _RUN_CONFIG.search(where)
    return f"run config env {found.group(1)} in the backend" if found else ""
