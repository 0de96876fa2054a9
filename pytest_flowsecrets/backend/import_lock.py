"""A lock that delays forks while a thread of the server imports: the child would inherit import locks forever held."""

from __future__ import annotations

import os
import threading

# Reentrant: the thread that holds it may import a module that forks.
importing = threading.RLock()

os.register_at_fork(before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release)
