"""Rows in memory: a table is a dictionary by id, in the order of creation."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, List, Optional, Union

from pytest_flowsecrets.backend.rest.errors import NotFoundError, Row

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time of now, aware, in UTC."""
    return datetime.now(timezone.utc)


def time_text(moment: datetime) -> str:
    """Return a time as the API writes it: ISO 8601 in UTC, with ``Z``."""
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def parse_time(text: Union[str, float]) -> datetime:
    """Return the aware time that a value of the API holds.

    Args:
        text: ISO 8601, in UTC where it has no offset; or seconds since 1970, as clients on Python 3.13 write some.
    """
    if not isinstance(text, str):
        return datetime.fromtimestamp(text, timezone.utc)
    moment = datetime.fromisoformat(_six_digits(text.replace("Z", "+00:00").replace(" ", "T", 1)))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _six_digits(text: str) -> str:
    """Return an ISO time with exactly six digits of the second: Python 3.8 reads no other number."""
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    return f"{head}.{digits[:6]:0<6}{tail[len(digits) :]}"


class Table:
    """The rows of one kind in one view.

    Args:
        missing: what an error says where a row is not there, such as ``Flow not found``.
        now: the clock.
    """

    def __init__(self, missing: str, now: Clock) -> None:
        self.missing, self._now = missing, now
        self.rows: Dict[str, Row] = {}

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self.rows.values()))

    def __len__(self) -> int:
        return len(self.rows)

    def insert(self, fields: Row) -> Row:
        """Add a row with a new id, unless the fields hold one, and its times."""
        now = time_text(self._now())
        row = {"id": str(uuid.uuid4()), "created": now, "updated": now, **fields}
        self.rows[row["id"]] = row
        return row

    def get(self, row_id: Optional[str]) -> Optional[Row]:
        """Return the row with an id, or None."""
        return self.rows.get(row_id) if row_id is not None else None

    def require(self, row_id: Optional[str]) -> Row:
        """Return the row with an id.

        Raises:
            NotFoundError: there is none.
        """
        row = self.get(row_id)
        if row is None:
            raise NotFoundError(self.missing)
        return row

    def update(self, row: Row, fields: Row) -> Row:
        """Change fields of a row in place."""
        row.update(fields, updated=time_text(self._now()))
        return row

    def delete(self, row_id: str) -> None:
        """Remove a row.

        Raises:
            NotFoundError: there is none.
        """
        self.require(row_id)
        del self.rows[row_id]

    def where(self, **fields: Any) -> List[Row]:
        """Return the rows whose fields have these values."""
        return [row for row in self if all(row.get(name) == value for name, value in fields.items())]

    def first(self, **fields: Any) -> Optional[Row]:
        """Return the first row whose fields have these values, or None."""
        return next(iter(self.where(**fields)), None)
