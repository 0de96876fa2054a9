"""Processes of flow runs. They end with all their descendants, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any, Dict, Mapping, Optional, Sequence

from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.names import FLOW_RUN_ID, PREFIX
from pytest_flowsecrets.operating_system import require_inherited_descriptors

_END_SECONDS = 10.0
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))  # the directory of this package
_MAIN = (
    "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv[1]]; "
    "from pytest_flowsecrets.backend.runs.supervisor import main; main(int(sys.argv[2]), sys.argv[3:])"
)


class SupervisedProcess(subprocess.Popen):  # type: ignore[type-arg]  # subscriptable from Python 3.9 on
    """A process under a supervisor: it ends with all its descendants, at the latest when this process ends.

    ``pid`` is the id of the supervisor, which exits with the status of the command.

    Args:
        command: the program and its arguments.
        env: the environment.
        more: further arguments of ``subprocess.Popen``.
    """

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], **more: Any) -> None:
        pipe, writing_end = os.pipe()
        self._pipe: Optional[int] = writing_end
        try:
            super().__init__(
                [sys.executable, "-c", _MAIN, ROOT, str(pipe), *command],
                env=dict(env),
                start_new_session=True,
                pass_fds=[pipe, *more.pop("pass_fds", ())],
                **more,
            )
        except BaseException:
            os.close(writing_end)
            raise
        finally:
            os.close(pipe)

    def end(self) -> int:
        """End the process and its descendants if any is left, and return the exit status."""
        if self._pipe is not None:
            with suppress(OSError):  # the supervisor has ended
                os.write(self._pipe, b"\n")
            os.close(self._pipe)
            self._pipe = None
        try:
            return self.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:  # for example if the supervisor is stopped
            os.killpg(self.pid, signal.SIGKILL)
            return self.wait()


class Processes:
    """The processes that an agent has started, by the id of the flow run."""

    def __init__(self) -> None:
        self._running: Dict[str, SupervisedProcess] = {}
        self._environ: Dict[str, Dict[str, str]] = {}

    def start(
        self, command: Sequence[str], *, env: Mapping[str, str], run_id: str = "", **more: Any
    ) -> SupervisedProcess:
        """Start a process like ``subprocess.Popen``, which this replaces in the agent's module.

        Raises:
            UsageError: on Windows.
        """
        require_inherited_descriptors("a process for each flow run", "pass in_process=True")
        for name, text in env.items():
            if os.environ.get(name) == text and not name.startswith(PREFIX):  # those deliver secrets to a run
                registry.report_text(text, f"environment {name} of a flow run")
        process = SupervisedProcess(command, env=env, **more)
        run_id = run_id or env[FLOW_RUN_ID]
        self._running[run_id], self._environ[run_id] = process, dict(env)
        return process

    def environ(self, run_id: str) -> Optional[Dict[str, str]]:
        """Return the environment of the process of a flow run, or None if none was started."""
        return self._environ.get(run_id)

    def wait(self, run_id: str, timeout: float) -> Optional[int]:
        """Wait until the process of a flow run and all its descendants have ended.

        Args:
            run_id: the id of the flow run.
            timeout: seconds.

        Returns:
            The exit status, or None if no process was started.

        Raises:
            subprocess.TimeoutExpired: the process did not end in time, and was killed.
        """
        process = self._running.get(run_id)
        if process is None:
            return None
        try:
            return process.wait(timeout)
        finally:  # also after Ctrl-C
            self._running.pop(run_id).end()

    def close(self) -> None:
        """End all processes that still run."""
        while self._running:
            self._running.popitem()[1].end()
