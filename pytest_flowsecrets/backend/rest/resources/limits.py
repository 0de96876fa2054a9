"""Concurrency limits: by tag, global, and leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional

from pytest_flowsecrets.backend.rest.call import Reply, Route, page
from pytest_flowsecrets.backend.rest.errors import (
    CONFLICT,
    UUID,
    ApiError,
    NotFoundError,
    ValidationError,
    canonical_id,
    check_range,
)
from pytest_flowsecrets.backend.rest.rules import slots
from pytest_flowsecrets.backend.rest.rules.filters import sort_rows

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

NEVER_CREATED_SINCE = (3, 3, 0)  # missing global limits
CREATED_SINCE = (3, 4, 0)  # 201 for a new limit of a tag

# -- tags --------------------------------------------------------------------------------------------------------------


def create_tag_limit(call: Call) -> Reply:
    """Create the limit of a tag, or change it."""
    fields = call.sent("tag", "concurrency_limit")
    row = call.view.tag_limits.first(tag=fields["tag"])
    if row is not None:
        return Reply(200, call.view.tag_limits.update(row, fields))
    created = 201 if call.view.release >= CREATED_SINCE else 200
    return Reply(created, call.view.tag_limits.insert({**fields, "active_slots": []}))


def read_tag_limit(call: Call) -> Row:
    """Return the limit of a tag."""
    slots.expire_leases(call.view)
    return _tag_row(call)


def delete_tag_limit(call: Call) -> None:
    """Remove the limit of a tag."""
    call.view.tag_limits.delete(_tag_row(call)["id"])


def reset_tag_limit(call: Call) -> None:
    """Replace the holders of a tag's slots."""
    slots = [str(each) for each in call.fields.get("slot_override") or ()]
    call.view.tag_limits.update(_tag_row(call), {"active_slots": slots})


def select_tag_limits(call: Call) -> List[Row]:
    """Return all limits of tags, by tag."""
    return page(call, sort_rows(list(call.view.tag_limits), "TAG_ASC"))


def take_tag_slots(call: Call) -> List[Row]:
    """Take a slot of each tag for a task run (Prefect 3.0 to 3.3)."""
    names = [f"{slots.TAG_PREFIX}{name}" for name in slots.names_of(call.fields)]
    for limit in (slots.find(call.view, name) for name in names):
        if limit is not None and limit["limit"] == 0:
            raise ApiError(423, slots.zero_limit(limit["tag_row"]["tag"]))
    return _without_prefix(slots.take(call.view, names, 1, holder=str(call.fields["task_run_id"])))


def give_back_tag_slots(call: Call) -> List[Row]:
    """Give back the slots of a task run (Prefect 3.0 to 3.3)."""
    names = [f"{slots.TAG_PREFIX}{name}" for name in slots.names_of(call.fields)]
    return _without_prefix(slots.give_back(call.view, names, 1, str(call.fields["task_run_id"])))


def _without_prefix(rows: List[Row]) -> List[Row]:
    return [{**row, "name": row["name"][len(slots.TAG_PREFIX) :]} for row in rows]


def _tag_row(call: Call) -> Row:
    tag = call.path.get("tag")
    row = call.view.tag_limits.first(tag=tag) if tag is not None else call.view.tag_limits.get(call.id)
    if row is None:
        raise NotFoundError("Concurrency limit not found")
    return row


# -- global ------------------------------------------------------------------------------------------------------------

_FIELDS = ("name", "limit", "active", "active_slots", "slot_decay_per_second")
_DEFAULTS: Row = {"active": True, "active_slots": 0, "slot_decay_per_second": 0.0}


def create_limit(call: Call) -> Row:
    """Create a global limit."""
    fields = {**_DEFAULTS, **{key: value for key, value in call.sent(*_FIELDS).items() if value is not None}}
    check_range("limit", fields["limit"], 0, None)
    if call.view.limits.first(name=fields["name"]):
        raise ApiError(409, CONFLICT)
    row = slots.present(call.view, call.view.limits.insert({**fields, "holders": []}))
    return {**row, "denied_slots": 0, "avg_slot_occupancy_seconds": 2.0}


def read_limit(call: Call) -> Row:
    """Return a global limit by name or id."""
    return slots.present(call.view, _limit(call))


def update_limit(call: Call) -> None:
    """Change a global limit."""
    row, fields = _limit(call), call.sent(*_FIELDS)
    namesake = call.view.limits.first(name=fields["name"]) if "name" in fields else None
    if namesake is not None and namesake is not row:
        raise ApiError(409, CONFLICT)
    call.view.limits.update(row, fields)


def delete_limit(call: Call) -> None:
    """Remove a global limit."""
    call.view.limits.delete(_limit(call)["id"])


