"""Errors that resolvers raise and clients see."""

from __future__ import annotations

from typing import Dict


class ApiError(Exception):
    """A field could not be resolved. The text goes to the client as it stands, so it never holds a value.

    ``code`` is what clients branch on: ``UNAUTHENTICATED`` becomes Prefect's ``AuthorizationError``,
    ``VERSION_LOCKING_ERROR`` its ``VersionLockMismatchSignal``, ``API_ERROR`` makes it try again.
    """

    def __init__(self, message: str, code: str = "INTERNAL_SERVER_ERROR") -> None:
        super().__init__(message)
        self.extensions: Dict[str, str] = {"code": code}  # graphql-core looks for this name


class Unauthenticated(ApiError):  # noqa: N818
    """The key is missing, wrong or not allowed to do this."""

    def __init__(self, message: str = "Unauthenticated") -> None:
        super().__init__(message, "UNAUTHENTICATED")


class BadInput(ApiError):  # noqa: N818
    """An argument that the schema lets through and the API does not take."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "BAD_USER_INPUT")
