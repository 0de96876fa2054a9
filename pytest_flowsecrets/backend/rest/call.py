"""Requests to a view, and the entries of the table of routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, NamedTuple

from pytest_flowsecrets.backend.rest.errors import Row, canonical_id, check_range
from pytest_flowsecrets.backend.rest.openapi import route_key

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.view import View


@dataclass(frozen=True)
class Call:
    """One request to a view.

    Attributes:
        view: the tenant that the URL names.
        path: the parameters of the path.
        query: the parameters of the query.
        body: the JSON of the body; None without one. Never shown.
        headers: names in lower case. Never shown.
    """

    view: View
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def fields(self) -> Row:
        """The body where it is a JSON object, otherwise an empty one."""
        return self.body if isinstance(self.body, dict) else {}

    @property
    def id(self) -> str:
        """The id in the path, in its canonical form."""
        return canonical_id(self.path["id"])

    def flag(self, name: str) -> bool:
        """Return a boolean parameter of the query."""
        return self.query.get(name, "false").lower() in ("true", "1", "yes", "on")

    def sent(self, *names: str) -> Row:
        """Return the named fields that the body holds."""
        return {name: self.fields[name] for name in names if name in self.fields}


class Reply(NamedTuple):
    """An answer whose status is not the usual one of its route."""

    status: int
    body: Any = None


Handler = Callable[[Call], Any]


@dataclass(frozen=True)
class Route:
    """One entry of the table of routes.

    Attributes:
        method: of HTTP.
        template: path below the view, such as ``/flows/{id}``; ``{id}`` and ``{…_id}`` match UUIDs only.
        handler: returns the JSON body, or a ``Reply``.
        status: of a successful response.
    """

    method: str
    template: str
    handler: Handler
    status: int = 200

    @property
    def key(self) -> str:
        """The key of the route in the recorded schemas."""
        return route_key(self.method, self.template)


def page(call: Call, rows: List[Row], default: int = 200) -> List[Row]:
    """Return the part of some rows that ``limit`` and ``offset`` of the body ask for.

    Raises:
        ValidationError: a limit above 200 or below 0, or a negative offset.
    """
    limit, offset = call.fields.get("limit"), call.fields.get("offset") or 0
    limit = default if limit is None else limit
    check_range("limit", limit, 0, default)
    check_range("offset", offset, 0, None)
    return rows[offset : offset + limit]
