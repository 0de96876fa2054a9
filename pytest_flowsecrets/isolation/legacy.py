"""The real Prefect 0.5.5 to 1.4.1 in this process: its configuration loaded anew and put in place.

Prefect reads files and variables once, at import, into ``prefect.config``; ``prefect.context``, a ``threading.local``,
starts in every thread as a copy of ``config.context``, plus (from 0.6.4) a copy of the whole configuration. People
import both objects by name, and threads keep their copies. So nothing is replaced here: Prefect's own loader makes a
new configuration, and its contents are put into the objects that are there, in every thread; afterwards the former
contents come back. ``Secret.get``, the tasks, runners and agents are never touched.

What Prefect freezes at import is not reloaded: log level and handlers, defaults of functions and of tasks.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Tuple

from pytest_flowsecrets.isolation.environ import PREFIX, SECRETS_PREFIX
from pytest_flowsecrets.isolation.tables import (
    MISSING,
    Path,
    Snapshot,
    Tree,
    change,
    changes,
    fill,
    freeze,
    items_of,
    thaw,
)
from pytest_flowsecrets.isolation.threads import thread_states
from pytest_flowsecrets.isolation.version import installed_version, require_supported

if TYPE_CHECKING:
    from types import ModuleType

CLOUD_ADDRESS = "https://api.prefect.io"
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
                warnings.simplefilter(
                    "ignore"
                )  # Prefect's own imports are full of deprecations; `-W error` is not for them
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
        self._bases: Dict[Any, Tree] = {}
        with open(self.configuration.DEFAULT_CONFIG, encoding="utf-8") as packaged:
            text = packaged.read()
        # Where Prefect's own defaults depend on more than HOME, loaded configurations cannot be kept for later.
        self._defaults_are_plain = not re.search(r"\$\w|^\[context", text, re.MULTILINE)
        # `cloud.endpoint` exists from 0.10.0; before, the address stands in `cloud.api` itself.
        self.cloud_key = "endpoint" if "endpoint" in self.parse(text)["cloud"] else "api"

    # -- reading ------------------------------------------------------------------------------------------------------

    def parse(self, text: str) -> Dict[str, Any]:
        """Read TOML with the parser that Prefect reads with."""
        parsed: Dict[str, Any] = self.configuration.toml.loads(text)
        return parsed

    def get(self, name: str) -> Any:
        """What ``Secret(name).get()`` gives, or raises, in this thread."""
        from prefect.client import Secret

        return Secret(name).get()

    def context_secrets(self) -> Any:
        """``prefect.context.secrets`` of this thread; an empty dict where there are none."""
        return self.package.context.get("secrets", {})

    def decoded(self, name: str, value: Any) -> Any:
        """What ``Secret(name).get()`` would give if the context held ``value``."""
        state = self.package.context.__dict__
        # Not `with prefect.context(…)`: up to 0.14.1 leaving it overwrites secrets that the test put into the context.
        held = state.get("secrets", MISSING)
        state["secrets"] = {name: value}
        try:
            return self.get(name)
        finally:
            state["secrets"] = held
            if held is MISSING:
                del state["secrets"]

    def flag(self, section: str, key: str) -> Any:
        """A configuration value as ``Secret.get`` reads it: from the context from 0.6.4 on, else from the config."""
        config = self.package.context.get("config") or self.package.config
        return config[section][key]

    # -- loading ------------------------------------------------------------------------------------------------------

    def load(self) -> Tree:
        """What a fresh process with this ``os.environ`` would load, by Prefect's own loader.

        Raises:
            Exception: whatever ``import prefect`` would raise.
        """
        self.configuration.USER_CONFIG = os.environ.get(f"{PREFIX}USER_CONFIG_PATH", "~/.prefect/config.toml")
        if self._has_backend_file:
            path = os.environ.get(f"{PREFIX}BACKEND_CONFIG_PATH", "~/.prefect/backend.toml")
            self.configuration.BACKEND_CONFIG = path
        with warnings.catch_warnings():
            # literal_eval warns of "\d"; under `-W error` that would change the value, in production it does not
            warnings.simplefilter("ignore")
            return self._load_quickly() if self._is_plain() else self._load_all()

    def config_files(self) -> List[str]:
        """The files that ``load`` reads besides Prefect's own, those that exist."""
        paths = [self.configuration.USER_CONFIG]
        if self._has_backend_file:
            paths.append(self.configuration.BACKEND_CONFIG)
        expanded = [str(self.configuration.interpolate_env_vars(path)) for path in paths]
        return [path for path in expanded if os.path.isfile(path)]

    def files_set(self, section: str, key: str) -> bool:
        """Whether one of the files that ``load`` reads sets a key."""
        tables = [self.configuration.load_toml(path).get(section) for path in self.config_files()]
        return any(isinstance(table, dict) and key in table for table in tables)

    @property
    def _has_backend_file(self) -> bool:
        return "backend_config_path" in self.configuration.load_configuration.__annotations__

    def _load_all(self) -> Tree:
        configuration = self.configuration
        if hasattr(configuration, "load_default_config"):  # 0.15.0
            return freeze(configuration.load_default_config(), self.table)
        arguments = {
            "path": configuration.DEFAULT_CONFIG,
            "user_config_path": configuration.USER_CONFIG,
            "env_var_prefix": configuration.ENV_VAR_PREFIX,
        }
        if self._has_backend_file:
            arguments["backend_config_path"] = configuration.BACKEND_CONFIG
        loaded = configuration.process_task_defaults(configuration.load_configuration(**arguments))
        return freeze(loaded, self.table)

    def _is_plain(self) -> bool:
        """Whether no value can refer to another, so that the variables alone make ``context``."""
        if not self._defaults_are_plain or self.config_files():
            return False
        return not any("$" in text for name, text in os.environ.items() if name.startswith(PREFIX))

    def _load_quickly(self) -> Tree:
        """As ``_load_all``, the part that depends on no secret being kept: 0.1 ms instead of 3."""
        home = os.path.expanduser("~")
        kept = [pair for pair in os.environ.items() if pair[0].startswith(PREFIX) and SECRETS_PREFIX not in pair[0]]
        base = self._bases.get((home, *kept))
        if base is None:
            if len(self._bases) > 50:  # noqa: PLR2004 - homes and declared variables hardly vary in a run
                self._bases.clear()
            base = self._bases[(home, *kept)] = self._load_all()
        variables = self.configuration.interpolate_config({}, env_var_prefix=self.configuration.ENV_VAR_PREFIX)
        self.configuration.validate_config(variables)
        tree = Tree(base)
        tree.pop("context", None)
        tree.update((key, value) for key, value in freeze(variables, self.table).items() if key == "context")
        return tree

    # -- putting in place ---------------------------------------------------------------------------------------------

    def roots(self) -> List[Any]:
        """The configuration objects; one, unless somebody has put another in place of ``prefect.config``."""
        roots = [self.context_module.config, self.configuration.config, self.package.config]
        return list({id(root): root for root in roots}.values())

    def capture(self) -> Captured:
        """Remember everything that ``put`` and ``alter`` change, for ``restore``."""
        return Captured(self)

    def put(self, tree: Tree) -> None:
        """Make ``tree`` the configuration: in every configuration object and in the context of every thread."""
        roots = self.roots()
        former = _context_items(roots)
        for root in roots:
            thaw(root, tree, self.table)
        present = _context_items(roots[:1])
        for state in thread_states(self.package.context):
            for key, value in former.items():
                if state.get(key) is value:
                    del state[key]
            state.pop("secrets", None)
            state.update(present)
            config = state.get("config")
            if isinstance(config, self.table) and not any(config is root for root in roots):
                thaw(config, tree, self.table)

    def alter(self, old: Tree, new: Tree, *names: str) -> None:
        """Change only what differs between two loaded trees, and the secrets ``names`` in any case.

        What the test itself changed meanwhile (``set_temporary_config``, ``with prefect.context(…)``) stays.
        """
        altered = dict(changes(old, new))
        for name in names:
            altered[("context", "secrets", name)] = _at(new, ("context", "secrets", name))
        roots = self.roots()
        former = _context_items(roots)
        for root in roots:
            for path, value in altered.items():
                change(root, path, value, self.table)
            _drop_empty(root, new)
        for state in thread_states(self.package.context):
            config = state.get("config")
            if isinstance(config, self.table) and not any(config is root for root in roots):
                for path, value in altered.items():
                    change(config, path, value, self.table)
                _drop_empty(config, new)
            self._alter_state(state, altered, former, _context_items(roots[:1]))

    def _alter_state(self, state: State, altered: Dict[Path, Any], former: State, present: State) -> None:
        for key in {*former, *present}:
            held = state.get(key, MISSING)
            ours = any(held is value for value in (MISSING, former.get(key, MISSING), present.get(key, MISSING)))
            if ours and key in present:
                state[key] = present[key]
            elif ours:
                state.pop(key, None)
            elif key == "secrets":
                state[key] = _merged(state[key], altered)


