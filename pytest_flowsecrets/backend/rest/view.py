"""What one test sees: a tenant with tables of its own, mounted at a URL that nobody else has."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional

from pytest_flowsecrets.backend.rest.store.block_types import BlockTypes
from pytest_flowsecrets.backend.rest.store.events import EventStream
from pytest_flowsecrets.backend.rest.store.read_log import ReadLog, same_value
from pytest_flowsecrets.backend.rest.store.table import Table
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.messages import Request, Response
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.store.block_types import SharedBlockTypes
    from pytest_flowsecrets.backend.rest.store.read_log import Read
    from pytest_flowsecrets.backend.rest.store.table import Clock

FLOW_HEADER_SINCE = (3, 6, 0)
LABELS_SINCE = (3, 1, 0)

# Attribute of the view, and what the real server says where a row is not there.
_TABLES = {
    "block_documents": "Block document not found",
    "variables": "Variable not found.",
    "flows": "Flow not found",
    "flow_runs": "Flow run not found",
    "task_runs": "Task not found",
    "flow_run_states": "Flow run state not found",
    "task_run_states": "Flow run state not found",
    "flow_run_inputs": "Flow run input not found",
    "deployments": "Deployment not found",
    "schedules": "Schedule not found.",
    "work_pools": "Work pool not found",
    "work_queues": "work queue not found",
    "workers": "Worker not found.",
    "artifacts": "Artifact not found.",
    "logs": "Log not found",
    "automations": "Automation not found",
    "tag_limits": "Concurrency limit not found",
    "limits": "Concurrency Limit not found",
    "leases": "Lease not found",
}


Interceptor = Callable[["Request", Callable[[], "Response"]], "Response"]


def pass_on(_: Request, answer: Callable[[], Response]) -> Response:
    """Answer a request as usual: the interceptor of a view that has no other."""
    return answer()


class View:
    """The rows of one tenant. All handlers hold ``lock`` while they run.

    Args:
        url: where clients reach it.
        version: of Prefect, whose server this view behaves like.
        types: the block types that the session knows.
        now: the clock.
        authorization: the ``Authorization`` header that a request needs; empty for none.
        account_id: of a workspace of Cloud; empty for a self-hosted server.
        workspace_id: of a workspace of Cloud; empty for a self-hosted server.

    Attributes:
        release: the version as numbers.
        owner: the test that uses the view, for the error after its end.
        lock: guards all tables; reentrant.
        intercept: called for each request with the function that answers it; it may log, delay, replace or refuse.
        on_secret: called with the name and value of each secret that a client stores, such as ``creds.token``, and with
            its block, such as ``database/creds``.
        events: every event that the view was sent, with its subscribers.
    """

    block_documents: Table
    variables: Table
    flows: Table
    flow_runs: Table
    task_runs: Table
    flow_run_states: Table
    task_run_states: Table
    flow_run_inputs: Table
    deployments: Table
    schedules: Table
    work_pools: Table
    work_queues: Table
    workers: Table
    artifacts: Table
    logs: Table
    automations: Table
    tag_limits: Table
    limits: Table
    leases: Table

    def __init__(  # noqa: PLR0913 - what an API knows of a view
        self,
        url: str,
        version: str,
        types: SharedBlockTypes,
        now: Clock,
        *,
        authorization: str = "",
        account_id: str = "",
        workspace_id: str = "",
    ) -> None:
        self.url, self.version, self.now, self.authorization = url, version, now, authorization
        self.account_id, self.workspace_id = account_id, workspace_id
        self.release = release_of(version)
        self.owner = "an earlier test"
        self.lock = threading.RLock()
        for name, missing in _TABLES.items():
            setattr(self, name, Table(missing, now))
        self.block_types = BlockTypes(types, now)
        self.events = EventStream()
        self.log_stream = EventStream()
        self.read_log = ReadLog(self.flow_runs, self.flows, now, any_run=self.release < FLOW_HEADER_SINCE)
        self.settings: Dict[str, Any] = {}
        self.intercept: Interceptor = pass_on
        self.on_secret: Callable[[str, Any, str], object] = lambda _name, _value, _block: None

    def __repr__(self) -> str:
        return f"<View {self.url}>"

    @property
    def legacy(self) -> bool:
        """Whether the view behaves like a server of Prefect 2."""
        return self.release < (3, 0, 0)

    @property
    def has_labels(self) -> bool:
        """Whether flows and runs have labels."""
        return self.release >= LABELS_SINCE

    # -- what tests ask ------------------------------------------------------------------------------------------------

    @property
    def reads(self) -> List[Read]:
        """The secrets that were read in clear, oldest first: which block, from which flow run."""
        return self.read_log.reads

    def write_only(self, *, enabled: bool = True) -> None:
        """Refuse reads of secrets with 403 unless they come from a flow run, or are inside ``flow_run()``.

        The flow, its tasks, its threads and its hooks may read, even hooks that Prefect calls after the run has ended.
        A child process may read while its run is Running; from Prefect 3.6 on, its hooks may read afterwards, too.

        Args:
            enabled: False to allow all reads again.
        """
        self.read_log.write_only = enabled

    @contextmanager
    def flow_run(self) -> Iterator[None]:
        """Allow reads of secrets inside a ``with`` statement, as if a flow run were Running."""
        with self.lock:
            self.read_log.executing += 1
        try:
            yield
        finally:
            with self.lock:
                self.read_log.executing -= 1

    @contextmanager
    def saving_block(self) -> Iterator[None]:
        """Allow the plugin to save a block inside a ``with`` statement, and record no read."""
        with self.lock:
            self.read_log.saving += 1
        try:
            yield
        finally:
            with self.lock:
                self.read_log.saving -= 1

    def holds(self, name: str, value: Any, *, block_type: str = "secret") -> bool:
        """Return whether a Secret block has exactly this value; nothing gives the value out.

        Args:
            name: of the block document.
            value: any JSON value; 1, 1.0 and True are three.
            block_type: slug of another type whose data are compared.
        """
        document = self.block(block_type, name)
        if document is None:
            return False
        data = document["data"]
        return same_value(data.get("value") if block_type == "secret" else data, value)

    def block(self, block_type: str, name: str) -> Optional[Row]:
        """Return the document of a block, or None.

        Args:
            block_type: the slug of its type.
            name: of the document.
        """
        with self.lock:
            kind = self.block_types.by_slug(block_type)
            return self.block_documents.first(name=name, block_type_id=kind["id"]) if kind else None

    def rows(self, table: str) -> List[Row]:
        """Return copies of the rows of a table, such as ``flow_runs``; block documents come without their data."""
        with self.lock:
            hidden = {"data"} if table == "block_documents" else set()
            return [{key: value for key, value in row.items() if key not in hidden} for row in getattr(self, table)]

    def close(self) -> None:
        """End the subscriptions of this view."""
        self.events.close()
        self.log_stream.close()
