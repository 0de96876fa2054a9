"""Variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Optional

from pytest_flowsecrets.backend.rest.call import Route, page
from pytest_flowsecrets.backend.rest.errors import CONFLICT, ApiError, ValidationError
from pytest_flowsecrets.backend.rest.rules.filters import matches, sort_rows

if TYPE_CHECKING:
    from typing import List

    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row

NAMED_CONFLICT_SINCE = (3, 1, 0)
_NAME = re.compile(r"[a-z0-9_-]*")


def create(call: Call) -> Row:
    """Create a variable."""
    fields = {"tags": [], **call.sent("name", "value", "tags")}
    _check_name(fields["name"])
    if call.view.variables.first(name=fields["name"]):
        named = call.view.release >= NAMED_CONFLICT_SINCE
        raise ApiError(409, f"A variable with the name {fields['name']!r} already exists." if named else CONFLICT)
    return call.view.variables.insert(fields)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(str(name)):
        raise ValidationError("value_error", ("body", "name"), "Variable name has characters that are not allowed")


def read_by_name(call: Call) -> Row:
    """Return the variable with a name."""
    return _require(call)


def read(call: Call) -> Row:
    """Return the variable with an id."""
    return _require(call)


def update(call: Call) -> None:
    """Change name, value or tags."""
    fields = call.sent("name", "value", "tags")
    if fields.get("name") is not None:
        _check_name(fields["name"])
    row = _require(call)
    namesake = call.view.variables.first(name=fields["name"]) if "name" in fields else None
    if namesake is not None and namesake is not row:
        raise ApiError(409, CONFLICT)
    call.view.variables.update(row, fields)


def delete(call: Call) -> None:
    """Remove a variable."""
    call.view.variables.delete(_require(call)["id"])


def select(call: Call) -> List[Row]:
    """Return the variables that fit a filter."""
    return page(call, sort_rows(_chosen(call), call.fields.get("sort"), "NAME_ASC"))


def count(call: Call) -> int:
    """Return how many variables fit a filter."""
    return len(_chosen(call))


def _chosen(call: Call) -> List[Row]:
    return [row for row in call.view.variables if matches(row, call.fields.get("variables"))]


def _require(call: Call) -> Row:
    by_name: Optional[str] = call.path.get("name")
    row = call.view.variables.get(call.id) if by_name is None else call.view.variables.first(name=by_name)
    if row is None:
        raise ApiError(404, "Variable not found.")
    return row


ROUTES = (
    Route("POST", "/variables/", create, 201),
    Route("POST", "/variables/filter", select),
    Route("POST", "/variables/count", count),
    Route("GET", "/variables/name/{name}", read_by_name),
    Route("PATCH", "/variables/name/{name}", update, 204),
    Route("DELETE", "/variables/name/{name}", delete, 204),
    Route("GET", "/variables/{id}", read),
    Route("PATCH", "/variables/{id}", update, 204),
    Route("DELETE", "/variables/{id}", delete, 204),
)
