"""Line and column of each key of a TOML text, from tomlkit's round-trip tree.

tomlkit keeps every character of a text but no offsets. Walking its tree in the order of the text, the next key is the
next occurrence of its own spelling: what lies between (blanks, comments, values) is walked over first.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Dict, Iterable, NamedTuple, Tuple

Key = Tuple[str, ...]


class Position(NamedTuple):
    """Where a key is written, 1-based, whether as a part of a dotted one (``a.b = ...``), and where its value ends."""

    line: int
    column: int
    dotted: bool
    last: int


def positions_of(text: str) -> Dict[Key, Position]:
    """Find each key.

    Args:
        text: TOML.

    Returns:
        1-based line and column by key; empty where tomlkit cannot read the text.
    """
    import tomlkit

    try:
        document = tomlkit.parse(text)
        walk = _Walk(text)
        walk.container(document.body, ())
    except Exception:  # noqa: BLE001 (a position is a courtesy: without one, the file's name has to do)
        return {}
    return walk.found


def position(source: bytes, at: int) -> Tuple[int, int]:
    """Turn an offset into a file's bytes into 1-based line and column.

    Args:
        source: the file's bytes.
        at: an offset.
    """
    start = source.rfind(b"\n", 0, at) + 1
    return source.count(b"\n", 0, at) + 1, at - start + 1


class _Walk:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.starts = [0] + [index + 1 for index, character in enumerate(text) if character == "\n"]
        self.found: Dict[Key, Position] = {}

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
        again = path in self.found  # in another table of an array
        self.note(path, key.as_string(), dotted=dotted)
        if hasattr(item, "is_super_table") or type(item).__name__ == "InlineTable":
            self.container(item.value.body, path, inline=True)
        else:
            self.skip(item.as_string())
        if not again:
            self.found[path] = self.found[path]._replace(last=bisect_right(self.starts, self.at))
        self.skip(item.trivia.comment)

    def note(self, path: Key, spelling: str, *, dotted: bool = False) -> None:
        spelling = spelling.strip()  # tomlkit takes the blanks around a dot for a part of the key
        self.at = self.text.index(spelling, self.at)
        line = bisect_right(self.starts, self.at)
        self.found.setdefault(path, Position(line, self.at - self.starts[line - 1] + 1, dotted, line))
        self.at += len(spelling)

    def skip(self, spelling: str) -> None:
        if spelling:
            self.at = self.text.index(spelling, self.at) + len(spelling)
