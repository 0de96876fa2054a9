"""Captured output that pytest has not reported yet."""

from __future__ import annotations

import sys
from typing import Any, Iterator, Tuple


def take_captured(config: Any) -> Iterator[Tuple[Any, str]]:
    """Take the captured output of each standard stream. The caller must write it again.

    Returns:
        Pairs of ``sys.stdout`` or ``sys.stderr`` and the text; nothing if pytest captures nothing.
    """
    manager = config.pluginmanager.get_plugin("capturemanager")
    if manager is not None and manager.is_globally_capturing():
        yield from zip((sys.stdout, sys.stderr), manager.read_global_capture())
