"""Artifacts of task runs: links and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Call

_TABLE = "task_run_artifact"


@mutation
def create_task_run_artifact(call: Call, given: Mapping[str, Any]) -> Any:
    """Of a task run that is there."""
    run = call.must("task_run", given["task_run_id"])
    values = {"task_run_id": run["id"], "kind": given["kind"], "data": given["data"]}
    return call.store.add(_TABLE, tenant_id=run["tenant_id"], **values)


@mutation
def update_task_run_artifact(call: Call, given: Mapping[str, Any]) -> Any:
    """Other data, the same kind."""
    artifact = call.must(_TABLE, given["task_run_artifact_id"])
    call.store.change(_TABLE, artifact["id"], data=given["data"])
    return SUCCESS


@mutation
def delete_task_run_artifact(call: Call, given: Mapping[str, Any]) -> Any:
    """It is gone."""
    call.store.remove(_TABLE, call.must(_TABLE, given["task_run_artifact_id"])["id"])
    return SUCCESS
