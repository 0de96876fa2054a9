"""The secrets in environment variables: those of Prefect, and those whose names match a pattern."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import Any, Callable, ContextManager, Dict, Iterable, List

from pytest_flowsecrets.leaks.registry import TOKENS, registry
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX

_SECRETS = SECRETS_PREFIX[:-2]  # the variable that sets the whole table
_CLOUD = f"{PREFIX}CLOUD__"
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
        upper = name.upper()
        if upper.startswith(_SECRETS):
            registry.register(name[len(_SECRETS) + 2 :] or "secrets", text)
        elif upper.startswith(_CLOUD) and upper.rpartition("__")[2].lower() in TOKENS:
            registry.register(f"cloud {upper.rpartition('__')[2].lower()}", text)
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
