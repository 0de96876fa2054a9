"""Every live copy of Prefect's configuration and context in this process: find, save and restore them.

Usually there is one copy. After ``importlib.reload`` or a second import there are several, and code that has imported
``Secret``, ``config`` or ``context`` by name still uses the older ones. All copies must have the same contents. Every
thread has a context of its own.
"""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from importlib import import_module
from types import ModuleType
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Set, Tuple

from pytest_flowsecrets.isolation.prefect1.config_tree import (
    TableSnapshot,
    copy_items,
    freeze,
    items_of,
    replace_items,
    thaw,
)

PACKAGE, CONFIGURATION, CONTEXT = "prefect", "prefect.configuration", "prefect.utilities.context"
_NAMES = (CONTEXT, CONFIGURATION, PACKAGE)
_ROOT_KEYS = frozenset({"cloud", "logging"})  # top-level keys of the configuration in every release

Classes = Tuple[type, ...]
State = Dict[str, Any]


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
        return config if id(config) in map(id, self.roots) else self.roots[0]


class LiveCopiesFinder:
    """Finds the live objects. It searches through all objects only after Prefect was reloaded or imported again."""

    def __init__(self) -> None:
        self._searched: Tuple[Classes, Classes] = ((), ())
        self._older: List[weakref.ref[Any]] = []

    def __call__(self) -> LiveCopies:
        """Return the live objects. Prefect is imported if necessary."""
        current = [module(name) for name in _NAMES]
        kinds = tuple([kind for kind in threading.local.__subclasses__() if _is_class(kind, CONTEXT, "Context")])
        tables = _table_classes([*map(_globals_of, kinds), *(vars(owner) for owner in current)])
        if (kinds, tables) != self._searched:
            self._searched = kinds, tables
            several = len(kinds) > 1 or len(tables) > 1
            self._older = [weakref.ref(value) for value in _find_older(kinds, tables)] if several else []
        older = [reference() for reference in self._older]
        modules = _unique([*current, *[value for value in older if type(value) is ModuleType]])
        values = _unique([*[vars(owner).get(name) for name in ("config", "context") for owner in modules], *older])
        contexts = [value for value in values if type(value) in kinds]
        return LiveCopies(modules, contexts, [value for value in values if type(value) in tables], tables)


def module(name: str) -> Any:
    """Return a module by its name, imported if necessary."""
    return sys.modules.get(name) or import_module(name)


def _table_classes(namespaces: Iterable[Dict[str, Any]]) -> Classes:
    """Return the live classes ``prefect.configuration.Config``: those that are bound, and their siblings."""
    bound = _unique([kind for space in namespaces for kind in (space.get("Config"), type(space.get("config")))])
    tables = [kind for kind in bound if _is_class(kind, CONFIGURATION, "Config")]
    bases = _unique([base for kind in tables for base in kind.__bases__])
    siblings = _unique([kind for base in bases for kind in base.__subclasses__()])
    return tuple([kind for kind in siblings if _is_class(kind, CONFIGURATION, "Config")])


def _is_class(kind: Any, module: str, name: str) -> bool:
    return isinstance(kind, type) and (kind.__module__, kind.__name__) == (module, name)


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


def context_items(roots: Iterable[Any], tables: Tuple[type, ...]) -> State:
    """Return the items that the ``context`` tables of configurations contribute to the context of a thread."""
    items: State = {}
    for root in roots:
        context = dict.get(items_of(root), "context")
        if isinstance(context, tables):
            items.update(copy_items(context))
    return items


_PATHS = ("USER_CONFIG", "BACKEND_CONFIG")
_BOUND = ("config", "context", "Config", "Context", *_PATHS)


def _bindings_of(module: Any) -> List[Tuple[Any, str, Any]]:
    return [(module, name, vars(module)[name]) for name in _BOUND if name in vars(module)]


class PrefectSnapshot:
    """The bindings, the tables and the context of every thread at the time of the snapshot."""

    def __init__(self, find: LiveCopiesFinder) -> None:
        self._find = find
        live = find()
        self._modules = live.modules
        self._bindings = [binding for module in live.modules for binding in _bindings_of(module)]
        self._root = live.roots[0]
        self._own_states: List[State] = []
        self._states: Dict[int, Tuple[State, State]] = {}
        for context in live.contexts:
            states = thread_states(context)
            self._own_states.append(states[0])
            self._states.update((id(state), (state, state.copy())) for state in states)
        values = [value for _, copy in self._states.values() for value in copy.values()]
        tables = [value for value in values if isinstance(value, live.tables)]
        self._tables = TableSnapshot([*live.roots, *tables], live.tables)

    def restore(self) -> None:
        """Restore the same objects with the same contents in every thread.

        Objects that are newer than the snapshot, from a reload or another import of Prefect, get the contents that they
        would have outside the isolation.
        """
        live = self._find()
        inside = context_items(live.roots, live.tables)
        for module, name, value in self._bindings:
            setattr(module, name, value)
        self._tables.restore()
        self._fill_new(live)
        for context in live.contexts:
            root = live.root_of(context)
            owned = {*inside, *context_items(live.roots, live.tables), "secrets", "config"}
            for state in thread_states(context):
                self._restore_state(state, owned, root, live)
        for state in self._own_states:
            replace_items(state, self._states[id(state)][1])
        for value in inside.values():
            if isinstance(value, live.tables) and value not in self._tables:
                replace_items(
                    items_of(value), {}
                )  # a running thread may restore this table at the end of a `with` block

    def _fill_new(self, live: LiveCopies) -> None:
        outside = freeze(self._root, live.tables)
        for root in live.roots:
            if root not in self._tables:
                thaw(root, outside, live.tables)
        self._set_paths(live)

    def _set_paths(self, live: LiveCopies) -> None:
        """Set the paths of the config files in modules that are newer than the snapshot."""
        paths = {name: value for _, name, value in self._bindings if name in _PATHS}
        for module in live.modules:
            if not any(module is known for known in self._modules):
                vars(module).update((name, value) for name, value in paths.items() if name in vars(module))

    def _restore_state(self, state: State, owned: Set[str], root: Any, live: LiveCopies) -> None:
        """Restore only Prefect's own keys in the context of a thread, because the thread may still use the others."""
        before = self._states[id(state)][1] if id(state) in self._states else self._fresh(state, root, live)
        for key in owned:
            if key in before:
                state[key] = before[key]
            else:
                state.pop(key, None)

    @staticmethod
    def _fresh(state: State, root: Any, live: LiveCopies) -> State:
        """Return the context outside the isolation for a thread that started inside it."""
        before = context_items([root], live.tables)
        config = state.get("config")
        if isinstance(config, live.tables):
            if config is not root:
                thaw(config, freeze(root, live.tables), live.tables)
            before["config"] = config
        return before
