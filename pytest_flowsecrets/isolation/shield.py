"""Errors of ours that show no argument of the call that raised them.

A traceback prints the arguments of its functions, and those of ours are secrets. So what these functions raise on
purpose starts at the line of their caller.
"""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable, TypeVar, cast

from pytest_flowsecrets.errors import FlowSecretsError, SecretChangedWarning, TomlDialectWarning

Function = TypeVar("Function", bound=Callable[..., Any])
_OURS = (FlowSecretsError, SecretChangedWarning, TomlDialectWarning)  # warnings are raised under `-W error`


def shielded(function: Function) -> Function:
    """Let a function raise our errors and warnings without the frames below it, and without its arguments."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        told: Exception
        try:
            return function(*args, **kwargs)
        except Exception as error:
            # With strict=False it is Prefect's own, of a file that the test wanted to be broken.
            if not isinstance(error, _OURS) and kwargs.get("strict", True):
                raise
            told = error.with_traceback(None)
        del args, kwargs
        told.__context__ = None
        raise told from None

    return cast("Function", call)
