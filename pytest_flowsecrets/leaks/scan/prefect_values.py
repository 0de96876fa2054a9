"""The secrets that Prefect itself holds: in the developer's config file, its configuration and its context.

A test may set them for a moment, by ``with prefect.context(secrets=...)`` or by ``set_temporary_config``, which in
Prefect 0.5.5 to 1.4.1 ends in ``with prefect.context(config=...)``. They are gone when the test is reported, so they
are registered when they are set. Nothing here imports Prefect.
"""

from __future__ import annotations

import functools
import os
import sys
from contextlib import suppress
from typing import Any, Callable, ContextManager, Dict, Iterable, Iterator, List, Mapping

from pytest_flowsecrets.leaks.registry import TOKENS, registry

_WORDS = "secrets", *TOKENS
_ROUNDS = 10
_LONGEST = 2**14  # a variable that holds itself several times grows without end


def learn_config_file() -> None:
    """Register the secrets of the user's own config file: ``~/.prefect/config.toml``, or what the variable names."""
    path = os.environ.get("PREFECT__USER_CONFIG_PATH", "~/.prefect/config.toml")
    try:
        with open(_expand(path), encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError):
        return
    if any(word in text for word in _WORDS):
        from pytest_flowsecrets.resolution.toml_reader import loads

        with suppress(Exception):  # of many kinds: Prefect cannot read it either
            registry.register_settings(_expanded(loads(text)))


def _expanded(value: Any) -> Any:
    """Settings with the variables that Prefect expands in them."""
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
    """Watches Prefect's configuration and context, once Prefect is imported. It is an import hook that finds nothing.

    Args:
        guard: suppresses errors.
    """

    def __init__(self, guard: ContextManager[Any]) -> None:
        self._guard = guard
        self._undo: List[Callable[[], None]] = []
        self._seen: Dict[str, Any] = {}

    def begin(self) -> None:
        """Watch from now on."""
        sys.meta_path.insert(0, self)
        self.watch()

    def end(self) -> None:
        """Leave Prefect as it was."""
        sys.meta_path.remove(self)
        while self._undo:
            self._undo.pop()()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002 - as importlib asks
        """Watch Prefect's context as soon as it is there: ``prefect`` imports it before most of its modules."""
        if name.startswith("prefect."):
            self.watch()

    def watch(self) -> None:
        """Watch the class of the context that is there now; a Prefect that was imported anew has another one."""
        owner = getattr(sys.modules.get("prefect.utilities.context"), "Context", None)
        method: Any = getattr(owner, "__call__", None)  # noqa: B004 - it is replaced
        if owner is None or hasattr(method, "flowsecrets_watch"):
            return

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
        """Yield pairs as Prefect reads them, and register them: an iterator can be read once only."""
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
        """Register what the configuration and the context hold now."""
        package = sys.modules.get("prefect")
        for name in ("config", "context"):
            settings = getattr(package, name, None)
            if isinstance(settings, Mapping):
                settings = settings if name == "config" else {"context": settings}
                secrets = settings.get("context", {}).get("secrets")
                seen = (dict(secrets) if isinstance(secrets, Mapping) else None), str(settings.get("cloud"))
                if self._seen.get(name) != seen:
                    self._seen[name] = seen
                    registry.register_settings(settings)
