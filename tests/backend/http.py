"""Send raw HTTP to the server, and check what happens to the connection."""

from __future__ import annotations

import json
import socket
from typing import Any, Dict, NamedTuple
from urllib.parse import urlsplit

PATIENCE = 60  # seconds; nothing here takes so long unless it hangs, also on a busy machine


class Reply(NamedTuple):
    status: int
    headers: Dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The message of the first error."""
        return self.json["errors"][0]["message"]


class Line:
    """One connection that stays open."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self.path, self.host = place.path, place.netloc
        self.socket = socket.create_connection((place.hostname, place.port), timeout=PATIENCE)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, body: Any = b"", *, method: str = "POST", **more: Any) -> Reply:
        """Send a request and read the reply; see ``request``."""
        self.send(self.request(body, method=method, **more))
        return self.reply(method)

    def request(
        self, body: Any = b"", *, method: str = "POST", path: Any = None, more: str = "", **headers: Any
    ) -> bytes:
        """A body that is not bytes is sent as JSON; ``more`` is added to the path; a header that is None is not sent."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        payload = {"Host": self.host, "Content-Type": "application/json", "Content-Length": str(len(body))}
        payload.update({name.replace("_", "-").title(): value for name, value in headers.items()})
        lines = [f"{method} {(path or self.path or '/') + more} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in payload.items() if value is not None]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def reply(self, method: str = "POST") -> Reply:
        status = self.file.readline()
        if not status:
            raise EOFError
        headers = {}
        for line in iter(self.file.readline, b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = b"" if method == "HEAD" else self.file.read(int(headers.get("content-length", 0)))
        return Reply(int(status.split()[1]), headers, body)

    def closed(self) -> bool:
        """Return whether the server has closed the connection."""
        return self.file.read(1) == b""


def ask(url: str, body: Any = b"", **arguments: Any) -> Reply:
    """One request on a connection of its own."""
    with Line(url) as line:
        return line.ask(body, **arguments)
