"""An agent that is a process of its own, as in production: ``prefect_server.agent()``.

It is the real command (``agent_main``), it polls by itself, and it is woken when a flow run waits, as by ``GET
/api/poke``, so that nothing has to listen at a port. What it started with stays: its environment is that of then.
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

if TYPE_CHECKING:
    from typing_extensions import Self

NAME = "flowsecrets"
START_SECONDS = 60.0  # until it has registered; importing Prefect takes one or two
END_SECONDS = 5.0  # until a flow run that the agent is asked to end has ended
_MAIN = (
    "import sys; sys.path.append(sys.argv[1]); from pytest_flowsecrets.backend.runs.agent_main import main; "
    "main(int(sys.argv[2]))"
)
_LINES = 200  # of what it printed are kept; a traceback of requests has more than fifty
_SHORTEST = 4  # characters of a variable's text; shorter ones stand in too many texts by chance


class AgentProcess:
    """A LocalAgent that runs, for ``run(flow, agent=…)``; ends with its API, or with its ``with`` block.

    Attributes:
        id: of the agent in the API.
        pid: of its process.
        labels: those it was given.
        env: of its ``--env``; a repr shows no values.
        host: its own environment, as it started.
    """

    id = ""
    pid = 0

    def __init__(
        self, env: Mapping[str, str], labels: Sequence[str], import_paths: Sequence[str], address: Optional[str] = None
    ) -> None:
        self.env, self.labels, self.host = dict(env), list(labels), dict(os.environ)
        self._printed: Deque[str] = deque(maxlen=_LINES)
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
        self._socket, self._line = ours, ours.makefile(encoding="utf-8")
        self._readers = [Thread(target=read, daemon=True) for read in (self._hear, self._read)]
        for reader in self._readers:
            reader.start()
        self._say([*_arguments(env, labels, import_paths), *(["--agent-address", address] if address else ())])
        self._await_start()

    def __repr__(self) -> str:
        return f"<AgentProcess {self.pid}, labels {self.labels}, --env {sorted(self.env)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def printed(self) -> str:
        """The last lines that it has printed, with the values of secrets masked."""
        secrets = {name: text for name, text in self.host.items() if name.startswith(SECRETS_PREFIX)}
        keys = {name: text for name, text in self.host.items() if name.endswith(("__API_KEY", "__AUTH_TOKEN"))}
        values = {text: (name,) for name, text in {**secrets, **keys, **self.env}.items() if len(text) >= _SHORTEST}
        return Redactor({**values, **registry.values()}).redact("".join(self._printed))

    # -- flow runs ----------------------------------------------------------------------------------------------------

    def deploy(self, run_id: str, timeout: float) -> Dict[str, str]:
        """Wake the agent, and wait until it has started the process of a flow run.

        Args:
            run_id: the flow run, which waits in the API.
            timeout: seconds.

        Returns:
            The environment of the process.

        Raises:
            AgentFailed: it has ended, or does not take the flow run.
            UsageError: it cannot deploy it.
        """
        self._say(WAKE)
        with self._changed:
            self._wait(lambda: self._ended or run_id in self._runs, timeout)
            run = self._runs.get(run_id, {})
        if "refused" in run:
            del self._runs[run_id]
            raise UsageError(f"the local agent cannot deploy the flow run: {run['refused']}; its .printed tells why")
        if not run and self._ended:
            raise self._dead()
        if not run:
            raise AgentFailed("local", f"it did not take the flow run within {timeout:g} s", self.printed)
        env: Dict[str, str] = run["env"]
        return env

    def wait(self, run_id: str, timeout: float) -> Optional[int]:
        """As ``Processes.wait``; where the agent has ended meanwhile, nobody knows the status."""
        run = self._runs[run_id]
        try:
            with self._changed:
                done = self._wait(lambda: self._ended or "status" in run, timeout)
            if not done:
                raise subprocess.TimeoutExpired("prefect execute flow-run", timeout)
            status: Optional[int] = run.get("status")
            return status
        finally:  # also after Ctrl-C
            self._say({"end": run_id})
            with self._changed:
                self._wait(lambda: self._ended or "status" in run, END_SECONDS)

    def close(self) -> None:
        """End the agent, and what it has started."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # see ``agent_main``
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._process.end()
        for reader in self._readers:
            reader.join()
        self._line.close()
        self._socket.close()
        self._out.close()

    # -- the process --------------------------------------------------------------------------------------------------

    def _await_start(self) -> None:
        with self._changed:
            started = self._wait(lambda: self._ended or self.id, START_SECONDS)
        if self.id and not self._ended:
            return
        error = self._dead() if started else AgentFailed("local", f"not within {START_SECONDS:g} s", self.printed)
        self.close()
        raise error

    def _dead(self) -> AgentFailed:
        status = self._process.wait()
        self._readers[1].join()  # the last words
        return AgentFailed("local", f"its process has ended with exit status {status}", self.printed)

    def _wait(self, what: Callable[[], Any], timeout: float) -> bool:
        """Like ``Condition.wait_for``, for what may come to be without a word, too."""
        end = monotonic() + timeout
        while not what():
            if monotonic() > end:
                return False
            self._changed.wait(0.05)
        return True

    def _say(self, message: Any) -> None:
        with suppress(OSError):  # it has ended, which is told by whoever waits for it
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _hear(self) -> None:
        with suppress(OSError):
            for line in self._line:
                message = json.loads(line)
                with self._changed:
                    self.id, self.pid = message.pop("id", self.id), message.pop("pid", self.pid)
                    if message:
                        self._runs.setdefault(message.pop("run"), {}).update(message)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read(self) -> None:
        for line in self._out:
            self._printed.append(line)


def _arguments(env: Mapping[str, str], labels: Sequence[str], import_paths: Sequence[str]) -> List[str]:
    options = {
        "--env": [f"{name}={text}" for name, text in env.items()],
        "--label": labels,
        "--import-path": import_paths,
    }
    given = [part for option, values in options.items() for value in values for part in (option, value)]
    return ["--name", NAME, "--no-hostname-label", *given]
