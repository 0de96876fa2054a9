"""A World: one fake API with its own rows, keys, secrets and clock. A request in, a response out; no sockets."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Callable, NoReturn, Optional, Sequence

from pytest_flowsecrets.backend.client_errors import ApiError, Unauthenticated
from pytest_flowsecrets.backend.faults import Faults
from pytest_flowsecrets.backend.http.graphql_http import internal_fault, read_operation, write_answer, write_fault
from pytest_flowsecrets.backend.import_lock import importing
from pytest_flowsecrets.backend.messages import Answer, HttpFault, Operation, Request, Response
from pytest_flowsecrets.backend.records.keys import Caller, Keyring
from pytest_flowsecrets.backend.records.secret_store import Vault
from pytest_flowsecrets.backend.records.store import Store
from pytest_flowsecrets.backend.request_log import Journal
from pytest_flowsecrets.clock import now as utc_now

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Mapping


class World:
    """One fake API: Prefect Cloud or Prefect Server.

    Args:
        backend: ``cloud`` or ``server``, as Prefect's configuration calls them.
        now: the clock from which every timestamp comes; aware, in UTC.
    """

    def __init__(self, backend: str = "cloud", now: Optional[Callable[[], datetime]] = None) -> None:
        self.backend = backend
        self.now = now or utc_now
        self.store = Store(self.now)
        self.keyring = Keyring(self.now, open_to_all=backend == "server")
        self.vault: Vault = Vault(self.now, self._readers)
        self.journal = Journal()
        self.faults = Faults(backend)

    def __repr__(self) -> str:
        return f"<World {self.backend}>"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a fake API can neither be pickled nor copied: its secrets are write-only")

    def answer(self, request: Request) -> Response:
        """Return the response to a request.

        Never raises: a fault of this API is a 400, because Prefect's clients repeat what gets a 5xx for a minute.
        """
        try:
            return self._answer(request)
        except Exception as error:  # noqa: BLE001 - its text and its frames may hold values
            self.journal.forgotten += 1
            return write_fault(request, internal_fault(400, error))

    def _answer(self, request: Request) -> Response:
        at, began = self.now(), _seconds()
        try:
            operation = read_operation(request)
        except HttpFault as refused:
            self.journal.record(request, at=at, seconds=_seconds() - began, status=refused.status)
            return write_fault(request, refused)
        load()
        caller = self.caller(request.headers)
        fault, outline = self.faults.take(operation, caller)
        answer = Answer(kind=outline.kind, fields=outline.fields)

        def carry_out() -> Response:
            nonlocal answer
            answer = self.execute(operation, caller)
            return write_answer(request, answer)

        response = fault.answer(request, carry_out) if fault else carry_out()
        self.journal.record(
            request,
            at=at,
            seconds=_seconds() - began,
            status=response.status,
            operation=operation,
            caller=caller,
            kind=answer.kind,
            fields=answer.fields,
            codes=tuple(error["extensions"]["code"] for error in answer.errors if "extensions" in error),
            fault=str(fault or ""),
        )
        return response

    def execute(self, operation: Operation, caller: Caller) -> Answer:
        """Validate and run an operation. Never raises: whatever goes wrong is an error of the answer."""
        from pytest_flowsecrets.backend.graphql.execution import run

        return run(operation, self, caller)

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Who sent a request; one whose key is not good is somebody, too, but gets nothing."""
        try:
            return self.keyring.caller(headers)
        except ApiError as refusal:
            return Caller(refusal=refusal)

    def _readers(self, tenant_id: str, caller: Caller) -> Sequence[str]:
        """Who may read secrets: an agent's key, while a flow run of its tenant is Submitted or Running.

        Raises:
            Unauthenticated: anybody else, or not now.
        """
        self.keyring.require_runner(caller, tenant_id)
        # Submitted: `prefect execute flow-run` reads `storage.secrets` before it loads the flow and sets Running.
        found = [row for state in ("Submitted", "Running") for row in self.store.linked("flow_run", "state", state)]
        running = [row["id"] for row in found if row["tenant_id"] == tenant_id]
        if not running:
            raise Unauthenticated(
                "AuthenticationError: Forbidden: a secret's value can be read "
                "while a flow run is Submitted or Running only"
            )
        return running


@lru_cache(maxsize=None)
def load() -> None:
    """Import all that operations need, graphql-core among it, while no other thread can fork."""
    with importing:
        from pytest_flowsecrets.backend import resolvers
        from pytest_flowsecrets.backend.graphql import execution  # noqa: F401 - imports graphql-core

        resolvers.load()


def _seconds() -> float:
    """A clock for durations that nothing freezes."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
