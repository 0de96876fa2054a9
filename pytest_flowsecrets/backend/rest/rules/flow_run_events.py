"""Events that a server publishes when a flow run changes its state."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Iterator, Optional

from pytest_flowsecrets.backend.rest.store.table import time_text

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View


def flow_run_event(view: View, run: Row, before: Optional[Row], state: Row) -> Row:
    """Return the event ``prefect.flow-run.NAME`` of a run's new state."""
    return {
        "id": str(uuid.uuid4()),
        "occurred": state["timestamp"],
        "received": time_text(view.now()),
        "event": f"prefect.flow-run.{state['name']}",
        "resource": {
            "prefect.resource.id": f"prefect.flow-run.{run['id']}",
            "prefect.resource.name": run["name"],
            "prefect.run-count": str(run.get("run_count", 0)),
            "prefect.state-message": state["message"] or "",
            "prefect.state-name": state["name"],
            "prefect.state-timestamp": state["timestamp"],
            "prefect.state-type": state["type"],
        },
        "related": list(_related(view, run)),
        "payload": {
            "intended": {"from": before and before["type"], "to": state["type"]},
            "initial_state": before and _short(before),
            "validated_state": _short(state),
        },
        "follows": None,
    }


def _short(state: Row) -> Row:
    message = {"message": state["message"]} if state["message"] else {}
    return {"type": state["type"], "name": state["name"], **message}


def _related(view: View, run: Row) -> Iterator[Row]:
    flow, deployment = view.flows.get(run.get("flow_id")), view.deployments.get(run.get("deployment_id"))
    queue = view.work_queues.get(run.get("work_queue_id"))
    pool = view.work_pools.get(queue["work_pool_id"]) if queue else None
    for role, row in (("flow", flow), ("deployment", deployment), ("work-queue", queue), ("work-pool", pool)):
        if row is not None:
            named = {"prefect.resource.role": role, "prefect.resource.name": row["name"]}
            yield {"prefect.resource.id": f"prefect.{role}.{row['id']}", **named}
    for tag in run.get("tags") or ():
        yield {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
