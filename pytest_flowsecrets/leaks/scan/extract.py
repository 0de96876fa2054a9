"""The texts in objects that leave a flow: data, states, registered flows, run configs, exceptions."""

from __future__ import annotations

from types import FunctionType, ModuleType
from typing import Any, Iterator, Mapping, Set, Tuple, Union

from pytest_flowsecrets.leaks.mask.reports import attributes_of

Text = Tuple[Union[str, bytes], str]  # a text and its place

_MAX_DEPTH = 12
_OPAQUE = (type, FunctionType, ModuleType, int, float, complex, type(None))


def texts_in(thing: Any, place: str) -> Iterator[Text]:
    """Yield every text in an object, with its place."""
    yield from _texts(thing, place, set(), 0)


def _texts(thing: Any, place: str, visited: Set[int], depth: int) -> Iterator[Text]:
    if isinstance(thing, (str, bytes)):
        yield thing, place
    elif not isinstance(thing, _OPAQUE) and id(thing) not in visited and depth <= _MAX_DEPTH:
        visited.add(id(thing))
        for part, where in _parts(thing, place):
            yield from _texts(part, where, visited, depth + 1)


def _parts(thing: Any, place: str) -> Iterator[Tuple[Any, str]]:
    """Yield the parts of an object that are searched, each with its place."""
    if isinstance(thing, Mapping):
        for key, value in thing.items():
            yield key, place
            yield value, f"{place} {key}" if isinstance(key, str) else place
    elif isinstance(thing, (list, tuple, set, frozenset)):
        yield from ((part, place) for part in thing)
    elif hasattr(type(thing), "serialize") and "tasks" in getattr(thing, "__dict__", ()):
        yield from _flow(thing, place)
    else:
        yield from _object(thing, place)


def _object(thing: Any, place: str) -> Iterator[Tuple[Any, str]]:
    if isinstance(thing, BaseException):
        yield f"{thing}", place
        for link in (thing.args, thing.__cause__, thing.__context__):
            yield link, place
    kind = type(thing).__name__
    where = "run config" if type(thing).__module__.startswith("prefect.run_configs") else f"{place} {kind}"
    for name, value in attributes_of(thing).items():
        yield value, f"{where} {name.lstrip('_')}"


def _flow(flow: Any, place: str) -> Iterator[Tuple[Any, str]]:
    """Yield a flow in serialized form, as it is registered, and pickled, as it is stored; and its run config."""
    import json

    yield json.dumps(flow.serialize(build=False), default=str), f"{place} flow, serialized"
    try:
        import cloudpickle

        yield cloudpickle.dumps(flow), f"{place} flow, pickled"
    except Exception:  # noqa: BLE001 - a flow that cannot be pickled cannot be stored
        return
    yield getattr(flow, "run_config", None), place
