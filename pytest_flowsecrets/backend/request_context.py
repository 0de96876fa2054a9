"""What a resolver may see: the world, who asks, and the rows that this one may see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Protocol

from pytest_flowsecrets.backend.client_errors import ApiError, Unauthenticated

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.messages import Answer, Operation
    from pytest_flowsecrets.backend.records.keys import Caller, Keyring
    from pytest_flowsecrets.backend.records.secret_store import Vault
    from pytest_flowsecrets.backend.records.store import Row, Store
    from pytest_flowsecrets.backend.records.tables import Link


class Service(Protocol):
    """A fake API as its resolvers and its flow runs see it; ``service.World`` is one."""

    backend: str
    now: Callable[[], datetime]
    store: Store
    keyring: Keyring
    vault: Vault

    def execute(self, operation: Operation, caller: Caller) -> Answer:
        """Validate and run an operation."""


@dataclass(frozen=True)
class Call:
    """One operation of one caller. All rows that it hands out belong to the caller's tenant."""

    world: Service
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

    def tenant_of(self, tenant_id: Optional[str]) -> str:
        """The tenant that an input names, or else the caller's.

        Raises:
            ApiError: it is none of the caller's.
        """
        return self.tenant_id if tenant_id is None else str(self.must("tenant", tenant_id)["id"])

    def sees(self, row: Row) -> bool:
        """Whether the caller may know of this row. On Server everybody sees everything."""
        return self.world.backend == "server" or row["tenant_id"] == self.tenant_id

    def rows(self, table: str) -> List[Row]:
        """All rows of a table that the caller may see, oldest first."""
        if table in _ODD:
            return _ODD[table](self)
        if self.world.backend == "server":
            return self.store.all(table)
        return self.store.linked(table, "tenant_id", self.tenant_id)

    def row(self, table: str, row_id: Optional[str]) -> Optional[Row]:
        """The row of this id if the caller may see it."""
        if table in _ODD:
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

    def linked(self, link: Link, row_id: str) -> List[Row]:
        """The rows of a table that link to this id."""
        return [row for row in self.store.linked(link[0], link[1], row_id) if self.sees(row)]

    def tenants(self) -> List[Row]:
        """All that the key is good for, the one that the request is about first."""
        if self.world.backend == "server":
            return self.store.all("tenant")
        own = dict.fromkeys((self.tenant_id, *self.caller.tenant_ids))
        return [row for row in (self.store.get("tenant", tenant_id) for tenant_id in own) if row is not None]

    def indexes(self, table: str, column: str) -> bool:
        """Whether ``linked`` knows this column of a table."""
        return table not in _ODD and self.store.indexes(table, column)

    def users(self) -> List[Row]:
        """The caller's own."""
        user = self.store.get("user", self.caller.user_id)
        return [] if user is None else [user]


# Tables of which a caller sees something else than the rows of its tenant.
_ODD: Mapping[str, Callable[[Call], List[Row]]] = {
    "tenant": Call.tenants,
    "secret": lambda call: call.world.vault.rows(call.tenant_id),
    "user": Call.users,
    "membership": lambda call: call.store.linked("membership", "user_id", call.caller.user_id),
}
