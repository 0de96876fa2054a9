"""Run a function in a new thread, which has neither an event loop nor context variables."""

from __future__ import annotations

import threading
from typing import Any, Callable, List


def in_new_thread(function: Callable[[], Any]) -> Any:
    """Return or raise the result of a function that runs in a new thread.

    Many functions of Prefect return a coroutine if an event loop runs in their thread.
    """
    results: List[Any] = []
    errors: List[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread
            errors.append(error)

    thread = threading.Thread(target=run, name="flowsecrets-prefect", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
