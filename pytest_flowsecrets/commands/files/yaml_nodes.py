"""The nodes of PyYAML: loading, children, entries and positions, and the types of unquoted values.

Kubernetes and Docker Compose do not read every unquoted value as a string.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterable, List, Optional, Pattern, Tuple

from pytest_flowsecrets.commands.files.reading import TEMPLATE, Unreadable
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.findings.model import Edit

BRACES = re.compile(r"\{\{|\{%")
_DEEPEST = 150  # levels that the recursion of PyYAML can always read
_MANY = 2_000


def yaml_documents(text: str, path: str) -> List[Any]:
    """Return the nodes of the documents in a YAML or JSON file.

    Args:
        text: one or several documents.
        path: the name of the file, for errors.

    Raises:
        Unreadable: the text is not YAML.
        UsageError: PyYAML is not installed.
    """
    yaml = _yaml()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if _is_shallow(text) else yaml.SafeLoader
    try:
        if loader is yaml.SafeLoader:
            _refuse_deep(yaml.scan(text, Loader=loader), path)
        return list(yaml.compose_all(text, Loader=loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = TEMPLATE if BRACES.search(text) else "not valid YAML"
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise Unreadable(path, reason, *place) from None


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise UsageError("checking YAML needs PyYAML: pip install 'pytest-flowsecrets[check]'") from None
    return yaml


def _is_shallow(text: str) -> bool:
    """Return whether the text is too shallow to end the process through the recursion of libyaml."""
    openings = sum(text.count(mark) for mark in ("[", "{", "- ", "? "))
    return openings < _MANY and max(map(len, re.findall(r"^ +", text, re.MULTILINE)), default=0) < _MANY


def _refuse_deep(tokens: Iterable[Any], path: str) -> None:
    depth = 0
    for token in tokens:
        name = type(token).__name__
        depth += name.endswith(("SequenceStartToken", "MappingStartToken"))
        depth -= name in ("BlockEndToken", "FlowSequenceEndToken", "FlowMappingEndToken")
        if depth > _DEEPEST:
            raise Unreadable(path, "nested too deeply", *place_of(token))


def entries(node: Any) -> List[Tuple[Any, Any]]:
    """Return the entries of a mapping whose keys are scalars, as all keys of manifests are.

    Args:
        node: any node. Only a mapping has entries.
    """
    return [(key, value) for key, value in node.value if key.id == "scalar"] if node.id == "mapping" else []


def child(node: Any, name: str) -> Any:
    """Return the value of a key in a mapping, or None.

    Args:
        node: any node, or None.
        name: the key.
    """
    return next((value for key, value in entries(node) if key.value == name), None) if node is not None else None


def place_of(node: Any) -> Tuple[int, int]:
    """Return the 1-based line and column in which a node or a token starts.

    Args:
        node: a node or a token.
    """
    return node.start_mark.line + 1, node.start_mark.column + 1


def lines_of(first: Any, last: Any) -> Tuple[int, int]:
    """Return the 1-based first and last line of two nodes and the text between them.

    Args:
        first: the node in which the text starts.
        last: the node in which the text ends.
    """
    start: int = first.start_mark.line + 1
    return start, max(start, _last_line(last))


def _last_line(node: Any) -> int:
    """Return the line in which the text of a node ends.

    The end mark of a block is after the comments that follow it, where the next node starts. Aliases are ignored,
    because they stand for text further up.
    """
    if node.id == "scalar":
        end = node.end_mark
        return int(end.line + 1 if end.column else max(end.line, node.start_mark.line + 1))
    children = [value for _, value in node.value] if node.id == "mapping" else node.value
    own = [each for each in children if each.start_mark.index > node.start_mark.index]
    return max((_last_line(each) for each in own), default=node.start_mark.line + 1)


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


def quoting_edits(node: Any) -> Tuple[Edit, ...]:
    """Return the edits that put an unquoted value in quotes, which makes it a string with the same text.

    Args:
        node: the value.
    """
    start, end = node.start_mark.index, node.end_mark.index
    if node.id != "scalar" or node.style or end - start != len(node.value):  # has a tag or an anchor
        return ()
    return Edit(start, start, QUOTE), Edit(end, end, QUOTE)


def lower_case_edits(node: Any, pattern: Pattern[str]) -> Tuple[Edit, ...]:
    """Return the edit that writes a name in lower case, if that alone makes it valid.

    Args:
        node: the name.
        pattern: the pattern of valid names.
    """
    if node.id != "scalar" or not pattern.fullmatch(node.value.lower()):
        return ()
    start, end = node.start_mark.index, node.end_mark.index
    quotes = int(node.style in ("'", '"'))
    if end - start != len(node.value) + 2 * quotes:
        return ()
    return (Edit(start + quotes, end - quotes, node.value.lower()),)


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
