"""Errors of ours that show no argument of the call that raised them.

A traceback prints the arguments of its functions, and those of ours are secrets. So what these functions raise on
purpose starts at the line of their caller.
"""

from __future__ import annotations

from functools import wraps
from types import TracebackType
from typing import Any, Callable, Optional, TypeVar, cast

from pytest_flowsecrets.errors import FlowSecretsError, SecretChangedWarning, TomlDialectWarning

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
