"""The program of the child process: the installed Prefect's own server, with a channel to the test run.

Its argument is the descriptor of a socket that carries lines of JSON. The first line has the options; then each line is
a command, answered by one line: ``"settle"`` waits until the server has stored all events that it has received, and
``"reset"`` also restores the template database. The server ends when the channel closes.

Making the database takes Prefect seconds (migrations, block types). The first server of a version copies its new
database into the template file; later ones start from that copy.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import sys
import traceback
from contextlib import closing
from pathlib import Path
from typing import Any, Dict, Iterator, NoReturn
from weakref import WeakKeyDictionary

from pytest_flowsecrets.backend.prefect_server.environment import startup_environment
from pytest_flowsecrets.operating_system import lock_file

_LONGEST_REASON = 300  # characters
_BUSY_SECONDS = 60.0  # until a transaction of the server ends
_SETTLE_SECONDS = 20.0  # an event that the server cannot store must not stop the tests


class Database:
    """The database of the server, and the template to which it is reset.

    Args:
        path: of the database.
        template: of the template file, which may not exist yet.
    """

    def __init__(self, path: Path, template: Path) -> None:
        self._path, self._template = path, template
        self._clean = sqlite3.connect(":memory:", check_same_thread=False)
        self._lock = -1

    def copy_template(self) -> bool:
        """Copy the template to the database, and return whether there is one.

        If there is none, other processes wait until ``keep`` has written it or this process has ended.
        """
        self._lock = os.open(self._template.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        lock_file(self._lock)
        for path in self._files():
            path.unlink(missing_ok=True)
        if not self._template.exists():
            return False
        os.close(self._lock)
        shutil.copyfile(self._template, self._path)
        return True

    def _files(self) -> Iterator[Path]:
        return (self._path.with_name(self._path.name + suffix) for suffix in ("", "-wal", "-shm"))

    def keep(self, *, write_template: bool) -> None:
        """Remember the present content as the clean one, and write it to the template file if asked to."""
        with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as live:
            live.backup(self._clean)
        if write_template:
            new = self._template.with_suffix(f".{os.getpid()}")
            with closing(sqlite3.connect(new)) as target:
                self._clean.backup(target)
            new.replace(self._template)
            os.close(self._lock)

    def restore(self) -> None:
        """Replace the content with the clean one; open connections go on (SQLite's backup API)."""
        with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as live:
            self._clean.backup(live)


class Channel:
    """Lines of JSON over a socket."""

    def __init__(self, descriptor: int) -> None:
        self._file = socket.socket(fileno=descriptor).makefile("rw", encoding="utf-8")

    def read(self) -> Any:
        """Return the next message; None when the test run has closed the channel or has ended."""
        try:
            line = self._file.readline()
        except OSError:
            return None
        return json.loads(line) if line else None

    def send(self, **message: Any) -> None:
        """Send a message."""
        self._file.write(json.dumps(message) + "\n")
        self._file.flush()


def main(descriptor: int) -> NoReturn:
    """Serve until the channel closes, and exit; the first message is the address or an error."""
    channel = Channel(descriptor)
    try:
        _run(channel, channel.read())
    except Exception as error:  # noqa: BLE001 - the test run reports it
        traceback.print_exc()
        channel.send(**_describe(error))
        sys.exit(1)
    sys.exit(0)


def _run(channel: Channel, options: Dict[str, Any]) -> None:
    listener = _listen(options["port"])
    database = Database(Path(options["database"]), Path(options["template"]))
    has_template = database.copy_template()
    os.environ.update(startup_environment(has_template=has_template))
    asyncio.run(_serve(channel, listener, database, has_template=has_template))


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


async def _serve(channel: Channel, listener: socket.socket, database: Database, *, has_template: bool) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ignore_cache=True)
    # Prefect has configured logging; another configuration waits forever for a handler of Prefect 3.0.
    config = uvicorn.Config(app, log_config=None, log_level="warning", access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not server.started:
        if serving.done():
            await serving
            raise RuntimeError("the server ended while it started")
        await asyncio.sleep(0.01)
    database.keep(write_template=not has_template)
    channel.send(port=listener.getsockname()[1])
    await _obey(channel, database)
    server.should_exit = True
    await serving


async def _obey(channel: Channel, database: Database) -> None:
    loop, consumers = asyncio.get_running_loop(), EventConsumers()
    while True:
        command = await loop.run_in_executor(None, channel.read)
        if command is None:
            return
        await consumers.settle()
        if command == "reset":
            await loop.run_in_executor(None, database.restore)
            await _forget_automations()
        channel.send(done=True)


class EventConsumers:
    """The server's consumers of events. A consumer that waits for the next event has stored all earlier events."""

    def __init__(self) -> None:
        self._most: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # by queue, how many consumers have waited

    async def settle(self) -> None:
        """Wait until the consumers have stored the events that the server has received."""
        from prefect.server.utilities.messaging import memory

        loop = asyncio.get_running_loop()
        end = loop.time() + _SETTLE_SECONDS
        for topic in list(getattr(memory.Topic, "_topics", {}).values()):
            for subscription in list(getattr(topic, "_subscriptions", ())):
                queue = getattr(subscription, "_queue", None)
                # asyncio.Queue has no event to wait for
                while queue is not None and self._is_busy(queue) and loop.time() < end:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)

    def _is_busy(self, queue: Any) -> bool:
        waiting = len(getattr(queue, "_getters", ()))
        most = self._most[queue] = max(waiting, self._most.get(queue, 0))
        return not queue.empty() or waiting < most


async def _forget_automations() -> None:
    """Empty the memory of the service that evaluates automations."""
    from prefect.server.events import triggers

    await triggers.reset()


def _describe(error: Exception) -> Dict[str, str]:
    text = " ".join(str(error).split())[:_LONGEST_REASON]
    return {"error": f"{type(error).__name__}: {text}" if text else type(error).__name__, **_kind(error)}


def _kind(error: Exception) -> Dict[str, str]:
    if isinstance(error, OSError):
        return {"kind": "port"}
    if isinstance(error, ModuleNotFoundError):
        return {"kind": "package"}
    return {}
