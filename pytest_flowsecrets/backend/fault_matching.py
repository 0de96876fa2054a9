"""Which operations a fault is about."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Tuple, TypedDict

from pytest_flowsecrets.backend.graphql.document_masking import outline, own_values, root_fields, sets_secrets, shown
from pytest_flowsecrets.backend.request_log import plain
from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.messages import Operation
    from pytest_flowsecrets.backend.records.keys import Caller

KINDS = ("query", "mutation")


@dataclass(frozen=True)
class FaultedOperation:
    """The operation that a fault's ``when`` is asked about.

    Attributes:
        kind: ``query`` or ``mutation``.
        fields: the root fields, in the spelling of the client.
        query: the document.
        variables: as they were sent. Here as in the document, null stands for the value that a secret is set to; of a
            document that would set one and cannot be read both are told by length.
        scope: of the key: ``USER``, ``RUNNER`` or None.
        tenant_id: the tenant that it is about, or None.
    """

    kind: str
    fields: Tuple[str, ...]
    query: str
    variables: Mapping[str, Any]
    scope: Optional[str]
    tenant_id: Optional[str]

    def __repr__(self) -> str:
        return f"<{self.kind} {', '.join(self.fields)}>"


When = Callable[[FaultedOperation], Any]


class Which(TypedDict, total=False):
    """The arguments that every fault takes; see ``Faults``."""

    times: Optional[int]
    on: Optional[str]
    kind: Optional[str]
    when: Optional[When]
    after: float


@dataclass(frozen=True)
class Match:
    """Which operations a fault is about, and how many of them; see the arguments of ``Faults.status``.

    Raises:
        UsageError: an argument is wrong.
    """

    on: Optional[str] = None
    kind: Optional[str] = None
    when: Optional[When] = None
    times: float = 1
    after: float = 0.0

    def __post_init__(self) -> None:
        if not (self.on is None or (isinstance(self.on, str) and self.on.isidentifier())):
            raise UsageError(f"on={self.on!r} is no root field; write one such as 'set_secret'")
        if self.kind not in (None, *KINDS):
            raise UsageError(f"kind={self.kind!r} is neither 'query' nor 'mutation'")
        if not (self.when is None or callable(self.when)):
            raise UsageError("when has to be a function that takes the operation and says whether the fault is for it")
        if self.times != math.inf and (type(self.times) is not int or self.times < 1):
            raise UsageError(f"times={self.times!r} is no number from 1 on; None is for ever")
        check_seconds("after", self.after)

    def check_field(self, backend: str) -> None:
        """Check that an API has the root field, so that the fault can come to pass.

        Raises:
            UsageError: it has none of that name, or none of that kind.
        """
        if self.on is None:
            return
        from pytest_flowsecrets.backend.graphql.schema import root_fields

        kinds = root_fields(backend)
        there = {plain(name): name for name in kinds}  # of both spellings the one with underscores
        name = there.get(plain(self.on))
        if name is None:
            near = [there[one] for one in get_close_matches(plain(self.on), there, n=3)]
            told = f"near ones are {', '.join(near)}" if near else "take one of those that `requests` shows"
            raise UsageError(f"on={self.on!r} is no root field of Prefect {backend.capitalize()}: {told}")
        if self.kind is not None and kinds[name] not in (self.kind, ""):
            raise UsageError(f"on={self.on!r} is a {kinds[name]}, so kind={self.kind!r} never comes to pass")

    def __str__(self) -> str:
        parts = [self.kind or "", self.on or "", "that `when` picks" if self.when else ""]
        return "on " + (" ".join(part for part in parts if part) or "any operation")

    def fits(self, asked: FaultedOperation) -> bool:
        """Whether this is one of them."""
        named = self.on is None or plain(self.on) in map(plain, asked.fields)
        return named and self.kind in (None, asked.kind) and (self.when is None or bool(self.when(asked)))


def asked_of(operation: Operation, caller: Optional[Caller]) -> FaultedOperation:
    """An operation as `when` sees it."""
    kind, fields = outline(operation.query, operation.name)
    query, variables = operation.query, operation.variables
    if sets_secrets(query):
        own = own_values(query)
        query, variables = own.taken_out(query, variables) if own else shown(query, variables, own)
    scope, tenant_id = (caller.scope, caller.tenant_id) if caller else (None, None)
    return FaultedOperation(kind, fields, query, variables, scope, tenant_id)


def path_of(operation: Operation, on: Optional[str]) -> List[str]:
    """Return the ``path`` of an error of a root field: its alias, or else its name.

    Args:
        operation: the operation.
        on: the root field, in either spelling; by default the first one.
    """
    fields = root_fields(operation.query, operation.name)[1]
    named = [field for field in fields if on is None or plain(field.name.value) == plain(on)]
    return [(field.alias or field.name).value for field in named[:1]]


def check_seconds(name: str, value: Any) -> None:
    """Check that this is a length of time.

    Raises:
        UsageError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise UsageError(f"{name}={value!r} is no number of seconds")
