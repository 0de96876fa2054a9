"""Slots of concurrency limits: those of tags, global ones, those of deployments, and leases on them.

A tag limit is a row with the ids of its holders. Global limits and those of deployments count slots, which may decay.
Prefect from 3.4 on takes slots of a tag under the name ``tag:NAME``. Older versions have routes or rules of their own.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, List, Optional

from pytest_flowsecrets.backend.rest.errors import ApiError
from pytest_flowsecrets.backend.rest.rules.states import ABORT, FINAL, REJECT, WAIT, Verdict
from pytest_flowsecrets.backend.rest.store.table import parse_time, time_text

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.rules.states import Transition
    from pytest_flowsecrets.backend.rest.view import View

TAG_PREFIX = "tag:"
RETRY_SECONDS = 0.1  # a client waits as long as the API says; a real server says up to 30 seconds
SLOT_WAIT_SECONDS = 30


class LockedError(ApiError):
    """423: a limit has no slot left.

    Attributes:
        retry_after: seconds after which the client asks again.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__(423, "Locked")
        self.retry_after = retry_after


# -- slots -------------------------------------------------------------------------------------------------------------


def find(view: View, name: str) -> Optional[Row]:
    """Return the limit with a name, the one of a tag included, or None."""
    if name.startswith(TAG_PREFIX):
        row = view.tag_limits.first(tag=name[len(TAG_PREFIX) :])
        return row and {
            "id": row["id"],
            "name": name,
            "limit": row["concurrency_limit"],
            "active": True,
            "tag_row": row,
        }
    return view.limits.first(name=name)


def active_slots(view: View, limit: Row) -> float:
    """Return how many slots are taken now, after decay and after leases that have expired."""
    if "tag_row" in limit:
        expire_leases(view)
        return len(limit["tag_row"]["active_slots"])
    expire_leases(view)
    decay = limit.get("slot_decay_per_second") or 0.0
    if decay > 0:
        seconds = (view.now() - parse_time(limit["updated"])).total_seconds()
        gone = math.floor(seconds * decay)
        if gone:
            view.limits.update(limit, {"active_slots": max(0, limit["active_slots"] - gone)})
    return int(limit["active_slots"])


def take(
    view: View, names: List[str], slots: int, mode: str = "concurrency", holder: Optional[str] = None
) -> List[Row]:
    """Take slots of all named limits, or of none of them; names without a limit are ignored.

    Args:
        view: whose limits.
        names: of the limits.
        slots: how many of each.
        mode: ``concurrency``, or ``rate_limit``, which needs limits whose slots decay.
        holder: id of the task run that takes the slot of a tag.

    Raises:
        ApiError: 422, more slots than the limit has, or a limit without decay.
        LockedError: not enough slots are free.
    """
    chosen = [limit for limit in (find(view, name) for name in names) if limit is not None]
    active = [limit for limit in chosen if limit["active"]]
    if any(slots > limit["limit"] for limit in active):
        raise ApiError(422, "Slots requested is greater than the limit")
    stiff = [limit["name"] for limit in active if not limit.get("slot_decay_per_second")]
    if mode == "rate_limit" and stiff:
        raise ApiError(422, _no_decay(stiff))
    full = [limit for limit in active if active_slots(view, limit) + slots > limit["limit"]]
    if full:
        raise LockedError(_retry_after(full[0]))
    for limit in active:
        _add(view, limit, slots, holder)
    return [{"id": limit["id"], "name": limit["name"], "limit": limit["limit"]} for limit in chosen]


def _no_decay(names: List[str]) -> str:
    listed = ", ".join(repr(name) for name in names)
    return (
        "Only concurrency limits with slot decay can be used for rate limiting. "
        f"The following limits do not have a decay configured: {listed}"
    )


def _retry_after(limit: Row) -> float:
    decay = limit.get("slot_decay_per_second") or 0.0
    return max(RETRY_SECONDS, 1 / decay) if decay > 0 else RETRY_SECONDS


def _add(view: View, limit: Row, slots: int, holder: Optional[str]) -> None:
    if "tag_row" in limit:
        row = limit["tag_row"]
        taken = [holder or f"slot-{len(row['active_slots'])}"] * slots
        view.tag_limits.update(row, {"active_slots": [*row["active_slots"], *taken]})
    else:
        view.limits.update(limit, {"active_slots": limit["active_slots"] + slots})


def give_back(view: View, names: List[str], slots: int, holder: Optional[str] = None) -> List[Row]:
    """Give back slots of all named limits, and return these."""
    chosen = [limit for limit in (find(view, name) for name in names) if limit is not None]
    for limit in chosen:
        if "tag_row" in limit:
            held = list(limit["tag_row"]["active_slots"])
            for _ in range(slots):
                if holder in held or (holder is None and held):
                    held.remove(holder if holder is not None else held[0])
            view.tag_limits.update(limit["tag_row"], {"active_slots": held})
        elif limit["active"]:
            view.limits.update(limit, {"active_slots": max(0, active_slots(view, limit) - slots)})
    return [{"id": limit["id"], "name": limit["name"], "limit": limit["limit"]} for limit in chosen]


# -- leases ------------------------------------------------------------------------------------------------------------


