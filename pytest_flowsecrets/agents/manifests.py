"""Readers of YAML files for Kubernetes and ECS. PyYAML comes with Prefect and with the extra ``check``."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Union

from pytest_flowsecrets.errors import UsageError, with_article

Path = Union[str, "os.PathLike[str]"]


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
