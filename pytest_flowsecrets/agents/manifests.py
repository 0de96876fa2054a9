"""YAML files of Kubernetes and of ECS, read. PyYAML comes with Prefect, and with the extra ``check``."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Union

from pytest_flowsecrets.errors import UsageError

Path = Union[str, "os.PathLike[str]"]


def load_all(path: Path) -> List[Any]:
    """The documents of a YAML file that are not empty.

    Raises:
        UsageError: it is no path, the file cannot be read, is no YAML, or there is no PyYAML.
    """
    yaml = _yaml()
    if not isinstance(path, (str, os.PathLike)):  # a number would be the file of that descriptor
        raise UsageError(f"the path of a YAML file is text, not a {type(path).__name__}")
    if "://" in os.fspath(path):
        raise UsageError(f"{os.fspath(path)}: only files of this machine are read: fetch it, and give its path")
    try:
        with open(path, encoding="utf-8") as file:
            return [document for document in yaml.safe_load_all(file) if document is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{os.fspath(path)}:{mark.line + 1}:{mark.column + 1}" if mark else os.fspath(path)
        raise UsageError(f"{place}: no YAML; a template with {{{{ }}}} has to be rendered first") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = str(error.strerror).lower() if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{os.fspath(path)}: {reason}") from None
    except RecursionError:
        raise UsageError(f"{os.fspath(path)}: nested too deeply") from None


def load_one(source: Union[Path, Mapping[str, Any]], what: str) -> Dict[str, Any]:
    """A template given as a mapping or as the path of a YAML file with one document.

    Args:
        source: mapping or path.
        what: what it is to be, for errors.

    Raises:
        UsageError: as :func:`load_all`; or it is not exactly one mapping.
    """
    if isinstance(source, Mapping):
        return dict(source)
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(f"a {what} is a mapping or the path of a YAML file, not a {type(source).__name__}")
    documents = load_all(source)
    if len(documents) != 1 or not isinstance(documents[0], Mapping):
        found = type(documents[0]).__name__ if len(documents) == 1 else f"{len(documents)} documents"
        raise UsageError(f"{os.fspath(source)}: a {what} is one mapping, and this is {found}")
    return dict(documents[0])


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise UsageError("reading YAML needs PyYAML: pip install 'pytest-flowsecrets[check]'") from None
    return yaml
