"""The error for a file that cannot be checked."""

from __future__ import annotations

from typing import Optional

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.resolution.display import one_line


class Unreadable(UsageError):  # noqa: N818
    """A file that cannot be checked."""

    def __init__(self, path: str, reason: str, line: Optional[int] = None, column: Optional[int] = None) -> None:
        super().__init__(path, reason, line, column)
        self.path, self.reason, self.line, self.column = path, reason, line, column

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        return one_line(f"{place}: {self.reason}")
