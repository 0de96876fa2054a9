"""Who reads secrets: the log of reads, and the rule of a write-only view."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any, Collection, Dict, List, Mapping, NamedTuple, Optional

from pytest_flowsecrets.backend.rest.errors import ApiError
from pytest_flowsecrets.backend.rest.store.callers import readers_are_in_runs, running_threads
from pytest_flowsecrets.report import api_events

if TYPE_CHECKING:
    from datetime import datetime
    from threading import Thread

    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.store.table import Clock, Table

_FLOW_ID = "x-prefect-flow-id"
REFUSAL = (
    "this API is write-only: it gives secrets to running flow runs only; read the secret inside a flow, "
    "or inside `with flow_run():`"
)


class Read(NamedTuple):
    """One read of a block document with its secrets.

    Attributes:
        name: of the block document.
        block_type: slug of its type.
        at: when, by the clock of the API (UTC).
        flow_run_id: the run that asked; None where the request names none, or more than one run may have asked.
        flow_name: the flow that the request names, or the flow of that run.
    """

    name: str
    block_type: str
    at: datetime
    flow_run_id: Optional[str]
    flow_name: Optional[str]


class ReadLog:
    """The reads of one view.

    From Prefect 3.6 on the client names the flow of a request in ``x-prefect-flow-id``, but not its run. Hooks, threads
    without context and older clients name nothing. While a run is Running, the stacks of this process then decide who
    asks. If no code of this process asks, clients before 3.6 are served, because they may belong to the run.

    Args:
        flow_runs: of the view.
        flows: of the view.
        now: the clock.
        any_run: whether requests name no flow, so that any Running run may have sent one.

    Attributes:
        reads: oldest first.
        write_only: whether only running flow runs may read.
        executing: how many ``flow_run()`` statements are open.
    """

    def __init__(self, flow_runs: Table, flows: Table, now: Clock, *, any_run: bool) -> None:
        self._flow_runs, self._flows, self._now, self._any_run = flow_runs, flows, now, any_run
        self.reads: List[Read] = []
        self.write_only = False
        self.executing = 0
        self._older_threads: Dict[str, Collection[Thread]] = {}  # by the id of a run

    def note_running(self, run_id: str) -> None:
        """Remember the threads that are older than a flow run, which is about to be Running."""
        self._older_threads.setdefault(run_id, running_threads())

    def admit(self, headers: Mapping[str, str]) -> None:
        """Check that a request may read secrets.

        Raises:
            ApiError: 403, the view is write-only and no running flow run asks.
        """
        if self.write_only and not self.executing and not self._is_from_run(headers):
            raise ApiError(403, REFUSAL)

    def _is_from_run(self, headers: Mapping[str, str]) -> bool:
        if _FLOW_ID in headers:
            return bool(self._running(headers))
        runs = [run["id"] for run in self._flow_runs if (run.get("state") or {}).get("type") == "RUNNING"]
        if not runs:
            return False
        older = self._older_threads.get(runs[-1], ())
        for run_id in runs:
            older = set(older).intersection(self._older_threads.get(run_id, ()))
        in_runs = readers_are_in_runs(older)
        return self._any_run if in_runs is None else in_runs

    def record(self, headers: Mapping[str, str], document: Row, block_type: str) -> None:
        """Record that a request was sent a document with its secrets."""
        runs = self._running(headers)
        run = runs[0] if len(runs) == 1 else None
        flow = self._flows.get(run["flow_id"] if run else headers.get(_FLOW_ID))
        name = document.get("name") or ""
        names = (flow["name"] if flow else "", run.get("name") or run["id"] if run else "")
        api_events.emit("read", name, run=", ".join(filter(None, names)))
        self.reads.append(
            Read(name, block_type, self._now(), run["id"] if run else None, flow["name"] if flow else None)
        )

    def _running(self, headers: Mapping[str, str]) -> List[Row]:
        """Return the Running flow runs that a request may come from."""
        runs = [run for run in self._flow_runs if (run.get("state") or {}).get("type") == "RUNNING"]
        flow_id = headers.get(_FLOW_ID)
        if flow_id is not None:
            return [run for run in runs if run["flow_id"] == flow_id]
        return runs if self._any_run else []


def same_value(value: Any, other: Any) -> bool:
    """Return whether two values are the same JSON, in a time that does not depend on the first; 1 is not True."""
    return hmac.compare_digest(_canonical(value), _canonical(other))


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
