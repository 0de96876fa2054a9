"""Logs of flow runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Call


@mutation
def write_run_logs(call: Call, given: Mapping[str, Any]) -> Any:
    """A batch. What belongs to no run that the caller may see is dropped: the real API takes logs in later."""
    for log in given["logs"]:
        task_run = call.row("task_run", log.get("task_run_id"))
        flow_run = call.row("flow_run", log.get("flow_run_id") or (task_run["flow_run_id"] if task_run else None))
        if flow_run is not None:
            call.store.add(
                "log",
                tenant_id=flow_run["tenant_id"],
                flow_run_id=flow_run["id"],
                task_run_id=task_run and task_run["id"],
                timestamp=log.get("timestamp") or call.now,
                name=log.get("name"),
                level=log.get("level") or "INFO",
                message=log.get("message"),
                info=log.get("info"),
            )
    return SUCCESS


@mutation
def write_run_log(call: Call, given: Mapping[str, Any]) -> Any:
    """One, as clients up to 0.6 send it."""
    return write_run_logs(call, {"logs": [given]})
