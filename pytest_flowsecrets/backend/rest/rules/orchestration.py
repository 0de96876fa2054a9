"""The rules of states: how the server handles a state that a client proposes for a run.

Each rule looks at a transition and returns a verdict, or None where it does not apply. The rules of a kind of run stand
in one table; the first verdict counts, and without one the state is accepted. Observed at the real servers of 2.20 and
3.x; what differs between them is named in the rule.
"""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Callable, Dict, Optional, Tuple

from pytest_flowsecrets.backend.rest.call import Reply
from pytest_flowsecrets.backend.rest.errors import PlainApiError
from pytest_flowsecrets.backend.rest.rules import pauses, slots
from pytest_flowsecrets.backend.rest.rules.states import (
    ABORT,
    ACCEPT,
    FINAL,
    REJECT,
    WAIT,
    Transition,
    Verdict,
    end_fields,
    flow_run_event,
    new_state,
    run_fields,
    store_result,
)
from pytest_flowsecrets.backend.rest.store.table import parse_time, time_text

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.store.table import Table
    from pytest_flowsecrets.backend.rest.view import View

STEPS_SINCE = (3, 6, 0)  # named steps of Pending, and leaving Cancelled
LATE_ONCE_SINCE = RESULT_KEPT_SINCE = (3, 7, 0)

_KINDS = {"flow_run": "Flow run", "task_run": "Task run"}  # in errors

Rule = Callable[[Transition], Optional[Verdict]]


def _repeated(step: Transition) -> Optional[Verdict]:
    known = (step.initial.get("state_details") or {}).get("transition_id")
    if known is not None and known == step.detail("transition_id") and step.before == step.after == "RUNNING":
        return Verdict(ABORT, "This run has already made this state transition.")
    return None


def _ended(step: Transition) -> Optional[Verdict]:
    if step.before not in FINAL:
        return None
    if step.after in ("CRASHED", "CANCELLING", "PAUSED"):
        terminal = "in terminal state " if step.kind == "flow_run" else ""
        return Verdict(ABORT, f"Run is already {terminal}{step.before}.")
    if step.before == "COMPLETED" and _has_result(step.initial):
        if step.kind == "task_run":
            return Verdict(REJECT, "This run is already completed.")
        if step.after not in FINAL:
            return Verdict(REJECT, "Run is already COMPLETED.")
    if step.kind == "flow_run" and step.after == "SCHEDULED" and step.run.get("deployment_id") is None:
        return Verdict(ABORT, "Cannot reschedule a run without an associated deployment.")
    return None


def _result_lost(step: Transition) -> Optional[Verdict]:
    if step.view.release < RESULT_KEPT_SINCE or not step.before == step.after == "COMPLETED":
        return None
    if not _has_result(step.initial) or _has_result(step.proposed):
        return None
    reason = "Cannot overwrite a COMPLETED state that carries persisted result data with one that does not."
    return Verdict(REJECT, reason)


def _has_result(state: Row) -> bool:
    """Return whether the data of a state refer to a stored result."""
    data = state.get("data")
    return isinstance(data, dict) and bool(data) and data.get("type") != "unpersisted"


def _cancelling(step: Transition) -> Optional[Verdict]:
    cancelled = ("CANCELLING",) if step.view.release >= STEPS_SINCE else ("CANCELLING", "CANCELLED")
    if step.before in cancelled and step.after != "CANCELLED":
        return Verdict(REJECT, "Cannot transition flows that are cancelling to a state other than Cancelled.")
    return None


def _nothing_to_cancel(step: Transition) -> Optional[Verdict]:
    if step.after != "CANCELLING":
        return None
    if (step.before == "SCHEDULED" and not step.run.get("infrastructure_pid")) or step.initial.get(
        "name"
    ) == "Resuming":
        what = "Scheduled"
    elif step.before == "PAUSED" and step.initial["state_details"].get("pause_reschedule"):
        what = "Suspended"
    else:
        return None
    return Verdict(REJECT, f"{what} flow run has no infrastructure to terminate.", {"type": "CANCELLED"})


def _not_pending_again(step: Transition) -> Optional[Verdict]:
    if step.after != "PENDING" or step.before not in ("PENDING", "RUNNING", "CANCELLING", "CANCELLED"):
        return None
    name = step.proposed.get("name") or "Pending"
    newer = step.view.release >= STEPS_SINCE
    if newer and step.before == "PENDING" and name not in ("Pending", step.initial["name"]):
        return None  # the steps of a worker, such as Submitting
    return Verdict(ABORT, f"This run is in a {step.before} state and cannot transition to a PENDING state.")


def _marked_late(step: Transition) -> Optional[Verdict]:
    if step.after != "SCHEDULED" or step.proposed.get("name") != "Late":
        return None
    if step.before != "SCHEDULED":
        return Verdict(REJECT, "Only scheduled flows can be marked late.")
    if step.view.release >= LATE_ONCE_SINCE and step.initial["name"] == "Late":
        return Verdict(REJECT, "This flow run is already marked late.")
    return None


