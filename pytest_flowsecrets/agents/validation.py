"""The shape of job templates, task definitions and manifests, checked before anybody reads them; names, never values.

A shape is a mapping of keys to shapes, a list of one shape, or a type. Keys may be missing, unless they end in ``!``;
they may not be null, unless they end in ``?``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Dict

from pytest_flowsecrets.errors import UsageError

_REFERENCE = {"name": str, "optional?": bool}
_KEY = {"name!": str, "key!": str, "optional?": bool}
_METADATA: Dict[str, Any] = {"labels": {}}
_CONTAINER = {
    "env": [{"valueFrom?": {"secretKeyRef": _KEY, "configMapKeyRef": _KEY}}],
    "envFrom?": [{"prefix?": str, "secretRef": _REFERENCE, "configMapRef": _REFERENCE}],
}
#: Null where Prefect's agent looks itself ends it: ``env`` and ``metadata``.
JOB = {"metadata": _METADATA, "spec": {"template": {"metadata": _METADATA, "spec": {"containers": [_CONTAINER]}}}}
_OF_TASK = {"name?": str, "environment?": [{"name!": str, "value!": str}]}
TASK = {"containerDefinitions": [{**_OF_TASK, "secrets?": [{"name!": str, "valueFrom!": str}]}]}
RUN_TASK = {"overrides?": {"containerOverrides?": [_OF_TASK]}}
LIST: Dict[str, Any] = {"items?": [{}]}
MANIFEST = {"metadata?": {"namespace?": str}, "data?": {}, "stringData?": {}, "binaryData?": {}}

_WORDS = {Mapping: "a mapping", list: "a list", str: "text", bool: "true or false"}


def require(node: Any, shape: Any, what: str) -> None:
    """Check the shape of what a user wrote.

    Args:
        node: what it is.
        shape: what it should be.
        what: in words, for the error.

    Raises:
        UsageError: it has another; tells where, and the types.
    """
    if isinstance(shape, dict):
        _require_type(node, Mapping, what)
        for written, inner in shape.items():
            key = written.rstrip("!?")
            if key not in node and written.endswith("!"):
                raise UsageError(f"{what} lacks {key}")
            if node.get(key) is not None or (key in node and not written.endswith("?")):
                require(node[key], inner, f"{what}: {key}" if ": " not in what else f"{what}.{key}")
    elif isinstance(shape, list):
        _require_type(node, list, what)
        for number, each in enumerate(node):
            require(each, shape[0], f"{what}[{number}]")
    else:
        _require_type(node, shape, what)


def require_json(node: Any, what: str) -> None:
    """Check that something can be sent to the API.

    Raises:
        UsageError: it cannot.
    """
    try:
        json.dumps(node)
    except (TypeError, ValueError, RecursionError):
        raise UsageError(f"{what}: something in it is no JSON, such as a date; put it in quotes") from None


def _require_type(node: Any, wanted: Any, what: str) -> None:
    if not isinstance(node, wanted):
        raise UsageError(f"{what} is a {type(node).__name__} where {_WORDS[wanted]} should be")
