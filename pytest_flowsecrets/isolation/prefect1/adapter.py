"""The real Prefect 0.5.5 to 1.4.1 in this process: its configuration loaded anew and put in place.

Prefect reads files and variables once, at import, into ``prefect.config``; ``prefect.context``, a ``threading.local``,
starts in every thread as a copy of ``config.context``, plus (from 0.6.4) a copy of the whole configuration. People
import both objects by name, and threads keep their copies. So nothing is replaced here: Prefect's own loader makes a
new configuration, and its contents are put into the objects that are there, in every thread; afterwards the former
contents come back. ``Secret.get``, the tasks, runners and agents are never touched.

What Prefect freezes at import is not reloaded: log level and handlers, defaults of functions and of tasks.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from pytest_flowsecrets.errors import SecretRejected, UsageError
from pytest_flowsecrets.isolation.prefect1.config_copies import (
    CONFIGURATION,
    PACKAGE,
    LiveCopies,
    LiveCopiesFinder,
    module,
    thread_states,
)
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
from pytest_flowsecrets.isolation.prefect1.loader import Loader
from pytest_flowsecrets.isolation.prefect1.marshmallow import marshmallow_explained
from pytest_flowsecrets.versions import installed_version, require_supported

SECRETS = ("context", "secrets")
State = Dict[str, Any]


_versions: Dict[None, LegacyPrefect] = {}


def find_prefect() -> Optional[LegacyPrefect]:
    """The installed Prefect, imported; None where none is installed.

    Raises:
        UnsupportedPrefect: it is older than 0.5.5 or newer than 1.4.1.
        IncompatibleMarshmallow: it cannot be imported with the installed marshmallow.
    """
    if None not in _versions:
        version = installed_version()
        if version is None:
            return None
        require_supported(version)
        _versions[None] = LegacyPrefect(version)
    with marshmallow_explained(), warnings.catch_warnings():
        # Prefect's own imports are full of deprecations; `-W error` is not for them.
        warnings.simplefilter("ignore")
        import prefect  # noqa: F401 - a test may have removed it from sys.modules
    return _versions[None]


class LegacyPrefect:
    """Prefect's configuration and context, loaded and put in place.

    Nothing of Prefect is kept here, as tests reload and re-import it: what is live is looked up each time.

    Args:
        version: its version, from its metadata.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        self.live = LiveCopiesFinder()
        self._loader: Optional[Loader] = None

    @property
    def package(self) -> Any:
        """The package ``prefect`` that an import gives now."""
        return module(PACKAGE)

    @property
    def loader(self) -> Loader:
        """The loader of the present ``prefect.configuration``."""
        configuration = module(CONFIGURATION)
        if self._loader is None or not self._loader.belongs_to(configuration):
            self._loader = Loader(configuration)
        return self._loader

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, name: str) -> Any:
        """What ``Secret(name).get()`` gives, or raises, in this thread."""
        from prefect.client import Secret

        return Secret(name).get()

    def context_secrets(self) -> Dict[str, Any]:
        """``prefect.context.secrets`` of this thread, copied; empty where it is no table."""
        secrets = self.package.context.get("secrets", {})
        if isinstance(secrets, (dict, *self.live().tables)):
            return copy_items(secrets)
        return dict(secrets) if hasattr(secrets, "keys") else {}

    def is_building(self) -> bool:
        """Whether this thread is inside ``with Flow(...)``, where ``Secret.get`` raises from 0.5.2 on."""
        return isinstance(self.package.context.get("flow"), self.package.Flow)

    def decode(self, name: str, value: Any) -> Any:
        """What ``Secret(name).get()`` would give if the context held ``value``."""
        state = self.package.context.__dict__
        # Not `with prefect.context(…)`: up to 0.14.1 leaving it overwrites secrets that the test put into the context.
        before = dict(state)
        state["secrets"] = {name: value}
        try:
            return self.get(name)
        finally:
            replace_items(state, before)

    def flag(self, section: str, key: str) -> Any:
        """A configuration value as ``Secret.get`` reads it: from the context from 0.6.4 on, else from the config."""
        config = self.package.context.get("config") or self.package.config
        return config[section][key]

    # -- putting in place ---------------------------------------------------------------------------------------------

    def apply(self, tree: Tree) -> None:
        """Make ``tree`` the configuration: in every configuration object and in the context of every thread.

        Raises:
            UsageError: something else stands in the place of ``prefect.config`` or ``prefect.context``.
        """
        live = self.live()
        self._require_own(live)
        former = context_items(live.roots, live.tables)
        for config in [*live.roots, *self._copies(live)]:
            thaw(config, tree, live.tables)
        for context in live.contexts:
            present = context_items([live.root_of(context)], live.tables)
            for state in thread_states(context):
                for key in [key for key, value in former.items() if state.get(key) is value] + ["secrets"]:
                    state.pop(key, None)
                state.update(present)

    def _require_own(self, live: LiveCopies) -> None:
        for name, own in (("config", live.roots), ("context", live.contexts)):
            value = getattr(self.package, name, None)
            if not _is_one_of(value, own):
                raise UsageError(
                    f"prefect.{name} is {type(value).__name__}, not Prefect's own: secrets cannot be put there; "
                    f"undo the patch of prefect.{name} before the test"
                )

    def apply_changes(self, old: Tree, new: Tree, *names: str) -> None:
        """Change only what differs between two loaded trees, and the secrets ``names`` in any case.

        What the test itself changed meanwhile (``set_temporary_config``, ``with prefect.context(…)``) stays.
        """
        altered = self._diff(old, new, names)
        live = self.live()
        former = context_items(live.roots, live.tables)
        for config in [*live.roots, *self._copies(live)]:
            for path, value in altered.items():
                change(config, path, value, live.tables)
                if value is MISSING and path[:2] != SECRETS:
                    prune(config, path, live.tables)
        touched = {path[2] for path in altered if path[:2] == SECRETS and len(path) > len(SECRETS)}
        for context in live.contexts:
            present = context_items([live.root_of(context)], live.tables)
            for state in thread_states(context):
                _alter_state(state, former, present, touched)

    @staticmethod
    def _diff(old: Tree, new: Tree, names: Iterable[str]) -> Dict[Path, Any]:
        """What differs, the secrets ``names`` being taken away and set anew even if they look the same."""
        forced = {(*SECRETS, name) for name in names}
        found = changes(old, new)
        anew = {path: value for path, value in leaves(new) if path[:3] in forced}
        return {**dict.fromkeys(forced - set(anew), MISSING), **found, **anew}

    def _copies(self, live: LiveCopies) -> List[Any]:
        """The copies of the configuration in the contexts of all threads (0.6.4 on)."""
        states = [state for context in live.contexts for state in thread_states(context)]
        held = [state.get("config") for state in states]
        return [config for config in held if isinstance(config, live.tables) and not _is_one_of(config, live.roots)]


