"""The types of unquoted YAML values in Kubernetes and Docker Compose that do not read them as strings."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Optional, Pattern

TAG = "tag:yaml.org,2002:"
QUOTE = "'"
_BOOL = re.compile(r"(?:y|yes|n|no|true|false|on|off)", re.IGNORECASE)
# The YAML of Kubernetes differs from that of PyYAML: 1e5 is a number, 1:30 and dates are strings.
_KUBERNETES = {
    "bool": _BOOL,
    "int": re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)"),
    "float": re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", re.IGNORECASE
    ),
}
# Values that a major version of Compose changes or rejects: 1 reads with PyYAML, 2 with Go's yaml.v3. Both pass on 5432
# and 1.5 unchanged.
_COMPOSE = {
    "bool": _BOOL,
    "int": re.compile(r"[-+]?0[box]?[0-9a-fA-F_]+|\+[0-9_]+|-?[0-9]+_[0-9_]*"),
    "float": re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+\.(?:[0-9]*0)?|[0-9]*\.?[0-9]+e[-+]?[0-9]+|0[0-9]+\.[0-9]+)|\+[0-9.]+|[-+]?\.inf|\.nan",
        re.IGNORECASE,
    ),
    "number in base 60": re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"),
    "date": re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9].*)?"),
}


def kubernetes_type(value: Any) -> Optional[str]:
    """Return the type of a YAML node in Kubernetes, or None if it is a string.

    Args:
        value: a node of PyYAML. Tags of other tools are ignored.
    """
    return _kind(value, _KUBERNETES)


def compose_type(value: Any) -> Optional[str]:
    """Return the type of a YAML node in Docker Compose, or None if a container gets the value as written.

    Args:
        value: a node of PyYAML.
    """
    return _kind(value, _COMPOSE)


def _kind(value: Any, patterns: Dict[str, Pattern[str]]) -> Optional[str]:
    if value.id != "scalar":
        return "list" if value.id == "sequence" else "mapping"
    tag = value.tag.partition(TAG)[2]
    if value.style:  # quoted, or a block: a string, unless there is a tag such as !!int
        return tag if tag in _KUBERNETES else None
    if not tag or _has_string_tag(value, tag):
        return None
    return next((kind for kind, pattern in patterns.items() if pattern.fullmatch(value.value)), None)


def _has_string_tag(value: Any, tag: str) -> bool:
    """Return whether a node is written as ``!!str 5``: the text of the node is longer than its value."""
    return tag == "str" and value.end_mark.index - value.start_mark.index > len(value.value)


def yaml_line(name: str, quote: Optional[str], text: str) -> str:
    """Return an entry of a YAML mapping, or of a JSON object.

    Args:
        name: the key.
        quote: the quote of the key in the file. If it is a double quote, the entry is written as JSON.
        text: the value.
    """
    if quote == '"':
        return f"{json.dumps(name)}: {json.dumps(text)}"
    return f"{name}: {_yaml_string(text)}"


def yaml_item(name: str, text: str) -> str:
    """Return an entry of a YAML list of assignments.

    Args:
        name: the variable.
        text: the value.
    """
    return f"- {_yaml_string(f'{name}={text}')}"


def _yaml_string(text: str) -> str:
    return f"'{text.replace(QUOTE, QUOTE * 2)}'" if text.isprintable() else json.dumps(text)
