"""The modules of a source tree that reach legacy secrets, by an import from Prefect or from each other.

A module can import ``Secret`` from Prefect, and others can import it from that module: ``from shared import Secret``.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePath
from typing import Dict, Iterator, List, Mapping, Tuple

from libcst import ParserSyntaxError

from pytest_flowsecrets.migration.rewrite import SourceModule

_IMPORT = re.compile(rb"\b(?:from|import)\b[\w\s,.\\]*\bprefect\b")
_LONGEST_CHAIN = 10  # modules through which a name can be imported
_Kinds = Dict[str, str]


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
    def __init__(self, sources: Mapping[str, bytes]) -> None:
        self._sources = sources
        self.modules: Dict[str, SourceModule] = {}
        self.errors: Dict[str, str] = {}
        self.parsed_with: Dict[str, _Kinds] = {}  # the names from other modules that each module was parsed with

    def parse(self, path: str) -> None:
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
