"""Variables out of ``.env`` files, YAML and shell lines, each with its line and column."""

from __future__ import annotations

import re
import shlex
from typing import Any, Iterator, List, NamedTuple, Optional, Set, Tuple

from pytest_flowsecrets.commands.machine import Unreadable
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.routes.cluster import KEY, OBJECT_NAME

_ENV_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.\-]*)\s*=(.*)", re.ASCII | re.DOTALL)
_ASSIGNMENT = re.compile(r"(?:--env=|-e=?)?([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
_ALLOWED = {
    "name": (OBJECT_NAME, "lower-case letters, digits, - and ., not - or . at an end"),
    "key": (KEY, "letters, digits, -, _ and ."),
}
_BRACES = re.compile(r"\{\{|\{%")
_TEMPLATE = "no YAML but a template: render it first"
_DEEPEST = 2_000
_LISTS = ("env", "environment")  # of Kubernetes and run configs; of ECS and Docker Compose
_NULL = "tag:yaml.org,2002:null"
_TAKEN = ("tag:yaml.org,2002:str", _NULL)  # Kubernetes reads null as an empty text


class Item(NamedTuple):
    """A variable as it is written.

    Attributes:
        name: its name.
        value: its value, or None where the text does not tell.
        line: 1-based.
        column: 1-based.
        problem: what is wrong with how it is written, as id, message and advice.
        forced: an agent or a job template gives it to flow runs.
    """

    name: str
    value: Optional[str]
    line: int
    column: int
    problem: Optional[Tuple[str, str, str]] = None
    forced: bool = False


def env_items(text: str) -> Iterator[Item]:
    """Read a ``.env`` file: quotes go, ``export`` is allowed, a comment after a value needs a blank before it.

    Args:
        text: the file's text.
    """
    for number, line in enumerate(text.split("\n"), 1):
        found = _ENV_LINE.match(line)
        if found and not line.lstrip().startswith("#"):
            yield Item(found.group(1), _unquoted(found.group(2).strip()), number, found.start(1) + 1)


def shell_items(text: str) -> Iterator[Item]:
    """Read assignments and ``--env`` options out of a script.

    Args:
        text: the script.
    """
    for number, line in _logical_lines(text):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue  # a quote that goes on in the next line, a here-document
        agent = "agent" in words and any(word.endswith("prefect") for word in words)
        at = 0
        for word in words:
            found = _ASSIGNMENT.fullmatch(word)
            if found:
                at = max(line.find(found.group(1) + "=", at), 0)
                value = None if _expanded_by_shell(line, at, *found.groups()) else found.group(2)
                lines_before = line.count("\n", 0, at)
                column = at - (line.rfind("\n", 0, at) + 1) + 1
                yield Item(found.group(1), value, number + lines_before, column, forced=agent)
                at += len(found.group(1))


def yaml_items(text: str, path: str) -> Iterator[Item]:
    """Read the environment of containers, and the data of Secrets and ConfigMaps, out of YAML.

    Args:
        text: one or several documents.
        path: the file's name, for errors.

    Raises:
        Unreadable: no YAML, or PyYAML is not installed.
    """
    yaml = _yaml()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if _is_shallow(text) else yaml.SafeLoader
    try:
        documents = list(yaml.compose_all(text, Loader=loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = _TEMPLATE if _BRACES.search(text) else "no YAML"
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise Unreadable(path, reason, *place) from None
    except RecursionError:
        raise Unreadable(path, "nested too deeply") from None
    seen: Set[int] = set()
    for document in documents:
        yield from _walk(document, seen, path)


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise UsageError("checking YAML needs PyYAML: pip install 'pytest-flowsecrets[check]'") from None
    return yaml


def _is_shallow(text: str) -> bool:
    """Whether nothing can be nested so deeply that libyaml's own recursion ends the process."""
    openings = sum(text.count(mark) for mark in ("[", "{", "- ", "? "))
    return openings < _DEEPEST and max(map(len, re.findall(r"^ +", text, re.MULTILINE)), default=0) < _DEEPEST


def _walk(top: Any, seen: Set[int], path: str) -> Iterator[Item]:
    """Walk over all nodes once; aliases make a document a graph, and a loop possible."""
    waiting = [top]
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen or isinstance(node.value, str):
            continue
        seen.add(id(node))
        if node.id == "sequence":
            waiting += reversed(node.value)
            continue
        for key, value in node.value:
            if not isinstance(key.value, str):  # {{ braces }} are YAML too: a mapping as a key
                raise Unreadable(path, _TEMPLATE, *_place(key))
            yield from _entry(key, value)
        waiting += [value for _, value in reversed(node.value)]


def _entry(key: Any, value: Any) -> Iterator[Item]:
    if key.value in _LISTS and value.id == "sequence":
        for entry in value.value:
            yield from _container_variable(entry)
    elif key.value in (*_LISTS, "stringData") and value.id == "mapping":
        for name, inner in value.value:
            yield _variable(name, inner, forced=key.value in _LISTS)


def _container_variable(entry: Any) -> Iterator[Item]:
    fields = {key.value: value for key, value in entry.value} if entry.id == "mapping" else {}
    pair = _ASSIGNMENT.fullmatch(entry.value) if entry.id == "scalar" else None
    if pair:
        yield Item(pair.group(1), pair.group(2), *_place(entry), forced=True)
    name = fields.get("name")
    if name is None or not isinstance(name.value, str):
        return
    if "value" in fields:
        item = _variable(name, fields["value"], forced=True)
        if item.problem is None and fields["value"].id == "scalar" and fields["value"].tag not in _TAKEN:
            kind = fields["value"].tag.rpartition(":")[2]
            problem = "FS050", f"the value is a YAML {kind}, which Kubernetes refuses", "put it in quotes"
            line, column = _place(fields["value"])
            item = item._replace(problem=problem, line=line, column=column)
        yield item
    else:
        yield Item(name.value, None, *_place(name), forced=True)
    yield from _secret_reference(name.value, fields.get("valueFrom"))


def _secret_reference(name: str, source: Any) -> Iterator[Item]:
    reference = _child(source, "secretKeyRef")
    for field, (pattern, allowed) in _ALLOWED.items():
        node = _child(reference, field)
        if node is not None and not (isinstance(node.value, str) and pattern.fullmatch(node.value)):
            message = f"the {field} of this secretKeyRef is not one that Kubernetes allows"
            yield Item(name, None, *_place(node), problem=("FS051", message, f"use {allowed}"))


def _child(node: Any, name: str) -> Any:
    if node is None or node.id != "mapping":
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _variable(name: Any, value: Any, *, forced: bool) -> Item:
    text = value.value if value.id == "scalar" and not _BRACES.search(value.value) else None
    text = "" if value.tag == _NULL else text
    return Item(str(name.value), text, *_place(name), forced=forced)


def _place(node: Any) -> Tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return re.split(r"\s+#", text, maxsplit=1)[0]


def _logical_lines(text: str) -> Iterator[Tuple[int, str]]:
    parts: List[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        parts.append(line)
        if not line.endswith("\\"):
            yield number - len(parts) + 1, "\n".join(parts)
            parts = []


def _expanded_by_shell(line: str, at: int, name: str, value: str) -> bool:
    """Whether the shell puts something in here, so that the text does not tell the value."""
    quoted = line[at - 1 : at] == "'" or line[at + len(name) + 1 :].startswith("'")
    return not quoted and ("$" in value or "`" in value)
