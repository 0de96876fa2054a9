"""The flat configuration, ``{("context", "secrets", "A"): value}``: steps 1 to 5 of Prefect's own loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Sequence

from pytest_flowsecrets.resolution.env_names import Key, key_of
from pytest_flowsecrets.resolution.layers import Slot
from pytest_flowsecrets.resolution.layers import variable as origin_of
from pytest_flowsecrets.resolution.loader.interpolate import (
    Surroundings,
    has_references,
    read_variable,
    settle,
    substitute,
)
from pytest_flowsecrets.resolution.loader.merge import flattened, merge, slots_of

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.layers import Layer

Flat = Dict[Key, Slot]


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
