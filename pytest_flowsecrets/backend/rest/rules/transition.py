"""A state that a client proposes for a run, and what the rules decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

ACCEPT, REJECT, ABORT, WAIT = "ACCEPT", "REJECT", "ABORT", "WAIT"


class Verdict(NamedTuple):
    """What the rules decide.

    Attributes:
        status: ``ACCEPT``, ``REJECT``, ``ABORT`` or ``WAIT``.
        reason: for people; empty when the state is accepted.
        state: fields of the state that is set instead; None leaves the run as it is.
        delay: seconds that a client has to wait.
    """

    status: str
    reason: str = ""
    state: Optional[Row] = None
    delay: Optional[int] = None


class Transition(NamedTuple):
    """A run and the state that a client proposes for it.

    Attributes:
        view: whose run it is.
        kind: ``flow_run`` or ``task_run``.
        run: the row.
        proposed: fields of the state.
    """

    view: View
    kind: str
    run: Row
    proposed: Row

    @property
    def initial(self) -> Row:
        """The state of the run; an empty row before its first one."""
        return self.run.get("state") or {}

    @property
    def before(self) -> Optional[str]:
        """Type of the initial state."""
        return self.initial.get("type")

    @property
    def after(self) -> str:
        """Type of the proposed state."""
        return str(self.proposed["type"])

    def detail(self, name: str) -> Any:
        """Return a detail of the proposed state."""
        return (self.proposed.get("state_details") or {}).get(name)
