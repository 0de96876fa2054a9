"""The objects of a cluster that hold secrets: Secrets and ConfigMaps, set by a test or read from manifests."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, MutableMapping, Optional, Tuple, Union

from pytest_flowsecrets.agents import manifests, validation
from pytest_flowsecrets.errors import UsageError
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
    """The Secrets of a cluster, by name: what a ``secretKeyRef`` or ``envFrom`` finds.

    Setting takes texts (``stringData``) or bytes. What is refused is what the API server of Kubernetes refuses.

    Args:
        namespace: where the pods of flow runs look.
    """

    def __init__(self, namespace: str = "default", *, kind: str = "Secret", objects: Any = None) -> None:
        self.namespace, self._kind = namespace, kind
        self._objects: Dict[_Key, Texts] = {} if objects is None else objects

    @property
    def config_maps(self) -> ClusterSecrets:
        """The ConfigMaps of the same cluster, in the same way."""
        return ClusterSecrets(self.namespace, kind="ConfigMap", objects=self._objects)

    def __repr__(self) -> str:
        shown = {name: sorted(self._objects[self._key(name)]) for name in self}
        return f"<{self._kind}s in {self.namespace}: {shown}>"

    # -- the mapping --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Mapping[str, str]:
        if self._key(name) not in self._objects:
            raise KeyError(name)
        return dict(self._objects[self._key(name)])

    def __setitem__(self, name: str, data: Mapping[str, Value]) -> None:
        self._put(self._kind, self.namespace, name, data)

    def __delitem__(self, name: str) -> None:
        self[name]  # or there is none to delete
        del self._objects[self._key(name)]

    def __iter__(self) -> Iterator[str]:
        return iter([name for kind, space, name in self._objects if (kind, space) == (self._kind, self.namespace)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _key(self, name: str) -> _Key:
        return self._kind, self.namespace, name

    # -- manifests ----------------------------------------------------------------------------------------------------

    def load(self, path: Union[str, Path]) -> None:
        """Take the Secrets and ConfigMaps of a YAML file, with one or several documents; others are passed over.

        Raises:
            UsageError: the file cannot be read, is no YAML, or Kubernetes would refuse one of its objects.
        """
        for manifest in manifests.load_all(path):
            self.apply(manifest)

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Take one object, as ``kubectl apply`` does: a Secret, a ConfigMap, or a List of such.

        Raises:
            UsageError: Kubernetes would refuse it; names kind, name and key, never a value.
        """
        if not isinstance(manifest, Mapping):
            raise UsageError(f"a manifest is a mapping with apiVersion and kind, not {type(manifest).__name__}")
        kind = manifest.get("kind")
        if kind == "List":
            validation.require(manifest, validation.LIST, "the List")
            for each in manifest.get("items") or ():
                self.apply(each)
        if kind in KINDS:
            validation.require(manifest, validation.MANIFEST, f"the {kind}")
            about = manifest.get("metadata") or {}
            data = {**_decoded(manifest, kind), **(manifest.get("stringData") or {})}
            self._put(kind, about.get("namespace") or self.namespace, about.get("name"), data)

    def texts(self, kind: str, name: str) -> Optional[Texts]:
        """What an object holds, None where there is none of this name in the pod's namespace."""
        return self._objects.get((kind, self.namespace, name))

    def _put(self, kind: str, namespace: str, name: Any, data: Mapping[str, Any]) -> None:
        if not isinstance(name, (str, type(None))):
            raise UsageError(f"the name of a {kind} is text, not a {type(name).__name__}")
        if name is None or not OBJECT_NAME.fullmatch(name):
            raise UsageError(f"{name!r} can be no name of a {kind}: use lower-case letters, digits, - and .")
        if not isinstance(data, Mapping):
            raise UsageError(f"{kind} {name}: give a mapping of keys to texts, not {type(data).__name__}")
        for key, value in data.items():
            if not isinstance(key, str) or not KEY.fullmatch(key):
                raise UsageError(f"{kind} {name}: {key!r} can be no key: use letters, digits, -, _ and .")
            if not isinstance(value, (str, bytes)):
                raise UsageError(f"{kind} {name}: {key} is text, not {type(value).__name__}: put it in quotes")
            if kind == "Secret":
                registry.register(f"{name} {key}", os.fsdecode(value))
        self._objects[kind, namespace, name] = {key: os.fsdecode(value) for key, value in data.items()}


def _decoded(manifest: Mapping[str, Any], kind: str) -> Dict[str, Any]:
    """``data`` of a Secret is base64, that of a ConfigMap is text and its ``binaryData`` base64."""
    found = dict(manifest.get("data") or {}) if kind == "ConfigMap" else {}
    encoded = manifest.get("binaryData" if kind == "ConfigMap" else "data") or {}
    name = (manifest.get("metadata") or {}).get("name")
    found.update((key, _from_base64(f"{kind} {name}: {key}", text)) for key, text in encoded.items())
    return found


def _from_base64(what: str, text: Any) -> bytes:
    try:
        return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True)
    except (TypeError, ValueError):
        raise UsageError(f"{what} of data is no base64; give plain text in stringData") from None
