"""Kubernetes without a cluster: Secret objects, and the environment that a kubelet makes for a container.

The kubelet's order, from its ``makeEnvironment``: first ``envFrom``, a later source over an earlier one; then ``env``
in order, a later entry over an earlier one of the same name, where ``$(NAME)`` in a ``value`` stands for what is known
of ``NAME`` by then (unknown names stay as they are, ``$$`` is a dollar). What a Secret holds is never expanded. A
Secret or a key that is missing keeps the container from starting, unless the reference says ``optional: true``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence

from pytest_flowsecrets.agents import validation
from pytest_flowsecrets.agents.environment import Entry, FlowEnvironment, Lost
from pytest_flowsecrets.errors import CreateContainerConfigError, UsageError
from pytest_flowsecrets.resolution.masked_names import masked_name

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets

_REFERENCE = re.compile(r"\$(?:\((?P<name>[^)]*)\)|(?P<other>.))", re.DOTALL)
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_RIGHT = "a job template is a Job with spec.template.spec.containers"

Source = Mapping[str, Any]


def container_of(job: Any) -> Dict[str, Any]:
    """The container of a job template in which the flow runs, that is the first one; empty where there is none.

    Prefect fills in what a template leaves out, containers among it, but not ``spec.template.spec`` of another type.

    Raises:
        UsageError: it is no job template.
    """
    node: Any = job
    for key in ("spec", "template", "spec"):
        if not isinstance(node, Mapping):
            raise UsageError(f"the job template is a {type(node).__name__} where a mapping should be: {_RIGHT}")
        node = node.get(key, {})
    containers = node.get("containers", []) if isinstance(node, Mapping) else None
    if not isinstance(containers, list):
        raise UsageError(f"the containers of the job template are no list: {_RIGHT}")
    if not all(isinstance(each, Mapping) for each in containers):
        raise UsageError(f"a container of the job template is no mapping: {_RIGHT}")
    return dict(containers[0]) if containers else {}


def entry_of(variable: Mapping[str, Any], origin: str = "template") -> Entry:
    """An item of a container's ``env``."""
    source = variable.get("valueFrom")
    if source is not None:
        return Entry(variable["name"], None, origin, source, _told(source))
    value = variable.get("value")
    return Entry(variable["name"], "" if value is None else value, origin)


def in_pod(  # noqa: PLR0913 - what it is made of
    version: str,
    entries: Iterable[Entry],
    lost: Iterable[Lost],
    env_from: Iterable[Source],
    secrets: Optional[ClusterSecrets],
    *,
    notes: Iterable[str] = (),
) -> FlowEnvironment:
    """What the container sees.

    Args:
        version: release of Prefect.
        entries: the container's ``env``, in order.
        lost: what the agent had dropped before.
        env_from: the container's ``envFrom``.
        secrets: the objects of the cluster; None where they are not known.
        notes: what else happened on the way.

    Raises:
        CreateContainerConfigError: a Secret or a key is missing; the pod waits, and the flow run stays Submitted.
    """
    pod = _Pod(secrets)
    for source in env_from:
        pod.take_all(source)
    for entry in entries:
        pod.take(entry)
    return FlowEnvironment("kubernetes", version, pod.variables.values(), [*lost, *pod.lost], [*notes, *pod.notes])


