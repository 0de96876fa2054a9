"""Forks wait while a thread of the server imports: a child would inherit import locks that no thread of it releases."""

from __future__ import annotations

import os
import threading

# Reentrant, so that a module may fork while it is imported by the thread that holds this.
importing = threading.RLock()

os.register_at_fork(before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release)
