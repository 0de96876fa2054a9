"""Work pools, their queues, and workers."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, List, Optional

from pytest_flowsecrets.backend.rest.call import Route, page
from pytest_flowsecrets.backend.rest.errors import CONFLICT, ApiError, NotFoundError, ValidationError
from pytest_flowsecrets.backend.rest.resources import flow_runs
from pytest_flowsecrets.backend.rest.rules import filters
from pytest_flowsecrets.backend.rest.rules.filters import due_runs, matches, sort_rows
from pytest_flowsecrets.backend.rest.store.table import parse_time, time_text

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

DEFAULT_POOL = "default-agent-pool"
_POOL_FIELDS = (
    "name",
    "description",
    "type",
    "base_job_template",
    "is_paused",
    "concurrency_limit",
    "storage_configuration",
)
_CLEARED = ("description", "concurrency_limit")
_QUEUE_FIELDS = ("name", "description", "is_paused", "concurrency_limit", "priority")
HEARTBEATS_MISSED = 3
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")  # of a variable of the template; those of blocks have dots

# -- pools -------------------------------------------------------------------------------------------------------------


def create(call: Call) -> Row:
    """Create a work pool with its default queue."""
    fields = {key: value for key, value in call.sent(*_POOL_FIELDS).items() if value is not None}
    _check_template(fields)
    if "/" in fields["name"]:
        raise ValidationError("value_error", ("body", "name"), "Name contains an invalid character")
    if fields["name"].lower().startswith("prefect"):
        raise ApiError(403, "Work pools starting with 'Prefect' are reserved for internal use.")
    if call.view.work_pools.first(name=fields["name"]):
        raise ApiError(409, "A work pool with this name already exists.")
    return present(call.view, insert(call.view, fields))


def _check_template(fields: Row) -> None:
    """Check a base job template: its job configuration may use the variables that it declares.

    Raises:
        ValidationError: a part is missing, or a variable is not declared.
    """
    template = fields.get("base_job_template")
    if not template:
        return
    configuration, variables = template.get("job_configuration"), template.get("variables")
    message = None
    if not configuration or not variables:
        message = "The `base_job_template` must contain both a `job_configuration` key and a `variables` key."
    elif not set(_PLACEHOLDER.findall(json.dumps(configuration))) <= set(variables.get("properties") or ()):
        message = "The job configuration uses variables that the variables schema does not declare."
    if message:
        raise ValidationError("value_error", ("body", "base_job_template"), f"Value error, {message}")


def insert(view: View, fields: Row) -> Row:
    """Add a work pool with its default queue."""
    defaults: Row = {"type": "prefect-agent", "base_job_template": {}, "is_paused": False, "storage_configuration": {}}
    pool = view.work_pools.insert({**defaults, **fields})
    queue = insert_queue(view, pool, {"name": "default", "description": "The work pool's default queue."})
    return view.work_pools.update(pool, {"default_queue_id": queue["id"]})


def present(view: View, pool: Row) -> Row:
    """Return a work pool as the API shows it: with its status and the slots in use."""
    status = (
        "READY" if any(_online(view, each) for each in view.workers.where(work_pool_id=pool["id"])) else "NOT_READY"
    )
    shown = {key: value for key, value in pool.items() if value is not None}
    if pool.get("concurrency_limit") is not None:
        shown["active_slots"] = _active(view, view.work_queues.where(work_pool_id=pool["id"]))
    return {**shown, "status": "PAUSED" if pool["is_paused"] else status}


def by_name(view: View, name: str) -> Row:
    """Return the work pool with a name; the pool of Prefect 2's agents is created when it is asked for.

    Raises:
        ApiError: 404.
    """
    pool = view.work_pools.first(name=name)
    if pool is None and name == DEFAULT_POOL:
        pool = insert(view, {"name": name, "type": "prefect-agent"})
    if pool is None:
        raise ApiError(404, f'Work pool "{name}" not found.')
    return pool


def read(call: Call) -> Row:
    """Return a work pool."""
    return present(call.view, by_name(call.view, call.path["pool"]))


def update(call: Call) -> None:
    """Change a work pool."""
    changes = call.sent(*(name for name in _POOL_FIELDS if name not in ("name", "type")))
    _check_template(changes)
    pool = by_name(call.view, call.path["pool"])
    call.view.work_pools.update(pool, _changes(changes))


def _changes(fields: Row) -> Row:
    """Return the fields that a request changes: null clears a limit or a description."""
    return {key: value for key, value in fields.items() if value is not None or key in _CLEARED}


def delete(call: Call) -> None:
    """Remove a work pool with its queues and workers."""
    pool = by_name(call.view, call.path["pool"])
    for table in (call.view.work_queues, call.view.workers):
        for row in table.where(work_pool_id=pool["id"]):
            table.delete(row["id"])
    call.view.work_pools.delete(pool["id"])


def select(call: Call) -> List[Row]:
    """Return the work pools that fit, by name."""
    rows = [row for row in call.view.work_pools if matches(row, call.fields.get("work_pools"))]
    return [present(call.view, row) for row in page(call, sort_rows(rows, "NAME_ASC"))]


def count(call: Call) -> int:
    """Return how many work pools fit."""
    return len(filters.select(call, "work_pools"))


# -- queues ------------------------------------------------------------------------------------------------------------


def insert_queue(view: View, pool: Row, fields: Row) -> Row:
    """Add a queue to a pool; a queue that takes a priority moves the ones from there on down."""
    queues = view.work_queues.where(work_pool_id=pool["id"])
    priority = fields.get("priority") or max((row["priority"] for row in queues), default=0) + 1
    _make_room(queues, priority)
    defaults: Row = {"is_paused": False, "description": ""}
    return view.work_queues.insert({**defaults, **fields, "priority": priority, "work_pool_id": pool["id"]})


def _make_room(queues: List[Row], priority: int) -> None:
    taken = {row["priority"]: row for row in queues}
    while priority in taken:
        taken[priority]["priority"] = priority + 1
        priority += 1


def present_queue(view: View, queue: Row) -> Row:
    """Return a queue as the API shows it."""
    pool = view.work_pools.require(queue["work_pool_id"])
    polled = queue.get("last_polled")
    recent = polled and parse_time(polled) > view.now() - timedelta(seconds=60)
    shown = {key: value for key, value in queue.items() if value is not None}
    if queue.get("concurrency_limit") is not None:
        shown["active_slots"] = _active(view, [queue])
    status = "PAUSED" if queue["is_paused"] else "READY" if recent else "NOT_READY"
    return {**shown, "work_pool_name": pool["name"], "status": status}


def queue_for(view: View, pool_name: str, queue_name: Optional[str]) -> Row:
    """Return the queue that a deployment names, creating it where the pool has none of that name.

    Raises:
        ApiError: 404, no such pool.
    """
    pool = by_name(view, pool_name)
    if queue_name is None:
        return view.work_queues.require(pool["default_queue_id"])
    queue = view.work_queues.first(work_pool_id=pool["id"], name=queue_name)
    return queue or insert_queue(view, pool, {"name": queue_name})


def create_queue(call: Call) -> Row:
    """Create a queue in a pool; without a pool, in the one of Prefect 2's agents."""
    pool = by_name(call.view, call.path.get("pool", DEFAULT_POOL))
    fields = {key: value for key, value in call.sent(*_QUEUE_FIELDS).items() if value is not None}
    if call.view.work_queues.first(work_pool_id=pool["id"], name=fields["name"]):
        raise ApiError(409, "A work queue with this name already exists.")
    return present_queue(call.view, insert_queue(call.view, pool, fields))


