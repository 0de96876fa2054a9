"""The files of a source tree, their replacement, and the modules among them that reach legacy secrets."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List, Mapping, Tuple

from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from pytest_flowsecrets.migration.rewrite import SourceModule

_FOREIGN = frozenset({"__pycache__", "node_modules", "site-packages"})
_GENERATED = frozenset({"build", "dist"})
_IMPORT = re.compile(rb"\b(?:from|import)\b[\w\s,.\\]*\bprefect\b")
_LONGEST_CHAIN = 10  # modules through which a name can be imported
_Kinds = Dict[str, str]


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


# -- modules -----------------------------------------------------------------------------------------------------------


def parse_modules(sources: Mapping[str, bytes]) -> Tuple[List[SourceModule], List[str]]:
    """Return the modules that can reach legacy secrets, and the errors of those that cannot be parsed.

    Args:
        sources: the contents of all Python files, by path.
    """
    tree = _Tree(sources)
    pending = [path for path, source in sources.items() if b"ecret" in source and _IMPORT.search(source)]
    for _ in range(_LONGEST_CHAIN):
        for path in pending:
            tree.parse(path)
        pending = [path for path in sources if tree.imports(path) != tree.parsed_with.get(path, {})]
        if not pending:
            break
    return [tree.modules[path] for path in sources if path in tree.modules], list(tree.errors.values())


class _Tree:
    """The modules that import a legacy secret, from Prefect or from another module: ``from shared import Secret``."""

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        self._sources = sources
        self.modules: Dict[str, SourceModule] = {}
        self.errors: Dict[str, str] = {}
        self.parsed_with: Dict[str, _Kinds] = {}  # the names from other modules that each module was parsed with

    def parse(self, path: str) -> None:
        from libcst import ParserSyntaxError

        from pytest_flowsecrets.migration.rewrite import SourceModule

        self.parsed_with[path] = self.imports(path)
        try:
            self.modules[path] = SourceModule(path, self._sources[path], self.parsed_with[path])
        except ParserSyntaxError as error:  # its text quotes the line
            self.errors[path] = f"{path}:{error.raw_line}: libcst cannot read this file: change it by hand"
        except (SyntaxError, ValueError, LookupError, RecursionError) as error:  # its encoding, or nested too deeply
            self.errors[path] = f"{path}:1: {type(error).__name__}: change this file by hand"

    def imports(self, path: str) -> _Kinds:
        """Return the legacy names that a module can import from the others, with their kinds."""
        source, kinds = self._sources[path], {}
        for other, module in self.modules.items():
            names = {name: kind for name, kind in module.exports.items() if name.encode() in source}
            for prefix in _prefixes(path, other) if names and path != other else ():
                if prefix.rstrip(".").rpartition(".")[2].encode() in source:
                    kinds.update({prefix + name: kind for name, kind in names.items()})
        return kinds


def _prefixes(path: str, other: str) -> Iterator[str]:
    """Yield what a module writes before a name that it imports from another one: ``pkg.shared.`` or ``.shared.``.

    Modules are taken to be importable from every folder above the importing module, and from folders named ``src``.
    """
    module, folder = os.path.splitext(os.path.abspath(other))[0], os.path.dirname(os.path.abspath(path))
    module = os.path.dirname(module) if os.path.basename(module) == "__init__" else module
    for base in (module, *map(str, PurePath(module).parents)):
        dotted = "".join(f"{part}." for part in PurePath(module).relative_to(base).parts)
        is_above = base in (folder, *map(str, PurePath(folder).parents))
        if dotted and (is_above or os.path.basename(base) == "src"):
            yield dotted
        if is_above:
            yield "." * (1 + len(PurePath(folder).relative_to(base).parts)) + dotted
