"""The checker of files: reads the variables of each type of file and applies the rules of some releases."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Tuple

from pytest_flowsecrets.commands.files.env_files import OPTION, Item, env_items, shell_items
from pytest_flowsecrets.commands.files.interpolation import UNKNOWN
from pytest_flowsecrets.commands.files.reading import decoded, read_bytes, refuse_deep
from pytest_flowsecrets.commands.linter.configuration import Target
from pytest_flowsecrets.commands.linter.fixes import with_edits
from pytest_flowsecrets.commands.linter.suppressions import UNUSED, Suppressions
from pytest_flowsecrets.commands.linter.variable_rules import (
    item_findings,
    legacy_file,
    notation_findings,
    settings_findings,
    variables_findings,
)
from pytest_flowsecrets.findings.config_rules import file_findings
from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.findings.model import Edit
from pytest_flowsecrets.findings.readings import version_ranges
from pytest_flowsecrets.findings.value_rules import TABLES
from pytest_flowsecrets.resolution.dialects import SPANS
from pytest_flowsecrets.resolution.layers import Environment, Layer, Origin
from pytest_flowsecrets.resolution.resolve import Machine, resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.dialects import Dialect

_LAST = dict(SPANS)
# Stands for a value that the file does not contain if only a table is valid. ``UNKNOWN`` stands for all others.
_UNKNOWN_TABLE = '{"unknown": "unknown"}'


class Checker:
    """Checker of files for some releases.

    Args:
        dialects: the releases.
        machine: the Python and the home directories.
        is_enabled: whether a rule is enabled.
        target: the release of Prefect 2.20 or 3, for the files that these read.

    Attributes:
        suppressed: the number of rules that comments have silenced.
    """

    def __init__(
        self,
        dialects: List[Dialect],
        machine: Machine,
        is_enabled: Callable[[str], bool] = lambda _: True,
        target: Target = Target(),  # noqa: B008 (not changed)
    ) -> None:
        self.dialects, self.machine, self.is_enabled, self.target = dialects, machine, is_enabled, target
        self.suppressed = 0

    def check(self, path: str, kind: str) -> List[Finding]:
        """Check one file.

        Args:
            path: the file.
            kind: the type of the file, one of :data:`~pytest_flowsecrets.commands.linter.discovery.KINDS`.

        Raises:
            Unreadable: the file cannot be read.
        """
        return self.check_text(path, kind, decoded(path, read_bytes(path)))

    def check_text(self, path: str, kind: str, text: str) -> List[Finding]:
        """Check the text of a file.

        Args:
            path: the name of the file.
            kind: the type of the file.
            text: the text. Offsets of edits refer to it.

        Raises:
            Unreadable: the text cannot be checked.
        """
        suppressions = Suppressions(text, path)
        kept = [finding for finding in self._all(path, kind, text) if suppressions.keeps(finding)]
        self.suppressed += sum(len(comment.used) for comment in suppressions.comments)
        results = [with_edits(each, text) for each in kept if self.is_enabled(each.id)]
        if self.is_enabled(UNUSED):
            results += suppressions.unused(self.is_enabled)
        return sorted(results, key=_order)

    def _all(self, path: str, kind: str, text: str) -> List[Finding]:
        if kind == "toml" and self.target.is_rest:
            return legacy_file(path)
        if kind == "toml":
            source = text.encode()
            refuse_deep(path, source)
            return _unique(self.toml(path, source))
        plain = text.lstrip("\ufeff")
        if kind == "python":
            results = [each for each in _calls(plain, path) if self.target.concerns(each.versions)]
            return _unique([_moved(each, len(text) - len(plain)) for each in results])
        if kind in ("prefect-toml", "profiles", "pyproject"):
            return _unique(settings_findings(plain, path, kind, self.target))
        items = list(_items(kind, plain, path))
        results = self.items(path, items)
        results += variables_findings([(item, _origin(item, path)) for item in items], kind, self.target)
        if kind == "yaml":  # a finding in the document is more precise than one about the variable
            documents = [each for each in _documents(plain, path) if self.target.concerns(each.versions)]
            places = {(each.id, each.origin.line, each.name) for each in documents}
            results = [each for each in results if (each.id, each.origin.line, each.name) not in places] + documents
        return _unique([_moved(each, len(text) - len(plain)) for each in results])

    def toml(self, path: str, source: bytes) -> List[Finding]:
        """Check a configuration file.

        Args:
            path: the name of the file.
            source: the bytes of the file.
        """
        results = file_findings(source, path)
        kind = "backend" if os.path.basename(path).startswith("backend") else "user"
        layer = read_layer(source, kind, path)
        return results + (self._resolve([layer], Environment(complete=False)) if layer.failure is None else [])

    def items(self, path: str, items: List[Item]) -> List[Finding]:
        """Check variables.

        Args:
            path: the file with the variables.
            items: the variables.
        """
        results: List[Finding] = []
        if self.target.is_rest:
            for item in items:
                results += notation_findings(item, _origin(item, path))
            return results
        for group in _groups(items):
            places = {item.name: _origin(item, path) for item in group}
            group_results = self._resolve([], _environment(group))
            results += [replace(finding, origin=places[finding.origin.place]) for finding in group_results]
        options = {item.name for item in items if item.owner.role == OPTION}
        for item in items:
            results += item_findings(item, _origin(item, path), self.dialects, options)
        return results

    def _resolve(self, layers: List[Layer], environ: Dict[str, str]) -> List[Finding]:
        results: Dict[Tuple[Any, ...], Finding] = {}
        advice: Dict[Tuple[Any, ...], Dict[str, List[str]]] = {}
        for dialect in self.dialects:
            for finding in findings(resolve(layers, environ, dialect, machine=self.machine)):
                key = (finding.id, str(finding.origin), finding.name.lower(), finding.message)
                results[key] = finding
                advice.setdefault(key, {}).setdefault(finding.advice, []).append(dialect.version)
        return [replace(finding, advice=_join_advice(advice[key])) for key, finding in results.items()]


def _environment(items: List[Item]) -> Environment:
    environ = Environment({item.name: _value(item) for item in items}, complete=False)
    environ.notations.update((item.name, item.notation) for item in items if item.notation)
    environ.escaped.update(item.name for item in items if item.escaped)
    return environ


def _join_advice(advice: Dict[str, List[str]]) -> str:
    """Return the advice, by release if it differs."""
    if len(advice) == 1:
        return next(iter(advice))
    return "; ".join(f"in Prefect {_span(versions)}, {text}" for text, versions in advice.items())


def _span(versions: List[str]) -> str:
    return version_ranges(lambda row: _LAST[row.version] in versions)


def _groups(items: List[Item]) -> Iterator[List[Item]]:
    """Yield groups without duplicate names: containers of a manifest, or lines of a script, may set the same name."""
    by_name: Dict[str, List[Item]] = {}
    for item in items:
        if item.problem is None or item.value is not None:  # otherwise the item is not a variable
            by_name.setdefault(item.name, []).append(item)
    while by_name:
        yield [same_name[0] for same_name in by_name.values()]
        by_name = {name: same_name[1:] for name, same_name in by_name.items() if same_name[1:]}


def _items(kind: str, text: str, path: str) -> Iterable[Item]:
    if kind == "yaml":
        from pytest_flowsecrets.commands.files.kubernetes_files import yaml_items

        return yaml_items(text, path)
    if kind in ("env", "shell"):
        return env_items(text) if kind == "env" else shell_items(text)
    from pytest_flowsecrets.commands.files.build_files import READERS

    return READERS[kind](text)


def _calls(text: str, path: str) -> Iterator[Finding]:
    """Check the calls in a Python file that create deployments of Prefect 2.20 and 3."""
    from pytest_flowsecrets.commands.linter.deployments import python_findings

    return python_findings(text, path)


def _documents(text: str, path: str) -> Iterator[Finding]:
    """Check the documents of Prefect 2.20 and 3 in a YAML or JSON file."""
    if "deployments" not in text and "job_configuration" not in text:
        return
    from pytest_flowsecrets.commands.files.yaml_nodes import yaml_documents
    from pytest_flowsecrets.commands.linter.deployments import document_findings

    for document in yaml_documents(text, path):
        yield from document_findings(document, text, path)


def _value(item: Item) -> str:
    if item.value is not None:
        return item.value
    return _UNKNOWN_TABLE if item.name.upper().endswith(TABLES) else UNKNOWN


def _origin(item: Item, path: str) -> Origin:
    return Origin("env", path, item.line, item.column, lines=item.lines)


def _unique(results: List[Finding]) -> List[Finding]:
    known: Dict[Tuple[Any, ...], Finding] = {}
    for finding in results:
        place = (finding.origin.line, finding.origin.column, finding.name.lower())  # the case depends on the release
        known.setdefault((finding.id, place, finding.message), finding)
    return sorted(known.values(), key=_order)


def _moved(finding: Finding, distance: int) -> Finding:
    """Move the edits of a finding behind a byte order mark."""
    edits = tuple(Edit(start + distance, end + distance, text) for start, end, text in finding.edits)
    return replace(finding, edits=edits) if distance and edits else finding


def _order(finding: Finding) -> Tuple[int, int, str]:
    return finding.origin.line or 0, finding.origin.column or 0, finding.id
