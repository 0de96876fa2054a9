"""Files to which a run appends without pytest: those of GitHub Actions, and logs of ``logging.FileHandler``.

Only what was written since the run began is masked, in place, once nothing more is written.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

_OF_GITHUB = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ENV"


class AppendedFiles:
    """Remembers how large each file was before the run wrote to it."""

    def __init__(self) -> None:
        self._sizes: Dict[Path, Tuple[int, str]] = {}  # and what a finding calls the file
        for name in _OF_GITHUB:
            if os.environ.get(name):
                self._remember(Path(os.environ[name]), f"${name}", appends=True)

    def _remember(self, path: Path, name: str, *, appends: bool) -> None:
        size = path.stat().st_size if appends and path.is_file() else 0
        self._sizes.setdefault(path, (size, name))

    def watch_handlers(self) -> Callable[[], None]:
        """Remember the file of each handler that is opened from now on; calling the result ends that."""
        handlers: Any = logging.FileHandler
        opens = handlers._open  # noqa: SLF001 - handlers open their file by it, and by nothing else

        def remember_and_open(handler: Any) -> Any:
            with suppress(OSError):
                path = Path(handler.baseFilename)
                self._remember(path, path.name, appends="a" in handler.mode)
            return opens(handler)

        handlers._open = remember_and_open  # noqa: SLF001
        return lambda: setattr(handlers, "_open", opens)

    def mask(self, clean: Callable[[bytes, str], bytes]) -> None:
        """Mask what was written to each file.

        Args:
            clean: masks bytes, told the place at which they stand.
        """
        for path, (size, name) in self._sizes.items():
            with suppress(OSError):  # it is gone, or not ours
                if path.is_file():
                    _mask_behind(path, size, lambda data, name=name: clean(data, f"file {name}"))  # type: ignore[misc]


def _mask_behind(path: Path, size: int, clean: Callable[[bytes], bytes]) -> None:
    with path.open("rb") as file:
        file.seek(size)
        data = file.read()
    masked = clean(data)
    if masked is not data:
        with path.open("r+b") as file:
            file.seek(size)
            file.write(masked)
            file.truncate()
