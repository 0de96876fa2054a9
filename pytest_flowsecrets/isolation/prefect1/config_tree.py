"""Read and write Prefect's configuration tables without their own methods.

``prefect.config`` is a tree of ``Config`` tables. A table is a ``DotDict`` (items in ``__dict__``) up to 0.6.5, and a
python-box ``Box`` (a dict) from 0.6.6 on. The methods of these classes convert, copy and validate items. This module
uses only the underlying dictionaries, so that a table keeps its identity and its exact contents can be restored.

There are two representations of a tree:

* A ``Tree`` is a copy by value. It holds the contents that a table should have.
* A ``TableSnapshot`` remembers the table objects themselves. It restores their contents.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, Iterable, Iterator, Tuple, Union

Path = Tuple[str, ...]
Kind = Union[type, Tuple[type, ...]]  # the class of the tables, or several after Prefect was imported again
_SCALARS = frozenset({str, int, float, bool, bytes, complex, type(None)})


class Tree(Dict[str, Any]):
    """The contents of a table. A table inside it is also a ``Tree``, and every other value is a leaf."""


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


def items_of(table: Any) -> Dict[str, Any]:
    """Return the dictionary that holds the items of a table. Use it only with the methods of ``dict`` itself."""
    return table if isinstance(table, dict) else vars(table)


def copy_items(table: Any) -> Dict[str, Any]:
    """Return a copy of the items of a table, made in one step because another thread may change them.

    ``dict.copy`` is not suitable. For a class with its own ``__iter__``, such as ``Box``, it reads item by item.
    """
    return dict(dict.items(items_of(table)))


def replace_items(current: Dict[str, Any], items: Dict[str, Any]) -> None:
    """Replace the items of a dictionary in place. Keys that stay are visible to other threads at every moment."""
    for key in [key for key in dict.keys(current) if key not in items]:
        dict.pop(current, key, None)
    dict.update(current, items)


def freeze(table: Any, kind: Kind) -> Tree:
    """Return a copy by value of a table of the class ``kind``."""
    items = dict.items(items_of(table))
    return Tree({key: freeze(value, kind) if isinstance(value, kind) else value for key, value in items})


def thaw(table: Any, tree: Tree, kind: Kind) -> None:
    """Replace the contents of a table by those of ``tree``, in place. Existing tables inside it are reused."""
    pending, prepared = [(items_of(table), tree)], []
    for current, subtree in pending:  # grows: the tables inside follow
        items = {}
        for key, value in subtree.items():
            if isinstance(value, Tree):
                child = dict.get(current, key)
                items[key] = child if isinstance(child, kind) else type(table)()
                pending.append((items_of(items[key]), value))
            else:
                items[key] = value if type(value) in _SCALARS else deepcopy(value)
        prepared.append((current, items))
    for current, items in reversed(prepared):  # the innermost first, so that other threads see no empty tables
        replace_items(current, items)


def changes(old: Tree, new: Tree) -> Dict[Path, Any]:
    """Return the leaves in which two trees differ, by path: first MISSING for removed leaves, then new values."""
    before, after = dict(leaves(old)), dict(leaves(new))
    differences = {path: MISSING for path in before if path not in after and not isinstance(at(new, path), Tree)}
    for path, value in after.items():
        previous = before.get(path, MISSING)
        if type(previous) is not type(value) or previous != value:
            differences[path] = value
    return differences


def at(tree: Tree, path: Path) -> Any:
    """Return the value at a path, or MISSING."""
    value: Any = tree
    for key in path:
        if not isinstance(value, Tree) or key not in value:
            return MISSING
        value = value[key]
    return value


def leaves(tree: Tree, above: Path = ()) -> Iterator[Tuple[Path, Any]]:
    """Yield the path and the value of every leaf of a tree. An empty table is a leaf."""
    for key, value in tree.items():
        if isinstance(value, Tree) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def change(table: Any, path: Path, value: Any, kind: Kind) -> None:
    """Set or remove (``MISSING``) one leaf below a table, in place. Missing tables on the path are created.

    An empty tree as the value ensures that a table exists at the path, and does not change its contents.
    """
    key, *below = path
    items = items_of(table)
    if not below and not isinstance(value, Tree):
        _set_item(items, key, value)
        return
    child = dict.get(items, key)
    if not isinstance(child, kind):
        if value is MISSING:
            return
        child = type(table)()
        dict.__setitem__(items, key, child)
    if below:
        change(child, tuple(below), value, kind)


def _set_item(items: Dict[str, Any], key: str, value: Any) -> None:
    if value is MISSING:
        dict.pop(items, key, None)
    else:
        dict.__setitem__(items, key, deepcopy(value))


def prune(table: Any, path: Path, kind: Kind) -> None:
    """Remove the tables above a removed leaf that are now empty. Prefect's loader creates no empty tables."""
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
    """The current items of tables. ``restore`` gives the same objects the same items again.

    Args:
        tables: the tables. Tables inside them are included.
        kind: the class of the tables, or several classes.
    """

    def __init__(self, tables: Iterable[Any], kind: Kind) -> None:
        self._saved: Dict[int, Tuple[Any, Dict[str, Any]]] = {}
        pending = list(tables)
        for table in pending:  # grows: the tables inside follow
            if id(table) not in self._saved:
                items = copy_items(table)
                self._saved[id(table)] = table, items
                pending += [value for value in items.values() if isinstance(value, kind)]

    def __contains__(self, table: object) -> bool:
        return id(table) in self._saved

    def restore(self) -> None:
        """Restore the items of every table."""
        for table, items in list(self._saved.values()):
            replace_items(items_of(table), items)
