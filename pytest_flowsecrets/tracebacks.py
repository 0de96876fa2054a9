"""Remove the frames of this package from the tracebacks of its own errors.

This is a separate module because it is imported only when a test fails.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Iterator, Optional

from pytest_flowsecrets.errors import FlowSecretsError, SecretChangedWarning, TomlDialectWarning

_OWN = os.path.dirname(__file__) + os.sep
_CONTEXTLIB = os.path.join(os.path.dirname(os.__file__), "contextlib.py")  # its frames are between ours
_ERRORS = (FlowSecretsError, SecretChangedWarning, TomlDialectWarning)  # `-W error` raises the warnings


def without_own_frames(error: BaseException, traceback: TracebackType) -> TracebackType:
    """Return the traceback of an error of this package without the frames of this package.

    The traceback of any other error, or one that has no frame of the user's code, is returned unchanged.

    Args:
        error: the exception.
        traceback: its traceback.
    """
    frames = list(_frames(traceback))
    if not isinstance(error, _ERRORS) or not any(map(_is_user_code, frames)):
        return traceback
    shortened: Optional[TracebackType] = None
    for frame in reversed(frames):
        if not _is_own(frame):
            shortened = TracebackType(shortened, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return shortened or traceback


def _frames(traceback: Optional[TracebackType]) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_own(frame: TracebackType) -> bool:
    path = frame.tb_frame.f_code.co_filename
    return path.startswith(_OWN) or path == _CONTEXTLIB


def _is_user_code(frame: TracebackType) -> bool:
    path = frame.tb_frame.f_code.co_filename
    return not _is_own(frame) and not any(f"{os.sep}{package}{os.sep}" in path for package in ("pluggy", "_pytest"))
