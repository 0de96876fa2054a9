"""Find every live copy of Prefect's configuration and context in this process, and the context of every thread.

Usually there is one copy. After ``importlib.reload`` or a second import there are several, and code that has imported
``Secret``, ``config`` or ``context`` by name still uses the older ones. All copies must have the same contents.
"""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from importlib import import_module
from types import ModuleType
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from pytest_flowsecrets.isolation.prefect1.config_tree import items_of

PACKAGE, CONFIGURATION, CONTEXT = "prefect", "prefect.configuration", "prefect.utilities.context"
_NAMES = (CONTEXT, CONFIGURATION, PACKAGE)
_ROOT_KEYS = frozenset({"cloud", "logging"})  # top-level keys of the configuration in every release

Classes = Tuple[type, ...]


class LiveCopies(NamedTuple):
    """The live objects, which must have the same contents.

    Attributes:
        modules: the modules that bind the objects; first those that an import returns now.
        contexts: the objects ``prefect.context``.
        roots: the objects ``prefect.config``.
        tables: the classes of configuration tables.
    """

    modules: List[ModuleType]
    contexts: List[Any]
    roots: List[Any]
    tables: Classes

    def root_of(self, context: Any) -> Any:
        """Return the configuration from which a context takes its initial contents."""
        config = _globals_of(type(context)).get("config")
        return config if any(config is root for root in self.roots) else self.roots[0]


class LiveCopiesFinder:
    """Finds the live objects. It searches through all objects only after Prefect was reloaded or imported again."""

    def __init__(self) -> None:
        self._searched: Tuple[Classes, Classes] = ((), ())
        self._older: List[weakref.ref[Any]] = []

    def __call__(self) -> LiveCopies:
        """Return the live objects. Prefect is imported if necessary."""
        current = [module(name) for name in _NAMES]
        kinds = context_classes()
        tables = _table_classes([*map(_globals_of, kinds), *(vars(owner) for owner in current)])
        self._search(kinds, tables)
        older = [value for value in (reference() for reference in self._older) if value is not None]
        modules = _unique([*current, *_of_types(older, (ModuleType,))])
        values = [vars(owner).get(name) for name in ("config", "context") for owner in modules] + older
        return LiveCopies(modules, _unique(_of_types(values, kinds)), _unique(_of_types(values, tables)), tables)

    def _search(self, kinds: Classes, tables: Classes) -> None:
        if (kinds, tables) == self._searched:
            return
        self._searched = kinds, tables
        several = len(kinds) > 1 or len(tables) > 1
        self._older = [weakref.ref(value) for value in _find_older(kinds, tables)] if several else []


def module(name: str) -> Any:
    """Return a module by its name, imported if necessary."""
    return sys.modules.get(name) or import_module(name)


def context_classes() -> Classes:
    """Return the live classes ``prefect.utilities.context.Context``."""
    kinds = threading.local.__subclasses__()
    return tuple(kind for kind in kinds if kind.__module__ == CONTEXT and kind.__name__ == "Context")


def _table_classes(namespaces: Iterable[Dict[str, Any]]) -> Classes:
    """Return the live classes ``prefect.configuration.Config``: those that are bound, and their siblings."""
    bound: List[Any] = [kind for space in namespaces for kind in (space.get("Config"), type(space.get("config")))]
    bases = _unique(base for kind in bound if _is_table_class(kind) for base in kind.__bases__)
    return tuple(_unique(kind for base in bases for kind in base.__subclasses__() if _is_table_class(kind)))


def _is_table_class(kind: Any) -> bool:
    return isinstance(kind, type) and kind.__module__ == CONFIGURATION and kind.__name__ == "Config"


def _globals_of(kind: type) -> Dict[str, Any]:
    """Return the namespace of the module that defines a class ``Context``."""
    namespace: Dict[str, Any] = getattr(vars(kind).get("__init__"), "__globals__", {})
    return namespace


def _find_older(kinds: Classes, tables: Classes) -> Iterator[Any]:
    """Yield the contexts, the modules of Prefect, and the configurations that any module binds by name."""
    for value in gc.get_objects():
        if type(value) in kinds:
            yield value
        elif type(value) is ModuleType:
            if value.__name__ in _NAMES:
                yield value
            yield from (item for item in list(vars(value).values()) if type(item) in tables and _is_root(item))


def _is_root(table: Any) -> bool:
    return set(dict.keys(items_of(table))) >= _ROOT_KEYS


def _of_types(values: Iterable[Any], kinds: Classes) -> List[Any]:
    """Return the values of exactly these types, without subclasses."""
    return [value for value in values if type(value) in kinds]


def _unique(values: Iterable[Any]) -> List[Any]:
    return list({id(value): value for value in values}.values())


def thread_states(local: Any) -> List[Dict[str, Any]]:
    """Return the dictionaries of a ``threading.local``: that of the current thread, then those of all other threads.

    ``prefect.context`` is thread-local, so a pool thread that is older than the test has its own copy of the secrets,
    or none. CPython 3.8 to 3.13 keeps these dictionaries in one dictionary, which the garbage collector can list. With
    any other interpreter, the result holds only the dictionary of the current thread.
    """
    current: Dict[str, Any] = local.__dict__  # the first access in a thread creates it
    others = [
        state
        for referent in gc.get_referents(local)
        if type(referent) is dict
        for state in list(referent.values())
        if type(state) is dict and state is not current
    ]
    return [current, *others]
