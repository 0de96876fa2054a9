"""The Python files of a source tree that mention Prefect."""

from __future__ import annotations

import os
from typing import Iterable, Iterator

from pytest_flowsecrets.errors import UsageError

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist", "venv"})


def python_files(paths: Iterable[str]) -> Iterator[str]:
    """Yield the Python files at and below some paths, without hidden folders and installed packages.

    Args:
        paths: files and folders.

    Raises:
        UsageError: a path does not exist.
    """
    for path in paths:
        if os.path.isdir(path):
            yield from _files_below(path)
        elif os.path.isfile(path):
            yield path
        else:
            raise UsageError(f"{path}: no such file or folder")


def _files_below(folder: str) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        yield from (os.path.join(parent, name) for name in sorted(files) if name.endswith(".py"))


def replace_file(path: str, source: bytes) -> None:
    """Replace a file in one step; a reader sees the old text or the new one. The permissions stay.

    Args:
        path: the file.
        source: the new contents.
    """
    target = os.path.realpath(path)
    temporary = f"{target}.flowsecrets-{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(source)
        os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
