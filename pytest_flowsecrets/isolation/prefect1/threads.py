"""The same ``threading.local`` as every living thread sees it.

``prefect.context`` is thread-local, and a pool thread that is older than the test has its own copy of the secrets, or
none. CPython keeps the per-thread dictionaries in one dictionary that the garbage collector can name (3.8 to 3.13).
"""

from __future__ import annotations

import gc
from typing import Any, Dict, List


def thread_states(local: Any) -> List[Dict[str, Any]]:
    """The dictionaries of a ``threading.local``, the current thread's first, then those of all other living threads.

    Where the interpreter keeps them elsewhere, only the current thread's is given.
    """
    mine: Dict[str, Any] = local.__dict__  # the first touch in a thread makes it
    found = [
        state
        for registry in gc.get_referents(local)
        if type(registry) is dict
        for state in list(registry.values())
        if type(state) is dict and state is not mine
    ]
    return [mine, *found]
