"""The answer to a proposed state, which is the same for flow runs and task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_flowsecrets.backend.rest.call import Reply
from pytest_flowsecrets.backend.rest.errors import PlainApiError
from pytest_flowsecrets.backend.rest.rules import orchestration

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.store.table import Table


_KINDS = {"flow_run": "Flow run", "task_run": "Task run"}


def answer_proposal(call: Call, kind: str, runs: Table) -> Reply:
    """Propose the state of a request, and return 201 if the run changed its state, 200 if it did not.

    Args:
        call: the request, with the fields ``state`` and ``force``.
        kind: ``flow_run`` or ``task_run``.
        runs: the table of runs; the orchestration rules decide which state the run gets.

    Raises:
        PlainApiError: 404, there is no such run.
    """
    run = runs.get(call.id)
    if run is None:
        raise PlainApiError(404, f"{_KINDS[kind]} with id {call.id} not found")
    before = run.get("state")
    force = bool(call.fields.get("force"))
    verdict = orchestration.propose(call.view, kind, run, call.fields["state"], force=force)
    return Reply(200 if run.get("state") is before else 201, orchestration.result(run, verdict))
