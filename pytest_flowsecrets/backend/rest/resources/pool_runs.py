"""The runs that a worker asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from pytest_flowsecrets.backend.rest.call import Route, page
from pytest_flowsecrets.backend.rest.resources import flow_runs, work_pools
from pytest_flowsecrets.backend.rest.rules import relations
from pytest_flowsecrets.backend.rest.rules.due_runs import due_runs
from pytest_flowsecrets.backend.rest.store.table import time_text

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View


def scheduled_flow_runs(call: Call) -> List[Row]:
    """Return the runs that are due in a pool, by priority of their queues and by time, within all limits."""
    view, fields = call.view, call.fields
    pool = work_pools.by_name(view, call.path["pool"])
    names = fields.get("work_queue_names")
    queues = [row for row in view.work_queues.where(work_pool_id=pool["id"]) if not names or row["name"] in names]
    for queue in queues:
        view.work_queues.update(queue, {"last_polled": time_text(view.now())})
    if pool["is_paused"]:
        return []
    chosen = []
    for queue in sorted(queues, key=lambda row: row["priority"]):
        rows = due_runs(view, view.flow_runs.where(work_queue_id=queue["id"]), fields)
        chosen += [] if queue["is_paused"] else _within(rows, queue, _active(view, [queue]))
    everything = view.work_queues.where(work_pool_id=pool["id"])
    return [
        {"work_pool_id": pool["id"], "work_queue_id": row["work_queue_id"], "flow_run": flow_runs.present(view, row)}
        for row in page(call, _within(chosen, pool, _active(view, everything)))
    ]


def _within(rows: List[Row], limited: Row, active: int) -> List[Row]:
    limit = limited.get("concurrency_limit")
    return rows if limit is None else rows[: max(0, limit - active)]


def _active(view: View, queues: List[Row]) -> int:
    ids = {queue["id"] for queue in queues}
    return sum(run.get("work_queue_id") in ids and relations.is_active(run) for run in view.flow_runs)


ROUTES = (Route("POST", "/work_pools/{pool}/get_scheduled_flow_runs", scheduled_flow_runs),)
