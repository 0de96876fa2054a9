"""Flow runs: creation, states, cancellation; agents and their queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping

from pytest_flowsecrets.backend.messages import ApiError, BadInput
from pytest_flowsecrets.backend.records import states
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation
from pytest_flowsecrets.backend.resolvers.scheduling import add_flow_run, add_scheduled_runs

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import RequestContext


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
