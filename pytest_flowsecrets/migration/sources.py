"""The Python files of a source tree that mention Prefect."""

from __future__ import annotations

import os
import stat
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


def replace_file(path: str, source: bytes, folders: Iterable[str] = ()) -> str:
    """Replace a file in one step; a reader sees the old text or the new one. The permissions stay.

    Args:
        path: the file.
        source: the new contents.
        folders: the sources of the migration. The target of a link outside of them is not replaced.

    Returns:
        Why the file is not written, or ``""``.
    """
    target, roots = os.path.realpath(path), [os.path.realpath(folder) for folder in folders]
    if roots and not any(target == root or target.startswith(os.path.join(root, "")) for root in roots):
        return "it is a link to a file outside of the sources"
    try:
        if not os.stat(target).st_mode & stat.S_IWUSR or not os.access(target, os.W_OK):
            return "it is read-only"
        _replace(target, source)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _replace(target: str, source: bytes) -> None:
    temporary = f"{target}.flowsecrets-{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(source)
        os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
