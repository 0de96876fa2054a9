"""Errors of the REST API, and the checks of what a request holds."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional, Sequence

Row = Dict[str, Any]
UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)

# What the real server says of a second row with the same unique fields, where no handler says more.
CONFLICT = (
    "Data integrity conflict. This usually means a unique or foreign key constraint was violated. "
    "See server logs for details."
)


class ApiError(Exception):
    """A request that the API refuses.

    Args:
        status: of HTTP, 400 to 599.
        detail: what FastAPI calls so: a text, or a list of validation errors.
    """

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(status, detail)
        self.status, self.detail = status, detail

    @property
    def body(self) -> Row:
        """The JSON body of the response."""
        if self.status == 422 and isinstance(self.detail, list):  # noqa: PLR2004 - Unprocessable Content
            return {
                "exception_message": "Invalid request received.",
                "exception_detail": self.detail,
                "request_body": None,
            }
        return {"detail": self.detail}


class NotFoundError(ApiError):
    """404 with a text such as ``Flow not found``."""

    def __init__(self, detail: str) -> None:
        super().__init__(404, detail)


class PlainApiError(ApiError):
    """An error whose body has the key ``exception_message``, as the server's own handlers write it."""

    @property
    def body(self) -> Row:
        """The JSON body of the response."""
        return {"exception_message": self.detail}


class ValidationError(ApiError):
    """422 with one validation error in the form of pydantic.

    Args:
        kind: such as ``missing`` or ``string_type``.
        location: such as ``("body", "name")``.
        message: for people.
    """

    def __init__(self, kind: str, location: Sequence[str], message: str) -> None:
        super().__init__(422, [{"type": kind, "loc": list(location), "msg": message, "input": None}])


def canonical_id(text: str) -> str:
    """Return an id with dashes and in lower case, whatever form the client sent."""
    digits = str(text).replace("-", "").lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def check_range(name: str, value: int, lowest: int, highest: Optional[int]) -> None:
    """Check a number in the body.

    Raises:
        ValidationError: it is too small or too large.
    """
    if value < lowest:
        raise ValidationError(
            "greater_than_equal", ("body", name), f"Input should be greater than or equal to {lowest}"
        )
    if highest is not None and value > highest:
        raise ApiError(422, f"Invalid limit: must be less than or equal to {highest}.")