def select_limits(call: Call) -> List[Row]:
    """Return all global limits, by name."""
    view = call.view
    rows = [slots.present(view, row) for row in view.limits]
    if view.release >= CREATED_SINCE:  # limits of tags are global limits, too
        rows += [_as_global(view, row) for row in view.tag_limits]
    return page(call, sort_rows(rows, "NAME_ASC"))


def _as_global(view: View, row: Row) -> Row:
    """Return the limit of a tag as a global limit."""
    slots.expire_leases(view)
    fields = {name: row[name] for name in ("id", "created", "updated")}
    name, limit = f"{slots.TAG_PREFIX}{row['tag']}", row["concurrency_limit"]
    return {**_DEFAULTS, **fields, "name": name, "limit": limit, "active_slots": len(row["active_slots"])}


def _limit(call: Call) -> Row:
    key = call.path["id_or_name"]
    row = call.view.limits.get(canonical_id(key)) if UUID.fullmatch(key) else call.view.limits.first(name=key)
    if row is None:
        raise NotFoundError("Concurrency Limit not found")
    return row


def take_slots(call: Call) -> List[Row]:
    """Take slots of global limits."""
    names, count = slots.names_of(call.fields), _slots(call)
    _create_missing(call, names, default=False)
    return slots.take(call.view, names, count, call.fields.get("mode") or "concurrency")


def _slots(call: Call) -> int:
    count = int(call.fields["slots"])
    if count <= 0:
        raise ValidationError("greater_than", ("body", "slots"), "Input should be greater than 0")
    return count


def _create_missing(call: Call, names: List[str], *, default: bool) -> None:
    """Create inactive limits: Prefect 2 always does, Prefect 3.0 to 3.2 on request, and later releases never do."""
    on_request = call.view.release < NEVER_CREATED_SINCE and call.fields.get("create_if_missing", default)
    if call.view.legacy or on_request:
        for name in names:
            if slots.find(call.view, name) is None:
                call.view.limits.insert({**_DEFAULTS, "name": name, "limit": 1, "active": False, "holders": []})


def give_back_slots(call: Call) -> List[Row]:
    """Give back slots of global limits."""
    names, count = slots.names_of(call.fields), _slots(call)
    _create_missing(call, names, default=True)
    return slots.give_back(call.view, names, count)


def take_lease(call: Call) -> Row:
    """Take slots for a time (Prefect 3.4 and later)."""
    fields = call.fields
    holder: Optional[str] = (fields.get("holder") or {}).get("id")
    seconds = float(fields.get("lease_duration") or 300.0)
    mode = fields.get("mode") or "concurrency"
    return slots.lease(call.view, slots.names_of(fields), _slots(call), mode, holder, seconds=seconds)


def end_lease(call: Call) -> None:
    """Give back the slots of a lease."""
    slots.end_lease(call.view, canonical_id(call.fields["lease_id"]))


def renew_lease(call: Call) -> None:
    """Prolong a lease."""
    slots.renew(call.view, canonical_id(call.path["lease_id"]), float(call.fields.get("lease_duration") or 300.0))


ROUTES = (
    Route("POST", "/concurrency_limits/", create_tag_limit),
    Route("POST", "/concurrency_limits/filter", select_tag_limits),
    Route("POST", "/concurrency_limits/increment", take_tag_slots),
    Route("POST", "/concurrency_limits/decrement", give_back_tag_slots),
    Route("GET", "/concurrency_limits/tag/{tag}", read_tag_limit),
    Route("DELETE", "/concurrency_limits/tag/{tag}", delete_tag_limit),
    Route("POST", "/concurrency_limits/tag/{tag}/reset", reset_tag_limit),
    Route("GET", "/concurrency_limits/{id}", read_tag_limit),
    Route("DELETE", "/concurrency_limits/{id}", delete_tag_limit),
    Route("POST", "/v2/concurrency_limits/", create_limit, 201),
    Route("POST", "/v2/concurrency_limits/filter", select_limits),
    Route("POST", "/v2/concurrency_limits/increment", take_slots),
    Route("POST", "/v2/concurrency_limits/decrement", give_back_slots),
    Route("POST", "/v2/concurrency_limits/increment-with-lease", take_lease),
    Route("POST", "/v2/concurrency_limits/decrement-with-lease", end_lease, 204),
    Route("POST", "/v2/concurrency_limits/leases/{lease_id}/renew", renew_lease, 204),
    Route("GET", "/v2/concurrency_limits/{id_or_name}", read_limit),
    Route("PATCH", "/v2/concurrency_limits/{id_or_name}", update_limit, 204),
    Route("DELETE", "/v2/concurrency_limits/{id_or_name}", delete_limit, 204),
)
