"""Errors and warnings of ours that show no argument and no source line that may hold a value."""

from __future__ import annotations

import linecache
import os
import sys
import warnings
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, cast

from pytest_flowsecrets.errors import FlowSecretsError, SecretChangedWarning, TomlDialectWarning

if TYPE_CHECKING:
    from types import CodeType


Function = TypeVar("Function", bound=Callable[..., Any])
_OURS = (FlowSecretsError, SecretChangedWarning, TomlDialectWarning)  # warnings are raised under `-W error`


def _without_our_frames(traceback: Optional[TracebackType]) -> Optional[TracebackType]:
    """Return the part of a traceback that is Prefect's and its TOML parser's: the arguments of ours are secrets."""
    if traceback is None:
        return None
    rest = _without_our_frames(traceback.tb_next)
    if traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0] == "pytest_flowsecrets":
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)


def hide_arguments(function: Function) -> Function:
    """Let a function raise our errors and warnings without the frames below it, and without its arguments."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        told: Exception
        try:
            return function(*args, **kwargs)
        except Exception as error:
            ours = isinstance(error, _OURS)
            if not ours and kwargs.get("strict", True):
                raise
            # With strict=False it is Prefect's own, of a file that the test wanted to be broken.
            told = error.with_traceback(None if ours else _without_our_frames(error.__traceback__))
        del args, kwargs
        told.__context__ = None
        raise told from None

    return cast("Function", call)


# Warnings about a test's secrets, placed where no source line is shown that may hold one.

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
