"""Prefect's configuration tables, read and written underneath their own methods.

``prefect.config`` is a tree of ``Config`` tables: a ``DotDict`` (items in ``__dict__``) up to 0.6.5, a python-box
``Box`` (a dict) from 0.6.6. Their own methods convert, copy and validate on the way; here only the plain items
underneath are touched, so that a table keeps its identity and what was in it comes back exactly.

Two ways to hold a tree:

* a ``Tree`` is a copy by value: what a table should hold;
* a ``TableSnapshot`` remembers the table objects themselves: what has to come back.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, Iterable, Iterator, List, Tuple, Union

Path = Tuple[str, ...]
Kind = Union[type, Tuple[type, ...]]  # of tables; several after Prefect was imported again
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


def copy_items(table: Any) -> Dict[str, Any]:
    """The items of a table, copied in one step: another thread may be changing them.

    Not by ``dict.copy``: of a class with an ``__iter__`` of its own, as ``Box`` is, it asks for one item after another.
    """
    return dict(dict.items(items_of(table)))


def replace_items(table: Any, items: Dict[str, Any]) -> None:
    """Make ``items`` the items of ``table``, in place. At no moment does another thread see a kept key missing."""
    held = items_of(table)
    for key in [key for key in dict.keys(held) if key not in items]:
        dict.pop(held, key, None)
    dict.update(held, items)


def freeze(table: Any, kind: Kind) -> Tree:
    """Copy a table of a class ``kind`` by value."""
    return Tree(
        (key, freeze(value, kind) if isinstance(value, kind) else value) for key, value in dict.items(items_of(table))
    )


def thaw(table: Any, tree: Tree, kind: Kind) -> None:
    """Make a table hold what ``tree`` says, in place; tables below it stay the same objects where they exist."""
    present = items_of(table)
    items = {}
    for key, value in tree.items():
        if isinstance(value, Tree):
            child = dict.get(present, key)
            items[key] = child if isinstance(child, kind) else type(table)()
            thaw(items[key], value, kind)
        else:
            items[key] = value if type(value) in _SCALARS else deepcopy(value)
    replace_items(table, items)


def changes(old: Tree, new: Tree) -> Dict[Path, Any]:
    """The leaves in which two trees differ, by path: MISSING for those that go, which come first, then new values."""
    before, after = dict(leaves(old)), dict(leaves(new))
    found = {path: MISSING for path in before if path not in after and not isinstance(at(new, path), Tree)}
    for path, value in after.items():
        held = before.get(path, MISSING)
        if type(held) is not type(value) or held != value:
            found[path] = value
    return found


def at(tree: Tree, path: Path) -> Any:
    """What stands at a path; MISSING where nothing does."""
    found: Any = tree
    for key in path:
        if not isinstance(found, Tree) or key not in found:
            return MISSING
        found = found[key]
    return found


def leaves(tree: Tree, above: Path = ()) -> Iterator[Tuple[Path, Any]]:
    """Path and value of every leaf of a tree; an empty table is one."""
    for key, value in tree.items():
        if isinstance(value, Tree) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def change(table: Any, path: Path, value: Any, kind: Kind) -> None:
    """Set or remove (``MISSING``) one leaf below a table, in place; tables are made as needed.

    An empty tree is a leaf that asks for a table to be there, whatever is in it.
    """
    key, *below = path
    held = items_of(table)
    child = dict.get(held, key)
    if below and value is MISSING and not isinstance(child, kind):
        return
    if (below or isinstance(value, Tree)) and not isinstance(child, kind):
        child = type(table)()
        dict.__setitem__(held, key, child)
    if below:
        change(child, tuple(below), value, kind)
    elif value is MISSING:
        dict.pop(held, key, None)
    elif not isinstance(value, Tree):
        dict.__setitem__(held, key, deepcopy(value))


def prune(table: Any, path: Path, kind: Kind) -> None:
    """Remove the tables above a removed leaf that are empty now; Prefect's loader makes none."""
    for length in range(len(path) - 1, 0, -1):
        above = table
        for key in path[: length - 1]:
            above = dict.get(items_of(above), key)
            if not isinstance(above, kind):
                return
        child = dict.get(items_of(above), path[length - 1])
        if not isinstance(child, kind) or items_of(child):
            return
        dict.pop(items_of(above), path[length - 1])


class TableSnapshot:
    """Tables as they are now: the same objects with the same items come back with ``restore``.

    Args:
        tables: the tables from which to start; those inside them are taken along.
        kind: the class of the tables, or the classes.
    """

    def __init__(self, tables: Iterable[Any], kind: Kind) -> None:
        self._kind = kind
        self._saved: Dict[int, Tuple[Any, Dict[str, Any]]] = {}
        for table in tables:
            self._take(table)

    def _take(self, table: Any) -> None:
        if id(table) in self._saved:
            return
        items = copy_items(table)
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
            replace_items(table, items)
