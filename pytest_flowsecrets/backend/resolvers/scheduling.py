"""Creation of flow runs, on request and by schedules.

A flow with an active schedule has ten future runs. In the real API, a service creates them. Here, they are created when
a schedule is activated and when an agent queries its queue, so they follow a clock that a test moves.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from pytest_flowsecrets.backend.messages import BadInput
from pytest_flowsecrets.backend.records import states
from pytest_flowsecrets.backend.records.scalars import read_time
from pytest_flowsecrets.backend.request_context import importing

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import RequestContext

_log = logging.getLogger("pytest_flowsecrets")

AHEAD = 10  # future runs of a flow with an active schedule
# A flow run gets a name of two words, as in Prefect.
_FIRST = (
    "amber brave calm daring eager fuzzy gentle hasty icy jolly keen lucky mellow noble quiet rapid solemn tidy wise"
)
_SECOND = (
    "badger crane dolphin eagle falcon gecko heron ibex jackal koala lemur marmot newt otter panda raven stork tapir"
)
_random = random.Random()  # noqa: S311 - not for secrets; an own instance leaves the test's random state unchanged


def add_flow_run(context: RequestContext, flow: Row, inputs: Mapping[str, Any], *, auto_scheduled: bool = False) -> Row:
    """Create a Scheduled flow run, with a Pending task run for each task.

    Args:
        context: the request that creates it.
        flow: a flow that is not archived.
        inputs: the input of ``create_flow_run``.
        auto_scheduled: whether the flow's schedule creates it.

    Raises:
        BadInput: a required parameter is missing, or an input has the wrong type.
    """
    start = inputs.get("scheduled_start_time") or context.now
    run_config = flow["run_config"] if inputs.get("run_config") is None else inputs["run_config"]
    run = context.store.add(
        "flow_run",
        tenant_id=flow["tenant_id"],
        flow_id=flow["id"],
        name=inputs.get("flow_run_name") or _run_name(),
        version=0,
        times_resurrected=0,
        auto_scheduled=auto_scheduled,
        idempotency_key=inputs.get("idempotency_key"),
        parameters=_parameters(flow, inputs.get("parameters")),
        context=_mapping(inputs.get("context"), "the context"),
        labels=_labels(context, flow, inputs.get("labels"), run_config),
        run_config=run_config,
        scheduled_start_time=start,
        created_by_user_id=context.caller.user_id,
    )
    for task in context.store.linked("task", "flow_id", flow["id"]):
        states.add_task_run(context.store, run, task, -1)
    state = states.new_state("Scheduled", "Flow run scheduled.", start_time=start.isoformat())
    return states.set_state(context.store, "flow_run", run, state)


def _parameters(flow: Row, value: Any) -> Dict[str, Any]:
    """Check that all parameters without a default are set, and return them all."""
    parameters = _mapping(value, "parameters")
    described = [entry for entry in flow["parameters"] if isinstance(entry, Mapping)]
    missing = sorted(str(entry.get("name")) for entry in described if entry.get("required"))
    missing = [name for name in missing if name not in parameters]
    if missing:
        raise BadInput(f"Required parameters were not supplied: {', '.join(missing)}")
    return parameters


def _mapping(value: Any, what: str) -> Dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise BadInput(f"{what} of a flow run must be a mapping")
    return value or {}


def _labels(context: RequestContext, flow: Row, inputs: Optional[List[str]], run_config: Any) -> List[str]:
    """Return the labels of the input, or else of the flow group, the run config, or the environment (up to 0.13)."""
    group = context.store.get("flow_group", flow["flow_group_id"])
    sources = [group["labels"] if group else None]
    sources += [part.get("labels") for part in (run_config, flow["environment"]) if isinstance(part, Mapping)]
    labels = inputs if inputs is not None else next((labels for labels in sources if labels is not None), [])
    if not isinstance(labels, list):
        raise BadInput("the labels of a flow run must be a list")
    return sorted({str(label) for label in labels})


# -- schedules ---------------------------------------------------------------------------------------------------------


def add_scheduled_runs(context: RequestContext, flow: Row) -> None:
    """Create the next runs of a flow with an active schedule, unless they exist.

    Raises:
        BadInput: the installed Prefect cannot read the schedule.
    """
    if not flow["is_schedule_active"] or flow["schedule"] is None:
        return
    existing = {
        run["scheduled_start_time"]
        for run in context.store.linked("flow_run", "flow_id", flow["id"])
        if run["auto_scheduled"]
    }
    if sum(start > context.now for start in existing) >= AHEAD:
        return
    for inputs in _events(flow["schedule"], context.now):
        if inputs["scheduled_start_time"] not in existing:
            add_flow_run(context, flow, inputs, auto_scheduled=True)


def _events(schedule: Any, after: datetime) -> List[Dict[str, Any]]:
    """Return the next events of a schedule, as the installed Prefect reads it; none if Prefect is not installed."""
    try:
        with importing:
            from pendulum import instance
            from prefect.serialization.schedule import ScheduleSchema
    except ImportError:
        _log.warning(
            "a schedule creates no flow runs: Prefect, which reads the schedule, is not installed in this environment"
        )
        return []
    try:
        loaded = ScheduleSchema().load(schedule)
        ahead = {"return_events": True} if "return_events" in loaded.next.__code__.co_varnames else {}
        events = loaded.next(AHEAD, after=instance(after, tz="UTC"), **ahead)
    except Exception:  # noqa: BLE001 - of any type; its text may quote the request
        raise BadInput("the installed Prefect cannot read the schedule") from None
    return [_event(event) for event in events]


def _event(event: Any) -> Dict[str, Any]:
    """Convert an event to the input of ``create_flow_run``; up to 0.9, an event is a time only."""
    moment = getattr(event, "start_time", event)
    return {
        "scheduled_start_time": read_time(moment.isoformat()),
        "parameters": getattr(event, "parameter_defaults", None),
        "labels": getattr(event, "labels", None),
    }


def _run_name() -> str:
    return "-".join(_random.choice(words.split()) for words in (_FIRST, _SECOND))
