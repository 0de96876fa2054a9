"""Fixtures for the tests: one small HTTP server stands in for GitHub, Slack and the archive."""

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest


class World(ThreadingHTTPServer):
    token = "token-of-the-test"
    password = "password-of-the-test"

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.messages, self.archive = [], {}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/archive/"):
            self.answer(self.archive_status(), self.server.archive.get(self.path, b""))
        elif self.headers["Authorization"] == f"token {self.server.token}":
            self.answer(200, json.dumps([{"number": 1}, {"number": 2}]).encode())
        else:
            self.answer(401)

    def do_PUT(self):
        status = self.archive_status()
        body = self.body()
        if status == 200:
            self.server.archive[self.path] = body
        self.answer(status)

    def do_POST(self):
        self.server.messages.append(json.loads(self.body())["attachments"][0])
        self.answer(200)

    def archive_status(self):
        credentials = base64.b64encode(f"flows:{self.server.password}".encode()).decode()
        return 200 if self.headers["Authorization"] == f"Basic {credentials}" else 401

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with World() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def secrets(world, local_secrets):
    """Set the secrets that the flow needs in production, with addresses on this machine."""
    local_secrets.update(
        GITHUB_ACCESS_TOKEN=world.token,
        SLACK_WEBHOOK_URL=f"{world.url}/slack",
        ARCHIVE={"url": f"{world.url}/archive", "user": "flows", "password": world.password},
    )
    return local_secrets


@pytest.fixture
def checkpointing(monkeypatch, local_secrets):
    """Turn checkpointing on, as in runs that an agent starts; otherwise Prefect writes no results."""
    monkeypatch.setenv("PREFECT__FLOWS__CHECKPOINTING", "true")
    local_secrets.reload()
