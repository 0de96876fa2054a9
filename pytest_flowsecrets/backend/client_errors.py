"""Errors that resolvers raise and that clients receive."""

from __future__ import annotations

from typing import Dict


class ApiError(Exception):
    """A field cannot be resolved. The client receives the message, so it must not contain a value.

    Clients act on ``code``: for ``UNAUTHENTICATED`` they raise ``AuthorizationError``, for ``VERSION_LOCKING_ERROR``
    ``VersionLockMismatchSignal``, and after ``API_ERROR`` they retry.
    """

    def __init__(self, message: str, code: str = "INTERNAL_SERVER_ERROR") -> None:
        super().__init__(message)
        self.extensions: Dict[str, str] = {"code": code}  # graphql-core reads this attribute


class Unauthenticated(ApiError):  # noqa: N818
    """The key is missing, not valid, or does not permit the operation."""

    def __init__(self, message: str = "Unauthenticated") -> None:
        super().__init__(message, "UNAUTHENTICATED")


class BadInput(ApiError):  # noqa: N818
    """An argument that the schema accepts is not valid."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "BAD_USER_INPUT")
