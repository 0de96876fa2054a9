"""Prefect's state in this process at one moment, and its return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, Set, Tuple

from pytest_flowsecrets.isolation.tables import Snapshot, fill, freeze, thaw
from pytest_flowsecrets.isolation.threads import thread_states

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.legacy import LegacyPrefect, State


class Captured:
    """Bindings, tables and the context of every thread, as they are when this is made."""

    def __init__(self, legacy: LegacyPrefect) -> None:
        self._legacy = legacy
        self._bindings = list(self._names(legacy))
        states = thread_states(legacy.context)
        self._own_state = states[0]
        self._states: Dict[int, Tuple[State, State]] = {id(state): (state, state.copy()) for state in states}
        copies = [value for _, copy in self._states.values() for value in copy.values()]
        tables = [value for value in copies if isinstance(value, legacy.table)]
        self._tables = Snapshot([*legacy.roots(), *tables], legacy.table)

    @staticmethod
    def _names(legacy: LegacyPrefect) -> Iterator[Tuple[Any, str, Any]]:
        for module, names in (
            (legacy.package, ("config", "context")),
            (legacy.configuration, ("config", "USER_CONFIG", "BACKEND_CONFIG")),
            (legacy.context_module, ("config", "context")),
        ):
            for name in names:
                if hasattr(module, name):
                    yield module, name, getattr(module, name)

    def restore(self) -> None:
        """Bring everything back: the same objects with the same contents, in every thread."""
        legacy = self._legacy
        during = legacy.context_items(legacy.roots())
        for module, name, value in self._bindings:
            setattr(module, name, value)
        self._tables.restore()
        owned = {*during, *legacy.context_items(legacy.roots()), "secrets", "config"}
        for state in thread_states(legacy.context):
            self._restore_state(state, owned)
        fill(self._own_state, self._states[id(self._own_state)][1])
        for value in during.values():
            if isinstance(value, legacy.table) and value not in self._tables:
                fill(value, {})  # a thread that still runs may hold it, and put it back at the end of a `with` block

    def _restore_state(self, state: State, owned: Set[str]) -> None:
        """Of a thread that runs on, only what is ours is given back: it may be in the middle of its own work."""
        before = self._states[id(state)][1] if id(state) in self._states else self._fresh(state)
        for key in owned:
            if key in before:
                state[key] = before[key]
            else:
                state.pop(key, None)

    def _fresh(self, state: State) -> State:
        """What a thread that was born inside the isolation would have, had it been born outside."""
        legacy = self._legacy
        root = legacy.roots()[0]
        before = legacy.context_items([root])
        config = state.get("config")
        if isinstance(config, legacy.table):
            if config is not root:
                thaw(config, freeze(root, legacy.table), legacy.table)
            before["config"] = config
        return before
