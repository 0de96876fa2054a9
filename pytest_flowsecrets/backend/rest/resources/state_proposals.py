"""The answer to a proposed state, which is the same for flow runs and task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_flowsecrets.backend.rest.call import Reply
from pytest_flowsecrets.backend.rest.rules import orchestration

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row


def answer_proposal(call: Call, kind: str, run: Row) -> Reply:
    """Propose the state of a request, and return 201 if the run changed its state, 200 if it did not.

    Args:
        call: the request, with the fields ``state`` and ``force``.
        kind: ``flow_run`` or ``task_run``.
        run: the run; the orchestration rules decide which state it gets.
    """
    before = run.get("state")
    force = bool(call.fields.get("force"))
    verdict = orchestration.propose(call.view, kind, run, call.fields["state"], force=force)
    return Reply(200 if run.get("state") is before else 201, orchestration.result(run, verdict))
