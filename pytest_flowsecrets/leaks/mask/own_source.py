"""The lines of a test's own file in a traceback. A secret in them is a literal, and not a leak."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Set

_ERROR = "E   "  # prefix of the traceback lines that show the error; the prefix of source lines has the same length


class OwnSource(NamedTuple):
    """The source of the test that a report is about.

    Attributes:
        path: the file of the test, relative to the root directory, with slashes.
        mask: masks a text without recording a finding.
    """

    path: str
    mask: Callable[[Any], Any]

    def lines_of(self, entry: Any) -> Set[str]:
        """Return the lines of the test's file, without indentation, if an entry of a traceback is in this file."""
        shown = getattr(getattr(entry, "reprfileloc", None), "path", None)
        if not isinstance(shown, str) or not self.path:
            return set()
        import linecache
        from pathlib import Path

        path = Path(shown).absolute()
        if not path.as_posix().endswith(f"/{self.path}"):
            return set()
        return {line.strip() for line in linecache.getlines(str(path))}


def is_source(line: str, own: Set[str]) -> bool:
    """Return whether a line of a traceback shows a line of the source.

    Args:
        line: the line of the traceback.
        own: the lines of the source, without indentation.
    """
    return not line.startswith(_ERROR) and line[len(_ERROR) :].strip() in own
