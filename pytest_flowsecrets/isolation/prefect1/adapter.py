"""Load the configuration of the real Prefect 0.5.5 to 1.4.1 again, and apply it in this process.

Prefect reads files and variables only at import, into ``prefect.config``. ``prefect.context`` is a ``threading.local``.
In every thread it starts as a copy of ``config.context``, and from 0.6.4 on it also holds a copy of the whole
configuration. Users import both objects by name, and threads keep their copies. Therefore no object is replaced here.
Prefect's own loader creates a new configuration, its contents go into the existing objects in every thread, and the
previous contents are restored afterwards. ``Secret.get``, the tasks, the runners and the agents are never patched.

Settings that Prefect applies at import are not reloaded: log level and handlers, and defaults of functions and tasks.
"""

from __future__ import annotations

import warnings
from typing import Any, Dict, Iterable, List, Optional, Tuple

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.prefect1.config_tree import (
    MISSING,
    Path,
    Tree,
    change,
    changes,
    copy_items,
    items_of,
    leaves,
    prune,
    replace_items,
    thaw,
)
from pytest_flowsecrets.isolation.prefect1.live_state import (
    CONFIGURATION,
    PACKAGE,
    LiveCopies,
    LiveCopiesFinder,
    State,
    context_items,
    module,
    thread_states,
)
from pytest_flowsecrets.isolation.prefect1.loader import Loader
from pytest_flowsecrets.isolation.prefect1.prefect_errors import marshmallow_explained
from pytest_flowsecrets.versions import installed_version, require_supported

SECRETS = ("context", "secrets")


_versions: Dict[None, LegacyPrefect] = {}


def find_prefect() -> Optional[LegacyPrefect]:
    """Import the installed Prefect and return its adapter, or None if it is not installed.

    Raises:
        UnsupportedPrefect: Prefect is older than 0.5.5 or newer than 1.4.1.
        IncompatibleMarshmallow: Prefect cannot be imported with the installed marshmallow.
    """
    if None not in _versions:
        version = installed_version()
        if version is None:
            return None
        require_supported(version)
        _versions[None] = LegacyPrefect(version)
    with marshmallow_explained(), warnings.catch_warnings():
        # Prefect's own imports issue many deprecation warnings, which `-W error` must not turn into errors.
        warnings.simplefilter("ignore")
        import prefect  # noqa: F401 - a test may have removed it from sys.modules
    return _versions[None]


