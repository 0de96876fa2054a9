"""The secrets among the environment's variables: those of Prefect, and those whose names match a pattern."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import Any, Dict, Iterable, List

from pytest_flowsecrets.leaks.known import known

_PREFIX = "PREFECT__CONTEXT__SECRETS__"
_OF_PYTEST = "PYTEST_CURRENT_TEST", b"PYTEST_CURRENT_TEST"  # which changes thrice in a test


class Variables:
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
            text = os.environ.get(name, "")
            if name.upper().startswith(_PREFIX):
                known.register(name[len(_PREFIX) :], text)
            elif any(fnmatchcase(name, pattern) for pattern in self._patterns):
                known.register(name, text)

    def _changed(self) -> List[str]:
        """The names; reading 500 variables takes a millisecond, comparing what is behind them ten microseconds."""
        present: Any = getattr(os.environ, "_data", os.environ)
        for name in _OF_PYTEST:
            self._seen.pop(name, None)
            if name in present:
                self._seen[name] = present[name]
        if present == self._seen:
            return []
        names = [os.fsdecode(name) for name, text in present.items() if self._seen.get(name) != text]
        self._seen = dict(present)
        return names
