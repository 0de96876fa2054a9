"""Artifacts, logs, events and automations: rows that are stored, queried and streamed."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, Dict, List
from uuid import NAMESPACE_URL, uuid4, uuid5

from pytest_flowsecrets.backend.rest.call import Route, page
from pytest_flowsecrets.backend.rest.errors import ApiError, NotFoundError, PlainApiError, ValidationError
from pytest_flowsecrets.backend.rest.resources.task_runs import record_event
from pytest_flowsecrets.backend.rest.rules import filters
from pytest_flowsecrets.backend.rest.rules.filters import matches, sort_rows
from pytest_flowsecrets.backend.rest.store.events import event_matches
from pytest_flowsecrets.backend.rest.store.table import parse_time, time_text

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

_KEY = re.compile(r"[a-z0-9-]*")

# -- artifacts ---------------------------------------------------------------------------------------------------------

_ARTIFACT_FIELDS = ("key", "type", "description", "data", "metadata_", "flow_run_id", "task_run_id")


def create_artifact(call: Call) -> Row:
    """Create an artifact; several may share a key."""
    fields = call.sent(*_ARTIFACT_FIELDS)
    if not _KEY.fullmatch(fields.get("key") or ""):
        raise ValidationError("value_error", ("body", "key"), "Artifact key has characters that are not allowed")
    return call.view.artifacts.insert({name: fields.get(name) for name in _ARTIFACT_FIELDS})


def read_artifact(call: Call) -> Row:
    """Return an artifact."""
    return call.view.artifacts.require(call.id)


def update_artifact(call: Call) -> None:
    """Change an artifact."""
    call.view.artifacts.update(call.view.artifacts.require(call.id), call.sent("description", "data", "metadata_"))


def delete_artifact(call: Call) -> None:
    """Remove an artifact."""
    call.view.artifacts.delete(call.id)


def read_latest_artifact(call: Call) -> Row:
    """Return the newest artifact with a key."""
    rows = call.view.artifacts.where(key=call.path["key"])
    if not rows:
        raise NotFoundError("Artifact not found.")
    return _as_latest(call.view, rows[-1])


def _as_latest(view: View, row: Row) -> Row:
    """Return the newest artifact of a key as the API shows it: under the id of the key."""
    return {**row, "id": str(uuid5(NAMESPACE_URL, f"{view.url}/artifacts/{row['key']}")), "latest_id": row["id"]}


def select_artifacts(call: Call) -> List[Row]:
    """Return the artifacts that fit."""
    return page(call, sort_rows(filters.select(call, "artifacts"), call.fields.get("sort")))


def select_latest_artifacts(call: Call) -> List[Row]:
    """Return the newest artifact of each key that fits."""
    rows = filters.select(call, "artifacts", _latest(call.view))
    return [_as_latest(call.view, row) for row in page(call, sort_rows(rows, call.fields.get("sort")))]


def count_artifacts(call: Call) -> int:
    """Return how many artifacts fit."""
    return len(filters.select(call, "artifacts"))


def count_latest_artifacts(call: Call) -> int:
    """Return how many keys have an artifact that fits."""
    return len(filters.select(call, "artifacts", _latest(call.view)))


def _latest(view: View) -> List[Row]:
    newest: Dict[Any, Row] = {row["key"]: row for row in view.artifacts if row["key"] is not None}
    return list(newest.values())


# -- logs --------------------------------------------------------------------------------------------------------------


def create_logs(call: Call) -> None:
    """Store logs."""
    for fields in call.body or ():
        call.view.log_stream.publish(call.view.logs.insert(dict(fields)))


def select_logs(call: Call) -> List[Row]:
    """Return the logs that fit, by time."""
    searched = {"text": lambda row: f"{row['message']} {row['name']}"}
    rows = [row for row in call.view.logs if matches(row, call.fields.get("logs"), searched)]
    return page(call, sort_rows(rows, call.fields.get("sort"), "TIMESTAMP_ASC"))


# -- events ------------------------------------------------------------------------------------------------------------


def receive_event(view: View, event: Row) -> None:
    """Store an event, build the task run that it is about, and pass it to subscribers."""
    with view.lock:
        record_event(view, event)
    view.events.publish({**event, "received": time_text(view.now())})


def create_events(call: Call) -> None:
    """Store events that come by HTTP."""
    for event in call.body or ():
        receive_event(call.view, event)


def _events(call: Call, condition: Row) -> List[Row]:
    rows = [event for event in call.view.events.items if event_matches(event, condition)]
    ascending = (condition.get("order") or "DESC") == "ASC"
    return sorted(rows, key=lambda event: parse_time(event["occurred"]), reverse=not ascending)


def select_events(call: Call) -> Row:
    """Return the newest events that fit."""
    condition = call.fields.get("filter") or {}
    rows = _events(call, condition)
    return _event_page(call, condition, rows, 0, call.fields.get("limit") or 50)


def select_next_events(call: Call) -> Row:
    """Return the page of events that a token stands for."""
    try:
        page_token = json.loads(base64.urlsafe_b64decode(call.query.get("page-token", "")))
        condition, offset, limit = page_token["filter"], int(page_token["offset"]), int(page_token["limit"])
    except (ValueError, KeyError, TypeError):
        raise ApiError(403, "Forbidden") from None
    return _event_page(call, condition, _events(call, condition), offset, limit)


def _event_page(call: Call, condition: Row, rows: List[Row], offset: int, limit: int) -> Row:
    end = offset + limit
    next_page = None
    if end < len(rows):
        text = json.dumps({"filter": condition, "offset": end, "limit": limit}).encode()
        next_page = f"{call.view.url}/events/filter/next?page-token={base64.urlsafe_b64encode(text).decode()}"
    return {"events": rows[offset:end], "total": len(rows), "next_page": next_page}


# -- automations -------------------------------------------------------------------------------------------------------

_AUTOMATION_FIELDS = (
    "name",
    "description",
    "enabled",
    "trigger",
    "actions",
    "actions_on_trigger",
    "actions_on_resolve",
    "tags",
    "owner_resource",
)


def create_automation(call: Call) -> Row:
    """Store an automation; nothing here lets it act."""
    defaults: Row = {
        "description": "",
        "enabled": True,
        "tags": [],
        "actions_on_trigger": [],
        "actions_on_resolve": [],
    }
    return call.view.automations.insert({**defaults, **_automation_fields(call)})


def _automation_fields(call: Call) -> Row:
    fields = call.sent(*_AUTOMATION_FIELDS)
    if fields.get("trigger"):
        fields["trigger"] = _with_ids(fields["trigger"])
    return fields


def _with_ids(trigger: Row) -> Row:
    """Return a trigger with an id, and those that it consists of."""
    parts = {"triggers": [_with_ids(each) for each in trigger["triggers"]]} if trigger.get("triggers") else {}
    resources: Row = {} if parts else {"match": {}, "match_related": {}}
    fields = {key: value for key, value in trigger.items() if value is not None}
    return {"id": str(uuid4()), **resources, **fields, **parts}


def read_automation(call: Call) -> Row:
    """Return an automation."""
    row = call.view.automations.get(call.id)
    if row is None:
        raise PlainApiError(404, "Automation not found")
    return row


def update_automation(call: Call) -> None:
    """Change an automation: ``PUT`` all of it, ``PATCH`` the named fields."""
    call.view.automations.update(read_automation(call), _automation_fields(call))


def delete_automation(call: Call) -> None:
    """Remove an automation."""
    call.view.automations.delete(read_automation(call)["id"])


def select_automations(call: Call) -> List[Row]:
    """Return the automations that fit."""
    rows = [row for row in call.view.automations if matches(row, call.fields.get("automations"))]
    return page(call, sort_rows(rows, call.fields.get("sort"), "NAME_ASC"))


def count_automations(call: Call) -> int:
    """Return how many automations fit."""
    return sum(matches(row, call.fields.get("automations")) for row in call.view.automations)


def related_automations(call: Call) -> List[Row]:
    """Return the automations that a resource owns."""
    return call.view.automations.where(owner_resource=call.path["resource"])


def delete_owned_automations(call: Call) -> None:
    """Remove the automations that a resource owns."""
    for row in related_automations(call):
        call.view.automations.delete(row["id"])


ROUTES = (
    Route("POST", "/artifacts/", create_artifact, 201),
    Route("POST", "/artifacts/filter", select_artifacts),
    Route("POST", "/artifacts/count", count_artifacts),
    Route("POST", "/artifacts/latest/filter", select_latest_artifacts),
    Route("POST", "/artifacts/latest/count", count_latest_artifacts),
    Route("GET", "/artifacts/{id}", read_artifact),
    Route("PATCH", "/artifacts/{id}", update_artifact, 204),
    Route("DELETE", "/artifacts/{id}", delete_artifact, 204),
    Route("GET", "/artifacts/{key}/latest", read_latest_artifact),
    Route("POST", "/logs/", create_logs, 201),
    Route("POST", "/logs/filter", select_logs),
    Route("POST", "/events", create_events, 204),
    Route("POST", "/events/filter", select_events),
    Route("GET", "/events/filter/next", select_next_events),
    Route("POST", "/automations/", create_automation, 201),
    Route("POST", "/automations/filter", select_automations),
    Route("POST", "/automations/count", count_automations),
    Route("GET", "/automations/related-to/{resource}", related_automations),
    Route("DELETE", "/automations/owned-by/{resource}", delete_owned_automations, 202),
    Route("GET", "/automations/{id}", read_automation),
    Route("PUT", "/automations/{id}", update_automation, 204),
    Route("PATCH", "/automations/{id}", update_automation, 204),
    Route("DELETE", "/automations/{id}", delete_automation, 204),
)
