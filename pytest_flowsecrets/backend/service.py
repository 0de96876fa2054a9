"""A World: one fake API with its own rows, keys, secrets and clock. A request in, a response out; no sockets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Callable, NoReturn, Optional, Sequence

from pytest_flowsecrets.backend import messages
from pytest_flowsecrets.backend.client_errors import ApiError, Unauthenticated
from pytest_flowsecrets.backend.faults import Faults
from pytest_flowsecrets.backend.http import graphql_http
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

    def answer(self, request: graphql_http.Request) -> graphql_http.Response:
        """Return the response to a request.

        Never raises: a fault of this API is a 400, because Prefect's clients repeat what gets a 5xx for a minute.
        """
        try:
            return self._answer(request)
        except Exception as error:  # noqa: BLE001 - its text and its frames may hold values
            self.journal.forgotten += 1
            return graphql_http.write_fault(request, graphql_http.internal_fault(400, error))

    def _answer(self, request: graphql_http.Request) -> graphql_http.Response:
        at, began = self.now(), _seconds()
        try:
            operation = graphql_http.read_operation(request)
        except graphql_http.HttpFault as refused:
            self.journal.record(request, at=at, seconds=_seconds() - began, status=refused.status)
            return graphql_http.write_fault(request, refused)
        messages.load()
        caller = self.caller(request.headers)
        fault, outline = self.faults.take(operation, caller)
        answer = messages.Answer(kind=outline.kind, fields=outline.fields)

        def carry_out() -> graphql_http.Response:
            nonlocal answer
            answer = messages.execute(operation, self, caller)
            return graphql_http.write_answer(request, answer)

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


def _seconds() -> float:
    """A clock for durations that nothing freezes."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)
