"""Processes of flow runs: waited for, and ended with everything that they have started, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any, Dict, Mapping, Optional, Sequence

from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.names import FLOW_RUN_ID, PREFIX

_END_SECONDS = 10.0
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))  # of this package
_MAIN = (
    "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv[1]]; "
    "from pytest_flowsecrets.backend.runs.supervisor import main; main(int(sys.argv[2]), sys.argv[3:])"
)


class SupervisedProcess(subprocess.Popen):  # type: ignore[type-arg]  # subscriptable from Python 3.9 on
    """A process under a supervisor: it ends, with all of its descendants, no later than this process does.

    ``pid`` is that of the supervisor, which exits as the command did.

    Args:
        command: the program and its arguments.
        env: its environment.
        more: further arguments of ``subprocess.Popen``.
    """

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], **more: Any) -> None:
        line, writing = os.pipe()
        self._line: Optional[int] = writing
        try:
            super().__init__(
                [sys.executable, "-c", _MAIN, ROOT, str(line), *command],
                env=dict(env),
                start_new_session=True,
                pass_fds=[line, *more.pop("pass_fds", ())],
                **more,
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(line)

    def end(self) -> int:
        """End the process and its descendants, if any is left, and return the exit status."""
        if self._line is not None:
            with suppress(OSError):  # it has ended
                os.write(self._line, b"\n")
            os.close(self._line)
            self._line = None
        try:
            return self.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:  # the supervisor is stopped, say
            os.killpg(self.pid, signal.SIGKILL)
            return self.wait()


class Processes:
    """The processes that an agent has started, by flow run."""

    def __init__(self) -> None:
        self._of_run: Dict[str, SupervisedProcess] = {}
        self._environ: Dict[str, Dict[str, str]] = {}

    def start(
        self, command: Sequence[str], *, env: Mapping[str, str], run_id: str = "", **more: Any
    ) -> SupervisedProcess:
        """Start a process, as ``subprocess.Popen`` does; this stands in its place in the agent's module."""
        for name, text in env.items():
            if os.environ.get(name) == text and not name.startswith(PREFIX):  # those are how a run has its secrets
                registry.report_text(text, f"environment {name} of a flow run")
        process = SupervisedProcess(command, env=env, **more)
        run_id = run_id or env[FLOW_RUN_ID]
        self._of_run[run_id], self._environ[run_id] = process, dict(env)
        return process

    def environ(self, run_id: str) -> Optional[Dict[str, str]]:
        """Return what the process of a flow run was started with; None where none was started."""
        return self._environ.get(run_id)

    def wait(self, run_id: str, timeout: float) -> Optional[int]:
        """Wait for the process of a flow run and for the end of everything that it started.

        Args:
            run_id: the flow run.
            timeout: seconds.

        Returns:
            Its exit status; None where none was started.

        Raises:
            subprocess.TimeoutExpired: it did not end in time, and was killed.
        """
        process = self._of_run.get(run_id)
        if process is None:
            return None
        try:
            return process.wait(timeout)
        finally:  # also after Ctrl-C
            self._of_run.pop(run_id).end()

    def close(self) -> None:
        """End whatever still runs."""
        while self._of_run:
            self._of_run.popitem()[1].end()
