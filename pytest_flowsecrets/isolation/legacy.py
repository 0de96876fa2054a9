"""The real Prefect 0.5.5 to 1.4.1 in this process: its configuration loaded anew and put in place.

Prefect reads files and variables once, at import, into ``prefect.config``; ``prefect.context``, a ``threading.local``,
starts in every thread as a copy of ``config.context``, plus (from 0.6.4) a copy of the whole configuration. People
import both objects by name, and threads keep their copies. So nothing is replaced here: Prefect's own loader makes a
new configuration, and its contents are put into the objects that are there, in every thread; afterwards the former
contents come back. ``Secret.get``, the tasks, runners and agents are never touched.

What Prefect freezes at import is not reloaded: log level and handlers, defaults of functions and of tasks.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional

from pytest_flowsecrets.isolation.loading import Loader
from pytest_flowsecrets.isolation.tables import (
    MISSING,
    Path,
    Tree,
    change,
    changes,
    copied,
    fill,
    items_of,
    leaves,
    prune,
    thaw,
)
from pytest_flowsecrets.isolation.threads import thread_states
from pytest_flowsecrets.versions import installed_version, require_supported

if TYPE_CHECKING:
    from types import ModuleType

SECRETS = ("context", "secrets")
State = Dict[str, Any]


_found: List[Optional[LegacyPrefect]] = []


def find_prefect() -> Optional[LegacyPrefect]:
    """The installed Prefect, imported; None where none is installed.

    Raises:
        UnsupportedPrefect: it is older than 0.5.5 or newer than 1.4.1.
    """
    if not _found:
        version = installed_version()
        if version is None:
            _found.append(None)
        else:
            require_supported(version)
            with warnings.catch_warnings():
                # Prefect's own imports are full of deprecations; `-W error` is not for them.
                warnings.simplefilter("ignore")
                import prefect

            _found.append(LegacyPrefect(prefect, version))
    return _found[0]


class LegacyPrefect:
    """Prefect's configuration and context, loaded and put in place.

    Args:
        prefect: the imported package.
        version: its version, from its metadata.
    """

    def __init__(self, prefect: ModuleType, version: str) -> None:
        self.version = version
        self.package: Any = prefect
        self.configuration: Any = sys.modules["prefect.configuration"]
        self.context_module: Any = sys.modules["prefect.utilities.context"]
        self.table: type = self.configuration.Config
        self.context: Any = self.context_module.context
        self.loader = Loader(self.configuration)

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, name: str) -> Any:
        """What ``Secret(name).get()`` gives, or raises, in this thread."""
        from prefect.client import Secret

        return Secret(name).get()

    def context_secrets(self) -> Dict[str, Any]:
        """``prefect.context.secrets`` of this thread, copied; empty where it is no table."""
        secrets = self.package.context.get("secrets", {})
        if isinstance(secrets, (dict, self.table)):
            return copied(secrets)
        return dict(secrets) if hasattr(secrets, "keys") else {}

    def decoded(self, name: str, value: Any) -> Any:
        """What ``Secret(name).get()`` would give if the context held ``value``."""
        state = self.package.context.__dict__
        # Not `with prefect.context(…)`: up to 0.14.1 leaving it overwrites secrets that the test put into the context.
        before = dict(state)
        state["secrets"] = {name: value}
        try:
            return self.get(name)
        finally:
            fill(state, before)

    def flag(self, section: str, key: str) -> Any:
        """A configuration value as ``Secret.get`` reads it: from the context from 0.6.4 on, else from the config."""
        config = self.package.context.get("config") or self.package.config
        return config[section][key]

    # -- putting in place ---------------------------------------------------------------------------------------------

    def roots(self) -> List[Any]:
        """The configuration objects; one, unless somebody has put another in place of ``prefect.config``."""
        modules = (self.context_module, self.configuration, self.package)
        roots = [getattr(module, "config", None) for module in modules]
        return list({id(root): root for root in roots if isinstance(root, self.table)}.values())

    def put(self, tree: Tree) -> None:
        """Make ``tree`` the configuration: in every configuration object and in the context of every thread."""
        roots = self.roots()
        former = self.context_items(roots)
        for config in [*roots, *self._copies(roots)]:
            thaw(config, tree, self.table)
        present = self.context_items(roots[:1])
        for state in thread_states(self.context):
            for key in [key for key, value in former.items() if state.get(key) is value] + ["secrets"]:
                state.pop(key, None)
            state.update(present)

    def alter(self, old: Tree, new: Tree, *names: str) -> None:
        """Change only what differs between two loaded trees, and the secrets ``names`` in any case.

        What the test itself changed meanwhile (``set_temporary_config``, ``with prefect.context(…)``) stays.
        """
        altered = self._altered(old, new, names)
        roots = self.roots()
        former = self.context_items(roots)
        for config in [*roots, *self._copies(roots)]:
            for path, value in altered.items():
                change(config, path, value, self.table)
                if value is MISSING and path[:2] != SECRETS:
                    prune(config, path, self.table)
        present = self.context_items(roots[:1])
        touched = {path[2] for path in altered if path[:2] == SECRETS and len(path) > len(SECRETS)}
        for state in thread_states(self.context):
            for key in {*former, *present}:
                held = state.get(key, MISSING)
                if any(held is ours for ours in (MISSING, former.get(key, MISSING), present.get(key, MISSING))):
                    _set(state, key, present.get(key, MISSING))
                elif key == "secrets" and hasattr(held, "keys"):
                    state[key] = self._merged(held, present.get(key), touched)

    @staticmethod
    def _altered(old: Tree, new: Tree, names: Iterable[str]) -> Dict[Path, Any]:
        """What differs, the secrets ``names`` being taken away and set anew even if they look the same."""
        forced = {(*SECRETS, name) for name in names}
        found = changes(old, new)
        anew = {path: value for path, value in leaves(new) if path[:3] in forced}
        return {**dict.fromkeys(forced - set(anew), MISSING), **found, **anew}

    def _merged(self, own: Any, ours: Any, names: Iterable[str]) -> State:
        """A table that the test itself put into the context, with our changes; the test's object stays as it is."""
        merged = {key: own[key] for key in own}
        for name in names:
            _set(merged, name, items_of(ours).get(name, MISSING) if isinstance(ours, self.table) else MISSING)
        return merged

    def _copies(self, roots: List[Any]) -> List[Any]:
        """The copies of the configuration in the contexts of all threads (0.6.4 on)."""
        held = [state.get("config") for state in thread_states(self.context)]
        return [config for config in held if isinstance(config, self.table) and not _is_one_of(config, roots)]

    def context_items(self, roots: List[Any]) -> State:
        """The keys that ``config.context`` gives to the context of a thread."""
        found: State = {}
        for root in roots:
            context = dict.get(items_of(root), "context")
            if isinstance(context, self.table):
                found.update(copied(context))
        return found


def _set(items: Dict[str, Any], key: str, value: Any) -> None:
    if value is MISSING:
        items.pop(key, None)
    else:
        items[key] = value


def _is_one_of(value: Any, others: Iterable[Any]) -> bool:
    return any(value is other for other in others)
