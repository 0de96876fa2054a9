"""The files to check: their types, the files in folders, and the files that ignore files leave out.

Folders are searched as git does it: ``.gitignore`` of each folder and of its parents up to the repository, ``.ignore``
beside them, and ``.git/info/exclude``. In a folder, a file of a common type is checked only if it mentions Prefect, and
a Python file only if it contains a template of Prefect.
"""

from __future__ import annotations

import os
import re
from typing import Any, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from pytest_flowsecrets.commands.files.python_calls import TEMPLATE
from pytest_flowsecrets.commands.files.reading import LARGEST, Unreadable
from pytest_flowsecrets.errors import UsageError

STDIN = "-"
IGNORE_FILES = (".gitignore", ".ignore")
SKIPPED_FOLDERS = {".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".mypy_cache", ".ruff_cache"}


class FileType(NamedTuple):
    """A type of files.

    Attributes:
        kind: the parser: one of :data:`KINDS`.
        names: the pattern of the file name.
        common: whether other programs have files of such a name, so that only those that mention Prefect are checked in
            a folder.
    """

    kind: str
    names: str
    common: bool = True


FILE_TYPES = (
    FileType("toml", r"(config|backend)\.toml"),
    FileType("prefect-toml", r"prefect\.toml", common=False),
    FileType("profiles", r"profiles\.toml"),
    FileType("pyproject", r"pyproject\.toml"),
    FileType("env", r"\.env(\..+)?|.+\.env|env", common=False),
    FileType("dockerfile", r"(.+\.)?(Dockerfile|Containerfile)(\..+)?"),
    FileType("makefile", r"(GNU)?[Mm]akefile|.+\.mk"),
    FileType("systemd", r".+\.(service|socket|timer)|.+\.service\.d"),
    FileType("supervisor", r"supervisord?\.conf|.*supervisor.*\.(conf|ini)"),
    FileType("yaml", r".+\.(ya?ml|json)"),
    FileType("shell", r".+\.(sh|bash|zsh)"),
    FileType("python", r".+\.py"),
)
KINDS = tuple(dict.fromkeys(each.kind for each in FILE_TYPES))
_MENTION = re.compile(rb"prefect", re.IGNORECASE)
# What a file of a common type must contain to be checked in a folder, by its type; by default the name of Prefect.
_REQUIRED = {
    "toml": re.compile(rb"prefect|context|use_local_secrets", re.IGNORECASE),
    "python": re.compile(TEMPLATE.encode(), re.IGNORECASE),
}


def kind_of(path: str) -> str:
    """Return the type of a file, inferred from its name.

    Args:
        path: the file.

    Raises:
        Unreadable: the name does not determine the type.
    """
    file_type = _type_of(path)
    if file_type is not None:
        return file_type.kind
    if path.endswith(".toml"):
        return "toml"
    if os.path.isfile(path):
        raise Unreadable(path, f"unknown type of file: add --as {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    return "shell"  # reading the file raises the error


def _type_of(path: str) -> Optional[FileType]:
    name = os.path.basename(path)
    return next((each for each in FILE_TYPES if re.fullmatch(each.names, name)), None)


class Discovery:
    """A search for files.

    Args:
        exclude: patterns of files to leave out in folders, in the syntax of ``.gitignore``.
        gitignore: whether to leave out the files that ignore files name.
    """

    def __init__(self, exclude: Sequence[str] = (), *, gitignore: bool = True) -> None:
        self.gitignore = gitignore
        self._exclude = _spec(exclude)

    def files(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield the files of paths, which may be files, folders and globs, each once.

        Args:
            paths: the paths. A file that is named is always checked.

        Raises:
            UsageError: a glob matches nothing.
        """
        seen = set()
        for path in paths:
            for each in self._files_of(path):
                if os.path.normpath(each) not in seen:
                    seen.add(os.path.normpath(each))
                    yield each

    def _files_of(self, path: str) -> Iterator[str]:
        import glob

        if os.path.isdir(path):
            yield from self._walk(path)
        elif not os.path.exists(path) and glob.has_magic(path):
            matches = sorted(glob.glob(path, recursive=True))
            if not matches:
                raise UsageError(f"no file matches {path}")
            for match in matches:
                yield from self._walk(match) if os.path.isdir(match) else (match,)
        else:
            yield path

    def _walk(self, top: str) -> Iterator[str]:
        root = os.path.abspath(top)
        rules = {root: list(_rules_above(root)) if self.gitignore else []}
        for folder, folders, names in os.walk(root):
            own = rules.pop(folder) + (list(_rules_in(folder)) if self.gitignore else [])
            kept = [each for each in sorted(folders) if each not in SKIPPED_FOLDERS]
            folders[:] = [each for each in kept if not self._is_ignored(os.path.join(folder, each) + "/", root, own)]
            rules.update((os.path.join(folder, each), own) for each in folders)
            for name in sorted(names):
                path = os.path.join(folder, name)
                if _is_candidate(path) and not self._is_ignored(path, root, own):
                    yield os.path.join(top, os.path.relpath(path, root)) if top != "." else os.path.relpath(path, root)

    def _is_ignored(self, path: str, root: str, rules: List[Tuple[str, Any]]) -> bool:
        """Return whether a path, which ends with a slash for a folder, is left out. The last rule that matches wins."""
        for folder, spec in reversed([*rules, (root, self._exclude)]):
            result = spec.check_file(_relative(path, folder)).include if spec is not None else None
            if result is not None:
                return bool(result)
        return False


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/") + ("/" if path.endswith("/") else "")


def _rules_above(folder: str) -> Iterator[Tuple[str, Any]]:
    """Yield the rules of the folders above, from the root of the repository on. Without a repository there are none."""
    above, parent = [], folder
    while not os.path.exists(os.path.join(parent, ".git")):
        parent, previous = os.path.dirname(parent), parent
        if parent == previous:
            return
        above.append(parent)
    top = above[-1] if above else folder
    yield from _rules_of(top, os.path.join(top, ".git", "info", "exclude"))
    for each in reversed(above):
        yield from _rules_in(each)


def _rules_in(folder: str) -> Iterator[Tuple[str, Any]]:
    for name in IGNORE_FILES:
        yield from _rules_of(folder, os.path.join(folder, name))


def _rules_of(folder: str, path: str) -> Iterator[Tuple[str, Any]]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            spec = _spec(file.read().splitlines())
    except OSError:
        return
    if spec is not None:
        yield folder, spec


def _spec(patterns: Sequence[str]) -> Any:
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise UsageError(f"a pattern of files is not valid: {error}") from None


def _is_candidate(path: str) -> bool:
    file_type = _type_of(path)
    if file_type is None or not os.path.isfile(path):
        return False
    if not file_type.common:
        return True
    try:
        with open(path, "rb") as file:
            source = file.read(LARGEST)
    except OSError:
        return True  # checking the file reports the error
    return _REQUIRED.get(file_type.kind, _MENTION).search(source) is not None