def read_queue(call: Call) -> Row:
    """Return a queue."""
    return present_queue(call.view, _queue(call))


def update_queue(call: Call) -> None:
    """Change a queue."""
    changes = _changes(call.sent(*_QUEUE_FIELDS))
    if "id" in call.path and call.view.work_queues.get(call.id) is None:
        raise NotFoundError(f"Work Queue {call.id} not found")
    call.view.work_queues.update(_queue(call), changes)


def delete_queue(call: Call) -> None:
    """Remove a queue."""
    queue = _queue(call)
    if call.view.work_pools.require(queue["work_pool_id"]).get("default_queue_id") == queue["id"]:
        raise ApiError(409, CONFLICT)
    call.view.work_queues.delete(queue["id"])


def select_queues(call: Call) -> List[Row]:
    """Return the queues that fit, of one pool where the path names it, by priority."""
    view = call.view
    rows = [row for row in view.work_queues if matches(row, call.fields.get("work_queues"))]
    if "pool" in call.path:
        pool = by_name(view, call.path["pool"])
        rows = sorted((row for row in rows if row["work_pool_id"] == pool["id"]), key=lambda row: row["priority"])
    else:
        rows = sort_rows(rows, "NAME_ASC")
    return [present_queue(view, row) for row in page(call, rows)]


def queue_status(call: Call) -> Row:
    """Return the health of a queue."""
    queue = _queue(call)
    polled = queue.get("last_polled")
    return {"healthy": polled is not None, "late_runs_count": 0, "last_polled": polled, "health_check_policy": {}}


def queue_runs(call: Call) -> List[Row]:
    """Return the due runs of a queue that no pool's worker serves; those of a pool come from its own route."""
    _queue(call)
    return []


def _queue(call: Call) -> Row:
    view = call.view
    if "id" in call.path:
        return view.work_queues.require(call.id)
    pool = by_name(view, call.path.get("pool", DEFAULT_POOL))
    queue = view.work_queues.first(work_pool_id=pool["id"], name=call.path["name"])
    if queue is None:
        raise NotFoundError("Work queue not found.")
    return queue


