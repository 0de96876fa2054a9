"""Layers into one: nested tables of slots, merged as Prefect merges its files, and flattened.

A slot that is replaced stays with the one that replaced it, so that a resolution knows the losers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, Mapping, Tuple

from pytest_flowsecrets.resolution.layers import Failure, Layer, Refused, Slot, Table, object_name

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect
    from pytest_flowsecrets.resolution.env_names import Key

Flat = Dict[Tuple[str, ...], Slot]


def slots_of(layer: Layer, dialect: Dialect) -> Dict[str, Any]:
    """Give a layer's tables with a slot in the place of each value.

    Args:
        layer: the layer.
        dialect: the rules.
    """
    nested = _nested_slots(layer.data, layer, ())
    return {name.lower(): value for name, value in nested.items()} if dialect.lower_top else nested


def _nested_slots(data: Mapping[str, Any], layer: Layer, parent: Key) -> Dict[str, Any]:
    return {
        name: _nested_slots(value, layer, (*parent, name))
        if isinstance(value, dict)
        else Slot(value, layer, (*parent, name))
        for name, value in data.items()
    }


def merge(weak: Dict[str, Any], strong: Dict[str, Any]) -> Dict[str, Any]:
    """Merge two trees of slots as ``merge_dicts`` does: tables recursively, anything else is replaced.

    Args:
        weak: nested tables of slots.
        strong: those that win.
    """
    merged = dict(weak)
    for name, value in strong.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[name] = merge(old, value)
            continue
        if old is not None:
            _beat(old, value)
        merged[name] = value
    return merged


def _beat(old: Any, new: Any) -> None:
    losers = [slot for _, slot in flattened(old)] if isinstance(old, dict) else [old]
    winners = [slot for _, slot in flattened(new)] if isinstance(new, dict) else [new]
    for winner in winners[:1]:
        for loser in losers:
            winner.beaten += [loser, *loser.beaten]


def flattened(tables: Mapping[str, Any], parent: Key = ()) -> Iterable[Tuple[Key, Slot]]:
    """Walk over nested tables of slots; empty tables leave no trace.

    Args:
        tables: nested tables.
        parent: the key that they stand under.
    """
    for name, value in tables.items():
        if isinstance(value, dict):
            yield from flattened(value, (*parent, name))
        else:
            yield (*parent, name), value


def merge_flat(weak: Flat, strong: Flat) -> Flat:
    """Merge two flat configurations that were resolved apart (up to 0.5.3).

    Args:
        weak: the defaults.
        strong: the user's file, which wins.
    """
    merged = dict(weak)
    for key, slot in strong.items():
        old = merged.get(key)
        if old is not None and old.kind != slot.kind:
            slot.beaten += [old, *old.beaten]
        merged[key] = slot
    return merged


def merge_tables(weak: Table, strong: Table) -> Table:
    """Merge two configurations that were resolved apart (up to 0.5.3).

    Both are ``DotDict``s, whose keys hide their methods from the code that merges them.

    Args:
        weak: the defaults.
        strong: the user's file, which wins.

    Raises:
        Refused: a key hides a method that merging needs.
    """
    merged = _copied(weak)
    _needs("items", strong)
    for name, value in strong.items():
        _needs("get", merged)
        old = merged.get(name)
        merged[name] = merge_tables(old, value) if isinstance(old, Table) and isinstance(value, Table) else value
    return merged


def _copied(table: Table) -> Table:
    _needs("copy", table)
    _needs("items", table)
    return Table((name, _copied(value) if isinstance(value, Table) else value) for name, value in table.items())


def _needs(method: str, table: Table) -> None:
    if method in table:
        raise Refused(Failure("TypeError", f"'{object_name(table[method])}' object is not callable"))
