"""Kubernetes without a cluster: the environment that the kubelet creates for a container.

The order comes from the ``makeEnvironment`` of the kubelet. ``envFrom`` is first; a later source overrides an earlier
one. Then follows ``env`` in order; a later entry overrides an earlier one of the same name. ``$(NAME)`` in a ``value``
stands for the value of ``NAME`` so far. Unknown names are kept, and ``$$`` is a dollar. Data of a Secret is never
expanded.
If a Secret or a key is missing, the container does not start, unless the reference says ``optional: true``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence

from pytest_flowsecrets.agents import manifests
from pytest_flowsecrets.agents.variable_origins import Entry, FlowEnvironment, Lost
from pytest_flowsecrets.errors import CreateContainerConfigError, UsageError, with_article
from pytest_flowsecrets.resolution.shown_names import masked_name

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets

_REFERENCE = re.compile(r"\$(?:\((?P<name>[^)]*)\)|(?P<other>.))", re.DOTALL)
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_EXPECTED = "a job template is a Job with spec.template.spec.containers"

Source = Mapping[str, Any]


def container_of(job: Any) -> Dict[str, Any]:
    """Return the container of a job template in which the flow runs: the first one, or an empty one without any.

    Prefect fills in missing parts of a template, such as containers, but cannot use parts of another type.

    Raises:
        UsageError: it is not a job template.
    """
    node: Any = job
    for key in ("spec", "template", "spec"):
        if not isinstance(node, Mapping):
            raise UsageError(
                f"the job template has {with_article(type(node).__name__)} where a mapping is expected: {_EXPECTED}"
            )
        node = node.get(key, {})
    containers = node.get("containers", []) if isinstance(node, Mapping) else None
    if not isinstance(containers, list):
        raise UsageError(f"the containers of the job template are not a list: {_EXPECTED}")
    if not all(isinstance(each, Mapping) for each in containers):
        raise UsageError(f"a container of the job template is not a mapping: {_EXPECTED}")
    return dict(containers[0]) if containers else {}


def entry_of(variable: Mapping[str, Any], origin: str = "template") -> Entry:
    """Return an item in the ``env`` of a container as an entry."""
    source = variable.get("valueFrom")
    if source is not None:
        return Entry(variable["name"], None, origin, source, _describe(source))
    value = variable.get("value")
    return Entry(variable["name"], "" if value is None else value, origin)


def in_pod(  # noqa: PLR0913 - its parts
    version: str,
    entries: Iterable[Entry],
    lost: Iterable[Lost],
    env_from: Iterable[Source],
    secrets: Optional[ClusterSecrets],
    *,
    notes: Iterable[str] = (),
) -> FlowEnvironment:
    """Return the environment of the container.

    Args:
        version: the release of Prefect.
        entries: the ``env`` of the container, in order.
        lost: the variables that the agent drops.
        env_from: the ``envFrom`` of the container.
        secrets: the objects of the cluster, or None if they are not known.
        notes: other facts about the environment.

    Raises:
        CreateContainerConfigError: a Secret or a key is missing; the pod waits, and the flow run stays Submitted.
    """
    pod = _Pod(secrets)
    for source in env_from:
        pod.add_source(source)
    for entry in entries:
        pod.add(entry)
    return FlowEnvironment("kubernetes", version, pod.variables.values(), [*lost, *pod.lost], [*notes, *pod.notes])


class _Pod:
    """The environment of a container while the kubelet adds variables to it."""

    def __init__(self, secrets: Optional[ClusterSecrets]) -> None:
        self._secrets = secrets
        self.variables: Dict[str, Entry] = {}
        self.lost: List[Lost] = []
        self.notes: List[str] = []

    def add_source(self, source: Source) -> None:
        """Add an item of ``envFrom``."""
        kind = "secretRef" if "secretRef" in source else "configMapRef"
        reference, prefix = source.get(kind) or {}, source.get("prefix") or ""
        name = reference.get("name", "")
        if self._secrets is None:
            self.notes.append(f"envFrom {kind} {name}: its content is known only in the cluster")
            return
        for key, value in self._object(kind, reference, "").items():
            variable = prefix + key
            if _VARIABLE.fullmatch(variable):
                self._set(Entry(variable, value, "template", None, f"envFrom {kind} {name}"))
            else:
                self.notes.append(
                    f"envFrom {kind} {name}: the kubelet skips {masked_name(variable)!r}, "
                    "which is not a valid variable name"
                )

    def add(self, entry: Entry) -> None:
        """Add an item of ``env``."""
        if entry.source is None:
            self._set(_with_value(entry, self._expand(entry.value or "")))
            return
        for kind in ("secretKeyRef", "configMapKeyRef"):
            if kind in entry.source:
                self._add_key(entry, kind, entry.source[kind])
                return
        self._set(entry)  # fieldRef, resourceFieldRef: known only in the cluster

    def _add_key(self, entry: Entry, kind: str, reference: Source) -> None:
        if self._secrets is None:
            self._set(entry)
            return
        name, key = reference.get("name", ""), reference.get("key", "")
        data = self._object(kind, reference, key)
        if key in data:
            self._set(_with_value(entry, data[key]))
        elif reference.get("optional"):
            self.notes.append(f"{entry.name}: {entry.detail} does not exist, but it is optional")
        else:
            raise CreateContainerConfigError(_kind(kind), name, key, self._namespace())

    def _object(self, kind: str, reference: Source, key: str) -> Mapping[str, str]:
        """Return the data of a Secret or ConfigMap; an optional one that is missing has none."""
        assert self._secrets is not None  # noqa: S101 - checked by the callers
        data = self._secrets.texts(_kind(kind), reference.get("name", ""))
        if data is None and not reference.get("optional"):
            raise CreateContainerConfigError(
                _kind(kind), reference.get("name", ""), None, self._namespace(), wanted=key
            )
        return data or {}

    def _namespace(self) -> str:
        return self._secrets.namespace if self._secrets is not None else "default"

    def _set(self, entry: Entry) -> None:
        if "\0" in (entry.value or ""):
            raise UsageError(f"{entry.name} contains NUL, which a variable cannot")
        overridden = self.variables.pop(entry.name, None)
        if overridden is not None:
            self.lost.append(Lost(overridden, entry))
        self.variables[entry.name] = entry

    def _expand(self, text: str) -> str:
        def value_of(reference: re.Match[str]) -> str:
            name = reference.group("name")
            if name is None:
                other = reference.group("other")
                return "$" if other == "$" else f"${other}"
            entry = self.variables.get(name)
            return entry.value if entry is not None and entry.value is not None else reference.group()

        return _REFERENCE.sub(value_of, text)


def _with_value(entry: Entry, value: str) -> Entry:
    return Entry(entry.name, value, entry.origin, entry.source, entry.detail)


def _kind(reference: str) -> str:
    return "Secret" if reference.startswith("secret") else "ConfigMap"


def _describe(source: Source) -> str:
    for kind, reference in source.items():
        if isinstance(reference, Mapping):
            parts = [str(reference[key]) for key in ("name", "key", "fieldPath", "resource") if key in reference]
            return f"{kind} {'/'.join(parts)}"
    return "valueFrom"


def problems(container: Mapping[str, Any]) -> Iterator[str]:
    """Yield the reasons why the API server of Kubernetes rejects a container, with names but without values."""
    if not container.get("name"):
        yield "its first container is missing or has no name: write containers: [{name: flow}]"
    variables: Sequence[Any] = container.get("env") or ()
    yield from filter(None, map(_variable_problem, variables))


def _variable_problem(variable: Mapping[str, Any]) -> str:
    """Return why the API server rejects a variable, or an empty string."""
    name = variable.get("name")
    if not isinstance(name, str) or not _is_variable_name(name):
        label = masked_name(name) if isinstance(name, str) else name
        return f"env: {label!r} is not a valid variable name"
    if not isinstance(variable.get("value"), (str, type(None))):
        kind = type(variable["value"]).__name__
        return f"env {name}: the value is {with_article(kind)}, but Kubernetes accepts only strings: put it in quotes"
    if variable.get("value") and variable.get("valueFrom") is not None:
        return f"env {name}: value and valueFrom exclude each other"
    return ""


def _is_variable_name(name: str) -> bool:
    return bool(name) and "=" not in name and name.isprintable() and name.isascii()


def validate_template(template: Dict[str, Any]) -> Dict[str, Any]:
    """Return a job template after checking that Prefect's agent and Kubernetes accept it.

    Raises:
        UsageError: they do not. The message contains names only.
    """
    container = container_of(template)
    manifests.require(template, manifests.JOB, "the job template")
    manifests.require_json(template, "the job template")
    validate_container(container)
    return template


def validate_container(container: Mapping[str, Any]) -> None:
    """Check that Kubernetes accepts the variables of a container.

    Raises:
        UsageError: it does not. The message contains names only.
    """
    reasons = list(problems(container))
    if reasons:
        raise UsageError(f"Kubernetes rejects the job: {'; '.join(reasons)}")