def context_items(roots: Iterable[Any], tables: Tuple[type, ...]) -> State:
    """The keys that the ``context`` tables of configurations give to the context of a thread."""
    items: State = {}
    for root in roots:
        context = dict.get(items_of(root), "context")
        if isinstance(context, tables):
            items.update(copy_items(context))
    return items


def _alter_state(state: State, former: State, present: State, touched: Iterable[str]) -> None:
    """Give the context of a thread what has changed, unless the test has put something else there."""
    for key in {*former, *present}:
        held = state.get(key, MISSING)
        if any(held is ours for ours in (MISSING, former.get(key, MISSING), present.get(key, MISSING))):
            _set(state, key, present.get(key, MISSING))
        elif key == "secrets" and hasattr(held, "keys"):
            state[key] = _merge(held, present.get(key), touched)


def _merge(own: Any, ours: Any, names: Iterable[str]) -> State:
    """A table that the test itself put into the context, with our changes; the test's object stays as it is."""
    merged = {key: own[key] for key in own}
    for name in names:
        _set(merged, name, items_of(ours).get(name, MISSING) if hasattr(ours, "keys") else MISSING)
    return merged


def _set(items: Dict[str, Any], key: str, value: Any) -> None:
    if value is MISSING:
        items.pop(key, None)
    else:
        items[key] = value


def _is_one_of(value: Any, others: Iterable[Any]) -> bool:
    return any(value is other for other in others)


@contextmanager
def refusals_explained(blamed: str, version: str, *, strict: bool = True) -> Iterator[None]:
    """Around the load of Prefect's configuration: turn its errors into ours, which hold no value.

    Args:
        blamed: the secrets or the file whose change Prefect refuses.
        version: of Prefect.
        strict: whether errors of Prefect's own are turned.

    Raises:
        SecretRejected: Prefect refuses the configuration.
        UsageError: a file cannot be read.
    """
    try:
        yield
    except Exception as error:  # `import prefect` raises ValueError, TypeError, UnicodeError, …
        if not strict or (isinstance(error, OSError) and error.filename is None):
            raise
        if isinstance(error, OSError):
            raise UsageError(
                f"Prefect cannot read {error.filename} ({type(error).__name__}): make it readable; if the test "
                "replaces the file system (pyfakefs), add the file with fs.add_real_file"
            ) from None
        # Of Prefect's own texts only this one holds no value; the names in it are those of dict's methods.
        reason = f": {error}" if str(error).startswith("Invalid config key") else ""
        raise SecretRejected(blamed, version, type(error).__name__ + reason) from None


def require_delivered(tree: Tree, names: Sequence[str], is_set: Callable[[str], bool]) -> None:
    """Check that secrets are in a loaded configuration where the test sets them, and not where it does not.

    Raises:
        UsageError: a variable for a whole table hides what is set, or keeps what is taken away.
    """
    secrets = tree["context"].get("secrets") if isinstance(tree["context"], Tree) else None
    present = secrets if isinstance(secrets, Tree) else {}
    wrong = [name for name in names if (name in present) != is_set(name)]
    if wrong:
        raise UsageError(
            f"secret {', '.join(map(repr, wrong))}: a variable or key for the whole table of secrets decides "
            "(PREFECT__CONTEXT__SECRETS, PREFECT__CONTEXT); set that one anew"
        )
