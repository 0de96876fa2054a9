"""Steps 1 to 5 of Prefect's own loader: merge the files, flatten them, and insert variables and references.

Layers are nested tables of slots, merged as Prefect merges its files. The flat configuration is
``{("context", "secrets", "A"): value}``. The slot that replaces another one keeps it, so a resolution knows the
overridden values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, Mapping, Sequence, Tuple

from pytest_flowsecrets.resolution.env_names import Key, key_of
from pytest_flowsecrets.resolution.layers import Failure, Layer, PrefectLoadError, Slot, Table, object_name
from pytest_flowsecrets.resolution.layers import variable as origin_of
from pytest_flowsecrets.resolution.loader.interpolate import (
    LoadContext,
    expand_and_type,
    has_references,
    read_variable,
    substitute,
)

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect
    from pytest_flowsecrets.resolution.env_names import Key
    from pytest_flowsecrets.resolution.layers import Layer


Flat = Dict[Tuple[str, ...], Slot]


def slots_of(layer: Layer, dialect: Dialect) -> Dict[str, Any]:
    """Return the tables of a layer with a slot in the place of each value.

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
    """Merge two trees of slots as ``merge_dicts`` does: tables recursively, any other value by replacement.

    Args:
        weak: nested tables of slots.
        strong: nested tables of slots that override them.
    """
    merged = dict(weak)
    for name, value in strong.items():
        old = merged.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[name] = merge(old, value)
            continue
        if old is not None:
            _override(old, value)
        merged[name] = value
    return merged


def _override(old: Any, new: Any) -> None:
    """Record the overridden slots in the first one that overrides them."""
    old_slots = [slot for _, slot in flatten(old)] if isinstance(old, dict) else [old]
    new_slots = [slot for _, slot in flatten(new)] if isinstance(new, dict) else [new]
    for winner in new_slots[:1]:
        for slot in old_slots:
            winner.overridden += [slot, *slot.overridden]


def flatten(tables: Mapping[str, Any], parent: Key = ()) -> Iterable[Tuple[Key, Slot]]:
    """Yield the keys and slots of nested tables. Empty tables disappear.

    Args:
        tables: nested tables.
        parent: the key of the tables.
    """
    for name, value in tables.items():
        if isinstance(value, dict):
            yield from flatten(value, (*parent, name))
        else:
            yield (*parent, name), value


def merge_flat(weak: Flat, strong: Flat) -> Flat:
    """Merge two flat configurations that are resolved separately (up to 0.5.3).

    Args:
        weak: the defaults.
        strong: the user's file, which overrides them.
    """
    merged = dict(weak)
    for key, slot in strong.items():
        old = merged.get(key)
        if old is not None and old.kind != slot.kind:
            slot.overridden += [old, *old.overridden]
        merged[key] = slot
    return merged


def merge_tables(weak: Table, strong: Table) -> Table:
    """Merge two configurations that are resolved separately (up to 0.5.3).

    Both are ``DotDict``s, whose keys hide their methods from the code that merges them.

    Args:
        weak: the defaults.
        strong: the user's file, which overrides them.

    Raises:
        PrefectLoadError: a key hides a method that merging needs.
    """
    merged = _copy(weak)
    _require_method("items", strong)
    for name, value in strong.items():
        _require_method("get", merged)
        old = merged.get(name)
        merged[name] = merge_tables(old, value) if isinstance(old, Table) and isinstance(value, Table) else value
    return merged


def _copy(table: Table) -> Table:
    _require_method("copy", table)
    _require_method("items", table)
    return Table((name, _copy(value) if isinstance(value, Table) else value) for name, value in table.items())


def _require_method(method: str, table: Table) -> None:
    if method in table:
        raise PrefectLoadError(Failure("TypeError", f"'{object_name(table[method])}' object is not callable"))


# -- the flat configuration --------------------------------------------------------------------------------------------


def load_flat(layers: Sequence[Layer], context: LoadContext, hash_order_dependent: Dict[Key, Any]) -> Flat:
    """Merge and flatten the files, insert the variables, expand and type the values, and fill in references.

    Args:
        layers: the files, weakest first.
        context: the rules and the environment.
        hash_order_dependent: receives the keys whose value depends on PYTHONHASHSEED, with the value in the opposite
            order.

    Raises:
        PrefectLoadError: ``import prefect`` fails.
    """
    tables: Dict[str, Any] = {}
    for layer in layers:
        tables = merge(tables, slots_of(layer, context.dialect))
    flat = dict(flatten(tables))
    _apply_environ(flat, context)
    for slot in flat.values():
        if isinstance(slot.value, str) and slot.value:
            expand_and_type(slot, context)
    _substitute(flat, hash_order_dependent)
    return flat


def _apply_environ(flat: Flat, context: LoadContext) -> None:
    for variable, text in context.environ.items():
        key = key_of(variable, context.dialect)
        if key is None:
            continue
        slot = Slot(text, origin_of(context.environ, variable, key), key)
        old = flat.get(key)
        if old is not None:
            slot.overridden += [old, *old.overridden]
        read_variable(slot, context)
        flat[key] = slot


def _substitute(flat: Flat, hash_order_dependent: Dict[Key, Any]) -> None:
    referring = has_references(flat.values())
    if not referring:
        return
    saved = {slot.key: (slot, slot.value, list(slot.steps)) for slot in referring}
    substitute(flat, backwards=True)
    opposite = {key: slot.value for key, (slot, _, _) in saved.items()}
    for slot, value, steps in saved.values():
        slot.value, slot.steps = value, steps
    substitute(flat)
    hash_order_dependent.update(
        (key, opposite[key]) for key, (slot, _, _) in saved.items() if not _equal(slot.value, opposite[key])
    )


def _equal(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and one == other)
