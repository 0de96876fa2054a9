"""The Secrets and ConfigMaps of a cluster, set by a test or read from manifests."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, MutableMapping, Optional, Tuple, Union

from pytest_flowsecrets.agents import manifests
from pytest_flowsecrets.errors import UsageError, with_article
from pytest_flowsecrets.leaks.registry import registry

if TYPE_CHECKING:
    from pathlib import Path

OBJECT_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
KEY = re.compile(r"[-._a-zA-Z0-9]+")
KINDS = ("Secret", "ConfigMap")

Value = Union[str, bytes]
Texts = Dict[str, str]
_Key = Tuple[str, str, str]  # kind, namespace, name


class ClusterSecrets(MutableMapping[str, Mapping[str, Value]]):
    """The Secrets of a cluster by name, for ``secretKeyRef`` and ``envFrom``.

    Values are strings (``stringData``) or bytes. Objects that the API server of Kubernetes rejects are errors here.

    Args:
        namespace: the namespace of the pods of flow runs.
    """

    def __init__(self, namespace: str = "default", *, kind: str = "Secret", objects: Any = None) -> None:
        self.namespace, self._kind = namespace, kind
        self._objects: Dict[_Key, Texts] = {} if objects is None else objects

    @property
    def config_maps(self) -> ClusterSecrets:
        """The ConfigMaps of the same cluster, as a mapping of the same type."""
        return ClusterSecrets(self.namespace, kind="ConfigMap", objects=self._objects)

    def __repr__(self) -> str:
        keys = {name: sorted(self._objects[self._key(name)]) for name in self}
        return f"<{self._kind}s in {self.namespace}: {keys}>"

    # -- the mapping --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Mapping[str, str]:
        if self._key(name) not in self._objects:
            raise KeyError(name)
        return dict(self._objects[self._key(name)])

    def __setitem__(self, name: str, data: Mapping[str, Value]) -> None:
        self._put(self._kind, self.namespace, name, data)

    def __delitem__(self, name: str) -> None:
        self[name]  # raises KeyError if there is none
        del self._objects[self._key(name)]

    def __iter__(self) -> Iterator[str]:
        return iter([name for kind, space, name in self._objects if (kind, space) == (self._kind, self.namespace)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _key(self, name: str) -> _Key:
        return self._kind, self.namespace, name

    # -- manifests ----------------------------------------------------------------------------------------------------

    def load(self, path: Union[str, Path]) -> None:
        """Add the Secrets and ConfigMaps in a YAML file with one or several documents. Other objects are ignored.

        Raises:
            UsageError: the file cannot be read, is not YAML, or contains an object that Kubernetes rejects.
        """
        for manifest in manifests.load_all(path):
            self.apply(manifest)

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Add an object, as ``kubectl apply`` does: a Secret, a ConfigMap, or a List of them.

        Raises:
            UsageError: Kubernetes rejects the object. The message contains kind, name and key, never a value.
        """
        if not isinstance(manifest, Mapping):
            raise UsageError(f"a manifest must be a mapping with apiVersion and kind, not {type(manifest).__name__}")
        kind = manifest.get("kind")
        if kind == "List":
            manifests.require(manifest, manifests.LIST, "the List")
            for each in manifest.get("items") or ():
                self.apply(each)
        if kind in KINDS:
            manifests.require(manifest, manifests.MANIFEST, f"the {kind}")
            metadata = manifest.get("metadata") or {}
            data = {**_decode_data(manifest, kind), **(manifest.get("stringData") or {})}
            self._put(kind, metadata.get("namespace") or self.namespace, metadata.get("name"), data)

    def texts(self, kind: str, name: str) -> Optional[Texts]:
        """Return the data of an object, or None if the namespace of the pods has no object of this name."""
        return self._objects.get((kind, self.namespace, name))

    def _put(self, kind: str, namespace: str, name: Any, data: Mapping[str, Any]) -> None:
        _require_name(kind, name)
        if not isinstance(data, Mapping):
            raise UsageError(f"{kind} {name}: the data must be a mapping of keys to strings, not {type(data).__name__}")
        for key, value in data.items():
            _require_entry(f"{kind} {name}", key, value)
            if kind == "Secret":
                registry.register(f"{name} {key}", os.fsdecode(value))
        self._objects[kind, namespace, name] = {key: os.fsdecode(value) for key, value in data.items()}


def _require_name(kind: str, name: Any) -> None:
    if not isinstance(name, (str, type(None))):
        raise UsageError(f"the name of {with_article(kind)} must be a string, not {with_article(type(name).__name__)}")
    if name is None or not OBJECT_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a valid {kind} name: use lower-case letters, digits, - and .")


def _require_entry(what: str, key: Any, value: Any) -> None:
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise UsageError(f"{what}: {key!r} is not a valid key: use letters, digits, -, _ and .")
    if not isinstance(value, (str, bytes)):
        raise UsageError(f"{what}: {key} must be a string, not {type(value).__name__}: put it in quotes")


def _decode_data(manifest: Mapping[str, Any], kind: str) -> Dict[str, Any]:
    """Decode Base64 in ``data`` of a Secret, and in ``binaryData`` of a ConfigMap, whose ``data`` is plain text."""
    data = dict(manifest.get("data") or {}) if kind == "ConfigMap" else {}
    encoded = manifest.get("binaryData" if kind == "ConfigMap" else "data") or {}
    name = (manifest.get("metadata") or {}).get("name")
    data.update((key, _from_base64(f"{kind} {name}: {key}", text)) for key, text in encoded.items())
    return data


def _from_base64(what: str, text: Any) -> bytes:
    try:
        return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True)
    except (TypeError, ValueError):
        raise UsageError(f"{what} in data is not Base64; use stringData for plain text") from None


def require_cluster(cluster_secrets: Any) -> None:
    """Check that an argument is a :class:`ClusterSecrets` or None.

    Raises:
        UsageError: it is neither.
    """
    if not isinstance(cluster_secrets, (ClusterSecrets, type(None))):
        kind = with_article(type(cluster_secrets).__name__)
        raise UsageError(f"cluster_secrets must be a ClusterSecrets, not {kind}")
