"""Start, reset and end the real server of the installed Prefect, in one child process."""

from __future__ import annotations

import atexit
import json
import math
import os
import select
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence

from pytest_flowsecrets.backend.prefect_server.blocks import RestClient, ServerSecrets, ServerVariables
from pytest_flowsecrets.backend.prefect_server.environment import (
    authorization_header,
    database_path,
    server_environment,
)
from pytest_flowsecrets.backend.runs.process_tree import ROOT, SupervisedProcess
from pytest_flowsecrets.errors import PrefectServerFailed, UsageError
from pytest_flowsecrets.isolation.home.run_folder import RunFolder, on_termination
from pytest_flowsecrets.leaks.mask.redactor import Redactor
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.operating_system import require_inherited_descriptors
from pytest_flowsecrets.versions import installed_version

if TYPE_CHECKING:
    from typing_extensions import Self

START_SECONDS = 300.0  # the first server of a version runs all migrations: 10 s on a quiet machine
RESET_SECONDS = 120.0
_POLL_SECONDS = 0.5  # between checks whether the process still runs
_MAIN = (
    "import sys; sys.path.append(sys.argv[1]); from pytest_flowsecrets.backend.prefect_server.main import main; "
    "main(int(sys.argv[2]))"
)
_MAX_LOG = 1 << 16  # bytes of the log that are read
_ADVICE = {
    "port": "choose another port, or 0 for a free one",
    "package": "prefect-client has no server: install prefect with its dependencies, or use the fake API",
    "": "install dependencies of the time of this release (uv pip install --exclude-newer DATE), or use the fake API",
}


class PrefectServer:
    """The real server of the installed Prefect 2.20 or 3, in a child process. It ends with this process.

    Args:
        port: of 127.0.0.1; 0 for a free one.
        template: a file that keeps the clean database for later servers of the same release of Prefect. The first
            server makes it. By default each server makes its own database, which takes seconds.
        services: services that run beside the API, such as ``scheduler``; see ``environment.SERVICES``.
        auth_string: what ``PREFECT_API_AUTH_STRING`` has to be; empty for no authentication.
        ui: whether to serve the user interface.

    Attributes:
        client: sends requests to the API.
        secrets: the Secret blocks; values can be set and compared, not read.
        variables: the variables.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        template: Optional[Path] = None,
        services: Sequence[str] = (),
        auth_string: str = "",
        ui: bool = False,
    ) -> None:
        self._port, self._template, self._services = port, template, tuple(services)
        self._auth_string, self._ui = auth_string, ui
        self._folder = RunFolder()
        self._process: Optional[SupervisedProcess] = None
        self._channel: Optional[socket.socket] = None
        self.client = RestClient(lambda: self.url, authorization_header(auth_string))
        self.secrets, self.variables = ServerSecrets(self.client), ServerVariables(self.client)

    def __repr__(self) -> str:
        return f"<PrefectServer {self.url}>" if self._process else "<PrefectServer (not running)>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The URL of the API: ``PREFECT_API_URL``.

        Raises:
            UsageError: the server does not run.
        """
        if self._process is None:
            raise UsageError("the Prefect server does not run: call start(), or use it in a with statement")
        return f"http://127.0.0.1:{self._port}/api"

    @property
    def pid(self) -> int:
        """The id of the process that supervises the server's."""
        return self._process.pid if self._process else 0

    @property
    def log(self) -> str:
        """The end of the server's log, with masked secrets."""
        try:
            with self._log_path().open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - _MAX_LOG))
                text = stream.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return Redactor(registry.values()).redact(text)

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server, and return when it answers; a second call does nothing.

        Raises:
            PrefectServerFailed: it cannot start, for example because FastAPI is too new for it.
            UsageError: a service is not known, or this is Windows.
        """
        if self._process is not None:
            return
        require_inherited_descriptors("the real server of Prefect", "use the fake API")
        home = self._folder.path()
        environ = server_environment(
            os.environ, home, services=self._services, auth_string=self._auth_string, ui=self._ui
        )
        atexit.register(self.close)
        on_termination(self.close)
        self._channel, theirs = socket.socketpair()
        with theirs, self._log_path().open("wb") as log:
            self._process = SupervisedProcess(
                [sys.executable, "-c", _MAIN, ROOT, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                cwd=home,
            )
        try:
            self._port = self._ask(self._options(home), START_SECONDS)["port"]
        except BaseException:
            self._end_process()
            raise

    def _options(self, home: Path) -> Dict[str, Any]:
        template = self._template or home / "template.db"
        return {"port": self._port, "database": str(database_path(home)), "template": str(template.absolute())}

    def reset(self) -> None:
        """Remove all rows that tests have written. A server that has ended is started again, at the same URL.

        Raises:
            PrefectServerFailed: the server cannot start again, or does not answer.
        """
        if self._process is not None and not self.has_ended:
            try:
                self._ask("reset", RESET_SECONDS)
            except PrefectServerFailed:
                if not self.has_ended:
                    raise
            else:
                return
        self._end_process()
        self.start()

    def settle(self) -> None:
        """Wait until the server has stored the events that it has received.

        Raises:
            PrefectServerFailed: the server has ended, or does not answer.
        """
        self._ask("settle", RESET_SECONDS)

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended by itself, or a test has ended it."""
        return self._process is not None and self._process.poll() is not None

    def check(self) -> None:
        """Check that the server runs: a test that ended it would otherwise fail with a refused connection.

        Raises:
            PrefectServerFailed: it has ended.
        """
        if self.has_ended:
            raise self._error("it ended during the test")

    def close(self) -> None:
        """End the server and remove its files; a second call does nothing."""
        atexit.unregister(self.close)
        self._end_process()
        self._folder.close()

    def _end_process(self) -> None:
        process, self._process = self._process, None
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        if process is not None:
            process.end()

    # -- messages ------------------------------------------------------------------------------------------------------

    def _ask(self, message: Any, seconds: float) -> Dict[str, Any]:
        try:
            answer = self._exchange(json.dumps(message).encode() + b"\n", seconds)
        except socket.timeout:
            raise self._error(f"it does not answer within {seconds:g} s") from None
        except OSError:
            answer = b""
        if not answer:
            raise self._error("it has ended")
        reply: Dict[str, Any] = json.loads(answer)
        if "error" in reply:
            raise self._error(f"it cannot start: {reply['error']}", _ADVICE[reply.get("kind", "")])
        return reply

    def _exchange(self, line: bytes, seconds: float) -> bytes:
        """Send a line and return the next one; nothing if the process has ended."""
        if self._channel is None:
            return b""
        self._channel.settimeout(seconds)
        self._channel.sendall(line)
        answer = b""
        while not answer.endswith(b"\n"):
            data = self._receive(self._channel, seconds)
            if not data:
                return b""
            answer += data
        return answer

    def _receive(self, channel: socket.socket, seconds: float) -> bytes:
        """Return the next bytes; nothing if the process has ended, even if another one still has its descriptor."""
        for _ in range(math.ceil(seconds / _POLL_SECONDS)):
            if select.select([channel], [], [], _POLL_SECONDS)[0]:
                return channel.recv(1 << 16)
            if self.has_ended:
                return b""
        raise socket.timeout

    def _error(self, reason: str, advice: str = "look at the end of its log") -> PrefectServerFailed:
        reason = Redactor(registry.values()).redact(reason)
        return PrefectServerFailed(installed_version() or "", reason, advice, self.log)

    def _log_path(self) -> Path:
        with suppress(OSError):
            return self._folder.path() / "server.log"
        return Path(os.devnull)
