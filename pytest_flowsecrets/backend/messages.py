"""The engine: an operation in, an answer out. Imports graphql-core when the first operation is executed, not before."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Tuple

from pytest_flowsecrets.backend.import_lock import importing

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.keys import Caller
    from pytest_flowsecrets.backend.service import World


@dataclass(frozen=True)
class Operation:
    """What a client asks for: a document, the values of its variables, and which of its operations is meant."""

    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    name: Optional[str] = None
    get: bool = False
    """Sent by GET, so that only queries are allowed."""

    def __repr__(self) -> str:
        """Neither the document nor the variables: both may hold a secret's value."""
        return f"<Operation {self.name or 'without a name'}>"


@dataclass(frozen=True)
class Answer:
    """What the client gets, and what the journal wants to know of the operation."""

    data: Any = None
    errors: Sequence[Mapping[str, Any]] = ()
    status: int = 200
    """400 if the operation was refused before any resolver ran, as the real API does; else 200."""
    kind: str = ""
    """``query`` or ``mutation``; empty where the document does not tell."""
    fields: Tuple[str, ...] = ()
    """The root fields that were asked for, without aliases."""

    def __repr__(self) -> str:
        """Without the data: the answer to ``secret_value`` is a value."""
        return f"<Answer {self.status} {self.kind} {', '.join(self.fields)}>"


@lru_cache(maxsize=None)
def load() -> None:
    """Import all that operations need, while no other thread can fork."""
    with importing:
        from pytest_flowsecrets.backend import resolvers
        from pytest_flowsecrets.backend.graphql import execution  # noqa: F401 - imports graphql-core

        resolvers.load()


def execute(operation: Operation, world: World, caller: Caller) -> Answer:
    """Validate and run an operation. Never raises: whatever goes wrong is an error of the answer."""
    from pytest_flowsecrets.backend.graphql.execution import run

    return run(operation, world, caller)
