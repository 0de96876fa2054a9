"""Paused and suspended flow runs: the rules for pausing and resuming, and what the policy of a run remembers of them.

The empirical policy of a flow run is where the server notes which pauses have taken place, whether the run is about to
resume, and how it is retried. Observed at the real servers of 2.20 and 3.x.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Optional

from pytest_flowsecrets.backend.rest.rules.schemas import (
    CircularSchemaError,
    InvalidValueError,
    rendered,
    schema_problem,
)
from pytest_flowsecrets.backend.rest.rules.states import ABORT, FINAL, REJECT, Transition, Verdict
from pytest_flowsecrets.backend.rest.store.table import parse_time

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

CANCEL_PAUSED_SINCE = (3, 8, 0)
RESCHEDULE_PAUSED_SINCE = INPUTS_DELETED_SINCE = (3, 9, 0)
RETRY_TYPE_RESET_SINCE = (3, 4, 0)


# -- rules -------------------------------------------------------------------------------------------------------------


def not_pausable(step: Transition) -> Optional[Verdict]:
    """Reject a pause unless the run is running, the key is new, and a suspended run has a deployment."""
    if step.after != "PAUSED":
        return None
    verb = _verb(step)
    if step.before != "RUNNING":
        return Verdict(REJECT, f"Cannot {verb} flows that are not currently running.")
    if step.detail("pause_key") in (_policy(step.run).get("pause_keys") or ()):
        return Verdict(REJECT, f"This {verb} has already fired.")
    if step.detail("pause_reschedule"):
        if step.run.get("parent_task_run_id"):
            return Verdict(ABORT, f"Cannot {verb} subflows.")
        if step.run.get("deployment_id") is None:
            return Verdict(ABORT, f"Cannot {verb} flows without a deployment.")
    return None


def not_resumable(step: Transition) -> Optional[Verdict]:
    """Reject a transition that a paused run cannot make.

    A paused run can run, be scheduled or end before its time-out. A suspended run needs a deployment.
    """
    if step.before != "PAUSED":
        return None
    if step.after == "PENDING" or (step.after == "CANCELLING" and step.view.release < CANCEL_PAUSED_SINCE):
        reason = f"This run cannot transition to the StateType.{step.after} state from the StateType.PAUSED state."
        return Verdict(REJECT, reason)
    details = step.initial["state_details"]
    name = (step.proposed.get("name") or step.after).lower()
    if details.get("pause_reschedule") and not step.run.get("deployment_id"):
        return Verdict(REJECT, f"Cannot reschedule a {name} flow run without a deployment.")
    timeout = details.get("pause_timeout")
    if step.after != "CANCELLING" and timeout and parse_time(timeout) < step.view.now():
        reason = f"The flow run {_verb(step)} has timed out and can no longer resume."
        return Verdict(REJECT, reason, {"type": "FAILED", "message": f"The flow was {name} and never resumed."})
    return None


def _verb(step: Transition) -> str:
    return "suspend" if step.proposed.get("name") == "Suspended" else "pause"


def _policy(run: Row) -> Row:
    policy = run.get("empirical_policy")
    return policy if isinstance(policy, dict) else {}


# -- what the policy remembers -----------------------------------------------------------------------------------------


def note_transition(step: Transition, before: Row, *, is_accepted: bool, leaves_pause: bool) -> None:
    """Note in the policy of a flow run what a transition says about pauses and retries.

    Args:
        step: the transition. Its run has the new state.
        before: the state that the run had.
        is_accepted: whether the proposed state is the new one.
        leaves_pause: whether the rule for paused runs took part in the decision.
    """
    policy = _policy(step.run)
    after: str = step.run["state"]["type"]
    retries = before.get("type") == "RUNNING" and step.after == "FAILED"
    if retries and not is_accepted:
        _reset(policy, "in_process")
    elif retries and step.view.release >= RETRY_TYPE_RESET_SINCE:
        policy["retry_type"] = None
    if is_accepted and before.get("type") in FINAL and after not in FINAL:
        _reset(policy, "reschedule" if after == "SCHEDULED" else None)
    if leaves_pause and before.get("type") == "PAUSED":
        is_suspended = before["state_details"].get("pause_reschedule")
        if step.view.release >= RESCHEDULE_PAUSED_SINCE and after == "SCHEDULED" and not is_suspended:
            _reset(policy, "reschedule")
        else:
            policy["resuming"] = True
    if is_accepted and after == "PAUSED":
        _note_pause(step, policy)


def end_resuming(run: Row) -> None:
    """Note that a run no longer resumes, because it runs or has ended."""
    policy = _policy(run)
    if policy.get("resuming") and run["state"]["type"] in ("RUNNING", *FINAL):
        policy["resuming"] = False


def _reset(policy: Row, retry_type: Optional[str]) -> None:
    policy.update(resuming=False, pause_keys=[], retry_type=retry_type)


def _note_pause(step: Transition, policy: Row) -> None:
    details = step.run["state"]["state_details"]
    policy["pause_keys"] = [*(policy.get("pause_keys") or ()), details.get("pause_key") or str(uuid.uuid4())]
    if step.view.release >= INPUTS_DELETED_SINCE:
        for key in (details.get("run_input_keyset") or {}).values():
            row = step.view.flow_run_inputs.first(flow_run_id=step.run["id"], key=key)
            if row is not None:
                step.view.flow_run_inputs.delete(row["id"])


# -- the input that a paused run waits for -----------------------------------------------------------------------------


def checked_input(view: View, run: Row, keyset: Row, answer: Optional[Row]) -> Row:
    """Return the input for a paused run, with wrapped values replaced.

    Args:
        view: whose run it is.
        run: the paused run.
        keyset: the keys of the schema and of the answer, from the state of the run.
        answer: what the client sent.

    Raises:
        InvalidValueError: the answer does not follow the schema that the run stored, or there is no such schema.
    """
    try:
        value: Row = rendered(answer or {}, view)
    except InvalidValueError as error:
        raise InvalidValueError(f"Error hydrating run input: {error}") from None
    row = view.flow_run_inputs.first(flow_run_id=run["id"], key=keyset["schema"])
    if row is None:
        raise InvalidValueError("Run input schema not found.")
    try:
        schema: Any = json.loads(row["value"])
    except ValueError:
        raise InvalidValueError("Run input schema is not valid JSON.") from None
    try:
        problem = schema_problem(schema, value)
    except CircularSchemaError as error:
        raise InvalidValueError(error.detail) from None
    if problem is not None:
        raise InvalidValueError(f"Reason: {problem}")
    return value
