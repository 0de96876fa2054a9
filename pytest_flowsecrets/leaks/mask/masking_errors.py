"""Errors inside the masking code. They are counted and described without a value, and never reach pytest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, List, Optional, Type

if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE = Path(__file__).parents[2]


class Faults:
    """A context manager that suppresses every ``Exception`` and records where it was raised.

    The caller withholds the text that could not be masked. ``KeyboardInterrupt``, ``pytest.exit`` and ``pytest.fail``
    pass through, because they are not subclasses of ``Exception``.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.add(error)
        return True

    def __len__(self) -> int:
        return sum(self._counts.values())

    def __repr__(self) -> str:
        return f"<Faults {len(self)}>"

    def add(self, error: Exception) -> None:
        """Record an error by its type and place. Its text can contain a value and is not recorded."""
        self.note(f"text withheld because it could not be masked: {type(error).__name__} in {_place_of(error)}")

    def note(self, description: str) -> None:
        """Record another fault, described without a value."""
        self._counts[description] += 1

    def merge(self, counts: Any) -> None:
        """Add the faults of an xdist worker, as pairs of a description and a count."""
        for description, count in counts:
            self._counts[description] += count

    def pairs(self) -> List[List[Any]]:
        """Return pairs of a description and a count, as plain data that xdist can send."""
        return [[description, count] for description, count in sorted(self._counts.items())]

    def unreported_lines(self) -> List[str]:
        """Return a line with a count for each kind of fault that was not reported yet."""
        new, self._reported = self._counts - self._reported, self._counts.copy()
        return [f"{description}: {count}" for description, count in sorted(new.items())]


def _place_of(error: BaseException) -> str:
    """Return the last line of this package that the error passed through."""
    place, traceback = "an unknown place", error.__traceback__
    while traceback is not None:
        path = Path(traceback.tb_frame.f_code.co_filename)
        if _PACKAGE in path.parents:
            place = f"{path.relative_to(_PACKAGE.parent).as_posix()}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
