"""Rows in memory: one store for each world, one lock, no I/O.

A row is a dict that is never changed in place: a change puts a new one, so that an answer that is being written shows
one moment. Ids are text, times are aware and in UTC. Each column that links to another row is indexed.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional

from pytest_flowsecrets.backend.client_errors import BadInput
from pytest_flowsecrets.backend.records.tables import TABLES

if TYPE_CHECKING:
    from datetime import datetime

Row = Dict[str, Any]
# What rows are looked up by besides: `states.slot`, which is not of the schema, and which runs are Running.
_MORE = {"task_run": ["slot"], "flow_run": ["state"]}
_SURVIVES = {("agent", "flow_runs")}  # a run outlives the agent that ran it; all other children go with their parent


def _links(name: str) -> List[str]:
    """The columns of a table by which rows are looked up."""
    found = {column for table in TABLES.values() for target, column in table.many.values() if target == name}
    return sorted(found | {"tenant_id"}) + _MORE.get(name, [])


def slugify(name: str) -> str:
    """A name as it stands in an address."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def _refuse_nul(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, str) and "\0" in value:
            raise BadInput(f"{name}: text holds no NUL")


class Store:
    """All rows of a world.

    Args:
        now: gives the present moment, aware, in UTC.
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
        """The present moment."""
        return self._now()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside, or none of them if it is left by an exception."""
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
        """A new row; columns that are not given are null.

        Raises:
            BadInput: a text holds a NUL, which PostgreSQL would not store.
        """
        _refuse_nul(values)
        now = self.now
        row: Row = dict.fromkeys([*TABLES[table].columns, *_MORE.get(table, ())])
        row.update({"id": str(uuid.uuid4()), "created": now, "updated": now})
        row.update(values)
        self._put(table, row)
        self._remember(lambda: self._drop(table, row))
        return row

    def change(self, table: str, row_id: str, **values: Any) -> Row:
        """The row with other values, which replaces it.

        Raises:
            BadInput: a text holds a NUL.
        """
        _refuse_nul(values)
        old = self._rows[table][row_id]
        row = {**old, "updated": self.now, **values}
        self._replace(table, old, row)
        self._remember(lambda: self._replace(table, row, old))
        return row

    def remove(self, table: str, row_id: str) -> None:
        """The row and everything that belongs to it."""
        for relation, (child, column) in TABLES[table].many.items():
            if (table, relation) not in _SURVIVES:
                for row in self.linked(child, column, row_id):
                    self.remove(child, row["id"])
        old = self._rows[table][row_id]
        self._drop(table, old)
        self._remember(lambda: self._put(table, old))

    def add_tenant(self, name: str, slug: Optional[str] = None) -> Row:
        """A team: everything else belongs to one. Its row belongs to itself, so that it is seen like any other."""
        tenant_id = str(uuid.uuid4())
        return self.add("tenant", id=tenant_id, tenant_id=tenant_id, name=name, slug=slug or slugify(name))

    def get(self, table: str, row_id: Optional[str]) -> Optional[Row]:
        """The row of this id, or None."""
        return self._rows[table].get(row_id) if row_id is not None else None

    def linked(self, table: str, column: str, value: Optional[str]) -> List[Row]:
        """The rows whose link column holds this id, oldest first."""
        rows = self._rows[table]
        return [rows[row_id] for row_id in self._index[table][column].get(value, ())]

    def indexes(self, table: str, column: str) -> bool:
        """Whether ``linked`` knows this column."""
        return column in self._index[table]

    def all(self, table: str) -> List[Row]:
        """Every row of a table, of all tenants."""
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
        self._rows[table][new["id"]] = new  # in its old place, so that lists keep their order
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