def _context_items(roots: List[Any]) -> State:
    """The keys that ``config.context`` gives to the context of a thread."""
    found: State = {}
    for root in roots:
        context = dict.get(items_of(root), "context")
        if context is not None:
            found.update(dict.items(items_of(context)))
    return found


def _at(tree: Tree, path: Path) -> Any:
    for key in path:
        if not isinstance(tree, Tree) or key not in tree:
            return MISSING
        tree = tree[key]
    return tree


def _drop_empty(root: Any, tree: Tree) -> None:
    """Drop the tables that a change has emptied; Prefect's loader makes none (flattening drops them)."""
    for path in (("context", "secrets"), ("context",)):
        above = root if len(path) == 1 else dict.get(items_of(root), path[0])
        if above is not None and _at(tree, path) is MISSING:
            table = dict.get(items_of(above), path[-1])
            if table is not None and hasattr(table, "keys") and not items_of(table):
                dict.pop(items_of(above), path[-1])


def _merged(secrets: Any, altered: Dict[Path, Any]) -> Any:
    """A table that the test itself put into the context, with the changes; the test's object stays as it is."""
    if not hasattr(secrets, "keys"):
        return secrets
    merged = {key: secrets[key] for key in secrets}
    for path, value in altered.items():
        if path[:2] == ("context", "secrets") and len(path) == 3:  # noqa: PLR2004 - (context, secrets, name)
            if value is MISSING:
                merged.pop(path[2], None)
            else:
                merged[path[2]] = value
    return merged


class Captured:
    """Prefect's state in this process at one moment: bindings, tables and the context of every thread."""

    def __init__(self, legacy: LegacyPrefect) -> None:
        self._legacy = legacy
        self._bindings = list(self._names(legacy))
        states = thread_states(legacy.package.context)
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
        during = _context_items(legacy.roots())
        for module, name, value in self._bindings:
            setattr(module, name, value)
        self._tables.restore()
        owned = {*during, *_context_items(legacy.roots()), "secrets", "config"}
        for state in thread_states(legacy.package.context):
            self._restore_state(state, owned)
        fill(self._own_state, self._states[id(self._own_state)][1])
        for value in during.values():
            if isinstance(value, legacy.table) and value not in self._tables:
                fill(value, {})  # a thread that still runs may hold it, and put it back at the end of a `with` block

    def _restore_state(self, state: State, owned: set[str]) -> None:
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
        before = _context_items([root])
        config = state.get("config")
        if isinstance(config, legacy.table):
            if config is not root:
                thaw(config, freeze(root, legacy.table), legacy.table)
            before["config"] = config
        return before
