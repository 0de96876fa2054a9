"""Save and restore the state of Prefect in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Set, Tuple

from pytest_flowsecrets.isolation.prefect1.adapter import context_items
from pytest_flowsecrets.isolation.prefect1.config_copies import thread_states
from pytest_flowsecrets.isolation.prefect1.config_tree import TableSnapshot, freeze, replace_items, thaw

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.prefect1.adapter import LegacyPrefect, State
    from pytest_flowsecrets.isolation.prefect1.config_copies import LiveCopies

_PATHS = ("USER_CONFIG", "BACKEND_CONFIG")
_BOUND = ("config", "context", "Config", "Context", *_PATHS)


def _bindings_of(module: Any) -> List[Tuple[Any, str, Any]]:
    return [(module, name, vars(module)[name]) for name in _BOUND if name in vars(module)]


class PrefectSnapshot:
    """The bindings, the tables and the context of every thread at the time of the snapshot."""

    def __init__(self, legacy: LegacyPrefect) -> None:
        self._legacy = legacy
        live = legacy.live()
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
        live = self._legacy.live()
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
                replace_items(value, {})  # a running thread may restore this table at the end of a `with` block

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
