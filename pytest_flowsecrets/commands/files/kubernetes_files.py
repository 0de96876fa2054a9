"""Variables out of YAML: Kubernetes manifests, job templates, ECS task definitions, Docker Compose."""

from __future__ import annotations

import base64
import os
import re
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Set,
    Tuple,
)

from pytest_flowsecrets.agents.cluster import KEY, OBJECT_NAME
from pytest_flowsecrets.commands.files import interpolation, yaml_scripts
from pytest_flowsecrets.commands.files.env_files import ASSIGNMENT, Item, Problem
from pytest_flowsecrets.commands.files.interpolation import Filled
from pytest_flowsecrets.commands.files.owners import AGENT, FLOW_RUN, Owner, concerns_prefect, owner_of
from pytest_flowsecrets.commands.files.unreadable import Unreadable
from pytest_flowsecrets.commands.files.yaml_types import (
    TAG,
    changed_by_compose,
    no_text_to_kubernetes,
    yaml_item,
    yaml_line,
)
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.layers import Notation

_LONGEST = 253
_ALLOWED = {
    "name": (OBJECT_NAME, "lower-case letters, digits, - and ., not - or . at an end"),
    "key": (KEY, "letters, digits, -, _ and ."),
}
_REFERENCES = ("secretKeyRef", "configMapKeyRef")
_WHOLE_REFERENCES = ("secretRef", "configMapRef")
_BRACES = re.compile(r"\{\{|\{%")
_TEMPLATE = "no YAML but a template: render it first"
_DEEPEST = 150  # what PyYAML's recursion surely bears
_MANY = 2_000
# Of Kubernetes and run configs; of ECS and Docker Compose; values of Helm charts. `secrets` is a list of ECS.
_TABLES = re.compile(r"(?:extra_?)?(?:env|environment)(?:_?(?:vars?|variables?))?", re.IGNORECASE)


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
        if loader is yaml.SafeLoader:
            _refuse_deep(yaml.scan(text, Loader=loader), path)
        documents = list(yaml.compose_all(text, Loader=loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = _TEMPLATE if _BRACES.search(text) else "no YAML"
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise Unreadable(path, reason, *place) from None
    seen: Set[int] = set()
    template = _BRACES.search(text) is not None
    compose = "compose" in os.path.basename(path) or any(map(_is_compose, documents))
    for document in documents:
        yield from _walk(document, seen, path, _File(text, template=template, compose=compose))


def _is_compose(document: Any) -> bool:
    services = _child(document, "services")
    return services is not None and any(
        _child(service, "image") or _child(service, "build") for _, service in _named(services)
    )


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise UsageError("checking YAML needs PyYAML: pip install 'pytest-flowsecrets[check]'") from None
    return yaml


def _is_shallow(text: str) -> bool:
    """Whether nothing can be nested so deeply that libyaml's own recursion ends the process."""
    openings = sum(text.count(mark) for mark in ("[", "{", "- ", "? "))
    return openings < _MANY and max(map(len, re.findall(r"^ +", text, re.MULTILINE)), default=0) < _MANY


def _refuse_deep(tokens: Iterable[Any], path: str) -> None:
    depth = 0
    for token in tokens:
        name = type(token).__name__
        depth += name.endswith(("SequenceStartToken", "MappingStartToken"))
        depth -= name in ("BlockEndToken", "FlowSequenceEndToken", "FlowMappingEndToken")
        if depth > _DEEPEST:
            raise Unreadable(path, "nested too deeply", *_place(token))


class _File(NamedTuple):
    """What is known of the whole file: its text, and whether it is a template or one of Docker Compose."""

    text: str
    template: bool
    compose: bool


def _walk(top: Any, seen: Set[int], path: str, file: _File) -> Iterator[Item]:
    """Walk over all nodes once; aliases make a document a graph, and a loop possible."""
    waiting = [("", top)]
    while waiting:
        parent, node = waiting.pop()
        if node is None or id(node) in seen or isinstance(node.value, str):
            continue
        seen.add(id(node))
        if node.id == "sequence":
            waiting += [(parent, child) for child in reversed(node.value)]
            continue
        kind = _child(node, "kind")
        for key, value in node.value:
            if key.id == "scalar" and key.value in yaml_scripts.KEYS:
                yield from yaml_scripts.script_items(value, file.text)
            elif key.id == "scalar":
                items = _entry(key, value, kind.value if kind is not None else "", compose=file.compose)
                yield from _owned(items, parent, node, file)
            elif key.id == "mapping" and key.flow_style and file.template:  # {{ braces }} are YAML too
                raise Unreadable(path, _TEMPLATE, *_place(key))
        waiting += [(key.value if key.id == "scalar" else "", value) for key, value in reversed(node.value)]


def _owned(items: Iterable[Item], parent: str, node: Any, file: _File) -> Iterator[Item]:
    """Say whose the variables of a mapping are: a container's, or those of a part of a Helm chart or a workflow."""
    owner = None
    for item in items:
        owner = owner or _owner(parent, node, file)._replace(elsewhere=not item.stored)
        yield item._replace(owner=owner)


def _owner(parent: str, node: Any, file: _File) -> Owner:
    owner = owner_of(file.text[node.start_mark.index : node.end_mark.index])
    name = _child(node, "name")
    if not owner.role and name is not None and name.value == "flow":  # of job templates and task definitions
        return Owner(FLOW_RUN, prefect=True)
    in_chart = parent == "agent" and not file.compose and not owner.role
    if in_chart and concerns_prefect(file.text):  # values of a chart of Prefect's
        return Owner(AGENT, "kubernetes", prefect=True)
    return owner


def _entry(key: Any, value: Any, kind: Any, *, compose: bool) -> Iterator[Item]:
    compose = compose and key.value == "environment"
    is_environment = _TABLES.fullmatch(key.value) is not None
    items: Iterable[Item]
    if (is_environment or key.value == "secrets") and value.id == "sequence":
        items = (item._replace(lines=_lines(each, each)) for each in value.value for item in _container_variable(each))
        items = _without_repetition(items)
        fill = interpolation.compose if compose else interpolation.kubernetes
        yield from _filled(items, fill) if compose or (is_environment and key.value != "environment") else items
    elif key.value == "envFrom" and value.id == "sequence":
        for entry in value.value:
            yield from _bad_reference("", entry, _WHOLE_REFERENCES)
    elif is_environment and value.id == "mapping":
        items = _without_repetition(_table_entry(name, inner, compose=compose) for name, inner in _named(value))
        yield from _filled(items, interpolation.compose) if compose else items
    elif kind in ("Secret", "ConfigMap") and key.value in ("data", "stringData") and value.id == "mapping":
        for name, inner in _named(value):
            item = _datum(name, inner, encoded=(kind, key.value) == ("Secret", "data"))
            yield item._replace(lines=_lines(name, inner))


def _filled(items: Iterable[Item], fill: Callable[[str, Mapping[str, Optional[str]]], Filled]) -> Iterator[Item]:
    """Interpolate the values of a container's variables, in their order."""
    known: Dict[str, Optional[str]] = {}
    for item in items:
        filled = fill(item.value, known) if item.value is not None else Filled(None)
        if item.problem is None or item.value is not None:
            known[item.name] = filled.value
        known_text = filled.value == (item.value or "").replace("$$", "$")
        notation = partial(_with_dollars, item.notation) if item.notation and known_text else _no_line
        yield item._replace(value=filled.value, escaped="$$" in (item.value or ""), notation=notation)
        about = f"{PREFIX}CONTEXT__SECRETS__" if filled.problem and filled.problem.rule == "FS038" else PREFIX
        if filled.problem is not None and (item.name.startswith(about) or filled.problem.severity == "error"):
            yield item._replace(value=None, problem=filled.problem)


def _without_repetition(items: Iterable[Item]) -> Iterator[Item]:
    """Report a name that stands twice in the list of one container."""
    seen: Set[str] = set()
    for item in items:
        yield item
        about_reference = item.problem is not None and item.value is None
        if item.name in seen and item.name.startswith(PREFIX) and not about_reference:
            message = "the name is above in the same list, too: the later value counts"
            yield item._replace(value=None, problem=Problem("FS056", message, "keep one of them", "warning"))
        seen.add(item.name)


def _with_dollars(notation: Notation, text: str) -> Optional[str]:
    return notation(text.replace("$", "$$"))


def _no_line(_: str) -> None:
    """Write no line: what the file fills in would be lost."""


def _table_entry(name: Any, value: Any, *, compose: bool) -> Item:
    own = _child(value, "value")
    item = _variable(name, value if own is None else own)._replace(lines=_lines(name, value))
    if not compose:
        return item
    if value.tag == f"{TAG}null":
        return item._replace(value=None)  # taken from the shell
    kind = changed_by_compose(value) if item.name.startswith(PREFIX) else None
    message = f"the value is a YAML {kind}, which Docker Compose writes in another way or refuses"
    return _with_problem(item, value, message) if kind else item


def _datum(name: Any, value: Any, *, encoded: bool) -> Item:
    """An entry of a Secret or a ConfigMap, which is a variable where containers take all of them (``envFrom``)."""
    item = _refused_as_no_text(_variable(name, value), value)._replace(stored=True)
    text = item.value
    if not encoded or text is None:
        return item
    item = item._replace(
        notation=lambda value: yaml_line(item.name, name.style, base64.b64encode(value.encode()).decode())
    )
    try:
        return item._replace(value=base64.b64decode("".join(text.split()), validate=True).decode())
    except ValueError:  # no base64, or no text
        return item._replace(value=None)


def _container_variable(entry: Any) -> Iterator[Item]:
    fields: Dict[str, Any] = {key.value: value for key, value in _named(entry)}
    pair = ASSIGNMENT.fullmatch(entry.value) if entry.id == "scalar" else None
    if pair:
        notation = partial(yaml_item, pair.group(1))
        yield Item(pair.group(1), pair.group(2), *_place(entry), notation=notation)
    name = fields.get("name")
    if name is None or not isinstance(name.value, str):
        return
    if "value" in fields:
        item = _refused_as_no_text(_variable(name, fields["value"]), fields["value"])
        yield item._replace(notation=partial(yaml_line, "value", name.style))
    else:
        yield Item(name.value, "" if len(fields) == 1 else None, *_place(name))  # Kubernetes: "" by default
    yield from _bad_reference(name.value, fields.get("valueFrom"), _REFERENCES)


def _refused_as_no_text(item: Item, value: Any) -> Item:
    kind = no_text_to_kubernetes(value)
    return _with_problem(item, value, f"the value is a YAML {kind}, which Kubernetes refuses") if kind else item


def _with_problem(item: Item, value: Any, message: str) -> Item:
    line, column = _place(value)
    return item._replace(problem=Problem("FS050", message, "put it in quotes"), line=line, column=column)


def _bad_reference(name: str, source: Any, references: Tuple[str, ...]) -> Iterator[Item]:
    for kind in references:
        reference = _child(source, kind)
        for field, (pattern, allowed) in _ALLOWED.items():
            node = _child(reference, field)
            if node is None or _BRACES.search(str(node.value)):
                continue
            if not isinstance(node.value, str) or len(node.value) > _LONGEST or not pattern.fullmatch(node.value):
                message = f"the {field} of this {kind} is not one that Kubernetes allows"
                yield Item(name, None, *_place(node), problem=Problem("FS051", message, f"use {allowed}"))


def _named(node: Any) -> List[Tuple[Any, Any]]:
    """A mapping's entries whose keys are plain, as those of all manifests are."""
    return [(key, value) for key, value in node.value if key.id == "scalar"] if node.id == "mapping" else []


def _child(node: Any, name: str) -> Any:
    return next((value for key, value in _named(node) if key.value == name), None) if node is not None else None


def _variable(name: Any, value: Any) -> Item:
    known = value.id == "scalar" and value.tag.startswith(TAG) and not _BRACES.search(value.value)
    text = value.value if known else None
    text = "" if value.tag == f"{TAG}null" else text
    variable = str(name.value)
    return Item(variable, text, *_place(name), notation=partial(yaml_line, variable, name.style))


def _lines(first: Any, last: Any) -> Tuple[int, int]:
    start: int = first.start_mark.line + 1
    return start, max(start, _last_line(last))


def _last_line(node: Any) -> int:
    """The line in which a node's text ends: a block's own mark is where the next thing begins, after comments.

    Aliases stand for what is written further up, which does not count.
    """
    if node.id == "scalar":
        end = node.end_mark
        return int(end.line + 1 if end.column else max(end.line, node.start_mark.line + 1))
    inner = [value for _, value in node.value] if node.id == "mapping" else node.value
    below = [child for child in inner if child.start_mark.index > node.start_mark.index]
    return max((_last_line(child) for child in below), default=node.start_mark.line + 1)


def _place(node: Any) -> Tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