def _too_early(step: Transition) -> Optional[Verdict]:
    start = (step.initial.get("state_details") or {}).get("scheduled_time")
    if step.after != "RUNNING" or step.before not in ("SCHEDULED", "PENDING") or start is None:
        return None
    delay = (parse_time(start) - step.view.now()).total_seconds()
    seconds = math.floor(delay + 0.5)
    return Verdict(WAIT, "Scheduled time is in the future", delay=seconds) if seconds > 0 else None


def _retried(step: Transition) -> Optional[Verdict]:
    policy = step.run.get("empirical_policy") or {}
    runs = step.run["run_count"]
    if step.before != "RUNNING" or step.after != "FAILED" or runs > (policy.get("retries") or 0):
        return None
    if step.kind == "task_run" and step.detail("retriable") is False:
        return None
    delay = policy.get("retry_delay") or 0
    if isinstance(delay, list):  # tasks only, and so is the jitter
        delay = delay[min(runs, len(delay)) - 1]
    jitter = policy.get("retry_jitter_factor")
    if jitter:
        delay = delay * (1 + random.uniform(0, jitter))  # noqa: S311 - a delay is no secret
    state = {
        "type": "SCHEDULED",
        "name": "AwaitingRetry",
        "message": step.proposed.get("message"),
        "data": step.proposed.get("data"),
        "state_details": {"scheduled_time": time_text(step.view.now() + timedelta(seconds=delay))},
    }
    return Verdict(REJECT, "Retrying", state)


def _cached(step: Transition) -> Optional[Verdict]:
    """Prefect 2: the server keeps the cache keys of tasks."""
    key = step.detail("cache_key")
    if step.after != "RUNNING" or not key or step.detail("refresh_cache"):
        return None
    cached = step.view.settings.setdefault("cached_states", {}).get(key)
    if cached is None:
        return None
    expires = cached["state_details"].get("cache_expiration")
    if expires and parse_time(expires) < step.view.now():
        return None
    state = {"type": "COMPLETED", "name": "Cached", "message": cached["message"], "data": cached["data"]}
    return Verdict(REJECT, "Retrieved state from cache", state)


def _flow_not_running(step: Transition) -> Optional[Verdict]:
    """A task run starts only while its flow run is running."""
    flow_run = step.view.flow_runs.get(step.run.get("flow_run_id"))
    if step.after != "RUNNING" or flow_run is None:
        return None
    state = flow_run.get("state") or {}
    if state.get("type") == "PAUSED":
        reason = f"The flow is paused, new tasks can execute after resuming flow run: {flow_run['id']}."
        details = {key: state["state_details"].get(key) for key in ("pause_timeout", "pause_reschedule")}
        return Verdict(REJECT, reason, {"type": "PAUSED", "name": "NotReady", "state_details": details})
    if state.get("type") != "RUNNING":
        return Verdict(ABORT, "The enclosing flow must be running to begin task execution.")
    return None


def _accepted(step: Transition) -> Row:
    """Return the fields of a proposed state as the server stores them."""
    fields = step.proposed
    waiting = ("SCHEDULED", "PENDING") if step.kind == "flow_run" else ("SCHEDULED",)
    if step.before in waiting and step.after == "PENDING" and not step.detail("scheduled_time"):
        start = step.initial["state_details"].get("scheduled_time")
        return {**fields, "state_details": {**(fields.get("state_details") or {}), "scheduled_time": start}}
    if step.kind != "task_run" or step.after != "RUNNING":
        return fields
    # The state name of a restarted task run shows the restart.
    if step.before in FINAL:
        return {**fields, "name": "Retrying"} if _is_of_retried_flow(step) else fields
    if not step.run.get("run_count"):
        return fields
    return {**fields, "name": "Retrying" if step.initial.get("name") == "AwaitingRetry" else "Rerunning"}


def _is_of_retried_flow(step: Transition) -> bool:
    flow_run = step.view.flow_runs.get(step.run.get("flow_run_id")) or {}
    return (step.run.get("flow_run_run_count") or 0) < (flow_run.get("run_count") or 0)


def _count_runs(step: Transition) -> None:
    """Reset the run count of a task run that has ended, and record the flow run attempt."""
    if step.before in FINAL and step.after not in FINAL:
        step.run["run_count"] = 0
    flow_run = step.view.flow_runs.get(step.run.get("flow_run_id"))
    if step.after == "RUNNING" and flow_run is not None:
        step.run["flow_run_run_count"] = flow_run.get("run_count") or 0


