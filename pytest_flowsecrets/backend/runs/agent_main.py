"""The main module of an agent process: the real ``prefect agent local start``, with a channel to the test.

Its argument is the descriptor of the channel's socket. The first message contains the arguments of the command, because
every user of the machine can read the arguments of a process, and they may contain secrets. A replacement of the
agent's ``Popen`` reports each process that starts and ends. When the channel is closed, for whatever reason, the agent
ends with everything that it has started.
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


class Channel:
    """Exchanges messages with the test, as lines of JSON."""

    def __init__(self, descriptor: int) -> None:
        self._file = socket.socket(fileno=descriptor).makefile("rw", encoding="utf-8")
        self._lock = threading.Lock()
        self._started: Dict[str, SupervisedProcess] = {}

    def read(self) -> Any:
        """Return the next message, or None if the channel is closed."""
        with suppress(OSError):
            line = self._file.readline()
            return json.loads(line) if line else None

    def send(self, **message: Any) -> None:
        """Send a message, unless the channel is closed."""
        with self._lock, suppress(OSError):
            self._file.write(json.dumps(message) + "\n")
            self._file.flush()

    def start(self, command: Sequence[str], *, env: Mapping[str, str], **more: Any) -> SupervisedProcess:
        """Start a process and report it; this replaces ``Popen`` in the agent's module."""
        process = SupervisedProcess(command, env=env, **more)
        run_id = env[FLOW_RUN_ID]
        self._started[run_id] = process
        self.send(run=run_id, env=dict(env))
        threading.Thread(target=lambda: self.send(run=run_id, status=process.wait()), daemon=True).start()
        return process

    def report_errors(self, deploy: Callable[..., str]) -> Callable[..., str]:
        """Wrap the method ``deploy_flow`` so that it reports its errors."""

        def deploy_flow(agent: Any, flow_run: Any) -> str:
            try:
                return deploy(agent, flow_run)
            except Exception as error:
                self.send(run=flow_run.id, error=type(error).__name__)
                raise

        return deploy_flow

    def listen(self, wake: threading.Event) -> None:
        """Execute messages: wake the agent, or end a flow run. When the channel is closed, end everything."""
        message = self.read()
        while message is not None:
            if message == WAKE:
                wake.set()
            else:
                self._started.pop(message["end"]).end()
            message = self.read()
        for process in self._started.values():
            process.end()
        os.kill(os.getpid(), signal.SIGINT)  # the agent handles it like Ctrl-C


def main(descriptor: int) -> None:
    """Start the agent.

    Args:
        descriptor: the descriptor of the channel's socket.
    """
    channel = Channel(descriptor)
    arguments = channel.read()
    channel.send(pid=os.getpid())
    from prefect.agent import agent as base
    from prefect.agent.local import LocalAgent
    from prefect.agent.local import agent as local
    from prefect.cli import cli

    local.Popen, LocalAgent.deploy_flow = channel.start, channel.report_errors(LocalAgent.deploy_flow)
    LocalAgent.on_startup = lambda agent: channel.send(id=agent.client._attached_headers[AGENT_ID])  # noqa: SLF001
    LocalAgent._stop_heartbeat_thread = lambda _: None  # noqa: SLF001 - it waits a second for a sleeping thread
    threading.Thread(target=channel.listen, args=(base.AGENT_WAKE_EVENT,), daemon=True).start()
    cli(["agent", "local", "start", *arguments], prog_name="prefect")
