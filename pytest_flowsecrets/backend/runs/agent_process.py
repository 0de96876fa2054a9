"""An agent in its own process, as in production: ``prefect_server.agent()``.

The process runs the real command (``agent_main``), which polls by itself. When a flow run waits, a message wakes the
agent like ``GET /api/poke``, so no port is required. The agent keeps the environment with which it was started.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from threading import Condition, Thread
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, Callable, Deque, Dict, List, Mapping, Optional, Sequence, cast

from pytest_flowsecrets.backend.runs.agent_main import WAKE
from pytest_flowsecrets.backend.runs.process_tree import ROOT, SupervisedProcess
from pytest_flowsecrets.errors import AgentFailed, UsageError
from pytest_flowsecrets.leaks.mask.redactor import Redactor
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.names import SECRETS_PREFIX
from pytest_flowsecrets.operating_system import require_inherited_descriptors

if TYPE_CHECKING:
    from typing_extensions import Self

NAME = "flowsecrets"
START_SECONDS = 60.0  # until the agent has registered; importing Prefect takes one or two
END_SECONDS = 5.0  # until the agent has ended a flow run on request
_MAIN = (
    "import sys; sys.path.append(sys.argv[1]); from pytest_flowsecrets.backend.runs.agent_main import main; "
    "main(int(sys.argv[2]))"
)
_MAX_LINES = 200  # lines of output that are stored; a traceback of requests has more than fifty
_MIN_LENGTH = 4  # characters of a variable that is masked; shorter ones occur in too many texts by chance


class AgentProcess:
    """A running LocalAgent, for ``run(flow, agent=…)``. It ends with its API or its ``with`` block.

    Attributes:
        id: the id of the agent in the API.
        pid: the id of the process.
        labels: the labels of the agent.
        env: the variables of ``--env``; the repr does not show their values.
        host: the environment with which the agent was started.
    """

    id = ""
    pid = 0

    def __init__(
        self, env: Mapping[str, str], labels: Sequence[str], import_paths: Sequence[str], address: Optional[str] = None
    ) -> None:
        require_inherited_descriptors("an agent process", "run the flow with in_process=True")
        self.env, self.labels, self.host = dict(env), list(labels), dict(os.environ)
        self._printed: Deque[str] = deque(maxlen=_MAX_LINES)
        self._changed = Condition()
        self._runs: Dict[str, Dict[str, Any]] = {}
        self._ended = False
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = SupervisedProcess(
                [sys.executable, "-c", _MAIN, ROOT, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self.host,
                encoding="utf-8",
                errors="replace",
            )
        self._out = cast("IO[str]", self._process.stdout)
        self._socket, self._messages = ours, ours.makefile(encoding="utf-8")
        self._readers = [Thread(target=read, daemon=True) for read in (self._read_messages, self._read_output)]
        for reader in self._readers:
            reader.start()
        self._send([*_arguments(env, labels, import_paths), *(["--agent-address", address] if address else ())])
        self._await_start()

    def __repr__(self) -> str:
        return f"<AgentProcess {self.pid}, labels {self.labels}, --env {sorted(self.env)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def printed(self) -> str:
        """The last lines of its output, with masked secrets."""
        secrets = {name: text for name, text in self.host.items() if name.startswith(SECRETS_PREFIX)}
        keys = {name: text for name, text in self.host.items() if name.endswith(("__API_KEY", "__AUTH_TOKEN"))}
        values = {text: (name,) for name, text in {**secrets, **keys, **self.env}.items() if len(text) >= _MIN_LENGTH}
        return Redactor({**values, **registry.values()}).redact("".join(self._printed))

    # -- flow runs ----------------------------------------------------------------------------------------------------

    def deploy(self, run_id: str, timeout: float) -> Dict[str, str]:
        """Wake the agent, and wait until it has started the process of a flow run.

        Args:
            run_id: the id of a flow run that waits in the API.
            timeout: seconds.

        Returns:
            The environment of the process.

        Raises:
            AgentFailed: the agent has exited, or does not take the flow run.
            UsageError: the agent cannot deploy the flow run.
        """
        self._send(WAKE)
        with self._changed:
            self._wait(lambda: self._ended or run_id in self._runs, timeout)
            run = self._runs.get(run_id, {})
        if "error" in run:
            del self._runs[run_id]
            raise UsageError(f"the local agent cannot deploy the flow run: {run['error']}; see its .printed")
        if not run and self._ended:
            raise self._exit_error()
        if not run:
            raise AgentFailed("local", f"it did not take the flow run within {timeout:g} s", self.printed)
        env: Dict[str, str] = run["env"]
        return env

    def wait(self, run_id: str, timeout: float) -> Optional[int]:
        """Wait for a flow run: see ``Processes.wait``. The status is None if the agent has exited meanwhile."""
        run = self._runs[run_id]
        try:
            with self._changed:
                has_ended = self._wait(lambda: self._ended or "status" in run, timeout)
            if not has_ended:
                raise subprocess.TimeoutExpired("prefect execute flow-run", timeout)
            status: Optional[int] = run.get("status")
            return status
        finally:  # also after Ctrl-C
            self._send({"end": run_id})
            with self._changed:
                self._wait(lambda: self._ended or "status" in run, END_SECONDS)

    def close(self) -> None:
        """End the agent and everything that it has started."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends the agent: see `agent_main`
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._process.end()
        for reader in self._readers:
            reader.join()
        self._messages.close()
        self._socket.close()
        self._out.close()

    # -- the process --------------------------------------------------------------------------------------------------

    def _await_start(self) -> None:
        with self._changed:
            in_time = self._wait(lambda: self._ended or self.id, START_SECONDS)
        if self.id and not self._ended:
            return
        error = self._exit_error() if in_time else AgentFailed("local", f"not within {START_SECONDS:g} s", self.printed)
        self.close()
        raise error

    def _exit_error(self) -> AgentFailed:
        status = self._process.wait()
        self._readers[1].join()  # the rest of the output
        return AgentFailed("local", f"its process has ended with exit status {status}", self.printed)

    def _wait(self, condition: Callable[[], Any], timeout: float) -> bool:
        """Wait like ``Condition.wait_for``, but also notice changes without a notification."""
        end = monotonic() + timeout
        while not condition():
            if monotonic() > end:
                return False
            self._changed.wait(0.05)
        return True

    def _send(self, message: Any) -> None:
        with suppress(OSError):  # the agent has exited, which the methods that wait report
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _read_messages(self) -> None:
        with suppress(OSError):
            for line in self._messages:
                message = json.loads(line)
                with self._changed:
                    self.id, self.pid = message.pop("id", self.id), message.pop("pid", self.pid)
                    if message:
                        self._runs.setdefault(message.pop("run"), {}).update(message)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_output(self) -> None:
        for line in self._out:
            self._printed.append(line)


def _arguments(env: Mapping[str, str], labels: Sequence[str], import_paths: Sequence[str]) -> List[str]:
    options = {
        "--env": [f"{name}={text}" for name, text in env.items()],
        "--label": labels,
        "--import-path": import_paths,
    }
    arguments = [part for option, values in options.items() for value in values for part in (option, value)]
    return ["--name", NAME, "--no-hostname-label", *arguments]
