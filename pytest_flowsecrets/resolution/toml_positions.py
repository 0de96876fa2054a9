"""Line and column of each key in a TOML text, from tomlkit's round-trip tree.

tomlkit keeps every character of a text but no offsets. The walk follows the order of the text: after skipping blanks,
comments and values, the next key is at the next occurrence of its text.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Dict, Iterable, NamedTuple, Tuple

Key = Tuple[str, ...]


class Position(NamedTuple):
    """The position of a key.

    Attributes:
        line: the 1-based line.
        column: the 1-based column.
        dotted: whether it is part of a dotted key (``a.b = ...``).
        last: the last line of its value.
    """

    line: int
    column: int
    dotted: bool
    last: int


def positions_of(text: str) -> Dict[Key, Position]:
    """Return the positions of all keys.

    Args:
        text: TOML.

    Returns:
        The positions by key; none if tomlkit cannot read the text.
    """
    import tomlkit

    try:
        document = tomlkit.parse(text)
        walk = _Walk(text)
        walk.container(document.body, ())
    except Exception:  # noqa: BLE001 (positions are optional: without them, messages name only the file)
        return {}
    return walk.positions


def position(source: bytes, at: int) -> Tuple[int, int]:
    """Convert an offset in the bytes of a file to the 1-based line and column.

    Args:
        source: the bytes of the file.
        at: the offset.
    """
    start = source.rfind(b"\n", 0, at) + 1
    return source.count(b"\n", 0, at) + 1, at - start + 1


class _Walk:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.starts = [0] + [index + 1 for index, character in enumerate(text) if character == "\n"]
        self.positions: Dict[Key, Position] = {}

    def container(self, body: Iterable[Any], parent: Key, *, inline: bool = False, dotted: bool = False) -> None:
        for key, item in body:
            if key is None:
                self.skip(item.as_string())
            elif not inline and hasattr(item, "is_super_table"):
                self.table(key, item, parent, dotted=dotted)
            elif not inline and isinstance(getattr(item, "body", None), list):  # an array of tables
                for table in item.body:
                    self.table(key, table, parent)
            else:
                self.pair(key, item, parent, dotted=dotted)

    def table(self, key: Any, item: Any, parent: Key, *, dotted: bool = False) -> None:
        path = (*parent, key.key)
        if key.is_dotted():
            self.note(path, key.as_string(), dotted=dotted)
        elif not item.is_super_table():
            self.note(path, item.display_name or key.as_string())
            self.skip("]")
            self.skip(item.trivia.comment)
        self.container(item.value.body, path, dotted=key.is_dotted())

    def pair(self, key: Any, item: Any, parent: Key, *, dotted: bool = False) -> None:
        path = (*parent, key.key)
        is_known = path in self.positions  # from another table of an array
        self.note(path, key.as_string(), dotted=dotted)
        if hasattr(item, "is_super_table") or type(item).__name__ == "InlineTable":
            self.container(item.value.body, path, inline=True)
        else:
            self.skip(item.as_string())
        if not is_known:
            self.positions[path] = self.positions[path]._replace(last=bisect_right(self.starts, self.at))
        self.skip(item.trivia.comment)

    def note(self, path: Key, spelling: str, *, dotted: bool = False) -> None:
        spelling = spelling.strip()  # tomlkit includes the blanks around a dot in the key
        self.at = self.text.index(spelling, self.at)
        line = bisect_right(self.starts, self.at)
        self.positions.setdefault(path, Position(line, self.at - self.starts[line - 1] + 1, dotted, line))
        self.at += len(spelling)

    def skip(self, spelling: str) -> None:
        if spelling:
            self.at = self.text.index(spelling, self.at) + len(spelling)
