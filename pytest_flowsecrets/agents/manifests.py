"""Manifests: read YAML files for Kubernetes and ECS, and check their structure with errors that contain no value.

PyYAML comes with Prefect and with the extra ``check``. A schema is a mapping of keys to schemas, a list of one schema,
or a type. A key that ends in ``!`` must be present. Only a key that ends in ``?`` may be null.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Dict, List, Optional, Union

from pytest_flowsecrets.errors import UsageError, with_article

Path = Union[str, "os.PathLike[str]"]
Template = Union[Path, "Mapping[str, Any]"]  # quoted, because Python 3.8 cannot subscript the class


def load_all(path: Path) -> List[Any]:
    """Return the documents of a YAML file that are not empty.

    Raises:
        UsageError: the path is not valid, the file cannot be read or is not YAML, or PyYAML is not installed.
    """
    yaml = _yaml()
    if not isinstance(path, (str, os.PathLike)):  # open() reads a number as a file descriptor
        raise UsageError(f"the path of a YAML file must be a string, not {with_article(type(path).__name__)}")
    name = os.fspath(path)
    if "://" in name:
        raise UsageError(f"{name}: only files on this machine can be read: download it and pass its path")
    try:
        with open(path, encoding="utf-8") as file:
            return [document for document in yaml.safe_load_all(file) if document is not None]
    except yaml.YAMLError as error:
        raise UsageError(f"{name}{_position(error)}: not valid YAML; render a template with {{{{ }}}} first") from None
    except OSError as error:
        raise UsageError(f"{name}: {str(error.strerror).lower()}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{name}: not UTF-8") from None
    except RecursionError:
        raise UsageError(f"{name}: nested too deeply") from None


def _position(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


def load_one(source: Union[Path, Mapping[str, Any]], what: str) -> Dict[str, Any]:
    """Return a template that is a mapping or a YAML file with one document.

    Args:
        source: the mapping, or the path of the file.
        what: the kind of template, for errors.

    Raises:
        UsageError: as for :func:`load_all`, or the file is not exactly one mapping.
    """
    if isinstance(source, Mapping):
        return dict(source)
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(
            f"a {what} must be a mapping or the path of a YAML file, not {with_article(type(source).__name__)}"
        )
    documents = load_all(source)
    if len(documents) != 1 or not isinstance(documents[0], Mapping):
        content = type(documents[0]).__name__ if len(documents) == 1 else f"{len(documents)} documents"
        raise UsageError(f"{os.fspath(source)}: a {what} must be one mapping, but this is {content}")
    return dict(documents[0])


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise UsageError("reading YAML needs PyYAML: pip install 'pytest-flowsecrets[check]'") from None
    return yaml


_REFERENCE = {"name": str, "optional?": bool}
_KEY = {"name!": str, "key!": str, "optional?": bool}
_METADATA: Dict[str, Any] = {"labels": {}}
CONTAINER = {
    "env": [{"valueFrom?": {"secretKeyRef": _KEY, "configMapKeyRef": _KEY}}],
    "envFrom?": [{"prefix?": str, "secretRef": _REFERENCE, "configMapRef": _REFERENCE}],
}
#: Prefect's agent fails if ``env`` or ``metadata`` is null.
JOB = {"metadata": _METADATA, "spec": {"template": {"metadata": _METADATA, "spec": {"containers": [CONTAINER]}}}}
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


def texts_of(what: str, texts: Optional[Mapping[str, str]]) -> Mapping[str, str]:
    """Return variables after a check.

    Args:
        what: the argument, for the error.
        texts: the value of the argument.

    Raises:
        UsageError: it is not a mapping of strings, or a process cannot have such a variable. The message contains
            names, never values.
    """
    if not isinstance(texts, (Mapping, type(None))):
        raise UsageError(f"{what} must be a mapping of names to strings, not {type(texts).__name__}")
    for name, text in (texts or {}).items():
        _require_variable(what, name, text)
    return dict(texts or {})


def _require_variable(what: str, name: Any, text: Any) -> None:
    if not isinstance(name, str) or not isinstance(text, str):
        kind = with_article(type(text).__name__)
        raise UsageError(f"{what}: {name!r} is {kind}, but a variable must be a string: put it in quotes")
    if not name or "=" in name or "\0" in name + text:
        raise UsageError(
            f"{what}: {name!r} cannot be set: a name is not empty, contains no '=', and nothing contains NUL"
        )
