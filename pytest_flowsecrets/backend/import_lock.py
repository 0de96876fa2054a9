"""A lock that delays forks while a thread of the server imports: the child would inherit import locks forever held."""

from __future__ import annotations

import threading

from pytest_flowsecrets.operating_system import register_at_fork

# Reentrant: the thread that holds it may import a module that forks.
importing = threading.RLock()

register_at_fork(before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release)
