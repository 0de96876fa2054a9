"""Variables in YAML: Kubernetes manifests, job templates, ECS task definitions, Docker Compose files."""

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
    Mapping,
    Optional,
    Set,
    Tuple,
)

from pytest_flowsecrets.agents.cluster import KEY, OBJECT_NAME
from pytest_flowsecrets.commands.files import interpolation, yaml_scripts
from pytest_flowsecrets.commands.files.env_files import (
    AGENT,
    ASSIGNMENT,
    FLOW_RUN,
    Item,
    Owner,
    Problem,
    concerns_prefect,
    owner_of,
)
from pytest_flowsecrets.commands.files.interpolation import Interpolated
from pytest_flowsecrets.commands.files.reading import TEMPLATE, Unreadable
from pytest_flowsecrets.commands.files.yaml_nodes import (
    BRACES,
    TAG,
    child,
    compose_type,
    entries,
    kubernetes_type,
    lines_of,
    lower_case_edits,
    place_of,
    quoting_edits,
    yaml_documents,
    yaml_item,
    yaml_line,
)
from pytest_flowsecrets.findings.rules import RULES
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.layers import Notation

Interpolate = Callable[[str, Mapping[str, Optional[str]]], Interpolated]

_LONGEST = 253
_ALLOWED = {
    "name": (OBJECT_NAME, "lower-case letters, digits, - and ., with a letter or digit at both ends"),
    "key": (KEY, "letters, digits, -, _ and ."),
}
_REFERENCES = ("secretKeyRef", "configMapKeyRef")
_WHOLE_REFERENCES = ("secretRef", "configMapRef")

# Keys of Kubernetes and run configs, of ECS and Docker Compose, and of values of Helm charts. ECS also has `secrets`.
_TABLES = re.compile(r"(?:extra_?)?(?:env|environment)(?:_?(?:vars?|variables?))?", re.IGNORECASE)


def yaml_items(text: str, path: str) -> Iterator[Item]:
    """Read the environment of containers, and the data of Secrets and ConfigMaps, in YAML.

    Args:
        text: one or several documents.
        path: the name of the file, for errors.

    Raises:
        Unreadable: the text is not YAML.
        UsageError: PyYAML is not installed.
    """
    documents = yaml_documents(text, path)
    template = BRACES.search(text) is not None
    compose = "compose" in os.path.basename(path) or any(map(_is_compose, documents))
    walk = _Walk(path, text, template=template, compose=compose)
    for document in documents:
        yield from walk.items(document)


def _is_compose(document: Any) -> bool:
    services = child(document, "services")
    return services is not None and any(
        child(service, "image") or child(service, "build") for _, service in entries(services)
    )


class _Walk:
    """A walk over the documents of a file.

    Attributes:
        path: the name of the file.
        text: the text of the file.
        template: whether the file is a template.
        compose: whether the file belongs to Docker Compose.
    """

    def __init__(self, path: str, text: str, *, template: bool, compose: bool) -> None:
        self.path, self.text, self.template, self.compose = path, text, template, compose
        self._visited: Set[int] = set()

    def items(self, document: Any) -> Iterator[Item]:
        """Visit all nodes once: because of aliases a document is a graph, which may have loops."""
        pending = [("", document)]
        while pending:
            parent, node = pending.pop()
            if node is None or id(node) in self._visited or isinstance(node.value, str):
                continue
            self._visited.add(id(node))
            if node.id == "sequence":
                pending += [(parent, each) for each in reversed(node.value)]
            else:
                yield from self._mapping_items(parent, node)
                pending += [(key.value if key.id == "scalar" else "", value) for key, value in reversed(node.value)]

    def _mapping_items(self, parent: str, node: Any) -> Iterator[Item]:
        kind = child(node, "kind")
        for key, value in node.value:
            if key.id == "scalar" and key.value in yaml_scripts.KEYS:
                yield from yaml_scripts.script_items(value, self.text)
            elif key.id == "scalar":
                items = _entry_items(key.value, value, kind.value if kind is not None else "", compose=self.compose)
                yield from self._owned(items, parent, node)
            elif key.id == "mapping" and key.flow_style and self.template:  # {{ braces }} are valid YAML
                raise Unreadable(self.path, TEMPLATE, *place_of(key))

    def _owned(self, items: Iterable[Item], parent: str, node: Any) -> Iterator[Item]:
        """Add the owner to the variables of a mapping: a container, or a part of a Helm chart or a workflow."""
        owner = None
        for item in items:
            owner = owner or self._owner(parent, node)._replace(elsewhere=not item.in_object)
            yield item._replace(owner=owner)

    def _owner(self, parent: str, node: Any) -> Owner:
        owner = owner_of(self.text[node.start_mark.index : node.end_mark.index])
        name = child(node, "name")
        if not owner.role and name is not None and name.value == "flow":  # in job templates and task definitions
            return Owner(FLOW_RUN, prefect=True)
        in_chart = parent == "agent" and not self.compose and not owner.role
        if in_chart and concerns_prefect(self.text):  # values of a Helm chart of Prefect
            return Owner(AGENT, "kubernetes", prefect=True)
        return owner


