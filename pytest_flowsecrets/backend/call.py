"""What a resolver may see: the world, who asks, and the rows that this one may see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, List, Mapping, Optional

from pytest_flowsecrets.backend.errors import ApiError, Unauthenticated

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.api import World
    from pytest_flowsecrets.backend.keys import Caller
    from pytest_flowsecrets.backend.store import Row, Store
    from pytest_flowsecrets.backend.tables import Link


@dataclass(frozen=True)
class Call:
    """One operation of one caller. All rows that it hands out belong to the caller's tenant."""

    world: World
    caller: Caller
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """As they were sent, for what the coerced ones do not tell: the order of keys."""

    @property
    def store(self) -> Store:
        """All rows of all tenants: resolvers write with it."""
        return self.world.store

    @property
    def now(self) -> datetime:
        """The world's clock."""
        return self.world.now()

    @property
    def tenant_id(self) -> str:
        """Whose rows these are. Server has no keys: there it is the first tenant.

        Raises:
            Unauthenticated: no key, or one that belongs to no tenant.
        """
        if self.caller.tenant_id is not None:
            return self.caller.tenant_id
        if self.world.backend == "cloud":
            raise Unauthenticated
        for tenant in self.store.all("tenant"):
            return str(tenant["id"])
        raise ApiError("No tenant found")

    def sees(self, row: Row) -> bool:
        """Whether the caller may know of this row. On Server everybody sees everything."""
        return self.world.backend == "server" or row["tenant_id"] == self.tenant_id

    def rows(self, table: str) -> List[Row]:
        """All rows of a table that the caller may see, oldest first."""
        if table == "secret":
            return [dict(row) for row in self.world.vault.rows(self.tenant_id)]
        if self.world.backend == "server":
            return self.store.all(table)
        return self.store.linked(table, "tenant_id", self.tenant_id)

    def row(self, table: str, row_id: Optional[str]) -> Optional[Row]:
        """The row of this id if the caller may see it."""
        if table == "secret":
            return next((row for row in self.rows(table) if row["id"] == row_id), None)
        row = self.store.get(table, row_id)
        return row if row is not None and self.sees(row) else None

    def must(self, table: str, row_id: Optional[str]) -> Row:
        """The row of this id.

        Raises:
            ApiError: there is none, or it belongs to another tenant, which is not told apart.
        """
        row = self.row(table, row_id)
        if row is None:
            raise ApiError(f"{table.replace('_', ' ').capitalize()} not found")
        return row

    def linked(self, link: Link, row: Row) -> List[Row]:
        """The rows of a table that link to this one."""
        return [other for other in self.store.linked(link[0], link[1], row["id"]) if self.sees(other)]