class _Pod:
    """The environment of a container as it grows."""

    def __init__(self, secrets: Optional[ClusterSecrets]) -> None:
        self._secrets = secrets
        self.variables: Dict[str, Entry] = {}
        self.lost: List[Lost] = []
        self.notes: List[str] = []

    def take_all(self, source: Source) -> None:
        """One item of ``envFrom``."""
        kind = "secretRef" if "secretRef" in source else "configMapRef"
        reference, prefix = source.get(kind) or {}, source.get("prefix") or ""
        name = reference.get("name", "")
        if self._secrets is None:
            self.notes.append(f"envFrom {kind} {name}: what it holds is known only in the cluster")
            return
        for key, value in self._object(kind, reference, "").items():
            variable = prefix + key
            if _VARIABLE.fullmatch(variable):
                self._set(Entry(variable, value, "template", None, f"envFrom {kind} {name}"))
            else:
                self.notes.append(
                    f"envFrom {kind} {name}: {masked_name(variable)!r} can be no variable, the kubelet leaves it out"
                )

    def take(self, entry: Entry) -> None:
        """One item of ``env``."""
        if entry.source is None:
            self._set(_with_value(entry, self._expanded(entry.value or "")))
            return
        for kind in ("secretKeyRef", "configMapKeyRef"):
            if kind in entry.source:
                self._take_key(entry, kind, entry.source[kind])
                return
        self._set(entry)  # fieldRef, resourceFieldRef: the cluster knows

    def _take_key(self, entry: Entry, kind: str, reference: Source) -> None:
        if self._secrets is None:
            self._set(entry)
            return
        name, key = reference.get("name", ""), reference.get("key", "")
        found = self._object(kind, reference, key)
        if key in found:
            self._set(_with_value(entry, found[key]))
        elif reference.get("optional"):
            self.notes.append(f"{entry.name}: {entry.detail} is not there, which is allowed: optional")
        else:
            raise CreateContainerConfigError(_kind(kind), name, key, self._namespace())

    def _object(self, kind: str, reference: Source, key: str) -> Mapping[str, str]:
        """The texts of a Secret or ConfigMap; none where it may be missing, and is."""
        assert self._secrets is not None  # noqa: S101 - asked for by the callers
        found = self._secrets.texts(_kind(kind), reference.get("name", ""))
        if found is None and not reference.get("optional"):
            raise CreateContainerConfigError(
                _kind(kind), reference.get("name", ""), None, self._namespace(), wanted=key
            )
        return found or {}

    def _namespace(self) -> str:
        return self._secrets.namespace if self._secrets is not None else "default"

    def _set(self, entry: Entry) -> None:
        if "\0" in (entry.value or ""):
            raise UsageError(f"{entry.name} holds NUL, which no variable can")
        former = self.variables.pop(entry.name, None)
        if former is not None:
            self.lost.append(Lost(former, entry))
        self.variables[entry.name] = entry

    def _expanded(self, text: str) -> str:
        def known(found: re.Match[str]) -> str:
            name = found.group("name")
            if name is None:
                other = found.group("other")
                return "$" if other == "$" else f"${other}"
            entry = self.variables.get(name)
            return entry.value if entry is not None and entry.value is not None else found.group()

        return _REFERENCE.sub(known, text)


def _with_value(entry: Entry, value: str) -> Entry:
    return Entry(entry.name, value, entry.origin, entry.source, entry.detail)


def _kind(reference: str) -> str:
    return "Secret" if reference.startswith("secret") else "ConfigMap"


def _told(source: Source) -> str:
    for kind, reference in source.items():
        if isinstance(reference, Mapping):
            parts = [str(reference[key]) for key in ("name", "key", "fieldPath", "resource") if key in reference]
            return f"{kind} {'/'.join(parts)}"
    return "valueFrom"


def refused(container: Mapping[str, Any]) -> Iterator[str]:
    """What the API server of Kubernetes says against a container and its variables; names only."""
    if not container.get("name"):
        yield "its first container is missing or has no name: write containers: [{name: flow}]"
    names: Sequence[Any] = container.get("env") or ()
    for variable in names:
        name = variable.get("name")
        if not isinstance(name, str) or not name or "=" in name or not name.isprintable() or not name.isascii():
            shown = masked_name(name) if isinstance(name, str) else name
            yield f"env: {shown!r} can be no name of a variable"
        elif "value" in variable and not isinstance(variable["value"], (str, type(None))):
            kind = type(variable["value"]).__name__
            yield f"env {name}: the value is a {kind}, and Kubernetes takes text only: put it in quotes"
        elif variable.get("value") and variable.get("valueFrom") is not None:
            yield f"env {name}: value and valueFrom exclude each other"


def accepted(template: Dict[str, Any]) -> Dict[str, Any]:
    """A job template that neither Prefect's agent nor Kubernetes refuses.

    Raises:
        UsageError: one of them does; names only.
    """
    container = container_of(template)
    validation.require(template, validation.JOB, "the job template")
    validation.require_json(template, "the job template")
    require_accepted(container)
    return template


def require_accepted(container: Mapping[str, Any]) -> None:
    """Check that Kubernetes takes a container's variables.

    Raises:
        UsageError: it does not; names only.
    """
    wrong = list(refused(container))
    if wrong:
        raise UsageError(f"Kubernetes refuses the job: {'; '.join(wrong)}")
