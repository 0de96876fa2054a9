"""The texts in things that leave a flow: data, states, flows as they are registered, run configs, exceptions."""

from __future__ import annotations

from types import FunctionType, ModuleType
from typing import Any, Iterator, Mapping, Set, Tuple, Union

from pytest_flowsecrets.leaks.mask.reports import attributes_of

Text = Tuple[Union[str, bytes], str]  # a text and the place where it stands

_DEEPEST = 12
_OPAQUE = (type, FunctionType, ModuleType, int, float, complex, type(None))


def texts_in(thing: Any, place: str) -> Iterator[Text]:
    """Every text in a thing, with the place at which it stands."""
    yield from _texts(thing, place, set(), 0)


def _texts(thing: Any, place: str, seen: Set[int], depth: int) -> Iterator[Text]:
    if isinstance(thing, (str, bytes)):
        yield thing, place
        return
    if isinstance(thing, _OPAQUE) or id(thing) in seen or depth > _DEEPEST:
        return
    seen.add(id(thing))
    if isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _texts(key, place, seen, depth + 1)
            yield from _texts(value, f"{place} {key}" if isinstance(key, str) else place, seen, depth + 1)
    elif isinstance(thing, (list, tuple, set, frozenset)):
        for part in thing:
            yield from _texts(part, place, seen, depth + 1)
    elif hasattr(type(thing), "serialize") and "tasks" in getattr(thing, "__dict__", ()):
        yield from _flow(thing, place)
    else:
        yield from _object(thing, place, seen, depth)


def _object(thing: Any, place: str, seen: Set[int], depth: int) -> Iterator[Text]:
    if isinstance(thing, BaseException):
        yield f"{thing}", place
        for link in (thing.args, thing.__cause__, thing.__context__):
            yield from _texts(link, place, seen, depth + 1)
    kind = type(thing).__name__
    where = "run config" if type(thing).__module__.startswith("prefect.run_configs") else f"{place} {kind}"
    for name, value in attributes_of(thing).items():
        yield from _texts(value, f"{where} {name.lstrip('_')}", seen, depth + 1)


def _flow(flow: Any, place: str) -> Iterator[Text]:
    """A flow as it is registered, serialised, and as it is stored, pickled."""
    import json

    yield json.dumps(flow.serialize(build=False), default=str), f"{place} flow, serialised"
    try:
        import cloudpickle

        yield cloudpickle.dumps(flow), f"{place} flow, pickled"
    except Exception:  # noqa: BLE001 - what cannot be pickled is not stored either
        return
    yield from _texts(getattr(flow, "run_config", None), place, set(), 0)
