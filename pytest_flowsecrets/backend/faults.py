"""Faults on demand: what an API, or the network before it, can do to the next operations.

``prefect_cloud.faults.status(503, times=2, on="create_flow_run")`` and its like each add one fault. It waits for the
operations that it is about, answers the next ``times`` of them, and is then used up. Of several faults that fit, the
one that was added first answers. In a ``with`` statement a fault lives until its end.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Mapping, Optional, Tuple

from pytest_flowsecrets.backend.fault_matching import FaultedOperation, Match, Which, asked_of, check_seconds, path_of
from pytest_flowsecrets.backend.graphql.document_masking import Outline
from pytest_flowsecrets.backend.http.graphql_http import read_operation, write_error, write_fault
from pytest_flowsecrets.backend.messages import HttpFault, Response
from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from pytest_flowsecrets.backend.messages import Operation, Request
    from pytest_flowsecrets.backend.records.keys import Caller

_TOLD = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


# What becomes of an operation: carry it out (the argument) or do not, and give a response.
Act = Callable[["Request", Callable[[], Response]], Response]


class Fault:
    """One fault. Made by the methods of ``faults``.

    Attributes:
        hits: the operations that it has answered, oldest first.
    """

    def __init__(self, faults: Faults, told: str, act: Act, match: Match) -> None:
        self._faults, self._told, self._act, self._match = faults, told, act, match
        self.hits: List[FaultedOperation] = []

    @property
    def left(self) -> float:
        """How many operations it still answers; ``math.inf`` without an end, 0 when it is used up or removed."""
        return self._match.times - len(self.hits) if self in self._faults else 0

    def remove(self) -> None:
        """Take it away; does nothing if it is gone."""
        self._faults.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __str__(self) -> str:
        return self._told

    def __repr__(self) -> str:
        left = "for ever" if self.left == math.inf else f"{self.left:.0f} left"
        return f"<{self._told} {self._match}, {len(self.hits)} used, {left}>"

    def answering(self, asked: FaultedOperation) -> Optional[Fault]:
        """This fault, if it is about an operation; another one, if ``when`` fails."""
        try:
            return self if self._match.fits(asked) else None
        except Exception as error:  # noqa: BLE001 - it is the test's own function; its text may hold a value
            told = f"the function `when` of a fault ({self}) raised {type(error).__name__}"
        return Fault(self._faults, "a `when` that failed", lambda request, _: write_error(request, told), Match())

    def answer(self, request: Request, carry_out: Callable[[], Response]) -> Response:
        """Do what it is there for."""
        if self._match.after:
            time.sleep(self._match.after)
        return self._act(request, carry_out)


class Faults:
    """The faults of one API, in the order in which they were added.

    Every method that adds one takes, by keyword:

    - ``times``: how many operations it answers (1); None for ever;
    - ``on``: only operations with this root field, such as ``"set_secret"``, in either spelling; one that the API has;
    - ``kind``: only a ``"query"``, or only a ``"mutation"``;
    - ``when``: only operations for which this function is true; it is given a ``FaultedOperation``;
    - ``after``: seconds to wait before.

    All raise UsageError at once if an argument is wrong.
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
        """An error of GraphQL with its ``path``, at HTTP 200 and without data, as resolvers of the real API give it.

        Args:
            message: its text.
            code: ``extensions.code``; Prefect's clients know ``UNAUTHENTICATED``, ``VERSION_LOCKING_ERROR`` and
                ``API_ERROR``.
            which: see the class.
        """
        if not (isinstance(message, str) and message and isinstance(code, str) and code):
            raise UsageError("a GraphQL error has a message and a code, both of them texts")

        def act(request: Request, _: Callable[[], Response]) -> Response:
            return write_error(request, message, code, path_of(read_operation(request), which.get("on")))

        return self._add(f"GraphQL error {code}", act, which)

    def status(self, status: int, *, retry_after: Optional[float] = None, **which: Unpack[Which]) -> Fault:
        """A status of HTTP instead of an answer; the operation is not carried out.

        Args:
            status: from 400 to 599.
            retry_after: seconds for the header ``Retry-After``, with 429 and 503.
            which: see the class.
        """
        if type(status) is not int or not 400 <= status <= 599:  # noqa: PLR2004
            raise UsageError(f"status={status!r} is no error of HTTP: those are 400 to 599")
        headers: Tuple[Tuple[str, str], ...] = ()
        if retry_after is not None:
            check_seconds("retry_after", retry_after)
            headers = (("Retry-After", str(math.ceil(retry_after))),)
        fault = HttpFault(status, _TOLD.get(status, f"HTTP {status}"), headers)
        return self._add(f"HTTP {status}", lambda request, _: write_fault(request, fault), which)

    def invalid_json(self, **which: Unpack[Which]) -> Fault:
        """HTTP 200 with JSON that ends in the middle; the operation is not carried out."""
        return self._add("invalid JSON", lambda request, _: _with_body(request, b'{"data": {'), which)

    def empty_body(self, **which: Unpack[Which]) -> Fault:
        """HTTP 200 without a body; the operation is not carried out."""
        return self._add("empty body", lambda request, _: _with_body(request, b""), which)

    def delay(self, seconds: float, **which: Unpack[Which]) -> Fault:
        """The right answer, ``seconds`` later."""
        check_seconds("seconds", seconds)
        return self._add(f"delay of {seconds:g} s", lambda _, carry_out: carry_out(), {**which, "after": seconds})

    def cut(self, where: str = "before", *, carried_out: bool = True, **which: Unpack[Which]) -> Fault:
        """The connection is cut, while the answer is on its way.

        Args:
            where: ``"before"`` the first byte of the answer, or ``"within"`` its body.
            carried_out: whether the operation has been carried out, only its answer being lost; else nothing was done.
            which: see the class.
        """
        if where not in ("before", "within"):
            raise UsageError(f"where={where!r}: the connection can be cut 'before' the answer or 'within' its body")
        sent = 0.0 if where == "before" else 0.5

        def act(request: Request, carry_out: Callable[[], Response]) -> Response:
            response = carry_out() if carried_out else _with_body(request, b'{"data": null}')
            return replace(response, sent=sent)

        return self._add(f"connection cut {where} the answer", act, which)

    def _add(self, told: str, act: Act, which: Mapping[str, Any]) -> Fault:
        unknown = sorted(set(which) - set(Which.__annotations__))
        if unknown:
            raise UsageError(f"a fault takes no {unknown[0]}: it takes {', '.join(Which.__annotations__)}")
        times = which.get("times", 1)
        match = Match(**{**which, "times": math.inf if times is None else times})
        match.check_field(self._backend)
        fault = Fault(self, told, act, match)
        with self._lock:
            self._faults.append(fault)
        return fault

    # -- what became of them ------------------------------------------------------------------------------------------

    @property
    def unused(self) -> List[Fault]:
        """The faults that have not answered as often as they should have; of those without an end, that never have."""
        return [fault for fault in self._faults if fault.left != math.inf or not fault.hits]

    def discard(self, fault: Fault) -> None:
        """Take a fault away; does nothing if it is gone."""
        with self._lock:
            if fault in self._faults:
                self._faults.remove(fault)

    def clear(self) -> None:
        """Take all faults away."""
        with self._lock:
            self._faults.clear()

    # -- for the API --------------------------------------------------------------------------------------------------

    def take(self, operation: Operation, caller: Optional[Caller]) -> Tuple[Optional[Fault], Outline]:
        """The fault that answers an operation, if there is one, which then counts as used."""
        if not self._faults:
            return None, Outline("", ())
        asked = asked_of(operation, caller)
        with self._lock:
            fault = next(filter(None, (fault.answering(asked) for fault in self._faults)), None)
            if fault is not None:
                fault.hits.append(asked)
                if fault in self._faults and fault.left <= 0:
                    self._faults.remove(fault)
        return fault, Outline(asked.kind, asked.fields)


def _with_body(request: Request, body: bytes) -> Response:
    return replace(write_fault(request, HttpFault(200, "")), body=body)
