"""``flowsecrets check``: findings in files, like a linter's."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Tuple

from pytest_flowsecrets.commands.files.env_files import Item, env_items, shell_items
from pytest_flowsecrets.commands.files.interpolation import UNKNOWN
from pytest_flowsecrets.commands.files.owners import OPTION
from pytest_flowsecrets.commands.files.unreadable import Unreadable
from pytest_flowsecrets.commands.files.variable_rules import item_findings
from pytest_flowsecrets.commands.inputs import dialects_of, machine_of, read_text, read_toml
from pytest_flowsecrets.findings import reporters
from pytest_flowsecrets.findings.config_rules import file_findings
from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.findings.model import Finding, where
from pytest_flowsecrets.findings.value_rules import TABLES
from pytest_flowsecrets.resolution.dialects import SPANS
from pytest_flowsecrets.resolution.layers import Environment, Layer, Origin
from pytest_flowsecrets.resolution.resolve import Machine, resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect

_IGNORE = re.compile(r"#\s*flowsecrets:\s*ignore(?:\[([A-Z0-9, ]*)\])?")
_LAST = dict(SPANS)
# Stands for a value that the file does not say, where only a table is right; see ``UNKNOWN`` for the others.
_UNKNOWN_TABLE = '{"unknown": "unknown"}'


def run(arguments: Any) -> int:
    """Check files.

    Args:
        arguments: parsed arguments.

    Returns:
        0 without findings, 1 with some, 2 if a file could not be read.
    """
    checker = Checker(dialects_of(arguments), machine_of(arguments))
    found: List[Finding] = []
    unreadable = False
    for path in arguments.files:
        try:
            found += checker.check(path, arguments.kind or kind_of(path))
        except Unreadable as error:  # noqa: PERF203 (the other files are checked all the same)
            unreadable = True
            print(error, file=sys.stderr)
    if arguments.no_notes:
        found = [finding for finding in found if finding.severity != "note"]
    if arguments.show_values:
        found = [reporters.with_line(finding) for finding in found]
    reporters.write(found, arguments.format)
    return 2 if unreadable else int(bool(found))


def kind_of(path: str) -> str:
    """Tell what a file is by its name.

    Args:
        path: the file.

    Raises:
        Unreadable: the name does not tell.
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
        raise Unreadable(path, "say what it is: --as toml, env, yaml or shell")
    return "shell"  # reading it will tell what is wrong with it


class Checker:
    """Checks files against some releases.

    Args:
        dialects: the releases.
        machine: Python and homes.
    """

    def __init__(self, dialects: List[Dialect], machine: Machine) -> None:
        self.dialects, self.machine = dialects, machine

    def check(self, path: str, kind: str) -> List[Finding]:
        """Check one file.

        Args:
            path: the file.
            kind: ``toml``, ``env``, ``yaml`` or ``shell``.

        Raises:
            Unreadable: it cannot be.
        """
        if kind == "toml":
            source = read_toml(path)
            found, text = self.toml(path, source), source.decode()
        else:
            text = read_text(path)
            found = self.items(path, list(_items(kind, text, path)))
        return [finding for finding in _unique(found) if not _ignored(finding, text.split("\n"))]

    def toml(self, path: str, source: bytes) -> List[Finding]:
        """Check a configuration file.

        Args:
            path: its name.
            source: its bytes.
        """
        found = file_findings(source, path)
        kind = "backend" if os.path.basename(path).startswith("backend") else "user"
        layer = read_layer(source, kind, path)
        return found + (self._resolved([layer], Environment(complete=False)) if layer.failure is None else [])

    def items(self, path: str, items: List[Item]) -> List[Finding]:
        """Check variables.

        Args:
            path: the file that they stand in.
            items: the variables.
        """
        found: List[Finding] = []
        for round_of_items in _rounds(items):
            values = {item.name: _value(item) for item in round_of_items}
            environ = Environment(values, complete=False)
            environ.notations.update((item.name, item.notation) for item in round_of_items if item.notation)
            environ.escaped.update(item.name for item in round_of_items if item.escaped)
            places = {item.name: _origin(item, path) for item in round_of_items}
            found += [replace(finding, origin=places[finding.origin.place]) for finding in self._resolved([], environ)]
        options = {item.name for item in items if item.owner.role == OPTION}
        for item in items:
            found += item_findings(item, _origin(item, path), self.dialects, options)
        return found

    def _resolved(self, layers: List[Layer], environ: Dict[str, str]) -> List[Finding]:
        found: Dict[Tuple[Any, ...], Finding] = {}
        advice: Dict[Tuple[Any, ...], Dict[str, List[str]]] = {}
        for dialect in self.dialects:
            for finding in findings(resolve(layers, environ, dialect, machine=self.machine)):
                key = (finding.id, str(finding.origin), finding.name.lower(), finding.message)
                found[key] = finding
                advice.setdefault(key, {}).setdefault(finding.advice, []).append(dialect.version)
        return [replace(finding, advice=_for_versions(advice[key])) for key, finding in found.items()]


def _for_versions(advice: Dict[str, List[str]]) -> str:
    """What to write, per release where it is not the same in all."""
    if len(advice) == 1:
        return next(iter(advice))
    return "; ".join(f"in Prefect {_span(versions)}, {text}" for text, versions in advice.items())


def _span(versions: List[str]) -> str:
    return where(lambda row: _LAST[row.version] in versions)


def _rounds(items: List[Item]) -> Iterator[List[Item]]:
    """Sets of variables without a name twice: containers of a manifest, or lines of a script, may set the same one."""
    waiting: Dict[str, List[Item]] = {}
    for item in items:
        if item.problem is None or item.value is not None:  # else it tells of no variable
            waiting.setdefault(item.name, []).append(item)
    while waiting:
        yield [several[0] for several in waiting.values()]
        waiting = {name: several[1:] for name, several in waiting.items() if several[1:]}


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


def _unique(found: List[Finding]) -> List[Finding]:
    known: Dict[Tuple[Any, ...], Finding] = {}
    for finding in found:
        place = (finding.origin.line, finding.origin.column, finding.name.lower())  # its case differs by release
        known.setdefault((finding.id, place, finding.message), finding)
    return sorted(known.values(), key=_order)


def _order(finding: Finding) -> Tuple[int, int, str]:
    return finding.origin.line or 0, finding.origin.column or 0, finding.id


def _ignored(finding: Finding, lines: List[str]) -> bool:
    """A comment on one of its lines, or on a line of its own above one of them."""
    number = finding.origin.line or 0
    first, last = finding.origin.lines or (number, number)
    above = lines[max(first - 2, 0) : max(first - 1, 0)]
    for line in lines[max(first - 1, 0) : last] + [line for line in above if line.lstrip().startswith("#")]:
        found = _IGNORE.search(line)
        if found and (found.group(1) is None or finding.id in re.split(r"[ ,]+", found.group(1))):
            return True
    return False
