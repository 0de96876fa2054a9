"""The location of warnings is a ``def`` line, or line 0."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from pytest_flowsecrets.isolation.safe_errors import warn_at, warn_user


def place(code, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile(code, __file__, "exec"), {"warn_user": warn_user, "__name__": "m", **options})
    return caught[0]


def test_module_level_code_has_no_def_line():
    """Module-level code gets line 0, whose source cannot be printed."""
    assert place("warn_user(UserWarning('told'))").lineno == 0


def decorated(function):
    return function


@decorated
@decorated
def below_decorators():
    warn_user(UserWarning("told"))


async def coroutine():
    """Never awaited: only its code is looked at."""


def test_decorators_are_passed_over():
    """The location is below the decorators, which may be markers with a value."""
    with pytest.warns(UserWarning) as caught:
        below_decorators()
        warn_at(UserWarning("told"), coroutine.__code__, __name__)
    lines = Path(__file__).read_text("utf-8").splitlines()
    assert lines[caught[0].lineno - 1].startswith("def below_decorators")
    assert lines[caught[1].lineno - 1].startswith("async def coroutine")
