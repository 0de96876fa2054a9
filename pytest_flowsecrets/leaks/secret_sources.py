"""Sources of secrets: environment variables, Prefect's own configuration, and the markers of tests.

A test can set secrets for a moment with ``with prefect.context(secrets=...)`` or ``set_temporary_config``, which in
Prefect 0.5.5 to 1.4.1 ends in ``with prefect.context(config=...)``. They no longer exist when the test is reported, so
they are registered when they are set. This module does not import Prefect.
"""

from __future__ import annotations

import functools
import os
import sys
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any, Callable, ContextManager, Dict, Iterable, Iterator, List, Mapping, Set, Tuple

from pytest_flowsecrets.leaks.registry import TOKENS, registry
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX

_SECRETS = SECRETS_PREFIX[:-2]  # the variable that sets the whole table
_CLOUD = f"{PREFIX}CLOUD__"
# The settings of Prefect 2.20 and 3 that are secret. A database URL is secret if it contains credentials.
_REST_SETTINGS = frozenset(
    f"PREFECT_{name}"
    for name in (
        "API_KEY",
        "API_AUTH_STRING",
        "SERVER_API_AUTH_STRING",
        "API_DATABASE_PASSWORD",
        "API_DATABASE_CONNECTION_URL",
        "SERVER_DATABASE_PASSWORD",
        "SERVER_DATABASE_CONNECTION_URL",
    )
)
_PYTEST_VARIABLE = "PYTEST_CURRENT_TEST", b"PYTEST_CURRENT_TEST"  # changes three times in each test


class EnvironmentSecrets:
    """Registers secrets from environment variables, repeatedly, because tests set variables, too.

    Args:
        patterns: names or globs of variables.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns = list(patterns)
        self._values: Dict[Any, Any] = {}

    def learn(self) -> None:
        """Register new and changed variables."""
        for name in self._changed():
            self._register(name, os.environ.get(name, ""))

    def watch(self, guard: ContextManager[Any]) -> Callable[[], None]:
        """Also register variables at the moment when they are set: a test can remove one before it is reported.

        Args:
            guard: suppresses errors.

        Returns:
            A function that stops this.
        """
        owner: Any = os.environ if hasattr(os.environ, "putenv") else os  # until Python 3.8; later
        put = owner.putenv

        def putenv(name: Any, value: Any) -> None:
            put(name, value)
            with guard:
                self._register(os.fsdecode(name), os.fsdecode(value))

        def end() -> None:
            if owner.putenv is putenv:
                owner.putenv = put

        owner.putenv = putenv
        return end

    def _register(self, name: str, text: str) -> None:
        if name in _PYTEST_VARIABLE:
            return
        upper = name.upper()
        if upper.startswith(_SECRETS):
            registry.register(name[len(_SECRETS) + 2 :] or "secrets", text)
        elif upper.startswith(_CLOUD) and upper.rpartition("__")[2].lower() in TOKENS:
            registry.register(f"cloud {upper.rpartition('__')[2].lower()}", text)
        elif upper in _REST_SETTINGS:
            _register_setting(upper, text)
        elif any(fnmatchcase(name, pattern) for pattern in self._patterns):
            registry.register(name, text)

    def _changed(self) -> List[str]:
        """Return the names of new and changed variables.

        Reading 500 variables takes a millisecond, comparing the underlying mapping ten microseconds.
        """
        present: Any = getattr(os.environ, "_data", os.environ)
        for name in _PYTEST_VARIABLE:
            self._values.pop(name, None)
            if name in present:
                self._values[name] = present[name]
        if present == self._values:
            return []
        names = [os.fsdecode(name) for name, text in present.items() if self._values.get(name) != text]
        self._values = dict(present)
        return names


_CONTEXT = "prefect.utilities.context"
_WORDS = "secrets", *TOKENS
_ROUNDS = 10
_LONGEST = 2**14  # a variable that contains itself several times grows without limit


def learn_config_file() -> None:
    """Register the secrets in the user's config file, ``~/.prefect/config.toml`` or another one set by a variable."""
    path = os.environ.get("PREFECT__USER_CONFIG_PATH", "~/.prefect/config.toml")
    try:
        with open(_expand(path), encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError):
        return
    if any(word in text for word in _WORDS):
        from pytest_flowsecrets.resolution.toml_reader import loads

        with suppress(Exception):  # of any class: Prefect cannot read the file either
            registry.register_settings(_expanded(loads(text)))


def learn_profiles() -> None:
    """Register the API keys and other credentials in the developer's profiles of Prefect 2.20 and 3."""
    home = os.environ.get("PREFECT_HOME", "~/.prefect")
    path = os.environ.get("PREFECT_PROFILES_PATH") or os.path.join(home, "profiles.toml")
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError):
        return
    if any(name in text for name in _REST_SETTINGS):
        from pytest_flowsecrets.resolution.toml_reader import loads

        with suppress(Exception):  # of any class: Prefect cannot read the file either
            for profile in loads(text)["profiles"].values():
                for name in _REST_SETTINGS.intersection(profile):
                    _register_setting(name, profile[name])


def _register_setting(name: str, text: Any) -> None:
    if "://" not in str(text) or "@" in str(text):
        registry.register(name, text)


