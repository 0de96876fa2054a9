"""Raise errors and issue warnings without showing arguments or source lines that may hold a value."""

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
_OURS = (FlowSecretsError, SecretChangedWarning, TomlDialectWarning)  # `-W error` raises the warnings


def _without_our_frames(traceback: Optional[TracebackType]) -> Optional[TracebackType]:
    """Return the frames of Prefect and its TOML parser. The frames of this package have secrets as arguments."""
    if traceback is None:
        return None
    rest = _without_our_frames(traceback.tb_next)
    if traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0] == "pytest_flowsecrets":
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)


def hide_arguments(function: Function) -> Function:
    """Make a function raise the errors of this package without its inner frames and its arguments.

    A traceback shows the arguments of functions, and those of this function are secrets.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        safe_error: Exception
        try:
            return function(*args, **kwargs)
        except Exception as error:
            is_ours = isinstance(error, _OURS)
            if not is_ours and kwargs.get("strict", True):
                raise
            # With strict=False, this is Prefect's own error about a file that the test has broken on purpose.
            safe_error = error.with_traceback(None if is_ours else _without_our_frames(error.__traceback__))
        del args, kwargs
        safe_error.__context__ = None
        raise safe_error from None

    return cast("Function", call)


# -- warnings ----------------------------------------------------------------------------------------------------------

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_OWN = (_PACKAGE, os.path.join(os.path.dirname(os.__file__), "contextlib"))


def warn_user(warning: Warning) -> None:
    """Issue a warning for the function outside this package that has set a secret."""
    frame = sys._getframe(1)  # noqa: SLF001 - like `warnings.warn`, whose stacklevel would show the source line
    while frame.f_back and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    warn_at(warning, frame.f_code, frame.f_globals.get("__name__", "__main__"))


def warn_at(warning: Warning, code: CodeType, module: str) -> None:
    """Issue a warning with the ``def`` line of a function as its location.

    The output of a warning includes its source line, and the line of a marker or an assignment contains the value.
    """
    warnings.warn_explicit(warning, type(warning), code.co_filename, _line_of_def(code), module)


def _line_of_def(code: CodeType) -> int:
    """Return the number of the ``def`` line, which is below any decorators, or 0 if there is none."""
    starts = (f"def {code.co_name}(", f"async def {code.co_name}(")
    for number in range(code.co_firstlineno, code.co_firstlineno + 100):
        if linecache.getline(code.co_filename, number).lstrip().startswith(starts):
            return number
    return 0
