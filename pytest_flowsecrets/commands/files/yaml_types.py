"""What an unquoted YAML value is to Kubernetes and to Docker Compose, where it is no text."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Optional, Pattern

TAG = "tag:yaml.org,2002:"
QUOTE = "'"
_BOOL = re.compile(r"(?:y|yes|n|no|true|false|on|off)", re.IGNORECASE)
# Kubernetes' YAML differs a little from PyYAML's: 1e5 is a number, 1:30 and dates are texts.
_KUBERNETES = {
    "bool": _BOOL,
    "int": re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)"),
    "float": re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", re.IGNORECASE
    ),
}
# What one of Compose's releases writes in another way, or refuses: 1 reads with PyYAML, 2 with Go's yaml.v3. Both hand
# 5432 and 1.5 on as they are written.
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


def no_text_to_kubernetes(value: Any) -> Optional[str]:
    """Return what a YAML node is to Kubernetes where it is no text; None where it is one.

    Args:
        value: a node of PyYAML. Tags of a tool's own are its own business.
    """
    return _kind(value, _KUBERNETES)


def changed_by_compose(value: Any) -> Optional[str]:
    """Return what a YAML node is to Docker Compose where a container does not get it as it is written; else None.

    Args:
        value: a node of PyYAML.
    """
    return _kind(value, _COMPOSE)


def _kind(value: Any, patterns: Dict[str, Pattern[str]]) -> Optional[str]:
    if value.id != "scalar":
        return "list" if value.id == "sequence" else "mapping"
    tag = value.tag.partition(TAG)[2]
    if value.style:  # quoted, or a block: a text unless it says !!int
        return tag if tag in _KUBERNETES else None
    says_text = tag == "str" and value.end_mark.index - value.start_mark.index > len(value.value)  # !!str 5
    kinds = patterns.items() if tag and not says_text else ()
    return next((kind for kind, pattern in kinds if pattern.fullmatch(value.value)), None)


def yaml_line(name: str, quote: Optional[str], text: str) -> str:
    """Write an entry of a YAML mapping, or of a JSON object.

    Args:
        name: its key.
        quote: how the key is quoted in the file: in double quotes, the entry is written as JSON.
        text: its value.
    """
    if quote == '"':
        return f"{json.dumps(name)}: {json.dumps(text)}"
    return f"{name}: {_yaml_string(text)}"


def yaml_item(name: str, text: str) -> str:
    """Write an entry of a YAML list of assignments.

    Args:
        name: the variable.
        text: its value.
    """
    return f"- {_yaml_string(f'{name}={text}')}"


def _yaml_string(text: str) -> str:
    return f"'{text.replace(QUOTE, QUOTE * 2)}'" if text.isprintable() else json.dumps(text)
