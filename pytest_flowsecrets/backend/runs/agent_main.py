"""The process of a ``prefect agent local start``: the real command, and a line to the test that started it.

Run with the number of the line's socket. The first message says with what the command is started; secrets
do not stand in its arguments, which everybody on the machine can read. The agent's ``Popen`` tells what it starts and
how that ends. When the line is closed, whatever the reason, the agent ends, and all that it has started with it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from contextlib import suppress
from typing import Any, Callable, Dict, Mapping, Sequence

from pytest_flowsecrets.backend.runs.process_tree import SupervisedProcess
from pytest_flowsecrets.names import FLOW_RUN_ID

WAKE = "wake"
AGENT_ID = "X-PREFECT-AGENT-ID"


class Line:
    """Messages in lines of JSON, to and from the test."""

    def __init__(self, number: int) -> None:
        self._file = socket.socket(fileno=number).makefile("rw", encoding="utf-8")
        self._lock = threading.Lock()
        self._started: Dict[str, SupervisedProcess] = {}

    def read(self) -> Any:
        """The next message; None at the end."""
        with suppress(OSError):
            line = self._file.readline()
            return json.loads(line) if line else None

    def tell(self, **message: Any) -> None:
        """Send one, unless nobody is there any more."""
        with self._lock, suppress(OSError):
            self._file.write(json.dumps(message) + "\n")
            self._file.flush()

    def start(self, command: Sequence[str], *, env: Mapping[str, str], **more: Any) -> SupervisedProcess:
        """Stand in the place of the agent's ``Popen``."""
        process = SupervisedProcess(command, env=env, **more)
        run_id = env[FLOW_RUN_ID]
        self._started[run_id] = process
        self.tell(run=run_id, env=dict(env))
        threading.Thread(target=lambda: self.tell(run=run_id, status=process.wait()), daemon=True).start()
        return process

    def watched(self, deploy: Callable[..., str]) -> Callable[..., str]:
        """A method ``deploy_flow`` that tells what it refuses."""

        def deploy_flow(agent: Any, flow_run: Any) -> str:
            try:
                return deploy(agent, flow_run)
            except Exception as error:
                self.tell(run=flow_run.id, refused=type(error).__name__)
                raise

        return deploy_flow

    def listen(self, wake: threading.Event) -> None:
        """Wake the agent, or end a flow run, as each message says; end everything when there are no more."""
        message = self.read()
        while message is not None:
            if message == WAKE:
                wake.set()
            else:
                self._started.pop(message["end"]).end()
            message = self.read()
        for process in self._started.values():
            process.end()
        os.kill(os.getpid(), signal.SIGINT)  # which the agent takes as Ctrl-C


def main(number: int) -> None:
    """Start the agent."""
    line = Line(number)
    arguments = line.read()
    line.tell(pid=os.getpid())
    from prefect.agent import agent as base
    from prefect.agent.local import LocalAgent
    from prefect.agent.local import agent as local
    from prefect.cli import cli

    local.Popen, LocalAgent.deploy_flow = line.start, line.watched(LocalAgent.deploy_flow)
    LocalAgent.on_startup = lambda agent: line.tell(id=agent.client._attached_headers[AGENT_ID])  # noqa: SLF001
    LocalAgent._stop_heartbeat_thread = lambda _: None  # noqa: SLF001 - it waits a second for one that sleeps
    threading.Thread(target=line.listen, args=(base.AGENT_WAKE_EVENT,), daemon=True).start()
    cli(["agent", "local", "start", *arguments], prog_name="prefect")
