"""Warnings about a test's secrets, placed where no source line is shown that may hold one."""

from __future__ import annotations

import linecache
import os
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_OWN = (_PACKAGE, os.path.join(os.path.dirname(os.__file__), "contextlib"))


def warn_user(warning: Warning) -> None:
    """Issue a warning at the function outside of this package in which a secret was given."""
    frame = sys._getframe(1)  # noqa: SLF001 - as `warnings.warn` does; its own stacklevel would show the source line
    while frame.f_back and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    warn_at(warning, frame.f_code, frame.f_globals.get("__name__", "__main__"))


def warn_at(warning: Warning, code: CodeType, module: str) -> None:
    """Issue a warning at the ``def`` line of a function.

    Whoever prints a warning prints its source line too, and a marker's line or an assignment shows the value.
    """
    warnings.warn_explicit(warning, type(warning), code.co_filename, _line_of_def(code), module)


def _line_of_def(code: CodeType) -> int:
    """The line of ``def``, below any decorators; 0, which no file has, where there is none."""
    starts = (f"def {code.co_name}(", f"async def {code.co_name}(")
    for number in range(code.co_firstlineno, code.co_firstlineno + 100):
        if linecache.getline(code.co_filename, number).lstrip().startswith(starts):
            return number
    return 0
