"""Artifacts of task runs: links and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import RequestContext

_TABLE = "task_run_artifact"


@mutation
def create_task_run_artifact(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create an artifact of an existing task run."""
    run = context.get_or_error("task_run", inputs["task_run_id"])
    values = {"task_run_id": run["id"], "kind": inputs["kind"], "data": inputs["data"]}
    return context.store.add(_TABLE, tenant_id=run["tenant_id"], **values)


@mutation
def update_task_run_artifact(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Replace the data of an artifact."""
    artifact = context.get_or_error(_TABLE, inputs["task_run_artifact_id"])
    context.store.change(_TABLE, artifact["id"], data=inputs["data"])
    return SUCCESS


@mutation
def delete_task_run_artifact(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete an artifact."""
    context.store.remove(_TABLE, context.get_or_error(_TABLE, inputs["task_run_artifact_id"])["id"])
    return SUCCESS
