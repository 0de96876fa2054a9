"""Fixtures of the tests: a GitHub API on this machine, and a pool thread that starts before the tests."""

from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest


class GitHub(HTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        self.tokens = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.tokens.append(self.headers["Authorization"].split()[1])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[{}, {}]")

    def log_message(self, *args):
        pass


@pytest.fixture
def github():
    with GitHub() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(print).result()
        yield pool
