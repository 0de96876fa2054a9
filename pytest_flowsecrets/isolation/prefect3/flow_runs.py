"""Flow runs that outlive their isolation, and the environments that child processes of flow runs get.

The logs and events of a run that outlives its isolation must reach no other API.
Prefect's background senders belong to the process. A run that still executes after its test would report to the API of
the next test or of the developer, because Prefect reads the address when a sender starts. While such a run exists, the
global settings context is an object whose settings depend on the caller: code of the run gets settings without logs,
and with the address of the ended API. Other code gets the usual settings. The next isolation that begins or ends after
the last such run restores the usual object. A filter drops what the engine logs about such a run outside its context.
"""

from __future__ import annotations

import copy
import gc
import logging
import os
import sys
from types import new_class
from typing import Any, Dict, Iterator, List, Set, Tuple

from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.names import REST_PREFIX


class _EndedRuns(logging.Filter):
    """A filter that accepts all records but those of some flow runs."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: Set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        return str(getattr(record, "flow_run_id", None)) not in self.ids

    def attach(self) -> None:
        """Filter what Prefect's loggers send to an API."""
        from prefect.logging.handlers import APILogHandler

        for logger in list(logging.root.manager.loggerDict.values()):
            for handler in getattr(logger, "handlers", ()):
                if isinstance(handler, APILogHandler):
                    handler.addFilter(self)  # a second call does nothing


_ended_runs = _EndedRuns()
_muted: Dict[str, Any] = {}  # settings by the id of a flow run, or by the address of an ended API
_contexts: List[Any] = []  # of the runs that have outlived their isolation
_classes: List[Any] = []  # the class of guards, once it exists
_NO_KEY = "pnu_of_an_ended_test"  # without a key, the sender of events is not that of a Cloud


def mute(context: Any, url: str, ended_url: str, release: Tuple[int, int, int]) -> bool:
    """Keep the runs that still execute from reporting to other APIs.

    Args:
        context: the settings context of the isolation that ends.
        url: the address of its API.
        ended_url: an address at which that API does not answer, and no other one does.
        release: the release of Prefect.

    Returns:
        Whether there are such runs.
    """
    from prefect.context import SettingsContext

    runs = list(_running(url))
    if not runs:
        return False
    settings = _without_reports(context.settings, ended_url, release)
    _contexts.extend(runs)
    _ended_runs.ids.update(map(_run_id, runs))
    _ended_runs.attach()
    _muted[ended_url] = settings
    _muted.update((run_id, settings) for run_id in filter(None, map(_run_id, runs)))
    for held in gc.get_objects():  # a task in another thread has settings of its own
        if type(held) is SettingsContext and held._token is not None and _url_of(held.settings) == url:  # noqa: SLF001
            vars(held)["settings"] = settings
    return True


def guarded(context: Any) -> Any:
    """Return a settings context, or one with the same settings for all code but that of outliving runs."""
    _contexts[:] = [each for each in _contexts if each._token is not None]  # noqa: SLF001
    if not _contexts or context is None:
        _muted.clear()
        return context
    guard = copy.copy(context)
    object.__setattr__(guard, "__class__", _guard_class())
    object.__setattr__(guard, "__dict__", {**vars(context), "flowsecrets_original": context})
    return guard


def unguarded(context: Any) -> Any:
    """Return the settings context that ``guarded`` got."""
    return vars(context).get("flowsecrets_original", context) if context is not None else None


def _guard_class() -> Any:
    from prefect.context import SettingsContext

    def getattribute(self: Any, name: str) -> Any:
        muted = _settings_of_caller() if name == "settings" and _muted else None
        return object.__getattribute__(self, name) if muted is None else muted

    if not _classes:
        methods = {"__getattribute__": getattribute}
        _classes.append(new_class("GuardedSettings", (SettingsContext,), {}, lambda body: body.update(methods)))
    return _classes[0]


def _settings_of_caller() -> Any:
    """Return the settings without reports if an outliving run calls, else None."""
    from prefect.context import FlowRunContext, TaskRunContext

    for run in filter(None, (FlowRunContext.get(), TaskRunContext.get())):
        settings = _muted.get(_run_id(run)) or _muted.get(_url_of_client(run))
        if settings is not None:
            return settings
    return None


def _running(url: str) -> Iterator[Any]:
    """Yield the contexts of the runs that execute in this process and use an API."""
    from prefect.context import FlowRunContext, TaskRunContext

    for each in gc.get_objects():
        if type(each) in (FlowRunContext, TaskRunContext) and each._token is not None and _url_of_client(each) == url:  # noqa: SLF001
            yield each


def _run_id(context: Any) -> str:
    flow_run, task_run = getattr(context, "flow_run", None), getattr(context, "task_run", None)
    return str(getattr(flow_run, "id", None) or getattr(task_run, "flow_run_id", None) or "")


def _url_of_client(context: Any) -> str:
    client = getattr(context, "client", None)
    return str(getattr(client, "api_url", "")).rstrip("/")


def _url_of(settings: Any) -> str:
    api = getattr(settings, "api", None)
    return str(getattr(settings, "PREFECT_API_URL", "") if api is None else api.url)


def _without_reports(own: Any, url: str, release: Tuple[int, int, int]) -> Any:
    """Return settings without logs. Events go to a sender of their own, which is that of a Cloud at this address."""
    if release < (3, 0, 0):
        from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED

        return own.copy_with_update(updates={PREFECT_LOGGING_TO_API_ENABLED: False, PREFECT_API_URL: url})
    import pydantic

    to_api = own.logging.to_api.model_copy(update={"enabled": False})
    changes = {
        "logging": own.logging.model_copy(update={"to_api": to_api}),
        "api": own.api.model_copy(update={"url": url, "key": own.api.key or pydantic.SecretStr(_NO_KEY)}),
        "cloud": own.cloud.model_copy(update={"api_url": url}),
    }
    return own.model_copy(update=changes)


# -- the environments that a worker or a runner in this process passes to flow runs, for the search for leaks ----------

_FLOW_RUN_ID = "PREFECT__FLOW_RUN_ID"  # set for the process of a flow run only

_hooks: List[Any] = []


def watch_flow_runs() -> None:
    """Search the environments of flow runs from now on, if a test run reports leaks.

    Python cannot remove an audit hook. This one does nothing while nobody reports leaks.
    """
    if registry.on_source_close and not _hooks:
        _hooks.append(_on_event)
        sys.addaudithook(_on_event)


def _on_event(event: str, arguments: Tuple[Any, ...]) -> None:
    """Report the variables that the process of a flow run inherits. Others have been set for it on purpose."""
    if event != "subprocess.Popen" or not registry.on_source_close:
        return
    environ = arguments[3]
    if isinstance(environ, dict) and _FLOW_RUN_ID in environ:
        for name, text in list(environ.items()):
            if isinstance(name, str) and os.environ.get(name) == text and not name.startswith(REST_PREFIX):
                registry.report_text(text, f"environment {name} of a flow run")
