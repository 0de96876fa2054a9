"""Processes of flow runs: waited for, and ended with everything that they have started, whatever happens."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Dict, Mapping, Optional, Sequence

from pytest_flowsecrets.backend import remains
from pytest_flowsecrets.leaks.known import known


class Processes:
    """The processes that an agent has started, by flow run; each leads a group of its own."""

    def __init__(self) -> None:
        self._of_run: Dict[str, subprocess.Popen[Any]] = {}
        self._environ: Dict[str, Dict[str, str]] = {}

    def start(
        self, command: Sequence[str], *, env: Mapping[str, str], run_id: str = "", **more: Any
    ) -> subprocess.Popen[Any]:
        """Start a process, as ``subprocess.Popen`` does; this stands in its place in the agent's module."""
        for name, text in env.items():
            if os.environ.get(name) == text and not name.startswith("PREFECT__"):  # those are how a run has its secrets
                known.tell(text, f"environment {name} of a flow run")
        process = subprocess.Popen(command, env=dict(env), start_new_session=True, **more)  # noqa: S603 - the agent's
        run_id = run_id or env[remains.FLOW_RUN_ID]
        self._of_run[run_id], self._environ[run_id] = process, dict(env)
        return process

    def environ(self, run_id: str) -> Optional[Dict[str, str]]:
        """What the process of a flow run was started with; None where none was."""
        return self._environ.get(run_id)

    def wait(self, run_id: str, timeout: float) -> Optional[int]:
        """Wait for the process of a flow run, then end what is left of it and of its children.

        Args:
            run_id: the flow run.
            timeout: seconds.

        Returns:
            Its exit status; None where none was started.

        Raises:
            subprocess.TimeoutExpired: it had to be ended.
        """
        process = self._of_run.get(run_id)
        if process is None:
            return None
        try:
            return process.wait(timeout)
        finally:  # also after Ctrl-C
            _end(process, run_id)
            self._of_run.pop(run_id, None)  # its number may soon be another process's

    def close(self) -> None:
        """End whatever still runs."""
        while self._of_run:
            run_id, process = self._of_run.popitem()
            _end(process, run_id)


def _end(process: subprocess.Popen[Any], run_id: str) -> None:
    remains.end(process.pid, run_id)
    process.wait()
