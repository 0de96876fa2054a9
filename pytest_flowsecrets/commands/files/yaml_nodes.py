"""Access to the nodes of PyYAML: children, entries and positions."""

from __future__ import annotations

from typing import Any, List, Tuple


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
