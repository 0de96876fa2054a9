"""Which scheduled runs are due."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, List

from pytest_flowsecrets.backend.rest.store.table import parse_time

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View


def due_runs(view: View, rows: List[Row], fields: Row) -> List[Row]:
    """Return the scheduled runs among rows whose time comes before ``scheduled_before``, the next one first."""
    before = fields.get("scheduled_before")
    limit = parse_time(before) if before else view.now() + timedelta(seconds=1)
    chosen = [
        row
        for row in rows
        if row.get("state_type") == "SCHEDULED" and parse_time(row["next_scheduled_start_time"]) <= limit
    ]
    return sorted(chosen, key=lambda row: parse_time(row["next_scheduled_start_time"]))
