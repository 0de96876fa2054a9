"""Logs of flow runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import RequestContext


@mutation
def write_run_logs(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Add a batch of logs. Drop logs of runs that the caller cannot see, because the real API accepts them too."""
    for log in inputs["logs"]:
        task_run = context.row("task_run", log.get("task_run_id"))
        flow_run = context.row("flow_run", log.get("flow_run_id") or (task_run["flow_run_id"] if task_run else None))
        if flow_run is not None:
            context.store.add(
                "log",
                tenant_id=flow_run["tenant_id"],
                flow_run_id=flow_run["id"],
                task_run_id=task_run and task_run["id"],
                timestamp=log.get("timestamp") or context.now,
                name=log.get("name"),
                level=log.get("level") or "INFO",
                message=log.get("message"),
                info=log.get("info"),
            )
    return SUCCESS


@mutation
def write_run_log(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Add one log, as clients up to 0.6 do."""
    return write_run_logs(context, {"logs": [inputs]})
