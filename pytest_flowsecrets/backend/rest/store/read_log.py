"""Who reads secrets: the log of reads, and the rule of a write-only view."""

from __future__ import annotations

import hmac
import json
import threading
from typing import TYPE_CHECKING, Any, Collection, Dict, List, Mapping, NamedTuple, Optional

from pytest_flowsecrets.backend.rest.errors import ApiError
from pytest_flowsecrets.backend.rest.store.callers import find_readers, running_threads, runs_of_engines
from pytest_flowsecrets.report import api_events

if TYPE_CHECKING:
    from datetime import datetime
    from threading import Thread

    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.store.callers import Reader
    from pytest_flowsecrets.backend.rest.store.table import Clock, Table

_FLOW_ID = "x-prefect-flow-id"
REFUSAL = (
    "this API is write-only: it gives secrets to flow runs only; read the secret inside a flow, "
    "or inside `with flow_run():` (start a worker there, too, if it reads secrets itself)"
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

    From Prefect 3.6 on the client names the flow of a request in ``x-prefect-flow-id``, but not its run. If one run of
    the flow is Running, the request belongs to it. Threads without context and older clients name nothing. The stacks
    of this process then decide who asks: code that an engine of Prefect has called belongs to the run of the engine,
    whatever its state is. If no code of this process asks, a child process does. A request that names a flow then
    belongs to a run of it, which has ended if a hook asks. Clients before 3.6 are served while a run is Running,
    because they may belong to the run.

    Args:
        flow_runs: of the view.
        flows: of the view.
        now: the clock.
        any_run: whether requests name no flow, so that any Running run may have sent one.

    Attributes:
        reads: oldest first.
        write_only: whether only flow runs may read.
        executing: how many ``flow_run()`` statements are open.
        saving: how many blocks the plugin is saving.
    """

    def __init__(self, flow_runs: Table, flows: Table, now: Clock, *, any_run: bool) -> None:
        self._flow_runs, self._flows, self._now, self._any_run = flow_runs, flows, now, any_run
        self.reads: List[Read] = []
        self.write_only = False
        self.executing = self.saving = 0
        self._older_threads: Dict[str, Collection[Thread]] = {}  # by the id of a run

    def note_running(self, run_id: str) -> None:
        """Remember the threads that are older than the code of a flow run.

        Call it before the run is Running for the first time, or ends: a run can fail before it is Running, and its
        hooks are code of the run.
        """
        self._older_threads.setdefault(run_id, running_threads())

    def admit(self, headers: Mapping[str, str]) -> Optional[List[Row]]:
        """Return the flow runs that a request for secrets may come from; None if the plugin saves a block.

        Raises:
            ApiError: 403, the view is write-only, and neither a flow run nor the plugin sent the request.
        """
        running = list(filter(_is_running, self._runs_of(headers.get(_FLOW_ID))))
        if len(running) == 1:
            return running  # the request names its run, so the stacks are not inspected; the plugin names none
        readers = find_readers() if self._flow_runs or self.saving else []
        if readers and all(reader.is_plugin for reader in readers):
            return None
        runs = self._asking_runs(headers, readers)
        if self.write_only and not self.executing and not runs:
            raise ApiError(403, REFUSAL)
        return runs

    def _asking_runs(self, headers: Mapping[str, str], readers: List[Reader]) -> List[Row]:
        flow_id = headers.get(_FLOW_ID)
        called = self._called_by_engines(readers)
        if called:
            return [run for run in called if run["flow_id"] == flow_id] or called
        if flow_id is not None:
            runs = self._runs_of(flow_id)
            return list(filter(_is_running, runs)) or ([] if readers else list(filter(_has_ended, runs)))
        running = list(filter(_is_running, self._flow_runs))
        if not readers:
            return running if self._any_run else []
        return self._runs_that_started(readers, running)

    def _runs_of(self, flow_id: Optional[str]) -> List[Row]:
        return [] if flow_id is None else self._flow_runs.where(flow_id=flow_id)

    def _called_by_engines(self, readers: List[Reader]) -> List[Row]:
        """Return the runs whose engines called the readers, or an empty list if a reader has another caller."""
        runs = {reader.flow_run_id: self._flow_runs.get(reader.flow_run_id) for reader in readers}
        return [] if None in runs.values() else [run for run in runs.values() if run]

    def _runs_that_started(self, readers: List[Reader], running: List[Row]) -> List[Row]:
        """Return the active runs if each reader is in a flow, or in a thread that is younger than one of the runs."""
        ids = {run["id"] for run in running} | runs_of_engines()  # the run of a hook has ended
        # The code of a run that waits for its start has not begun.
        runs = [run for run in self._flow_runs if run["id"] in ids & self._older_threads.keys()]
        if not runs:
            return []
        oldest = set.intersection(*(set(self._older_threads[run["id"]]) for run in runs))
        younger = {thread.ident for thread in threading.enumerate() if thread not in oldest}
        younger.discard(None)  # a thread that has not started yet
        return runs if all(self._is_in_flow(reader) or reader.thread in younger for reader in readers) else []

    def _is_in_flow(self, reader: Reader) -> bool:
        """Return whether a flow has called a reader: a run of this view, or one that the stack does not name."""
        return reader.in_flow if reader.flow_run_id is None else self._flow_runs.get(reader.flow_run_id) is not None

    def record(self, headers: Mapping[str, str], runs: List[Row], document: Row, block_type: str) -> None:
        """Record that the answer to a request contains a document with its secrets.

        Args:
            headers: of the request.
            runs: those that ``admit()`` returned.
            document: the block document.
            block_type: slug of its type.
        """
        run = runs[0] if len(runs) == 1 else None
        flow_ids = {run["flow_id"] for run in runs} or {headers.get(_FLOW_ID)}
        flow = self._flows.get(flow_ids.pop()) if len(flow_ids) == 1 else None
        name = document.get("name") or ""
        names = (flow["name"] if flow else "", run.get("name") or run["id"] if run else "")
        api_events.emit("read", name, run=", ".join(filter(None, names)))
        self.reads.append(
            Read(name, block_type, self._now(), run["id"] if run else None, flow["name"] if flow else None)
        )


def _is_running(run: Row) -> bool:
    return run.get("state_type") == "RUNNING"


def _has_ended(run: Row) -> bool:
    return run.get("end_time") is not None


def same_value(value: Any, other: Any) -> bool:
    """Return whether two values are the same JSON, in a time that does not depend on the first; 1 is not True."""
    return hmac.compare_digest(_canonical(value), _canonical(other))


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
