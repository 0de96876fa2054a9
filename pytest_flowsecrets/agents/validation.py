"""Validation of the structure of job templates, task definitions and manifests, with errors that contain no value.

A schema is a mapping of keys to schemas, a list of one schema, or a type. A key that ends in ``!`` must be present.
Only a key that ends in ``?`` may be null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Dict

from pytest_flowsecrets.errors import UsageError, with_article

_REFERENCE = {"name": str, "optional?": bool}
_KEY = {"name!": str, "key!": str, "optional?": bool}
_METADATA: Dict[str, Any] = {"labels": {}}
_CONTAINER = {
    "env": [{"valueFrom?": {"secretKeyRef": _KEY, "configMapKeyRef": _KEY}}],
    "envFrom?": [{"prefix?": str, "secretRef": _REFERENCE, "configMapRef": _REFERENCE}],
}
#: Prefect's agent fails if ``env`` or ``metadata`` is null.
JOB = {"metadata": _METADATA, "spec": {"template": {"metadata": _METADATA, "spec": {"containers": [_CONTAINER]}}}}
_OF_TASK = {"name?": str, "environment?": [{"name!": str, "value!": str}]}
TASK = {"containerDefinitions": [{**_OF_TASK, "secrets?": [{"name!": str, "valueFrom!": str}]}]}
RUN_TASK = {"overrides?": {"containerOverrides?": [_OF_TASK]}}
LIST: Dict[str, Any] = {"items?": [{}]}
MANIFEST = {"metadata?": {"namespace?": str}, "data?": {}, "stringData?": {}, "binaryData?": {}}

_WORDS = {Mapping: "a mapping", list: "a list", str: "a string", bool: "true or false"}


def require(node: Any, schema: Any, what: str) -> None:
    """Check the structure of data from a user.

    Args:
        node: the data.
        schema: the expected structure.
        what: a description of the data, for the error.

    Raises:
        UsageError: the structure is different. The message contains the place and the types.
    """
    if isinstance(schema, dict):
        _require_type(node, Mapping, what)
        for key, inner in schema.items():
            _require_key(node, key, inner, what)
    elif isinstance(schema, list):
        _require_type(node, list, what)
        for number, each in enumerate(node):
            require(each, schema[0], f"{what}[{number}]")
    else:
        _require_type(node, schema, what)


def _require_key(node: Any, key: str, schema: Any, what: str) -> None:
    name = key.rstrip("!?")
    if name not in node and key.endswith("!"):
        raise UsageError(f"{what} lacks {name}")
    if node.get(name) is not None or (name in node and not key.endswith("?")):
        require(node[name], schema, f"{what}: {name}" if ": " not in what else f"{what}.{name}")


def require_json(node: Any, what: str) -> None:
    """Check that data can be sent to the API.

    Raises:
        UsageError: it is not JSON.
    """
    try:
        json.dumps(node)
    except (TypeError, ValueError, RecursionError):
        raise UsageError(f"{what}: a value is not JSON, such as a date; put it in quotes") from None


def _require_type(node: Any, expected: Any, what: str) -> None:
    if not isinstance(node, expected):
        raise UsageError(f"{what} is {with_article(type(node).__name__)}, but must be {_WORDS[expected]}")
