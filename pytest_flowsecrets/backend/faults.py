"""Injected faults of an API or of the network.

``prefect_cloud.faults.status(503, times=2, on="create_flow_run")`` adds a fault. It answers the next ``times``
operations that match, and is then used up. If several faults match, the one that was added first answers. In a ``with``
statement, a fault is removed at the end of the block.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Mapping, Optional, Tuple

from pytest_flowsecrets.backend.fault_matching import (
    FaultedOperation,
    Match,
    Which,
    check_seconds,
    describe_operation,
    path_of,
)
from pytest_flowsecrets.backend.graphql.document_masking import Outline
from pytest_flowsecrets.backend.http.graphql_http import read_operation, write_error, write_fault
from pytest_flowsecrets.backend.messages import HttpFault, Response
from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from pytest_flowsecrets.backend.messages import Operation, Request
    from pytest_flowsecrets.backend.records.keys import Caller

_MESSAGES = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


# Return the response to a request. The second argument executes the operation, and returns its real response.
Act = Callable[["Request", Callable[[], Response]], Response]


class Fault:
    """One fault. The methods of ``faults`` create it.

    Attributes:
        hits: the operations that it has answered, oldest first.
    """

    def __init__(self, faults: Faults, description: str, act: Act, match: Match) -> None:
        self._faults, self._description, self._act, self._match = faults, description, act, match
        self.hits: List[FaultedOperation] = []

    @property
    def left(self) -> float:
        """The number of operations that it still answers. ``math.inf`` if unlimited, 0 if used up or removed."""
        return self._match.times - len(self.hits) if self in self._faults else 0

    def remove(self) -> None:
        """Remove the fault. Do nothing if it is used up or removed."""
        self._faults.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __str__(self) -> str:
        return self._description

    def __repr__(self) -> str:
        left = "unlimited" if self.left == math.inf else f"{self.left:.0f} left"
        return f"<{self._description} {self._match}, {len(self.hits)} used, {left}>"

    def for_operation(self, operation: FaultedOperation) -> Optional[Fault]:
        """Return this fault if it matches an operation, or a fault that reports the error if ``when`` raises one."""
        try:
            return self if self._match.accepts(operation) else None
        except Exception as error:  # noqa: BLE001 - the test's own function; its text may contain a value
            message = f"the function `when` of a fault ({self}) raised {type(error).__name__}"
        return Fault(self._faults, "a `when` that failed", lambda request, _: write_error(request, message), Match())

    def answer(self, request: Request, execute: Callable[[], Response]) -> Response:
        """Return the response to a request, after the delay of ``after``."""
        if self._match.after:
            time.sleep(self._match.after)
        return self._act(request, execute)


class Faults:
    """The faults of one API, in the order in which they were added.

    Each method that adds a fault takes these keyword arguments:

    - ``times``: the number of operations that it answers, by default 1; None for all;
    - ``on``: only operations with this root field of the API, such as ``"set_secret"``, in either spelling;
    - ``kind``: only ``"query"``, or only ``"mutation"``;
    - ``when``: only operations for which this function is true; its argument is a ``FaultedOperation``;
    - ``after``: seconds to wait before the answer.

    These methods raise UsageError if an argument is not valid.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._faults: List[Fault] = []

    def __repr__(self) -> str:
        return f"<faults: {', '.join(map(repr, self._faults)) or 'none'}>"

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self._faults))

    def __len__(self) -> int:
        return len(self._faults)

    def __contains__(self, fault: object) -> bool:
        return fault in self._faults

    # -- kinds of faults ----------------------------------------------------------------------------------------------

    def graphql_error(self, message: str, *, code: str = "INTERNAL_SERVER_ERROR", **which: Unpack[Which]) -> Fault:
        """Answer with a GraphQL error with its ``path``: HTTP 200 without data, as resolvers of the real API do.

        Args:
            message: the text of the error.
            code: ``extensions.code``; Prefect's clients handle ``UNAUTHENTICATED``, ``VERSION_LOCKING_ERROR`` and
                ``API_ERROR``.
            which: see the class.
        """
        if not (isinstance(message, str) and message and isinstance(code, str) and code):
            raise UsageError("the message and the code of a GraphQL error must be texts that are not empty")

        def act(request: Request, _: Callable[[], Response]) -> Response:
            return write_error(request, message, code, path_of(read_operation(request), which.get("on")))

        return self._add(f"GraphQL error {code}", act, which)

    def status(self, status: int, *, retry_after: Optional[float] = None, **which: Unpack[Which]) -> Fault:
        """Answer with an HTTP error. The operation is not executed.

        Args:
            status: from 400 to 599.
            retry_after: seconds for the header ``Retry-After``, for 429 and 503.
            which: see the class.
        """
        if type(status) is not int or not 400 <= status <= 599:  # noqa: PLR2004
            raise UsageError(f"status={status!r} is not an HTTP error (400-599)")
        headers: Tuple[Tuple[str, str], ...] = ()
        if retry_after is not None:
            check_seconds("retry_after", retry_after)
            headers = (("Retry-After", str(math.ceil(retry_after))),)
        fault = HttpFault(status, _MESSAGES.get(status, f"HTTP {status}"), headers)
        return self._add(f"HTTP {status}", lambda request, _: write_fault(request, fault), which)

    def invalid_json(self, **which: Unpack[Which]) -> Fault:
        """Answer with HTTP 200 and truncated JSON. The operation is not executed."""
        return self._add("invalid JSON", lambda request, _: _with_body(request, b'{"data": {'), which)

    def empty_body(self, **which: Unpack[Which]) -> Fault:
        """Answer with HTTP 200 and an empty body. The operation is not executed."""
        return self._add("empty body", lambda request, _: _with_body(request, b""), which)

    def delay(self, seconds: float, **which: Unpack[Which]) -> Fault:
        """Answer correctly, ``seconds`` later."""
        check_seconds("seconds", seconds)
        return self._add(f"delay of {seconds:g} s", lambda _, execute: execute(), {**which, "after": seconds})

    def cut(self, where: str = "before", *, carried_out: bool = True, **which: Unpack[Which]) -> Fault:
        """Close the connection before the client has received the answer.

        Args:
            where: ``"before"`` the first byte of the answer, or ``"within"`` its body.
            carried_out: whether the operation is executed before, so that only its answer is lost.
            which: see the class.
        """
        if where not in ("before", "within"):
            raise UsageError(f"where={where!r}: the connection can be cut 'before' the answer or 'within' its body")
        fraction = 0.0 if where == "before" else 0.5

        def act(request: Request, execute: Callable[[], Response]) -> Response:
            response = execute() if carried_out else _with_body(request, b'{"data": null}')
            return replace(response, sent=fraction)

        return self._add(f"connection cut {where} the answer", act, which)

    def _add(self, description: str, act: Act, which: Mapping[str, Any]) -> Fault:
        unknown = sorted(set(which) - set(Which.__annotations__))
        if unknown:
            raise UsageError(f"unknown argument {unknown[0]}: a fault takes {', '.join(Which.__annotations__)}")
        times = which.get("times", 1)
        match = Match(**{**which, "times": math.inf if times is None else times})
        match.check_field(self._backend)
        fault = Fault(self, description, act, match)
        with self._lock:
            self._faults.append(fault)
        return fault

    # -- state --------------------------------------------------------------------------------------------------------

    @property
    def unused(self) -> List[Fault]:
        """The faults that are not used up. An unlimited fault is unused if it has never answered."""
        return [fault for fault in self._faults if fault.left != math.inf or not fault.hits]

    def discard(self, fault: Fault) -> None:
        """Remove a fault. Do nothing if it is used up or removed."""
        with self._lock:
            if fault in self._faults:
                self._faults.remove(fault)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    # -- for the API --------------------------------------------------------------------------------------------------

    def take(self, operation: Operation, caller: Optional[Caller]) -> Tuple[Optional[Fault], Outline]:
        """Return the fault that answers an operation, or None, and the outline of the operation. Count the use."""
        if not self._faults:
            return None, Outline("", ())
        described = describe_operation(operation, caller)
        with self._lock:
            fault = next(filter(None, (fault.for_operation(described) for fault in self._faults)), None)
            if fault is not None:
                fault.hits.append(described)
                if fault in self._faults and fault.left <= 0:
                    self._faults.remove(fault)
        return fault, Outline(described.kind, described.fields)


def _with_body(request: Request, body: bytes) -> Response:
    return replace(write_fault(request, HttpFault(200, "")), body=body)
