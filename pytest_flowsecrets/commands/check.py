"""``flowsecrets check``: a linter for files that contain secrets."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Tuple

from pytest_flowsecrets.commands.files.env_files import Item, env_items, shell_items
from pytest_flowsecrets.commands.files.environment_owners import OPTION
from pytest_flowsecrets.commands.files.interpolation import UNKNOWN
from pytest_flowsecrets.commands.files.reading import Unreadable, read_text, read_toml
from pytest_flowsecrets.commands.files.variable_rules import item_findings
from pytest_flowsecrets.commands.inputs import dialects_of, machine_of
from pytest_flowsecrets.findings import reporters
from pytest_flowsecrets.findings.config_rules import file_findings
from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.findings.readings import version_ranges
from pytest_flowsecrets.findings.value_rules import TABLES
from pytest_flowsecrets.resolution.dialects import SPANS
from pytest_flowsecrets.resolution.layers import Environment, Layer, Origin
from pytest_flowsecrets.resolution.resolve import Machine, resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.dialects import Dialect

_IGNORE = re.compile(r"#\s*flowsecrets:\s*ignore(?:\[([A-Z0-9, ]*)\])?")
_LAST = dict(SPANS)
# Stands for a value that the file does not contain if only a table is valid. ``UNKNOWN`` stands for all others.
_UNKNOWN_TABLE = '{"unknown": "unknown"}'


def run(arguments: Any) -> int:
    """Check files.

    Args:
        arguments: parsed arguments.

    Returns:
        0 without findings, 1 with findings, 2 if a file cannot be read.
    """
    results, errors = _check_files(arguments)
    for error in errors:
        print(error, file=sys.stderr)
    if arguments.no_notes:
        results = [finding for finding in results if finding.severity != "note"]
    if arguments.show_values:
        results = [reporters.with_line(finding) for finding in results]
    reporters.write(results, arguments.format)
    return 2 if errors else int(bool(results))


def _check_files(arguments: Any) -> Tuple[List[Finding], List[Unreadable]]:
    checker = Checker(dialects_of(arguments), machine_of(arguments))
    results: List[Finding] = []
    errors: List[Unreadable] = []
    for path in arguments.files:
        try:
            results += checker.check(path, arguments.kind or kind_of(path))
        except Unreadable as error:  # noqa: PERF203 (the other files are checked)
            errors.append(error)
    return results, errors


def kind_of(path: str) -> str:
    """Return the type of a file, inferred from its name.

    Args:
        path: the file.

    Raises:
        Unreadable: the name does not determine the type.
    """
    name = os.path.basename(path)
    if name.endswith(".toml"):
        return "toml"
    if name.endswith((".yaml", ".yml", ".json")):
        return "yaml"
    if name.endswith(".env") or name.startswith(".env") or name == "env":
        return "env"
    if name.endswith((".sh", ".bash", ".zsh")):
        return "shell"
    if os.path.isfile(path):
        raise Unreadable(path, "unknown type of file: add --as toml, env, yaml or shell")
    return "shell"  # reading the file raises the error


class Checker:
    """Checker of files for some releases.

    Args:
        dialects: the releases.
        machine: the Python and the home directories.
    """

    def __init__(self, dialects: List[Dialect], machine: Machine) -> None:
        self.dialects, self.machine = dialects, machine

    def check(self, path: str, kind: str) -> List[Finding]:
        """Check one file.

        Args:
            path: the file.
            kind: ``toml``, ``env``, ``yaml`` or ``shell``.

        Raises:
            Unreadable: the file cannot be read.
        """
        if kind == "toml":
            source = read_toml(path)
            results, text = self.toml(path, source), source.decode()
        else:
            text = read_text(path)
            results = self.items(path, list(_items(kind, text, path)))
        return [finding for finding in _unique(results) if not _is_ignored(finding, text.split("\n"))]

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
    return env_items(text) if kind == "env" else shell_items(text)


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


def _order(finding: Finding) -> Tuple[int, int, str]:
    return finding.origin.line or 0, finding.origin.column or 0, finding.id


def _is_ignored(finding: Finding, lines: List[str]) -> bool:
    """Return whether a comment in one of the lines of a finding, or in a comment line above, silences it."""
    number = finding.origin.line or 0
    first, last = finding.origin.lines or (number, number)
    above = [line for line in lines[max(first - 2, 0) : max(first - 1, 0)] if line.lstrip().startswith("#")]
    return any(_silences(line, finding.id) for line in [*above, *lines[max(first - 1, 0) : last]])


def _silences(line: str, rule: str) -> bool:
    comment = _IGNORE.search(line)
    return comment is not None and (comment.group(1) is None or rule in re.split(r"[ ,]+", comment.group(1)))