def _entry_items(name: str, value: Any, kind: Any, *, compose: bool) -> Iterable[Item]:
    """Read the variables in the value of a key, in an object of a kind such as ``Secret``."""
    compose = compose and name == "environment"
    if value.id == "sequence":
        return _sequence_items(name, value, compose=compose)
    if value.id != "mapping":
        return ()
    if _TABLES.fullmatch(name):
        return _table_items(value, compose=compose)
    if kind in ("Secret", "ConfigMap") and name in ("data", "stringData"):
        return _object_items(value, encoded=(kind, name) == ("Secret", "data"))
    return ()


def _sequence_items(name: str, value: Any, *, compose: bool) -> Iterable[Item]:
    if compose:
        return _list_items(value, interpolation.compose)
    if name in ("environment", "secrets"):  # of ECS, which does not interpolate
        return _list_items(value, None)
    if _TABLES.fullmatch(name):
        return _list_items(value, interpolation.kubernetes)
    return _env_from_items(value) if name == "envFrom" else ()


def _list_items(value: Any, interpolate: Optional[Interpolate]) -> Iterator[Item]:
    items = (item._replace(lines=lines_of(each, each)) for each in value.value for item in _container_variable(each))
    return _interpolated(_with_duplicates(items), interpolate)


def _table_items(value: Any, *, compose: bool) -> Iterator[Item]:
    items = (_table_entry(name, each, compose=compose) for name, each in entries(value))
    return _interpolated(_with_duplicates(items), interpolation.compose if compose else None)


def _env_from_items(value: Any) -> Iterator[Item]:
    for each in value.value:
        yield from _invalid_references("", each, _WHOLE_REFERENCES)


def _object_items(value: Any, *, encoded: bool) -> Iterator[Item]:
    for name, each in entries(value):
        yield _object_entry(name, each, encoded=encoded)._replace(lines=lines_of(name, each))


def _interpolated(items: Iterable[Item], interpolate: Optional[Interpolate]) -> Iterator[Item]:
    """Interpolate the values of the variables of a container, in their order."""
    if interpolate is None:
        yield from items
        return
    known: Dict[str, Optional[str]] = {}
    for item in items:
        result = interpolate(item.value, known) if item.value is not None else Interpolated(None)
        if item.problem is None or item.value is not None:
            known[item.name] = result.value
        yield _with_value(item, result)
        yield from _problems(item, result)


def _with_value(item: Item, result: Interpolated) -> Item:
    text = item.value or ""
    is_literal = result.value == text.replace("$$", "$")
    notation = partial(_with_dollars, item.notation) if item.notation and is_literal else _no_line
    return item._replace(value=result.value, escaped="$$" in text, notation=notation)


def _problems(item: Item, result: Interpolated) -> Iterator[Item]:
    """Yield the problem of an interpolation, if it is an error or concerns Prefect."""
    if result.problem is None:
        return
    prefix = SECRETS_PREFIX if result.problem.rule == "FS038" else PREFIX
    if RULES[result.problem.rule].severity == "error" or item.name.startswith(prefix):
        yield item._replace(value=None, problem=result.problem)


