"""The conditions under which a fault answers an operation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Tuple, TypedDict

from pytest_flowsecrets.backend.graphql.document_masking import outline, own_values, root_fields, sets_secrets, shown
from pytest_flowsecrets.backend.request_log import normalize
from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.messages import Operation
    from pytest_flowsecrets.backend.records.keys import Caller

KINDS = ("query", "mutation")


@dataclass(frozen=True)
class FaultedOperation:
    """The operation that is the argument of a fault's ``when``.

    In document and variables, null replaces the value that a secret is set to. For a document that may set a secret
    and is not valid, both show lengths only.

    Attributes:
        kind: ``query`` or ``mutation``.
        fields: the names of the root fields, as the client spelled them.
        query: the document.
        variables: the variables as the client sent them.
        scope: the scope of the key: ``USER``, ``RUNNER`` or None.
        tenant_id: the tenant of the request, or None.
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
    """The arguments of all faults; see ``Faults``."""

    times: Optional[int]
    on: Optional[str]
    kind: Optional[str]
    when: Optional[When]
    after: float


@dataclass(frozen=True)
class Match:
    """The operations that a fault answers, and their number; see ``Faults`` for the arguments.

    Raises:
        UsageError: an argument is not valid.
    """

    on: Optional[str] = None
    kind: Optional[str] = None
    when: Optional[When] = None
    times: float = 1
    after: float = 0.0

    def __post_init__(self) -> None:
        _check_on(self.on)
        if self.kind not in (None, *KINDS):
            raise UsageError(f"kind={self.kind!r} is neither 'query' nor 'mutation'")
        if not (self.when is None or callable(self.when)):
            raise UsageError(
                "when must be a function that takes the operation and returns whether the fault answers it"
            )
        _check_times(self.times)
        check_seconds("after", self.after)

    def check_field(self, backend: str) -> None:
        """Check that the API has the root field, because otherwise the fault would never answer.

        Raises:
            UsageError: the API has no root field with this name and kind.
        """
        if self.on is None:
            return
        from pytest_flowsecrets.backend.graphql.schema import root_fields

        kinds = root_fields(backend)
        names = {normalize(name): name for name in kinds}  # of both spellings, the one with underscores
        name = names.get(normalize(self.on))
        if name is None:
            similar = [names[match] for match in get_close_matches(normalize(self.on), names, n=3)]
            hint = f"similar ones are {', '.join(similar)}" if similar else "see the fields in `requests`"
            raise UsageError(f"on={self.on!r} is not a root field of Prefect {backend.capitalize()}: {hint}")
        if self.kind is not None and kinds[name] not in (self.kind, ""):
            raise UsageError(f"on={self.on!r} is a {kinds[name]}, so kind={self.kind!r} never matches")

    def __str__(self) -> str:
        parts = [self.kind or "", self.on or "", "that `when` selects" if self.when else ""]
        return "on " + (" ".join(part for part in parts if part) or "any operation")

    def accepts(self, operation: FaultedOperation) -> bool:
        """Return whether the fault answers an operation."""
        named = self.on is None or normalize(self.on) in map(normalize, operation.fields)
        return named and self.kind in (None, operation.kind) and (self.when is None or bool(self.when(operation)))


def _check_on(name: Any) -> None:
    if name is not None and not (isinstance(name, str) and name.isidentifier()):
        raise UsageError(f"on={name!r} is not a root field such as 'set_secret'")


def _check_times(number: Any) -> None:
    if number != math.inf and (type(number) is not int or number < 1):
        raise UsageError(f"times={number!r} is not an integer of at least 1, or None for all operations")


def describe_operation(operation: Operation, caller: Optional[Caller]) -> FaultedOperation:
    """Return an operation as the argument of ``when``, without values that set secrets."""
    kind, fields = outline(operation.query, operation.name)
    query, variables = operation.query, operation.variables
    if sets_secrets(query):
        own = own_values(query)
        query, variables = own.remove_from(query, variables) if own else shown(query, variables, own)
    scope, tenant_id = (caller.scope, caller.tenant_id) if caller else (None, None)
    return FaultedOperation(kind, fields, query, variables, scope, tenant_id)


def path_of(operation: Operation, on: Optional[str]) -> List[str]:
    """Return the ``path`` of an error in a root field: its alias, or else its name.

    Args:
        operation: the operation.
        on: the root field, in either spelling; by default the first one.
    """
    fields = root_fields(operation.query, operation.name)[1]
    named = [field for field in fields if on is None or normalize(field.name.value) == normalize(on)]
    return [(field.alias or field.name).value for field in named[:1]]


def check_seconds(name: str, value: Any) -> None:
    """Check that a value is a duration in seconds.

    Raises:
        UsageError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise UsageError(f"{name}={value!r} is not a number of seconds")