# -- workers -----------------------------------------------------------------------------------------------------------


def heartbeat(call: Call) -> None:
    """Record that a worker lives."""
    pool = by_name(call.view, call.path["pool"])
    record_heartbeat(call.view, pool, call.fields["name"], call.fields.get("heartbeat_interval_seconds"))


def record_heartbeat(view: View, pool: Row, name: str, interval: Optional[float] = None) -> Row:
    """Record that a worker of a pool lives, creating it at its first heartbeat."""
    fields: Row = {"last_heartbeat_time": time_text(view.now())}
    if interval is not None:
        fields["heartbeat_interval_seconds"] = interval
    row = view.workers.first(work_pool_id=pool["id"], name=name)
    if row is None:
        return view.workers.insert({"name": name, "work_pool_id": pool["id"], **fields})
    return view.workers.update(row, fields)


def select_workers(call: Call) -> List[Row]:
    """Return the workers of a pool that fit."""
    pool = by_name(call.view, call.path["pool"])
    rows = call.view.workers.where(work_pool_id=pool["id"])
    shown = [{**row, "status": "ONLINE" if _online(call.view, row) else "OFFLINE"} for row in rows]
    return page(call, [row for row in shown if matches(row, call.fields.get("workers"))])


def delete_worker(call: Call) -> None:
    """Remove a worker."""
    pool = by_name(call.view, call.path["pool"])
    row = call.view.workers.first(work_pool_id=pool["id"], name=call.path["name"])
    if row is None:
        raise NotFoundError("Worker not found.")
    call.view.workers.delete(row["id"])


def _online(view: View, worker: Row) -> bool:
    seconds = (worker.get("heartbeat_interval_seconds") or 30) * HEARTBEATS_MISSED
    return parse_time(worker["last_heartbeat_time"]) > view.now() - timedelta(seconds=seconds)


# -- the runs that a worker asks for -----------------------------------------------------------------------------------


def scheduled_flow_runs(call: Call) -> List[Row]:
    """Return the runs that are due in a pool, by priority of their queues and by time, within all limits."""
    view, fields = call.view, call.fields
    pool = by_name(view, call.path["pool"])
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
        {"work_pool_id": pool["id"], "work_queue_id": row["work_queue_id"], "flow_run": _scheduled(view, row)}
        for row in page(call, _within(chosen, pool, _active(view, everything)))
    ]


def _scheduled(view: View, run: Row) -> Row:
    """Return a run as a worker gets it: without the names of pool and queue, and on Prefect 2 without the state."""
    shown = {**flow_runs.present(view, run), "work_queue_name": None}
    return {**shown, "state": None} if view.legacy else shown


def _within(rows: List[Row], limited: Row, active: int) -> List[Row]:
    limit = limited.get("concurrency_limit")
    return rows if limit is None else rows[: max(0, limit - active)]


def _active(view: View, queues: List[Row]) -> int:
    ids = {queue["id"] for queue in queues}
    return sum(run.get("work_queue_id") in ids and filters.is_active(run) for run in view.flow_runs)


ROUTES = (
    Route("POST", "/work_pools/", create, 201),
    Route("POST", "/work_pools/filter", select),
    Route("POST", "/work_pools/count", count),
    Route("GET", "/work_pools/{pool}", read),
    Route("PATCH", "/work_pools/{pool}", update, 204),
    Route("DELETE", "/work_pools/{pool}", delete, 204),
    Route("POST", "/work_pools/{pool}/queues", create_queue, 201),
    Route("POST", "/work_pools/{pool}/queues/filter", select_queues),
    Route("GET", "/work_pools/{pool}/queues/{name}", read_queue),
    Route("PATCH", "/work_pools/{pool}/queues/{name}", update_queue, 204),
    Route("DELETE", "/work_pools/{pool}/queues/{name}", delete_queue, 204),
    Route("POST", "/work_pools/{pool}/workers/heartbeat", heartbeat, 204),
    Route("POST", "/work_pools/{pool}/workers/filter", select_workers),
    Route("DELETE", "/work_pools/{pool}/workers/{name}", delete_worker, 204),
    Route("POST", "/work_pools/{pool}/get_scheduled_flow_runs", scheduled_flow_runs),
    Route("POST", "/work_queues/", create_queue, 201),
    Route("POST", "/work_queues/filter", select_queues),
    Route("GET", "/work_queues/name/{name}", read_queue),
    Route("GET", "/work_queues/{id}", read_queue),
    Route("PATCH", "/work_queues/{id}", update_queue, 204),
    Route("DELETE", "/work_queues/{id}", delete_queue, 204),
    Route("POST", "/work_queues/{id}/get_runs", queue_runs),
    Route("GET", "/work_queues/{id}/status", queue_status),
)
