"""Flow runs come to be: because somebody asks for one, or because a schedule does.

A flow whose schedule is on has ten runs ahead. The real API has a service that sees to it; here it is done whenever a
schedule is turned on and whenever an agent asks for work, so that it follows a clock that is moved.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from pytest_flowsecrets.backend.client_errors import BadInput
from pytest_flowsecrets.backend.import_lock import importing
from pytest_flowsecrets.backend.records import states
from pytest_flowsecrets.backend.records.scalars import read_time

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import Call

_log = logging.getLogger("pytest_flowsecrets")

AHEAD = 10
# Names of flow runs are two words, as Prefect gives them.
_FIRST = (
    "amber brave calm daring eager fuzzy gentle hasty icy jolly keen lucky mellow noble quiet rapid solemn tidy wise"
)
_SECOND = (
    "badger crane dolphin eagle falcon gecko heron ibex jackal koala lemur marmot newt otter panda raven stork tapir"
)
_random = random.Random()  # noqa: S311 - no secret; its own, so that a test's seed is neither used nor moved


def add_flow_run(call: Call, flow: Row, given: Mapping[str, Any], *, auto_scheduled: bool = False) -> Row:
    """A Scheduled run of a flow, with a Pending task run for each of its tasks.

    Args:
        call: who wants it.
        flow: which is not archived.
        given: the input of ``create_flow_run``.
        auto_scheduled: whether its schedule wants it.

    Raises:
        BadInput: a required parameter is missing, or something is no mapping or list.
    """
    start = given.get("scheduled_start_time") or call.now
    run_config = flow["run_config"] if given.get("run_config") is None else given["run_config"]
    run = call.store.add(
        "flow_run",
        tenant_id=flow["tenant_id"],
        flow_id=flow["id"],
        name=given.get("flow_run_name") or _run_name(),
        version=0,
        times_resurrected=0,
        auto_scheduled=auto_scheduled,
        idempotency_key=given.get("idempotency_key"),
        parameters=_parameters(flow, given.get("parameters")),
        context=_mapping(given.get("context"), "the context"),
        labels=_labels(call, flow, given.get("labels"), run_config),
        run_config=run_config,
        scheduled_start_time=start,
        created_by_user_id=call.caller.user_id,
    )
    for task in call.store.linked("task", "flow_id", flow["id"]):
        states.add_task_run(call.store, run, task, -1)
    state = states.new_state("Scheduled", "Flow run scheduled.", start_time=start.isoformat())
    return states.set_state(call.store, "flow_run", run, state)


def _parameters(flow: Row, given: Any) -> Dict[str, Any]:
    """As given; those that have no default must be."""
    parameters = _mapping(given, "parameters")
    described = [entry for entry in flow["parameters"] if isinstance(entry, Mapping)]
    missing = sorted(str(entry.get("name")) for entry in described if entry.get("required"))
    missing = [name for name in missing if name not in parameters]
    if missing:
        raise BadInput(f"Required parameters were not supplied: {', '.join(missing)}")
    return parameters


def _mapping(value: Any, what: str) -> Dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise BadInput(f"{what} of a flow run: a mapping is expected")
    return value or {}


def _labels(call: Call, flow: Row, given: Optional[List[str]], run_config: Any) -> List[str]:
    """Those given, else of the flow's group, of the run config, of the environment that flows had up to 0.13."""
    group = call.store.get("flow_group", flow["flow_group_id"])
    sources = [group["labels"] if group else None]
    sources += [part.get("labels") for part in (run_config, flow["environment"]) if isinstance(part, Mapping)]
    found = given if given is not None else next((labels for labels in sources if labels is not None), [])
    if not isinstance(found, list):
        raise BadInput("labels of a flow run: a list is expected")
    return sorted({str(label) for label in found})


# -- schedules ---------------------------------------------------------------------------------------------------------


def add_scheduled_runs(call: Call, flow: Row) -> None:
    """The next runs of a flow whose schedule is on, as far as they are not there yet.

    Raises:
        BadInput: the installed Prefect cannot read the schedule.
    """
    if not flow["is_schedule_active"] or flow["schedule"] is None:
        return
    there = {
        run["scheduled_start_time"]
        for run in call.store.linked("flow_run", "flow_id", flow["id"])
        if run["auto_scheduled"]
    }
    if sum(start > call.now for start in there) >= AHEAD:
        return
    for given in _events(flow["schedule"], call.now):
        if given["scheduled_start_time"] not in there:
            add_flow_run(call, flow, given, auto_scheduled=True)


def _events(schedule: Any, after: datetime) -> List[Dict[str, Any]]:
    """What a schedule asks for next, read by the real Prefect's own code; nothing where none is installed."""
    try:
        with importing:
            from pendulum import instance
            from prefect.serialization.schedule import ScheduleSchema
    except ImportError:
        _log.warning(
            "a schedule creates no flow runs, because Prefect, which reads it, is not installed beside this API"
        )
        return []
    try:
        loaded = ScheduleSchema().load(schedule)
        ahead = {"return_events": True} if "return_events" in loaded.next.__code__.co_varnames else {}
        events = loaded.next(AHEAD, after=instance(after, tz="UTC"), **ahead)
    except Exception:  # noqa: BLE001 - of whatever kind; it may quote what was sent
        raise BadInput("a schedule that the installed Prefect cannot read") from None
    return [_event(event) for event in events]


def _event(event: Any) -> Dict[str, Any]:
    """The input of ``create_flow_run``; up to 0.9 a schedule gives times only."""
    moment = getattr(event, "start_time", event)
    return {
        "scheduled_start_time": read_time(moment.isoformat()),
        "parameters": getattr(event, "parameter_defaults", None),
        "labels": getattr(event, "labels", None),
    }


def _run_name() -> str:
    return "-".join(_random.choice(words.split()) for words in (_FIRST, _SECOND))
