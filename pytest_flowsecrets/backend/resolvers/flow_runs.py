"""Flow runs: creation, states, cancellation, the agents' queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping

from pytest_flowsecrets.backend.client_errors import ApiError, BadInput
from pytest_flowsecrets.backend.records import states
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation
from pytest_flowsecrets.backend.resolvers.scheduling import add_flow_run, add_scheduled_runs

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.store import Row
    from pytest_flowsecrets.backend.request_context import Call


@mutation
def create_flow_run(call: Call, given: Mapping[str, Any]) -> Any:
    """A Scheduled run with a Pending task run for each task; the run that there is, if the key is the same."""
    flow = _flow(call, given)
    key = given.get("idempotency_key")
    for run in call.store.linked("flow_run", "flow_id", flow["id"]) if key is not None else ():
        if run["idempotency_key"] == key:
            return _payload(run)
    return _payload(add_flow_run(call, flow, given))


@mutation
def delete_flow_run(call: Call, given: Mapping[str, Any]) -> Any:
    """With its task runs, states and logs."""
    call.store.remove("flow_run", call.must("flow_run", given["flow_run_id"])["id"])
    return SUCCESS


@mutation
def set_flow_run_name(call: Call, given: Mapping[str, Any]) -> Any:
    """Instead of the two words that it got."""
    call.store.change("flow_run", call.must("flow_run", given["flow_run_id"])["id"], name=given["name"])
    return SUCCESS


@mutation
def set_flow_run_labels(call: Call, given: Mapping[str, Any]) -> Any:
    """Which agents may take it."""
    call.store.change("flow_run", call.must("flow_run", given["flow_run_id"])["id"], labels=given["labels"])
    return SUCCESS


@mutation
def set_flow_run_states(call: Call, given: Mapping[str, Any]) -> Any:
    """All of them, or none."""
    return {"states": [set_flow_run_state(call, entry) for entry in given["states"]]}


@mutation
def set_flow_run_state(call: Call, given: Mapping[str, Any]) -> Any:
    """One, as clients up to 0.5 send it. An agent that submits a run is noted in it."""
    run = call.must("flow_run", given["flow_run_id"])
    run = states.set_state(call.store, "flow_run", run, given["state"], given.get("version"))
    if run["state"] == "Submitted" and call.row("agent", call.caller.agent_id):
        call.store.change("flow_run", run["id"], agent_id=call.caller.agent_id)
    return {"id": run["id"], "status": "SUCCESS", "message": None}


@mutation
def cancel_flow_run(call: Call, given: Mapping[str, Any]) -> Any:
    """At once, if no process runs it; else it is asked to stop, which it sees when it looks."""
    run = call.must("flow_run", given["flow_run_id"])
    if not states.is_a(run["state"], "Finished"):
        kind = "Cancelling" if states.is_a(run["state"], "Running") else "Cancelled"
        state = states.new_state(kind, "Flow run was cancelled")
        run = states.set_state(call.store, "flow_run", run, state)
    return {"state": run["state"]}


@mutation
def update_flow_run_heartbeat(call: Call, given: Mapping[str, Any]) -> Any:
    """It is alive."""
    call.store.change("flow_run", call.must("flow_run", given["flow_run_id"])["id"], heartbeat=call.now)
    return SUCCESS


@mutation
def get_runs_in_queue(call: Call, given: Mapping[str, Any]) -> Any:
    """What an agent should take now."""
    tenant_id = call.tenant_of(given.get("tenant_id"))
    for flow in call.store.linked("flow", "tenant_id", tenant_id):
        add_scheduled_runs(call, flow)
    runs = call.store.linked("flow_run", "tenant_id", tenant_id)
    due = states.due(call.store, runs, given.get("before") or call.now, given.get("labels") or [])
    if call.row("agent", call.caller.agent_id):
        call.store.change("agent", str(call.caller.agent_id), last_queried=call.now)
    return {"flow_run_ids": [run["id"] for run in due]}


def _payload(run: Row) -> Dict[str, Any]:
    return {"id": run["id"], "flow_run": run}


def _flow(call: Call, given: Mapping[str, Any]) -> Row:
    """The flow that is named, or the newest version of the group that is."""
    if given.get("flow_id") is not None:
        flow = call.must("flow", given["flow_id"])
    else:
        group_id = given.get("version_group_id")
        found = [flow for flow in call.rows("flow") if flow["version_group_id"] == group_id and not flow["archived"]]
        if group_id is None or not found:
            raise BadInput("flow_id or the version_group_id of a flow is needed")
        flow = max(found, key=lambda flow: int(flow["version"]))
    if flow["archived"]:
        raise ApiError("An archived flow does not run")
    return flow
