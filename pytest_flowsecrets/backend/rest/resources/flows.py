"""Flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from pytest_flowsecrets.backend.rest.call import Reply, Route, page
from pytest_flowsecrets.backend.rest.errors import NotFoundError, ValidationError
from pytest_flowsecrets.backend.rest.resources.deployments import remove as remove_deployment
from pytest_flowsecrets.backend.rest.resources.flow_runs import remove as remove_flow_run
from pytest_flowsecrets.backend.rest.rules import filters
from pytest_flowsecrets.backend.rest.rules.filters import sort_rows

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row

_FORBIDDEN = frozenset("/%&><")


def create(call: Call) -> Reply:
    """Create a flow, or return the one with its name."""
    fields = {"tags": [], "labels": {}, **call.sent("name", "tags", "labels")}
    if not call.view.has_labels:
        del fields["labels"]
    if call.view.legacy:  # Prefect 2 validates with pydantic 1, which reads a number as text
        fields["name"] = str(fields["name"])
    if not isinstance(fields["name"], str):
        raise ValidationError("string_type", ("body", "name"), "Input should be a valid string")
    if _FORBIDDEN.intersection(fields["name"]):
        raise ValidationError("value_error", ("body", "name"), "Name contains an invalid character")
    row = call.view.flows.first(name=fields["name"])
    return Reply(200, row) if row else Reply(201, call.view.flows.insert(fields))


def read(call: Call) -> Row:
    """Return a flow by its id."""
    return call.view.flows.require(call.id)


def read_by_name(call: Call) -> Row:
    """Return a flow by its name."""
    row = call.view.flows.first(name=call.path["name"])
    if row is None:
        raise NotFoundError("Flow not found")
    return row


def update(call: Call) -> None:
    """Change the tags of a flow."""
    call.view.flows.update(call.view.flows.require(call.id), call.sent("tags"))


def delete(call: Call) -> None:
    """Remove a flow with its deployments and runs."""
    row = call.view.flows.require(call.id)
    for deployment in call.view.deployments.where(flow_id=row["id"]):
        remove_deployment(call.view, deployment)
    for run in call.view.flow_runs.where(flow_id=row["id"]):
        remove_flow_run(call.view, run)
    call.view.flows.delete(row["id"])


def select(call: Call) -> List[Row]:
    """Return the flows that fit."""
    return page(call, sort_rows(filters.select(call, "flows"), call.fields.get("sort"), "NAME_ASC"))


def count(call: Call) -> int:
    """Return how many flows fit."""
    return len(filters.select(call, "flows"))


ROUTES = (
    Route("POST", "/flows/", create, 201),
    Route("POST", "/flows/filter", select),
    Route("POST", "/flows/count", count),
    Route("GET", "/flows/name/{name}", read_by_name),
    Route("GET", "/flows/{id}", read),
    Route("PATCH", "/flows/{id}", update, 204),
    Route("DELETE", "/flows/{id}", delete, 204),
)
