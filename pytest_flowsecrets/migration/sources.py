"""The files of a source tree, and their replacement."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import Iterable, List

from pytest_flowsecrets.errors import UsageError

_FOREIGN = frozenset({"__pycache__", "node_modules", "site-packages"})
_GENERATED = frozenset({"build", "dist"})


@dataclass
class SourceFiles:
    """The files at and below some paths.

    Attributes:
        python: the Python files.
        notebooks: the Jupyter notebooks.
        skipped: folders with generated files and virtual environments, which are not searched.
    """

    python: List[str] = field(default_factory=list)
    notebooks: List[str] = field(default_factory=list)
    skipped: List[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        """Add a file if it contains Python."""
        if path.endswith(".ipynb"):
            self.notebooks.append(path)
        elif path.endswith(".py"):
            self.python.append(path)


def source_files(paths: Iterable[str]) -> SourceFiles:
    """Return the files at and below some paths, without those in hidden folders and of installed packages.

    Args:
        paths: files and folders. A file is read as Python unless it is a notebook.

    Raises:
        UsageError: a path does not exist.
    """
    files = SourceFiles()
    for path in paths:
        if os.path.isdir(path):
            _add_folder(files, path)
        elif not os.path.isfile(path):
            raise UsageError(f"{path}: no such file or folder")
        else:
            (files.notebooks if path.endswith(".ipynb") else files.python).append(path)
    return files


def _add_folder(files: SourceFiles, folder: str) -> None:
    for parent, folders, names in os.walk(folder):
        visible = sorted(name for name in folders if not name.startswith(".") and name not in _FOREIGN)
        skipped = [name for name in visible if name in _GENERATED or _is_environment(os.path.join(parent, name))]
        files.skipped += [os.path.join(parent, name) for name in skipped]
        folders[:] = [name for name in visible if name not in skipped]
        for name in sorted(names):
            files.add(os.path.join(parent, name))


def _is_environment(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "pyvenv.cfg"))


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
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(source)
        os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
