"""Prefect 2.20 and 3 in this process: their import, their background senders, and their block Secret.

Nothing of Prefect's code is replaced. The private names that this package uses are checked when an isolation begins.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import warnings
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List, Tuple

from pytest_flowsecrets.errors import UnsupportedPrefect, UsageError
from pytest_flowsecrets.isolation.prefect3.flow_runs import unguarded
from pytest_flowsecrets.isolation.secrets.encoding import exact
from pytest_flowsecrets.versions import installed_version, release_of

# Modules and their attributes that this package uses besides the public API of Prefect.
_PRIVATE = (
    ("prefect.context", "GLOBAL_SETTINGS_CONTEXT"),
    ("prefect.context", "SettingsContext.__var__"),
    ("prefect.context", "FlowRunContext.get"),
    ("prefect.context", "TaskRunContext.get"),
    ("prefect.context", "root_settings_context"),
    ("prefect.settings", "Profile"),
    ("prefect.settings", "load_profiles"),
    ("prefect.events.worker", "EventsWorker.drain_all"),
    ("prefect.logging.handlers", "APILogWorker.drain_all"),
)
_SENDERS = (("prefect.events.worker", "EventsWorker"), ("prefect.logging.handlers", "APILogWorker"))
MAX_DRAIN_AFTER_END = 1.0  # seconds, for the senders to an API that answers no more
_MAX_DRAIN = 60.0  # seconds; an API that a test has made to hang must not stop the run

_adapters: Dict[None, RestPrefect] = {}


def find_prefect() -> RestPrefect:
    """Import the installed Prefect and return its adapter.

    Raises:
        UnsupportedPrefect: this release has moved a private name.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Prefect's own imports issue deprecation warnings
        import prefect  # noqa: F401 - a test may have removed it from sys.modules

        if None not in _adapters:
            adapter = RestPrefect(installed_version() or "")
            adapter.check_private_names()
            _adapters[None] = adapter
    return _adapters[None]


class RestPrefect:
    """The real Prefect 2.20 or 3.

    Args:
        version: the version of Prefect, from its metadata.
    """

    def __init__(self, version: str) -> None:
        self.version, self.release = version, release_of(version)

    @property
    def package(self) -> Any:
        """The package ``prefect`` that an import returns now."""
        import prefect

        return prefect

    @property
    def settings_context(self) -> Any:
        """The settings context that all threads use now."""
        import prefect.context

        return unguarded(prefect.context.GLOBAL_SETTINGS_CONTEXT)

    def check_private_names(self) -> None:
        """Check that this release has all names that the isolation uses.

        Raises:
            UnsupportedPrefect: one is missing. The error names it.
        """
        from importlib import import_module

        for module, path in _PRIVATE:
            try:
                value: Any = import_module(module)
                for name in path.split("."):
                    value = getattr(value, name)
            except (ImportError, AttributeError):  # noqa: PERF203 - nine names, once
                raise UnsupportedPrefect(self.version, f"{module}.{path}") from None

    # -- background senders -------------------------------------------------------------------------------------------

    def drain(self, seconds: float = _MAX_DRAIN) -> None:
        """Wait until Prefect's background threads have sent all events and logs, and stop them.

        They keep the address of the API that was set when they started. New ones start on demand.

        Args:
            seconds: the longest time to wait. The threads are stopped even if they have not sent everything.
        """
        senders = list(self._active_senders())
        if senders:
            until = time.monotonic() + seconds
            with _quiet(sender.__name__ for sender in senders):
                in_new_thread(
                    lambda: [sender.drain_all(timeout=max(0.0, until - time.monotonic())) for sender in senders]
                )

    @staticmethod
    def _active_senders() -> Iterator[Any]:
        for module, name in _SENDERS:
            sender = getattr(sys.modules.get(module), name, None)
            if sender is not None:
                yield sender

    # -- the block Secret ---------------------------------------------------------------------------------------------

    def register_secret_type(self) -> None:
        """Let the client register the block type of Secret with the current API."""
        from prefect.blocks.system import Secret

        in_new_thread(Secret.register_type_and_schema)

    def encode(self, name: str, value: Any) -> Any:
        """Return a value as ``Secret(value=…).save()`` stores it.

        Raises:
            UsageError: the block does not accept it.
        """
        from prefect.blocks.system import Secret

        if value == "" and self.release < (3, 0, 0):  # the client of 2.20 saves null, and `Secret.load` fails
            raise UsageError(f"secret {name!r}: a Secret block of Prefect {self.version} cannot hold an empty text")
        try:
            stored = Secret(value=value).value.get_secret_value()
            return json.dumps(value) if isinstance(value, exact) and self.decode(stored) != value else stored
        except Exception:  # noqa: BLE001 - of pydantic, with the value in its text
            kind = type(value).__name__
        raise UsageError(
            f"secret {name!r}: a Secret block of Prefect {self.version} cannot hold {kind}: set json.dumps(value), and "
            "decode it in the flow"
        )

    @staticmethod
    def decode(stored: Any) -> Any:
        """Return the result of ``Secret.load(name).get()`` for a stored value."""
        from prefect.blocks.system import Secret

        return Secret(value=stored).get()

    def describe_type(self, stored: Any) -> Tuple[str, str]:
        """Return the names of the types of a stored value and of the result of ``get()``."""
        return type(stored).__name__, type(self.decode(stored)).__name__


@contextmanager
def _quiet(names: Iterable[str]) -> Iterator[None]:
    """Discard the warning of a sender that it still sends while it is being stopped: each test would end with it."""

    def is_other(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Still processing items")

    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(is_other)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_other)


def in_new_thread(function: Callable[[], Any]) -> Any:
    """Return or raise the result of a function in a new thread, which has neither an event loop nor context variables.

    Many functions of Prefect return a coroutine if an event loop runs in their thread.
    """
    results: List[Any] = []
    errors: List[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread
            errors.append(error)

    thread = threading.Thread(target=run, name="flowsecrets-prefect", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
