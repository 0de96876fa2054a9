"""The body of a ``/filter`` request: filters of several kinds of rows, joined by their relations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional

from pytest_flowsecrets.backend.rest.rules.states import FINAL
from pytest_flowsecrets.backend.rest.store.filters import matches

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

# The table of each key of a body.
_TABLES = {
    "flows": "flows",
    "flow_runs": "flow_runs",
    "task_runs": "task_runs",
    "deployments": "deployments",
    "work_pools": "work_pools",
    "work_pool_queues": "work_queues",
    "work_queues": "work_queues",
    "artifacts": "artifacts",
}


def select(call: Call, kind: str, rows: Optional[Iterable[Row]] = None) -> List[Row]:
    """Return the rows of a kind that fit their own filter and the filters of related rows.

    Args:
        call: its body holds the filters.
        kind: a key of the body, such as ``flow_runs``.
        rows: to choose from; by default all of the table.
    """
    view, fields = call.view, call.fields
    chosen = list(getattr(view, _TABLES[kind])) if rows is None else list(rows)
    chosen = [row for row in chosen if matches(row, fields.get(kind), _properties(view, kind))]
    for other, condition in fields.items():
        if other in _TABLES and other != kind and condition:
            related = [
                row for row in getattr(view, _TABLES[other]) if matches(row, condition, _properties(view, other))
            ]
            chosen = _join(view, kind, chosen, other, related)
    return chosen


def _properties(view: View, kind: str) -> Dict[str, Any]:
    if kind == "flow_runs":
        return {
            "parent_flow_run_id": lambda row: _parent_flow_run_id(view, row),
            "work_queue_name": lambda row: row.get("work_queue_name"),
        }
    if kind == "task_runs":
        return {"subflow_runs": lambda row: _has_subflow(view, row)}
    if kind == "flows":
        return {"deployment": lambda row: {"is_null": view.deployments.first(flow_id=row["id"]) is None}}
    return {}


def _parent_flow_run_id(view: View, run: Row) -> Optional[str]:
    task_run = view.task_runs.get(run.get("parent_task_run_id"))
    return task_run.get("flow_run_id") if task_run else None


def _has_subflow(view: View, task_run: Row) -> Optional[str]:
    run = view.flow_runs.first(parent_task_run_id=task_run["id"])
    return run["id"] if run else None


def _links(view: View, kind: str, row: Row) -> Dict[str, List[Optional[str]]]:
    """Return the ids of the rows that a row belongs to, by kind."""
    if kind == "task_runs":
        run = view.flow_runs.get(row.get("flow_run_id"))
        return {"flow_runs": [row.get("flow_run_id")], **(_links(view, "flow_runs", run) if run else {})}
    if kind == "artifacts":
        run = view.flow_runs.get(row.get("flow_run_id"))
        return {
            "flow_runs": [row.get("flow_run_id")],
            "task_runs": [row.get("task_run_id")],
            **(_links(view, "flow_runs", run) if run else {}),
        }
    queue = view.work_queues.get(row.get("work_queue_id"))
    links: Dict[str, List[Optional[str]]] = {
        "flows": [row.get("flow_id")],
        "deployments": [row.get("deployment_id")],
        "work_pools": [queue["work_pool_id"] if queue else None],
    }
    links["work_pool_queues"] = links["work_queues"] = [row.get("work_queue_id")]
    return links


def _join(view: View, kind: str, rows: List[Row], other: str, related: List[Row]) -> List[Row]:
    """Return the rows that belong to a related row, or that a related row belongs to."""
    ids = {row["id"] for row in related}
    owners: set[Optional[str]] = set()
    for row in related:
        owners.update(_links(view, other, row).get(kind, ()))
    return [row for row in rows if ids.intersection(_links(view, kind, row).get(other, ())) or row["id"] in owners]


def is_active(run: Row) -> bool:
    """Return whether a run occupies a slot of a pool or queue: it is pending, running or cancelling."""
    kind = (run.get("state") or {}).get("type")
    return kind is not None and kind not in FINAL | {"SCHEDULED", "PAUSED"}
