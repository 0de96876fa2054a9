"""The secrets among the environment's variables: those of Prefect, and those whose names match a pattern."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import Any, Callable, ContextManager, Dict, Iterable, List

from pytest_flowsecrets.leaks.registry import TOKENS, registry
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX

_SECRETS = SECRETS_PREFIX[:-2]  # this variable sets the whole table
_CLOUD = f"{PREFIX}CLOUD__"
_PYTEST_VARIABLE = "PYTEST_CURRENT_TEST", b"PYTEST_CURRENT_TEST"  # changes three times in each test


class EnvironmentSecrets:
    """Learns them, again and again, since tests set variables too.

    Args:
        patterns: names, or globs.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns = list(patterns)
        self._seen: Dict[Any, Any] = {}

    def learn(self) -> None:
        """Register what is new or has another value than at the last time."""
        for name in self._changed():
            self._register(name, os.environ.get(name, ""))

    def watch(self, guard: ContextManager[Any]) -> Callable[[], None]:
        """Register values also at the moment when they are set: a test may take them back before it is reported.

        Args:
            guard: suppresses errors.

        Returns:
            What ends it.
        """
        owner: Any = os.environ if hasattr(os.environ, "putenv") else os  # up to Python 3.8, and since
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
        upper = name.upper()
        if upper.startswith(_SECRETS):
            registry.register(name[len(_SECRETS) + 2 :] or "secrets", text)
        elif upper.startswith(_CLOUD) and upper.rpartition("__")[2].lower() in TOKENS:
            registry.register(f"cloud {upper.rpartition('__')[2].lower()}", text)
        elif any(fnmatchcase(name, pattern) for pattern in self._patterns):
            registry.register(name, text)

    def _changed(self) -> List[str]:
        """The names; reading 500 variables takes a millisecond, comparing what is behind them ten microseconds."""
        present: Any = getattr(os.environ, "_data", os.environ)
        for name in _PYTEST_VARIABLE:
            self._seen.pop(name, None)
            if name in present:
                self._seen[name] = present[name]
        if present == self._seen:
            return []
        names = [os.fsdecode(name) for name, text in present.items() if self._seen.get(name) != text]
        self._seen = dict(present)
        return names
