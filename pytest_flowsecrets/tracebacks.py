"""Tracebacks of this package's own errors, without the frames of this package: they tell the user nothing."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Iterator, Optional

from pytest_flowsecrets.errors import FlowSecretsError, SecretChangedWarning, TomlDialectWarning

_OWN = os.path.dirname(__file__) + os.sep
_CONTEXTLIB = os.path.join(os.path.dirname(os.__file__), "contextlib.py")  # between our frames: `with FakeCloud():`
_ERRORS = (FlowSecretsError, SecretChangedWarning, TomlDialectWarning)  # warnings are raised under `-W error`


def without_own_frames(error: BaseException, traceback: TracebackType) -> TracebackType:
    """Return a traceback without the frames of this package, if it ends in one of its errors.

    Args:
        error: what was raised; a traceback of another error, or one without a frame of the user's, stays as it is.
        traceback: its traceback.
    """
    frames = list(_frames(traceback))
    if not isinstance(error, _ERRORS) or not any(map(_is_of_user, frames)):
        return traceback
    left: Optional[TracebackType] = None
    for frame in reversed(frames):
        if not _is_own(frame):
            left = TracebackType(left, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return left or traceback


def _frames(traceback: Optional[TracebackType]) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_own(frame: TracebackType) -> bool:
    path = frame.tb_frame.f_code.co_filename
    return path.startswith(_OWN) or path == _CONTEXTLIB


def _is_of_user(frame: TracebackType) -> bool:
    path = frame.tb_frame.f_code.co_filename
    return not _is_own(frame) and not any(f"{os.sep}{package}{os.sep}" in path for package in ("pluggy", "_pytest"))
