"""The environments that a worker or a runner in this process passes to flow runs, for the search for leaks."""

from __future__ import annotations

import os
import sys
from typing import Any, List, Tuple

from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.names import REST_PREFIX

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
