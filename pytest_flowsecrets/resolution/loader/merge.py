"""Layers into one: nested tables of slots, merged as Prefect merges its files, and flattened.

A slot that is replaced stays with the one that replaced it, so that a resolution knows the losers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, Mapping, Sequence, Tuple

from pytest_flowsecrets.resolution.env_names import Key, key_of
from pytest_flowsecrets.resolution.layers import Failure, Layer, Refused, Slot, Table, object_name
from pytest_flowsecrets.resolution.layers import variable as origin_of
from pytest_flowsecrets.resolution.loader.interpolate import (
    Surroundings,
    has_references,
    read_variable,
    settle,
    substitute,
)

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect
    from pytest_flowsecrets.resolution.env_names import Key
    from pytest_flowsecrets.resolution.layers import Layer


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


# The flat configuration, ``{("context", "secrets", "A"): value}``: steps 1 to 5 of Prefect's own loader.


def resolved_flat(layers: Sequence[Layer], around: Surroundings, unsettled: Dict[Key, Any]) -> Flat:
    """Merge, flatten, put the variables in, expand, type, and fill references in.

    Args:
        layers: the files, weakest first.
        around: the rules and the environment.
        unsettled: takes the keys whose value depends on PYTHONHASHSEED, with the value that the opposite order gives.

    Raises:
        Refused: ``import prefect`` fails.
    """
    tables: Dict[str, Any] = {}
    for layer in layers:
        tables = merge(tables, slots_of(layer, around.dialect))
    flat = dict(flattened(tables))
    _apply_environ(flat, around)
    for slot in flat.values():
        if isinstance(slot.value, str) and slot.value:
            settle(slot, around)
    _substitute(flat, unsettled)
    return flat


def _apply_environ(flat: Flat, around: Surroundings) -> None:
    for variable, text in around.environ.items():
        key = key_of(variable, around.dialect)
        if key is None:
            continue
        slot = Slot(text, origin_of(around.environ, variable, key), key)
        old = flat.get(key)
        if old is not None:
            slot.beaten += [old, *old.beaten]
        read_variable(slot, around)
        flat[key] = slot


def _substitute(flat: Flat, unsettled: Dict[Key, Any]) -> None:
    referring = has_references(flat.values())
    if not referring:
        return
    before = {slot.key: (slot, slot.value, list(slot.steps)) for slot in referring}
    substitute(flat, backwards=True)
    other = {key: slot.value for key, (slot, _, _) in before.items()}
    for slot, value, steps in before.values():
        slot.value, slot.steps = value, steps
    substitute(flat)
    unsettled.update((key, other[key]) for key, (slot, _, _) in before.items() if not _equal(slot.value, other[key]))


def _equal(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and one == other)