def _with_duplicates(items: Iterable[Item]) -> Iterator[Item]:
    """Report a name that occurs twice in the list of a container."""
    names: Set[str] = set()
    for item in items:
        yield item
        is_invalid_reference = item.problem is not None and item.value is None
        if item.name in names and item.name.startswith(PREFIX) and not is_invalid_reference:
            message = "the same list already sets this name above: the later value wins"
            yield item._replace(value=None, problem=Problem("FS056", message, "keep one of them"))
        names.add(item.name)


def _with_dollars(notation: Notation, text: str) -> Optional[str]:
    return notation(text.replace("$", "$$"))


def _no_line(_: str) -> None:
    """Return no line, because it would lose the references in the value."""


def _table_entry(name: Any, value: Any, *, compose: bool) -> Item:
    inner = child(value, "value")
    item = _variable(name, value if inner is None else inner)._replace(lines=lines_of(name, value))
    if not compose:
        return item
    if value.tag == f"{TAG}null":
        return item._replace(value=None)  # comes from the shell
    kind = compose_type(value) if item.name.startswith(PREFIX) else None
    message = f"the value is a YAML {kind}, which Docker Compose changes or rejects"
    return _with_problem(item, value, message) if kind else item


def _object_entry(name: Any, value: Any, *, encoded: bool) -> Item:
    """Read an entry of a Secret or a ConfigMap, which is a variable if containers use all of them (``envFrom``)."""
    item = _with_type_problem(_variable(name, value), value)._replace(in_object=True)
    text = item.value
    if not encoded or text is None:
        return item
    item = item._replace(
        notation=lambda value: yaml_line(item.name, name.style, base64.b64encode(value.encode()).decode())
    )
    try:
        return item._replace(value=base64.b64decode("".join(text.split()), validate=True).decode())
    except ValueError:  # not Base64, or not UTF-8
        return item._replace(value=None)


def _container_variable(entry: Any) -> Iterator[Item]:
    fields: Dict[str, Any] = {key.value: value for key, value in entries(entry)}
    pair = ASSIGNMENT.fullmatch(entry.value) if entry.id == "scalar" else None
    if pair:
        notation = partial(yaml_item, pair.group(1))
        yield Item(pair.group(1), pair.group(2), *place_of(entry), notation=notation)
    name = fields.get("name")
    if name is None or not isinstance(name.value, str):
        return
    if "value" in fields:
        item = _with_type_problem(_variable(name, fields["value"]), fields["value"])
        yield item._replace(notation=partial(yaml_line, "value", name.style))
    else:
        yield Item(name.value, "" if len(fields) == 1 else None, *place_of(name))  # Kubernetes: "" by default
    yield from _invalid_references(name.value, fields.get("valueFrom"), _REFERENCES)


def _with_type_problem(item: Item, value: Any) -> Item:
    kind = kubernetes_type(value)
    return _with_problem(item, value, f"the value is a YAML {kind}, which Kubernetes rejects") if kind else item


def _with_problem(item: Item, value: Any, message: str) -> Item:
    line, column = place_of(value)
    problem = Problem("FS050", message, "put it in quotes", quoting_edits(value))
    return item._replace(problem=problem, line=line, column=column)


def _invalid_references(name: str, source: Any, references: Tuple[str, ...]) -> Iterator[Item]:
    for kind in references:
        reference = child(source, kind)
        for field, (pattern, allowed) in _ALLOWED.items():
            node = child(reference, field)
            if node is None or BRACES.search(str(node.value)):
                continue
            if not isinstance(node.value, str) or len(node.value) > _LONGEST or not pattern.fullmatch(node.value):
                message = f"Kubernetes does not allow the {field} of this {kind}"
                problem = Problem("FS051", message, f"use {allowed}", lower_case_edits(node, pattern))
                yield Item(name, None, *place_of(node), problem=problem)


def _variable(name: Any, value: Any) -> Item:
    is_known = value.id == "scalar" and value.tag.startswith(TAG) and not BRACES.search(value.value)
    text = value.value if is_known else None
    text = "" if value.tag == f"{TAG}null" else text
    variable = str(name.value)
    return Item(variable, text, *place_of(name), notation=partial(yaml_line, variable, name.style))
