"""Assertions about ended processes. A zombie counts as ended."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc"), reason="processes are found in /proc")


def assert_gone(pid):
    """Check that no process with this id runs."""
    _await_none(lambda state: state[0] == pid)


def assert_group_is_gone(group):
    """Check that no process of this group runs."""
    _await_none(lambda state: state[1] == group)


def assert_none_has(name, text):
    """Check that no process runs whose environment contains this variable."""
    mark = f"{name}={text}".encode()

    def has(state):
        with suppress(OSError):  # it has ended
            return mark in Path("/proc", str(state[0]), "environ").read_bytes().split(b"\0")

    _await_none(has)


def _await_none(wanted):
    for _ in range(200):
        left = [name for state, name in _living() if wanted(state)]
        if not left:
            return
        time.sleep(0.02)
    raise AssertionError(left)


def _living():
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name, _, rest = place.joinpath("stat").read_text().rpartition(")")
            state, _, group = rest.split()[:3]
            if state not in "ZX":
                yield (int(place.name), int(group)), f"{name})"
