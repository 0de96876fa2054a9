"""The client of Prefect 1.x without its patience.

After 500, 502, 503, 504 and cut connections it tries six times more within 63 seconds, after ``API_ERROR`` six times
within 16, after 429 it naps for three minutes; only for the last there are settings. The tries count for a test, the
waiting does not. While time is frozen the waits move the clock (``pytest_flowsecrets.clock``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ContextManager

from pytest_flowsecrets import clock
from pytest_flowsecrets.clock import sleep_patch

if TYPE_CHECKING:
    from types import FrameType


def impatient(path: str) -> ContextManager[None]:
    """While entered, Prefect's client in this process waits for nothing between its tries at the API at ``path``."""

    def skips(caller: FrameType, _: float) -> bool:
        if clock.is_frozen():
            return False
        module = sleep_patch.module_of(caller)
        return module.startswith("prefect.client.") or (
            module == "urllib3.util.retry" and _tried(caller.f_locals.get("self")).startswith(path)
        )

    return sleep_patch.handled(skips)


def _tried(retry: Any) -> str:
    """The path that was tried, of a ``urllib3.Retry``."""
    history = getattr(retry, "history", None)
    return str(history[-1].url) if history else ""