class LegacyPrefect:
    """The configuration and context of the real Prefect.

    This object keeps no reference to Prefect, because tests reload and re-import it. Live objects are looked up on each
    use.

    Args:
        version: the version of Prefect, from its metadata.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        self.live = LiveCopiesFinder()
        self._loader: Optional[Loader] = None

    @property
    def package(self) -> Any:
        """The package ``prefect`` that an import returns now."""
        return module(PACKAGE)

    @property
    def loader(self) -> Loader:
        """The loader of the current ``prefect.configuration``."""
        configuration = module(CONFIGURATION)
        if self._loader is None or not self._loader.belongs_to(configuration):
            self._loader = Loader(configuration)
        return self._loader

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, name: str) -> Any:
        """Return or raise the result of ``Secret(name).get()`` in this thread."""
        from prefect.client import Secret

        return Secret(name).get()

    def context_secrets(self) -> Dict[str, Any]:
        """Return a copy of ``prefect.context.secrets`` of this thread. It is empty if that is not a table."""
        secrets = self.package.context.get("secrets", {})
        if isinstance(secrets, dict) or type(secrets) in self.live().tables:  # a table is a dict from 0.6.6 on
            return copy_items(secrets)
        return dict(secrets) if hasattr(secrets, "keys") else {}

    def is_building(self) -> bool:
        """Return whether this thread is inside ``with Flow(...)``, where ``Secret.get`` raises an error."""
        return isinstance(self.package.context.get("flow"), self.package.Flow)

    def decode(self, name: str, value: Any) -> Any:
        """Return the result of ``Secret(name).get()`` with ``value`` in the context."""
        state = self.package.context.__dict__
        # Not `with prefect.context(…)`: up to 0.14.1, its exit overwrites secrets that the test has set in the context.
        before = dict(state)
        state["secrets"] = {name: value}
        try:
            return self.get(name)
        finally:
            replace_items(state, before)

    def flag(self, section: str, key: str) -> Any:
        """Return a setting as ``Secret.get`` reads it: from the context from 0.6.4 on, before that from the config."""
        config = self.package.context.get("config") or self.package.config
        return config[section][key]

    # -- applying -----------------------------------------------------------------------------------------------------

    def apply(self, tree: Tree) -> None:
        """Make ``tree`` the configuration in every configuration object and in the context of every thread.

        Raises:
            UsageError: the test has replaced ``prefect.config`` or ``prefect.context``.
        """
        live = self.live()
        self._require_own(live)
        before = context_items(live.roots, live.tables)
        for config in [*live.roots, *self._copies(live)]:
            thaw(config, tree, live.tables)
        for context in live.contexts:
            after = context_items([live.root_of(context)], live.tables)
            for state in thread_states(context):
                for key in [key for key, value in before.items() if state.get(key) is value] + ["secrets"]:
                    state.pop(key, None)
                state.update(after)

    def _require_own(self, live: LiveCopies) -> None:
        package = self.package
        for name, own in (("config", live.roots), ("context", live.contexts)):
            value = getattr(package, name, None)
            if not _is_one_of(value, own):
                raise UsageError(
                    f"prefect.{name} is {type(value).__name__}, not Prefect's own, and cannot hold the secrets: "
                    f"undo the patch of prefect.{name} before the test"
                )

    def apply_changes(self, old: Tree, new: Tree, *names: str) -> None:
        """Apply only the differences between two loaded trees, and the secrets ``names`` in any case.

        Other changes by the test (``set_temporary_config``, ``with prefect.context(…)``) persist.
        """
        differences = self._diff(old, new, names)
        live = self.live()
        before = context_items(live.roots, live.tables)
        for config in [*live.roots, *self._copies(live)]:
            _update_config(config, differences, live.tables)
        secrets = {path[2] for path in differences if path[:2] == SECRETS and len(path) > len(SECRETS)}
        for context in live.contexts:
            after = context_items([live.root_of(context)], live.tables)
            for state in thread_states(context):
                _update_state(state, before, after, secrets)

    @staticmethod
    def _diff(old: Tree, new: Tree, names: Iterable[str]) -> Dict[Path, Any]:
        """Return the differences of two trees. The secrets ``names`` count as different in any case."""
        forced = {(*SECRETS, name) for name in names}
        values = {path: value for path, value in leaves(new) if path[:3] in forced}
        return {**dict.fromkeys(forced - set(values), MISSING), **changes(old, new), **values}

    def _copies(self, live: LiveCopies) -> List[Any]:
        """Return the copies of the configuration in the contexts of all threads (from 0.6.4 on)."""
        states = [state for context in live.contexts for state in thread_states(context)]
        configs = [state.get("config") for state in states]
        return [config for config in configs if isinstance(config, live.tables) and not _is_one_of(config, live.roots)]


def _update_config(config: Any, differences: Dict[Path, Any], tables: Tuple[type, ...]) -> None:
    for path, value in differences.items():
        change(config, path, value, tables)
        if value is MISSING and path[:2] != SECRETS:
            prune(config, path, tables)


def _update_state(state: State, before: State, after: State, secrets: Iterable[str]) -> None:
    """Apply the changed items to the context of a thread, except those that the test has replaced."""
    for key in {*before, *after}:
        value = state.get(key, MISSING)
        if any(value is known for known in (MISSING, before.get(key, MISSING), after.get(key, MISSING))):
            _set(state, key, after.get(key, MISSING))
        elif key == "secrets" and hasattr(value, "keys"):
            state[key] = _merge(value, after.get(key), secrets)


def _merge(of_test: Any, loaded: Any, names: Iterable[str]) -> State:
    """Return a copy of a table that the test has put into the context, with the secrets ``names`` as loaded."""
    merged = {key: of_test[key] for key in of_test}
    for name in names:
        _set(merged, name, items_of(loaded).get(name, MISSING) if hasattr(loaded, "keys") else MISSING)
    return merged


def _set(items: Dict[str, Any], key: str, value: Any) -> None:
    if value is MISSING:
        items.pop(key, None)
    else:
        items[key] = value


def _is_one_of(value: Any, others: Iterable[Any]) -> bool:
    return id(value) in map(id, others)
