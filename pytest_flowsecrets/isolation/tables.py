"""Prefect's configuration tables, read and written underneath their own methods.

``prefect.config`` is a tree of ``Config`` tables: a ``DotDict`` (items in ``__dict__``) up to 0.6.5, a python-box
``Box`` (a dict) from 0.6.6. Their own methods convert, copy and validate on the way; here only the plain items
underneath are touched, so that a table keeps its identity and what was in it comes back exactly.

Two ways to hold a tree:

* a ``Tree`` is a copy by value: what a table should hold;
* a ``Snapshot`` remembers the table objects themselves: what has to come back.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, Iterable, Iterator, List, Tuple

Path = Tuple[str, ...]
_SCALARS = frozenset({str, int, float, bool, bytes, complex, type(None)})


class Tree(Dict[str, Any]):
    """The contents of a table, tables inside it being ``Tree`` too; every other value is a leaf."""


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


def items_of(table: Any) -> Dict[str, Any]:
    """The dictionary in which a table keeps its items, to be used with ``dict``'s own methods only."""
    return table if isinstance(table, dict) else vars(table)


def fill(table: Any, items: Dict[str, Any]) -> None:
    """Make ``items`` the items of ``table``, in place. At no moment does another thread see a kept key missing."""
    held = items_of(table)
    for key in [key for key in dict.keys(held) if key not in items]:
        dict.pop(held, key, None)
    dict.update(held, items)


def freeze(table: Any, kind: type) -> Tree:
    """Copy a table of class ``kind`` by value."""
    return Tree(
        (key, freeze(value, kind) if isinstance(value, kind) else value) for key, value in dict.items(items_of(table))
    )


def thaw(table: Any, tree: Tree, kind: type) -> None:
    """Make a table hold what ``tree`` says, in place; tables below it stay the same objects where they exist."""
    present = items_of(table)
    items = {}
    for key, value in tree.items():
        if isinstance(value, Tree):
            child = dict.get(present, key)
            items[key] = child if isinstance(child, kind) else kind()
            thaw(items[key], value, kind)
        else:
            items[key] = value if type(value) in _SCALARS else deepcopy(value)
    fill(table, items)


def changes(old: Tree, new: Tree) -> Dict[Path, Any]:
    """The leaves in which two trees differ, by path: their new value, or MISSING."""
    before, after = dict(leaves(old)), dict(leaves(new))
    found = {path: MISSING for path in before if path not in after}
    for path, value in after.items():
        held = before.get(path, MISSING)
        if type(held) is not type(value) or held != value:
            found[path] = value
    return found


def leaves(tree: Tree, at: Path = ()) -> Iterator[Tuple[Path, Any]]:
    """Path and value of every leaf of a tree; an empty table is one."""
    for key, value in tree.items():
        if isinstance(value, Tree) and value:
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key), value


def change(table: Any, path: Path, value: Any, kind: type) -> None:
    """Set or remove (``MISSING``) one leaf below a table, in place. Tables are made as needed and go when empty."""
    key, *below = path
    held = items_of(table)
    if not below and value is MISSING:
        dict.pop(held, key, None)
    elif not below:
        dict.__setitem__(held, key, kind() if isinstance(value, Tree) else deepcopy(value))
    else:
        child = dict.get(held, key)
        if not isinstance(child, kind):
            if value is MISSING:
                return
            child = kind()
            dict.__setitem__(held, key, child)
        change(child, tuple(below), value, kind)
        if value is MISSING and not items_of(child):  # Prefect's loader makes no empty table, flattening drops them
            dict.pop(held, key)


class Snapshot:
    """Tables as they are now: the same objects with the same items come back with ``restore``.

    Args:
        tables: the tables from which to start; those inside them are taken along.
        kind: the class of the tables.
    """

    def __init__(self, tables: Iterable[Any], kind: type) -> None:
        self._kind = kind
        self._saved: Dict[int, Tuple[Any, Dict[str, Any]]] = {}
        for table in tables:
            self._take(table)

    def _take(self, table: Any) -> None:
        if id(table) in self._saved:
            return
        items = dict.copy(items_of(table))  # in one step, another thread may be writing
        self._saved[id(table)] = table, items
        for value in items.values():
            if isinstance(value, self._kind):
                self._take(value)

    def __contains__(self, table: object) -> bool:
        return id(table) in self._saved

    def restore(self) -> None:
        """Give every table its items back."""
        saved: List[Tuple[Any, Dict[str, Any]]] = list(self._saved.values())
        for table, items in saved:
            fill(table, items)