def lease(view: View, names: List[str], slots: int, mode: str, holder: Optional[str], *, seconds: float) -> Row:  # noqa: PLR0913 - what a client sends
    """Take slots for a time, and return the body of the response.

    Raises:
        ApiError: as ``take``.
    """
    limits = take(view, names, slots, mode, holder)
    row = view.leases.insert(
        {"names": names, "slots": slots, "holder": holder, "expires": _expiry(view, seconds), "limits": limits}
    )
    return {"lease_id": row["id"], "limits": limits}


def renew(view: View, lease_id: str, seconds: float) -> None:
    """Prolong a lease.

    Raises:
        ApiError: 410, there is no such lease.
    """
    expire_leases(view)
    row = view.leases.get(lease_id)
    if row is None:
        raise ApiError(410, "Lease not found - it may have expired or been revoked")
    view.leases.update(row, {"expires": _expiry(view, seconds)})


def end_lease(view: View, lease_id: str) -> None:
    """Give back the slots of a lease; nothing happens where it has ended."""
    row = view.leases.get(lease_id)
    if row is not None:
        view.leases.delete(lease_id)
        give_back(view, row["names"], row["slots"], row["holder"])


def expire_leases(view: View) -> None:
    """End the leases whose time is over."""
    now = view.now()
    for row in view.leases:
        if parse_time(row["expires"]) < now:
            end_lease(view, row["id"])


def _expiry(view: View, seconds: float) -> str:
    return time_text(view.now() + timedelta(seconds=seconds))


# -- rules of states ---------------------------------------------------------------------------------------------------


def secure_deployment_slot(step: Transition) -> Optional[Verdict]:
    """Let a run become PENDING only while its deployment has a free slot."""
    view = step.view
    limit = deployment_limit(view, step.run.get("deployment_id"))
    if step.after != "PENDING" or step.before == "PENDING" or limit is None:
        return None
    if step.run["id"] in limit["holders"] or len(limit["holders"]) < limit["limit"]:
        _hold(view, limit, step.run["id"])
        return None
    deployment = view.deployments.require(step.run["deployment_id"])
    if (deployment.get("concurrency_options") or {}).get("collision_strategy") == "CANCEL_NEW":
        message = "Deployment concurrency limit reached."
        return Verdict(REJECT, message, {"type": "CANCELLED", "message": message})
    start = time_text(view.now() + timedelta(seconds=SLOT_WAIT_SECONDS))
    state = {"type": "SCHEDULED", "name": "AwaitingConcurrencySlot", "state_details": {"scheduled_time": start}}
    return Verdict(REJECT, "Deployment concurrency limit reached.", state)


def secure_tag_slots(step: Transition) -> Optional[Verdict]:
    """Prefect 2: let a task run start only while each of its tags has a free slot."""
    if step.after != "RUNNING" or not step.view.legacy:
        return None
    rows = [row for row in (step.view.tag_limits.first(tag=tag) for tag in step.run.get("tags") or ()) if row]
    for row in rows:
        if row["concurrency_limit"] == 0:
            return Verdict(ABORT, zero_limit(row["tag"]))
        if step.run["id"] not in row["active_slots"] and len(row["active_slots"]) >= row["concurrency_limit"]:
            return Verdict(
                WAIT, f"Concurrency limit for the {row['tag']} tag has been reached", delay=SLOT_WAIT_SECONDS
            )
    for row in rows:
        slots = [*(each for each in row["active_slots"] if each != step.run["id"]), step.run["id"]]
        step.view.tag_limits.update(row, {"active_slots": slots})
    return None


def zero_limit(tag: str) -> str:
    """Return what the API says of a tag whose limit lets nothing run."""
    return f'The concurrency limit on tag "{tag}" is 0 and will deadlock if the task tries to run again.'


def deployment_limit(view: View, deployment_id: Optional[str]) -> Optional[Row]:
    """Return the limit of a deployment, or None."""
    deployment = view.deployments.get(deployment_id)
    return view.limits.get(deployment.get("concurrency_limit_id")) if deployment else None


def _hold(view: View, limit: Row, run_id: str) -> None:
    if run_id not in limit["holders"]:
        view.limits.update(limit, {"holders": [*limit["holders"], run_id], "active_slots": len(limit["holders"]) + 1})


def release_slots(view: View, kind: str, run: Row, state: Row) -> None:
    """Give back the slots of a run that has ended, or that waits again."""
    if kind == "task_run":
        if state["type"] != "RUNNING" and view.legacy:
            for row in view.tag_limits:
                if run["id"] in row["active_slots"]:
                    row["active_slots"] = [each for each in row["active_slots"] if each != run["id"]]
        return
    limit = deployment_limit(view, run.get("deployment_id"))
    if limit is not None and state["type"] in FINAL | {"SCHEDULED", "PAUSED"} and run["id"] in limit["holders"]:
        holders = [each for each in limit["holders"] if each != run["id"]]
        view.limits.update(limit, {"holders": holders, "active_slots": len(holders)})


def present(view: View, limit: Row) -> Row:
    """Return a global limit as the API shows it."""
    shown: Row = {key: value for key, value in limit.items() if key != "holders"}
    return {**shown, "active_slots": active_slots(view, limit)}


def names_of(body: Any) -> List[str]:
    """Return the names of limits in a body."""
    return [str(name) for name in body.get("names") or ()]