RULES: Dict[str, Tuple[Rule, ...]] = {
    "flow_run": (
        _repeated,
        _ended,
        _result_lost,
        _cancelling,
        _not_pending_again,
        _nothing_to_cancel,
        slots.secure_deployment_slot,
        _marked_late,
        pauses.not_pausable,
        pauses.not_resumable,
        _too_early,
        _retried,
    ),
    "task_run": (
        _cached,
        _flow_not_running,
        _ended,
        slots.secure_tag_slots,
        _too_early,
        _retried,
    ),
}


# The rules for a state that the client forces.
FORCED_RULES: Dict[str, Tuple[Rule, ...]] = {"flow_run": (_result_lost, _nothing_to_cancel), "task_run": ()}


def propose(view: View, kind: str, run: Row, fields: Row, *, force: bool = False) -> Verdict:
    """Apply a proposed state to a run as the rules decide, and return the verdict.

    Args:
        view: whose run it is.
        kind: ``flow_run`` or ``task_run``.
        run: the row, which is changed in place.
        fields: of the proposed state.
        force: accept the state whatever most rules say.
    """
    step, before = Transition(view, kind, run, fields), run.get("state") or {}
    rules = FORCED_RULES[kind] if force else RULES[kind]
    verdicts = ((rule, rule(step)) for rule in rules)
    decisions = ((rule, verdict) for rule, verdict in verdicts if verdict is not None)
    deciding, verdict = next(decisions, (None, Verdict(ACCEPT)))
    chosen = verdict.state
    if verdict.status == ACCEPT:
        chosen = fields if force else _accepted(step)
        if kind == "task_run" and not force:
            _count_runs(step)
    if chosen is not None:
        set_state(view, kind, run, chosen)
    if kind == "flow_run" and not force:
        leaves_pause = deciding is None or rules.index(deciding) >= rules.index(pauses.not_resumable)
        pauses.note_transition(step, before, is_accepted=deciding is None, leaves_pause=leaves_pause)
    return verdict


def set_state(view: View, kind: str, run: Row, fields: Row) -> Row:
    """Set the state of a run without applying the rules, and return the row of the state.

    The task run that represents a subflow in its parent gets the same state.
    """
    task_run_id = run.get("parent_task_run_id") if kind == "flow_run" else run["id"]
    details = {"flow_run_id": run["id"] if kind == "flow_run" else run.get("flow_run_id")}
    if task_run_id:
        details["task_run_id"] = task_run_id
    before = run.get("state")
    if kind == "flow_run" and fields["type"] in ("RUNNING", *FINAL):
        view.read_log.note_running(run["id"])
    state = new_state(view, fields, **details)
    getattr(view, f"{kind}_states").insert({**state, "run_id": run["id"]})
    table = view.flow_runs if kind == "flow_run" else view.task_runs
    table.update(run, {**run_fields(run, state), **end_fields(run, state, view.release)})
    pauses.end_resuming(run)
    if (
        kind == "task_run"
        and state["type"] == "COMPLETED"
        and state["state_details"].get("cache_key")
        and state["name"] != "Cached"
    ):
        view.settings.setdefault("cached_states", {})[state["state_details"]["cache_key"]] = state
    slots.release_slots(view, kind, run, state)
    if kind == "flow_run" and not view.legacy:  # clients of Prefect 3 send the events of task runs themselves
        view.events.publish(flow_run_event(view, run, before, state))
    subflow_task_run = view.task_runs.get(task_run_id) if kind == "flow_run" else None
    if subflow_task_run is not None:
        details_of_task = {**state["state_details"], "child_flow_run_id": run["id"]}
        set_state(view, "task_run", subflow_task_run, {**state, "state_details": details_of_task})
    return state


def result(run: Row, verdict: Verdict) -> Row:
    """Return the body of the response to a proposed state."""
    details: Row = {"type": f"{verdict.status.lower()}_details"}
    if verdict.reason:
        details["reason"] = verdict.reason
    if verdict.delay is not None:
        details["delay_seconds"] = verdict.delay
    return {"state": run.get("state"), "status": verdict.status, "details": details}


def answer_proposal(call: Call, kind: str, runs: Table) -> Reply:
    """Propose the state of a request, and return 201 if the run changed its state, 200 if it did not.

    Args:
        call: the request, with the fields ``state`` and ``force``.
        kind: ``flow_run`` or ``task_run``.
        runs: the table of runs; the orchestration rules decide which state the run gets.

    Raises:
        PlainApiError: 404, there is no such run.
    """
    run = runs.get(call.id)
    if run is None:
        raise PlainApiError(404, f"{_KINDS[kind]} with id {call.id} not found")
    before = run.get("state")
    force = bool(call.fields.get("force"))
    verdict = propose(call.view, kind, run, call.fields["state"], force=force)
    reply = Reply(200 if run.get("state") is before else 201, result(run, verdict))
    if run.get("state") is not before:
        store_result(call.view, kind, run)
    return reply
