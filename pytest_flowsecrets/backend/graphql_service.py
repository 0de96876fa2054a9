"""The GraphQL API of one fake: its own rows, keys, secrets and clock. It answers requests and uses no sockets."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Callable, List, NoReturn, Optional, Sequence

from pytest_flowsecrets.backend.faults import Faults
from pytest_flowsecrets.backend.http.graphql_http import internal_fault, read_operation, write_answer, write_fault
from pytest_flowsecrets.backend.messages import (
    Answer,
    ApiError,
    HttpFault,
    Operation,
    Request,
    Response,
    Unauthenticated,
)
from pytest_flowsecrets.backend.records.keys import Caller, Keyring
from pytest_flowsecrets.backend.records.secret_store import Vault
from pytest_flowsecrets.backend.records.store import Store
from pytest_flowsecrets.backend.request_context import importing
from pytest_flowsecrets.backend.request_log import RequestLog
from pytest_flowsecrets.clock import now as utc_now
from pytest_flowsecrets.report import api_events

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Mapping

    from pytest_flowsecrets.backend.records.store import Row


class GraphqlService:
    """One fake API: Prefect Cloud or Prefect Server.

    Args:
        backend: ``cloud`` or ``server``, as in Prefect's configuration.
        now: a function that returns the current time for all timestamps: aware, in UTC.
    """

    def __init__(self, backend: str = "cloud", now: Optional[Callable[[], datetime]] = None) -> None:
        self.backend = backend
        self.now = now or utc_now
        self.store = Store(self.now)
        self.keyring = Keyring(self.now, open_to_all=backend == "server")
        self.vault: Vault = Vault(self.now, self._admit_reader)
        self.journal = RequestLog()
        self.faults = Faults(backend)

    def __repr__(self) -> str:
        return f"<GraphqlService {self.backend}>"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a fake API can neither be pickled nor copied: its secrets are write-only")

    def answer(self, request: Request) -> Response:
        """Return the response to a request.

        This method does not raise: an error in this API becomes status 400, because Prefect's clients retry for a
        minute after 5xx.
        """
        try:
            return self._answer(request)
        except Exception as error:  # noqa: BLE001 - its text and frames may contain values
            self.journal.forgotten += 1
            return write_fault(request, internal_fault(400, error))

    def _answer(self, request: Request) -> Response:
        at, start = self.now(), _seconds()
        try:
            operation = read_operation(request)
        except HttpFault as error:
            self.journal.record(request, at=at, seconds=_seconds() - start, status=error.status)
            return write_fault(request, error)
        load()
        caller = self.caller(request.headers)
        fault, outline = self.faults.take(operation, caller)
        answer = Answer(kind=outline.kind, fields=outline.fields)

        def execute() -> Response:
            nonlocal answer
            answer = self.execute(operation, caller)
            return write_answer(request, answer)

        with api_events.serving() as events:
            response = fault.answer(request, execute) if fault else execute()
        codes = tuple(error["extensions"]["code"] for error in answer.errors if "extensions" in error)
        self.journal.record(
            request,
            at=at,
            seconds=_seconds() - start,
            status=response.status,
            operation=operation,
            caller=caller,
            kind=answer.kind,
            fields=answer.fields,
            codes=codes,
            fault=str(fault or ""),
        )
        note = ", ".join([*codes, *([str(fault)] if fault else [])])
        title = f"{answer.kind} {', '.join(answer.fields)}".strip() or "no operation"
        api_events.emit_request(title, events, status=response.status, key=caller.scope or "", note=note)
        return response

    def execute(self, operation: Operation, caller: Caller) -> Answer:
        """Validate and execute an operation. This method does not raise: errors are part of the answer."""
        from pytest_flowsecrets.backend.graphql.execution import run

        return run(operation, self, caller)

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return the caller of a request. A caller without a valid key has a ``refusal``."""
        try:
            return self.keyring.caller(headers)
        except ApiError as error:
            return Caller(refusal=error)

    def _admit_reader(self, tenant_id: str, caller: Caller) -> Sequence[str]:
        """Check that a caller may read secrets, and return the ids of the active flow runs of the tenant.

        Raises:
            Unauthenticated: the key is not a RUNNER key of the tenant, or no flow run is Submitted or Running.
        """
        self.keyring.require_runner(caller, tenant_id)
        active = self._active_runs(tenant_id)
        if not active:
            raise Unauthenticated(
                "AuthenticationError: Forbidden: the value of a secret can only be read "
                "while a flow run is Submitted or Running"
            )
        return [row["id"] for row in active]

    def _active_runs(self, tenant_id: str) -> List[Row]:
        # Submitted: `prefect execute flow-run` reads `storage.secrets` before it loads the flow and sets Running.
        runs = [row for state in ("Submitted", "Running") for row in self.store.linked("flow_run", "state", state)]
        return [row for row in runs if row["tenant_id"] == tenant_id]

    def describe_active_runs(self, tenant_id: str) -> str:
        """Return the flow and the name of each flow run that is Submitted or Running."""
        flows = [(self.store.get("flow", row["flow_id"]), row) for row in self._active_runs(tenant_id)]
        return "; ".join(f"{flow['name'] if flow else 'flow'}, {row['name']}" for flow, row in flows)


@lru_cache(maxsize=None)
def load() -> None:
    """Import graphql-core and everything else that operations need, while no other thread can fork."""
    with importing:
        from pytest_flowsecrets.backend import resolvers
        from pytest_flowsecrets.backend.graphql import execution  # noqa: F401 - imports graphql-core

        resolvers.load()


def _seconds() -> float:
    """Return the time of a monotonic clock that no library freezes."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
