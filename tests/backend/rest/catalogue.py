"""The catalogue of client operations: functions that use the real Prefect client against any API.

Each returns what a user sees: a value that JSON can carry after ``plain``. The same operation runs against the real
server (``record.py``) and against the fake, and both outcomes have to be equal.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional

from packaging.version import Version

OPERATIONS: Dict[str, Operation] = {}
MODULES = ("blocks", "variables", "flows", "states", "records", "limits", "deployments", "pools", "workers", "http")


@dataclass(frozen=True)
class Operation:
    """A client operation and the versions of Prefect that have it."""

    name: str
    function: Callable[..., Any]
    since: Optional[str]
    until: Optional[str]

    def runs_on(self, version: str) -> bool:
        """Return whether a version of Prefect has this operation; ``until`` is exclusive."""
        current = Version(version)
        return Version(self.since or "0") <= current and (self.until is None or current < Version(self.until))

    def run(self) -> Any:
        """Run it with a client where it asks for one, and return its plain value."""
        if not inspect.iscoroutinefunction(self.function):
            return plain(self.function())
        return plain(asyncio.run(self._await()))

    async def _await(self) -> Any:
        from prefect import get_client

        if not inspect.signature(self.function).parameters:
            return await self.function()
        async with get_client() as client:
            return await self.function(client)


def operation(function: Any = None, *, since: Optional[str] = None, until: Optional[str] = None) -> Any:
    """Add a function to the catalogue under its name."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        assert name not in OPERATIONS, f"two operations are called {name}"
        OPERATIONS[name] = Operation(name, function, since, until)
        return function

    return add if function is None else add(function)


def load(prefect_version: str) -> Dict[str, Operation]:
    """Import all modules of operations and return those that a version of Prefect has, in their order."""
    from importlib import import_module

    for module in MODULES:
        import_module(f"operations.{module}")
    return {name: each for name, each in OPERATIONS.items() if each.runs_on(prefect_version)}


def error_text(call: Callable[[], Any]) -> str:
    """Return the type and text of the exception that a call raises."""
    try:
        value = call()
    except BaseException as error:  # noqa: BLE001 - any error is an outcome
        return describe(error)
    return f"no error: {plain(value)}"


async def async_error_text(awaitable: Any) -> str:
    """Return the type and text of the exception that awaiting raises."""
    try:
        value = await awaitable
    except BaseException as error:  # noqa: BLE001 - any error is an outcome
        return describe(error)
    return f"no error: {plain(value)}"


def describe(error: BaseException) -> str:
    """Return type and normalized text of an error."""
    return normalize(f"{type(error).__name__}: {error}")


def wait_until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return the first true result of a condition, or its last result when the time is over."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result or time.monotonic() > end:
            return result
        time.sleep(0.05)


# -- values that differ from run to run -------------------------------------------------------------------------------

_CHANGING = (
    (re.compile(r"https?://(127\.0\.0\.1|localhost):\d+(/api(/[\w-]{20,})?)?"), "<url>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?( UTC)?"), "<time>"),
    (re.compile(r"/(tmp|work|root|home)/[^\s'\",)]*"), "<path>"),
    (re.compile(r"0x[0-9a-f]{6,}"), "<address>"),
    (re.compile(r"StateType\."), ""),  # Python 3.11 formats enumerations differently
    (re.compile(r"errors\.pydantic\.dev/\d+\.\d+"), "errors.pydantic.dev/<version>"),
)


def normalize(text: str) -> str:
    """Replace ids, times, addresses and paths."""
    for pattern, name in _CHANGING:
        text = pattern.sub(name, text)
    return text


def plain(value: Any) -> Any:
    """Return the JSON form of a value, with what changes from run to run replaced."""
    if value is None or isinstance(value, (bool, int, float)):
        return value if value == value else "NaN"  # noqa: PLR0124 - NaN alone differs from itself
    if isinstance(value, str):
        return normalize(str(value))
    if isinstance(value, dict):
        return {normalize(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return normalize(str(value))
