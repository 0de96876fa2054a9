"""Rows in memory. Each world has one store with one lock. There is no I/O.

A row is a dict that is never changed in place: a change replaces it, so an answer shows a consistent state. Ids are
text; times are aware and in UTC. Each column that links to another row is indexed.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional

from pytest_flowsecrets.backend.messages import BadInput
from pytest_flowsecrets.backend.records.tables import TABLES

if TYPE_CHECKING:
    from datetime import datetime

Row = Dict[str, Any]
# Further indexed columns. `slot` is not part of the schema: see `states.slot`.
_MORE_INDEXES = {"task_run": ["slot"], "flow_run": ["state"]}
_NOT_CASCADED = {("agent", "flow_runs")}  # deleting an agent keeps its runs; all other children are deleted


def _links(name: str) -> List[str]:
    """Return the indexed columns of a table."""
    links = {column for table in TABLES.values() for target, column in table.many.values() if target == name}
    return sorted(links | {"tenant_id"}) + _MORE_INDEXES.get(name, [])


def slugify(name: str) -> str:
    """Return the form of a name that is used in URLs."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def _refuse_nul(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, str) and "\0" in value:
            raise BadInput(f"{name}: text must not contain a NUL character")


class Store:
    """All rows of a world.

    Args:
        now: a function that returns the current time: aware, in UTC.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.lock = threading.RLock()
        self._now = now
        self._rows: Dict[str, Dict[str, Row]] = {name: {} for name in TABLES}
        self._index: Dict[str, Dict[str, Dict[Any, Dict[str, None]]]] = {
            name: {column: {} for column in _links(name)} for name in TABLES
        }
        self._undo: Optional[List[Callable[[], object]]] = None

    @property
    def now(self) -> datetime:
        """The current time."""
        return self._now()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undo all changes in the block if it raises."""
        with self.lock:
            outer, self._undo = self._undo, []
            try:
                yield
            except BaseException:
                for step in reversed(self._undo):
                    step()
                self._undo = []
                raise
            finally:
                self._undo = None if outer is None else outer + self._undo

    def add(self, table: str, **values: Any) -> Row:
        """Add a row and return it. Columns without a value are null.

        Raises:
            BadInput: a text contains a NUL character, which PostgreSQL does not store.
        """
        _refuse_nul(values)
        now = self.now
        row: Row = dict.fromkeys([*TABLES[table].columns, *_MORE_INDEXES.get(table, ())])
        row.update({"id": str(uuid.uuid4()), "created": now, "updated": now})
        row.update(values)
        self._put(table, row)
        self._remember(lambda: self._drop(table, row))
        return row

    def change(self, table: str, row_id: str, **values: Any) -> Row:
        """Replace a row by one with other values, and return the new row.

        Raises:
            BadInput: a text contains a NUL character.
        """
        _refuse_nul(values)
        old = self._rows[table][row_id]
        row = {**old, "updated": self.now, **values}
        self._replace(table, old, row)
        self._remember(lambda: self._replace(table, row, old))
        return row

    def remove(self, table: str, row_id: str) -> None:
        """Delete a row and everything that belongs to it."""
        for relation, (child, column) in TABLES[table].many.items():
            if (table, relation) not in _NOT_CASCADED:
                for row in self.linked(child, column, row_id):
                    self.remove(child, row["id"])
        old = self._rows[table][row_id]
        self._drop(table, old)
        self._remember(lambda: self._put(table, old))

    def add_tenant(self, name: str, slug: Optional[str] = None) -> Row:
        """Add a tenant. Its row belongs to itself, so its callers can see it like any other row."""
        tenant_id = str(uuid.uuid4())
        return self.add("tenant", id=tenant_id, tenant_id=tenant_id, name=name, slug=slug or slugify(name))

    def get(self, table: str, row_id: Optional[str]) -> Optional[Row]:
        """Return the row with an id, or None."""
        return self._rows[table].get(row_id) if row_id is not None else None

    def linked(self, table: str, column: str, value: Optional[str]) -> List[Row]:
        """Return the rows whose link column contains an id, oldest first."""
        rows = self._rows[table]
        return [rows[row_id] for row_id in self._index[table][column].get(value, ())]

    def indexes(self, table: str, column: str) -> bool:
        """Return whether a column is indexed, so that ``linked`` accepts it."""
        return column in self._index[table]

    def all(self, table: str) -> List[Row]:
        """Return all rows of a table, of all tenants."""
        return list(self._rows[table].values())

    def _remember(self, step: Callable[[], object]) -> None:
        if self._undo is not None:
            self._undo.append(step)

    def _put(self, table: str, row: Row) -> None:
        self._rows[table][row["id"]] = row
        for column in self._index[table]:
            self._link(table, column, row)

    def _drop(self, table: str, row: Row) -> None:
        del self._rows[table][row["id"]]
        for column in self._index[table]:
            self._unlink(table, column, row)

    def _replace(self, table: str, old: Row, new: Row) -> None:
        self._rows[table][new["id"]] = new  # the row keeps its position in lists
        for column in self._index[table]:
            if old[column] != new[column]:
                self._unlink(table, column, old)
                self._link(table, column, new)

    def _link(self, table: str, column: str, row: Row) -> None:
        self._index[table][column].setdefault(row[column], {})[row["id"]] = None

    def _unlink(self, table: str, column: str, row: Row) -> None:
        rows = self._index[table][column]
        del rows[row[column]][row["id"]]
        if not rows[row[column]]:
            del rows[row[column]]
