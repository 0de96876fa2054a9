"""Flow runs: creation, schedules, states, cancellation; agents and their queue.

A flow with an active schedule has ten future runs. In the real API, a service creates them. Here, they are created when
a schedule is activated and when an agent queries its queue, so they follow a clock that a test moves.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from pytest_flowsecrets.backend.messages import ApiError, BadInput
from pytest_flowsecrets.backend.records import states
from pytest_flowsecrets.backend.records.tables import read_time
from pytest_flowsecrets.backend.request_context import importing
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import RequestContext

AHEAD = 10  # future runs of a flow with an active schedule
# A flow run gets a name of two words, as in Prefect.
_FIRST = (
    "amber brave calm daring eager fuzzy gentle hasty icy jolly keen lucky mellow noble quiet rapid solemn tidy wise"
)
_SECOND = (
    "badger crane dolphin eagle falcon gecko heron ibex jackal koala lemur marmot newt otter panda raven stork tapir"
)
_random = random.Random()  # noqa: S311 - not for secrets; an own instance leaves the test's random state unchanged


@mutation
def create_flow_run(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create a Scheduled flow run, or return the existing one with the same idempotency key."""
    flow = _flow(context, inputs)
    key = inputs.get("idempotency_key")
    for run in context.store.linked("flow_run", "flow_id", flow["id"]) if key is not None else ():
        if run["idempotency_key"] == key:
            return _payload(run)
    return _payload(add_flow_run(context, flow, inputs))


@mutation
def delete_flow_run(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete a flow run with its task runs, states and logs."""
    context.store.remove("flow_run", context.get_or_error("flow_run", inputs["flow_run_id"])["id"])
    return SUCCESS


@mutation
def set_flow_run_name(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Rename a flow run."""
    context.store.change("flow_run", context.get_or_error("flow_run", inputs["flow_run_id"])["id"], name=inputs["name"])
    return SUCCESS


@mutation
def set_flow_run_labels(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Replace the labels of a flow run, which determine the agents that may run it."""
    context.store.change(
        "flow_run", context.get_or_error("flow_run", inputs["flow_run_id"])["id"], labels=inputs["labels"]
    )
    return SUCCESS


@mutation
def set_flow_run_states(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Set the states of several flow runs: all of them, or none."""
    return {"states": [set_flow_run_state(context, entry) for entry in inputs["states"]]}


@mutation
def set_flow_run_state(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Set the state of one flow run, as clients up to 0.5 do. For Submitted, record the agent."""
    run = context.get_or_error("flow_run", inputs["flow_run_id"])
    run = states.set_state(context.store, "flow_run", run, inputs["state"], inputs.get("version"))
    if run["state"] == "Submitted" and context.row("agent", context.caller.agent_id):
        context.store.change("flow_run", run["id"], agent_id=context.caller.agent_id)
    return {"id": run["id"], "status": "SUCCESS", "message": None}


@mutation
def cancel_flow_run(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Cancel a flow run. If a process runs it, set Cancelling, which the process polls for."""
    run = context.get_or_error("flow_run", inputs["flow_run_id"])
    if not states.is_a(run["state"], "Finished"):
        kind = "Cancelling" if states.is_a(run["state"], "Running") else "Cancelled"
        state = states.new_state(kind, "Flow run was cancelled")
        run = states.set_state(context.store, "flow_run", run, state)
    return {"state": run["state"]}


@mutation
def update_flow_run_heartbeat(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Record a heartbeat of a flow run."""
    context.store.change(
        "flow_run", context.get_or_error("flow_run", inputs["flow_run_id"])["id"], heartbeat=context.now
    )
    return SUCCESS


@mutation
def get_runs_in_queue(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Return the ids of the flow runs that an agent should submit now."""
    tenant_id = context.tenant_of(inputs.get("tenant_id"))
    for flow in context.store.linked("flow", "tenant_id", tenant_id):
        add_scheduled_runs(context, flow)
    runs = context.store.linked("flow_run", "tenant_id", tenant_id)
    due = states.due(context.store, runs, inputs.get("before") or context.now, inputs.get("labels") or [])
    if context.row("agent", context.caller.agent_id):
        context.store.change("agent", str(context.caller.agent_id), last_queried=context.now)
    return {"flow_run_ids": [run["id"] for run in due]}


def _payload(run: Row) -> Dict[str, Any]:
    return {"id": run["id"], "flow_run": run}


def _flow(context: RequestContext, inputs: Mapping[str, Any]) -> Row:
    """Return the flow with ``flow_id``, or the newest version of ``version_group_id``."""
    if inputs.get("flow_id") is not None:
        flow = context.get_or_error("flow", inputs["flow_id"])
    else:
        group_id = inputs.get("version_group_id")
        rows = context.rows("flow")
        versions = [flow for flow in rows if flow["version_group_id"] == group_id and not flow["archived"]]
        if group_id is None or not versions:
            raise BadInput("flow_id or the version_group_id of a flow is required")
        flow = max(versions, key=lambda flow: int(flow["version"]))
    if flow["archived"]:
        raise ApiError("An archived flow cannot run")
    return flow


# -- agents ------------------------------------------------------------------------------------------------------------


@mutation
def register_agent(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Register an agent, or return the existing agent with the same type, name and labels."""
    tenant_id = context.tenant_of(inputs.get("tenant_id"))
    values = {"type": inputs.get("type"), "name": inputs.get("name"), "labels": sorted(inputs.get("labels") or [])}
    for agent in context.store.linked("agent", "tenant_id", tenant_id):
        if all(agent[name] == value for name, value in values.items()):
            return context.store.change("agent", agent["id"], agent_config_id=inputs.get("agent_config_id"))
    return context.store.add("agent", tenant_id=tenant_id, agent_config_id=inputs.get("agent_config_id"), **values)


@mutation
def delete_agent(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete an agent, but not its flow runs."""
    agent = context.get_or_error("agent", inputs["agent_id"])
    for run in context.store.linked("flow_run", "agent_id", agent["id"]):
        context.store.change("flow_run", run["id"], agent_id=None)
    context.store.remove("agent", agent["id"])
    return SUCCESS


_log = logging.getLogger("pytest_flowsecrets")

# -- new flow runs, and those that an active schedule adds -------------------------------------------------------------


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