def _expanded(value: Any) -> Any:
    """Return settings with variables expanded as Prefect does."""
    if isinstance(value, Mapping):
        return {key: _expanded(part) for key, part in value.items()}
    return _expand(value) if isinstance(value, str) else value


def _expand(text: str) -> str:
    """Expand ``$NAME`` and ``~`` until nothing changes, at most ten times, as Prefect does."""
    for _ in range(_ROUNDS):
        expanded = os.path.expanduser(os.path.expandvars(text))
        if expanded == text or len(expanded) > _LONGEST:
            break
        text = expanded
    return text


class PrefectSecrets:
    """Watches Prefect's configuration and context once Prefect is imported. It is an import hook that finds no module.

    Args:
        guard: suppresses errors.
    """

    def __init__(self, guard: ContextManager[Any]) -> None:
        self._guard = guard
        self._undo: List[Callable[[], None]] = []
        self._states: Dict[str, Any] = {}

    def begin(self) -> None:
        """Start to watch."""
        sys.meta_path.insert(0, self)
        self.watch()

    def end(self) -> None:
        """Restore Prefect."""
        sys.meta_path.remove(self)
        while self._undo:
            self._undo.pop()()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002 - the signature of importlib
        """Watch Prefect's context as soon as it is imported, which ``prefect`` does before most of its modules."""
        if name.startswith("prefect."):
            self.watch()

    def watch(self) -> None:
        """Watch the current class of the context. A Prefect that is imported again has another class."""
        owner = getattr(sys.modules.get(_CONTEXT), "Context", None)
        method: Any = getattr(owner, "__call__", None)  # noqa: B004 - replaced below
        if owner is None or owner.__module__ != _CONTEXT or hasattr(method, "flowsecrets_watch"):
            return  # from Prefect 2 on, that module imports the class of the standard library

        @functools.wraps(method)
        def watched(context: Any, *args: Any, **kwargs: Any) -> Any:
            with self._guard:
                if len(args) == 1 and hasattr(args[0], "keys"):
                    self._register({key: args[0][key] for key in args[0].keys()})  # noqa: SIM118 - as ``dict`` reads it
                elif len(args) == 1:
                    args = (self._registered(args[0]),)
                self._register(kwargs)
            return method(context, *args, **kwargs)

        watched.flowsecrets_watch = True  # type: ignore[attr-defined]
        owner.__call__ = watched
        self._undo.append(lambda: setattr(owner, "__call__", method))

    def _registered(self, pairs: Iterable[Any]) -> Iterator[Any]:
        """Yield pairs as Prefect reads them, and register them: an iterator can only be read once."""
        for pair in pairs:
            if isinstance(pair, (tuple, list)) and len(pair) == 2:  # noqa: PLR2004 - a key and a value
                with self._guard:
                    self._register({pair[0]: pair[1]})
            yield pair

    @staticmethod
    def _register(settings: Mapping[Any, Any]) -> None:
        """Register the secrets that are set in the context, directly or in its configuration."""
        registry.register_settings({"context": settings})
        config = settings.get("config")
        if isinstance(config, Mapping):
            registry.register_settings(config)

    def learn(self) -> None:
        """Register the secrets in the current configuration and context."""
        package = sys.modules.get("prefect")
        for name in ("config", "context"):
            settings = getattr(package, name, None)
            if isinstance(settings, Mapping):
                settings = settings if name == "config" else {"context": settings}
                secrets = settings.get("context", {}).get("secrets")
                state = (dict(secrets) if isinstance(secrets, Mapping) else None), str(settings.get("cloud"))
                if self._states.get(name) != state:
                    self._states[name] = state
                    registry.register_settings(settings)


# -- the markers of tests ----------------------------------------------------------------------------------------------


def learn_marks(node: Any) -> None:
    """Register the values in a test's ``secrets`` markers. Invalid markers are reported elsewhere."""
    for mark in node.iter_markers("secrets"):
        _learn(mark)


def _learn(mark: Any) -> None:
    for name, value in _pairs(mark):
        registry.register(str(name), value)


def _pairs(mark: Any) -> Iterator[Tuple[Any, Any]]:
    for values in (*mark.args, mark.kwargs):
        if isinstance(values, dict):
            yield from values.items()


def names_in_marks(node: Any) -> Set[str]:
    """Return the names of the secrets in a test's markers."""
    return {str(name) for mark in node.iter_markers("secrets") for name, _ in _pairs(mark)}


def learn_broken_module(error: BaseException) -> None:
    """Register the secrets in the markers of a module that failed to import, from the globals in the traceback."""
    visited: List[BaseException] = []
    link: Any = error
    while link is not None and link not in visited:
        visited.append(link)
        traceback = link.__traceback__
        while traceback is not None:
            for mark in _marks_in(traceback.tb_frame.f_globals):
                _learn(mark)
            traceback = traceback.tb_next
        link = link.__cause__ or link.__context__


def _marks_in(names: Dict[str, Any]) -> Iterator[Any]:
    owners = [names.get("pytestmark")]
    owners += [vars(thing).get("pytestmark") for thing in list(names.values()) if hasattr(thing, "__dict__")]
    for marks in owners:
        for mark in marks if isinstance(marks, list) else [marks]:
            plain = getattr(mark, "mark", mark)
            if getattr(plain, "name", "") == "secrets" and hasattr(plain, "kwargs"):
                yield plain
