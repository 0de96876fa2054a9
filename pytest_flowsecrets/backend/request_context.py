"""The context of a resolver: the API, the caller, and the rows that the caller may see; the lock for imports."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Protocol

from pytest_flowsecrets.backend.messages import ApiError, Unauthenticated
from pytest_flowsecrets.operating_system import register_at_fork

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.messages import Answer, Operation
    from pytest_flowsecrets.backend.records.keys import Caller, Keyring
    from pytest_flowsecrets.backend.records.secret_store import Vault
    from pytest_flowsecrets.backend.records.store import Row, Store
    from pytest_flowsecrets.backend.records.tables import Link


class Service(Protocol):
    """The parts of a fake API that resolvers and flow runs use; ``graphql_service.GraphqlService`` implements it."""

    backend: str
    now: Callable[[], datetime]
    store: Store
    keyring: Keyring
    vault: Vault

    def execute(self, operation: Operation, caller: Caller) -> Answer:
        """Validate and execute an operation."""

    def describe_active_runs(self, tenant_id: str) -> str:
        """Return the flow and the name of each flow run that is Submitted or Running."""


@dataclass(frozen=True)
class RequestContext:
    """One operation of one caller. All rows that it returns belong to the caller's tenant."""

    world: Service
    caller: Caller
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The variables as the client sent them: unlike the coerced ones, they keep the order of keys."""

    @property
    def store(self) -> Store:
        """The rows of all tenants; resolvers use it to write."""
        return self.world.store

    @property
    def now(self) -> datetime:
        """The current time of the API."""
        return self.world.now()

    @property
    def tenant_id(self) -> str:
        """The id of the caller's tenant. Server has no keys, so there it is the first tenant.

        Raises:
            Unauthenticated: the request has no key, or its key belongs to no tenant.
            ApiError: there is no tenant.
        """
        if self.caller.tenant_id is not None:
            return self.caller.tenant_id
        if self.world.backend == "cloud":
            raise Unauthenticated
        for tenant in self.store.all("tenant"):
            return str(tenant["id"])
        raise ApiError("No tenant found")

    def tenant_of(self, tenant_id: Optional[str]) -> str:
        """Return the tenant that an input names, or else the caller's.

        Raises:
            ApiError: the caller does not belong to the tenant.
        """
        return self.tenant_id if tenant_id is None else str(self.get_or_error("tenant", tenant_id)["id"])

    def can_see(self, row: Row) -> bool:
        """Return whether the caller may see a row. On Server, everyone can see every row."""
        return self.world.backend == "server" or row["tenant_id"] == self.tenant_id

    def rows(self, table: str) -> List[Row]:
        """Return the rows of a table that the caller may see, oldest first."""
        if table in _SPECIAL_TABLES:
            return _SPECIAL_TABLES[table](self)
        if self.world.backend == "server":
            return self.store.all(table)
        return self.store.linked(table, "tenant_id", self.tenant_id)

    def row(self, table: str, row_id: Optional[str]) -> Optional[Row]:
        """Return the row with this id, or None if it does not exist or the caller may not see it."""
        if table in _SPECIAL_TABLES:
            return next((row for row in self.rows(table) if row["id"] == row_id), None)
        row = self.store.get(table, row_id)
        return row if row is not None and self.can_see(row) else None

    def get_or_error(self, table: str, row_id: Optional[str]) -> Row:
        """Return the row with this id.

        Raises:
            ApiError: the row does not exist, or belongs to another tenant; the message is the same.
        """
        row = self.row(table, row_id)
        if row is None:
            raise ApiError(f"{table.replace('_', ' ').capitalize()} not found")
        return row

    def linked(self, link: Link, row_id: str) -> List[Row]:
        """Return the rows of a table that link to this id."""
        return [row for row in self.store.linked(link[0], link[1], row_id) if self.can_see(row)]

    def tenants(self) -> List[Row]:
        """Return the tenants of the key; the tenant of the request comes first."""
        if self.world.backend == "server":
            return self.store.all("tenant")
        own = dict.fromkeys((self.tenant_id, *self.caller.tenant_ids))
        return [row for row in (self.store.get("tenant", tenant_id) for tenant_id in own) if row is not None]

    def indexes(self, table: str, column: str) -> bool:
        """Return whether ``linked`` accepts this column of a table."""
        return table not in _SPECIAL_TABLES and self.store.indexes(table, column)

    def users(self) -> List[Row]:
        """Return the caller's user, as a list of at most one row."""
        user = self.store.get("user", self.caller.user_id)
        return [] if user is None else [user]


# Tables of which a caller does not simply see the rows of its tenant.
_SPECIAL_TABLES: Mapping[str, Callable[[RequestContext], List[Row]]] = {
    "tenant": RequestContext.tenants,
    "secret": lambda context: context.world.vault.rows(context.tenant_id),
    "user": RequestContext.users,
    "membership": lambda context: context.store.linked("membership", "user_id", context.caller.user_id),
}


# Delays forks while a thread of the server imports: the child would inherit import locks that stay held forever.
# Reentrant: the thread that holds it may import a module that forks.
importing = threading.RLock()

register_at_fork(before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release)
