"""Every live copy of Prefect's configuration and context in this process.

Usually there is one. After ``importlib.reload`` or a second import there are several, and the older ones stay in use:
by whoever imported ``Secret``, ``config`` or ``context`` by name. All of them have to say the same.
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
_ROOT_KEYS = frozenset({"cloud", "logging"})  # what every release has at the top of its configuration

Classes = Tuple[type, ...]


class LiveCopies(NamedTuple):
    """What has to be kept the same.

    Attributes:
        modules: the modules that bind it, those that an import gives now first.
        contexts: the objects ``prefect.context``.
        roots: the objects ``prefect.config``.
        tables: the classes of the tables of configurations.
    """

    modules: List[ModuleType]
    contexts: List[Any]
    roots: List[Any]
    tables: Classes

    def root_of(self, context: Any) -> Any:
        """The configuration from which a context takes its first contents."""
        own = _globals_of(type(context)).get("config")
        return own if any(own is root for root in self.roots) else self.roots[0]


class LiveCopiesFinder:
    """Finds what is live; a search through all objects is made only after Prefect was imported or reloaded again."""

    def __init__(self) -> None:
        self._searched: Tuple[Classes, Classes] = ((), ())
        self._older: List[weakref.ref[Any]] = []

    def __call__(self) -> LiveCopies:
        """What is live now; Prefect is imported if it is not."""
        current = [module(name) for name in _NAMES]
        kinds = context_classes()
        tables = _table_classes([*map(_globals_of, kinds), *(vars(owner) for owner in current)])
        self._search(kinds, tables)
        older = [value for value in (reference() for reference in self._older) if value is not None]
        modules = _unique([*current, *(value for value in older if type(value) is ModuleType)])
        bound = [vars(owner).get(name) for name in ("config", "context") for owner in modules]
        values = [*bound, *older]
        contexts = _unique(value for value in values if type(value) in kinds)
        roots = _unique(value for value in values if type(value) in tables)
        return LiveCopies(modules, contexts, roots, tables)

    def _search(self, kinds: Classes, tables: Classes) -> None:
        if (kinds, tables) == self._searched:
            return
        self._searched = kinds, tables
        several = len(kinds) > 1 or len(tables) > 1
        self._older = [weakref.ref(value) for value in _find_older(kinds, tables)] if several else []


def module(name: str) -> Any:
    """The module of this name, imported if need be."""
    return sys.modules.get(name) or import_module(name)


def context_classes() -> Classes:
    """The live classes ``prefect.utilities.context.Context``."""
    known = threading.local.__subclasses__()
    return tuple(kind for kind in known if kind.__module__ == CONTEXT and kind.__name__ == "Context")


def _table_classes(namespaces: Iterable[Dict[str, Any]]) -> Classes:
    """The live classes ``prefect.configuration.Config``: those that are bound, and their siblings."""
    bound: List[Any] = [kind for space in namespaces for kind in (space.get("Config"), type(space.get("config")))]
    bases = _unique(base for kind in bound if _is_table_class(kind) for base in kind.__bases__)
    return tuple(_unique(kind for base in bases for kind in base.__subclasses__() if _is_table_class(kind)))


def _is_table_class(kind: Any) -> bool:
    return isinstance(kind, type) and kind.__module__ == CONFIGURATION and kind.__name__ == "Config"


def _globals_of(kind: type) -> Dict[str, Any]:
    """The namespace of the module that made a class ``Context``."""
    namespace: Dict[str, Any] = getattr(vars(kind).get("__init__"), "__globals__", {})
    return namespace


def _find_older(kinds: Classes, tables: Classes) -> Iterator[Any]:
    """Contexts, modules of Prefect, and configurations that any module binds by name."""
    for value in gc.get_objects():
        if type(value) in kinds:
            yield value
        elif type(value) is ModuleType:
            if value.__name__ in _NAMES:
                yield value
            yield from (held for held in list(vars(value).values()) if type(held) in tables and _is_root(held))


def _is_root(table: Any) -> bool:
    return set(dict.keys(items_of(table))) >= _ROOT_KEYS


def _unique(values: Iterable[Any]) -> List[Any]:
    return list({id(value): value for value in values}.values())


# The same ``threading.local`` as every living thread sees it.
#
# ``prefect.context`` is thread-local, and a pool thread that is older than the test has its own copy of the secrets,
# or none. CPython keeps the per-thread dictionaries in one dictionary that the garbage collector can name (3.8 to
# 3.13).


def thread_states(local: Any) -> List[Dict[str, Any]]:
    """The dictionaries of a ``threading.local``, the current thread's first, then those of all other living threads.

    Where the interpreter keeps them elsewhere, only the current thread's is given.
    """
    mine: Dict[str, Any] = local.__dict__  # the first touch in a thread makes it
    found = [
        state
        for registry in gc.get_referents(local)
        if type(registry) is dict
        for state in list(registry.values())
        if type(state) is dict and state is not mine
    ]
    return [mine, *found]
