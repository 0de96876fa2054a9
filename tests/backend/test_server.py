"""The HTTP server: malformed requests, misbehaving clients, and a check after each test that the server still works."""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest

from pytest_flowsecrets.backend.http import connection, server
from pytest_flowsecrets.backend.http.connection import MAX_BODY, MAX_LINE
from pytest_flowsecrets.backend.http.graphql_http import write_fault
from pytest_flowsecrets.backend.http.server import Server
from pytest_flowsecrets.backend.messages import HttpFault, Response
from pytest_flowsecrets.clock import frozen_clock
from tests.backend.http import Line, ask

OK = {"query": "{ hello }"}


class Echo:
    """A world that answers with the request."""

    def __init__(self):
        self.asked = []

    def answer(self, request):
        self.asked.append(request)
        if request.body == b"raise":
            raise ValueError("ghp_secret")
        expected_message = {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "length": len(request.body),
        }
        return Response(200, (("Content-Type", "application/json"),), json.dumps(expected_message).encode())


@pytest.fixture
def world():
    echo = Echo()
    yield echo
    server.unmount(echo)


@pytest.fixture
def url(world):
    """The URL of a world; after the test, the server must still work."""
    url = server.mount(world)
    yield url
    assert ask(url, OK).status == 200


# -- what works --------------------------------------------------------------------------------------------------------


def test_requests_on_one_connection(url, world):
    """Connections are kept alive, and pipelined requests are answered in order."""
    with Line(url) as line:
        assert line.ask(OK).json["length"] == len(json.dumps(OK))
        line.send(line.request(b"1") + line.request(b"22") + line.request(b"333"))
        assert [line.reply().json["length"] for _ in range(3)] == [1, 2, 3]
    assert [request.headers["host"] for request in world.asked] == [line.host] * 4


def test_one_segment(url):
    """Head and body of a response arrive together, although Nagle's algorithm is off."""
    with Line(url) as line:
        line.send(line.request(OK))
        assert line.socket.recv(65536).endswith(b"}")


@pytest.mark.parametrize("wish", ["close", "TE, Close", "keep-alive, CLOSE", "close ,te"])
def test_close(url, wish):
    """``Connection: close`` closes the connection, in any case and at any position of the list."""
    with Line(url) as line:
        assert line.ask(OK, connection=wish).headers["connection"] == "close"
        assert line.closed()


@pytest.mark.parametrize("wish", [None, "keep-alive", "TE"])
def test_http_1_0(url, wish):
    """With HTTP/1.0, each connection serves one request."""
    with Line(url) as line:
        line.send(line.request(OK, connection=wish).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        reply = line.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert line.closed()


@pytest.mark.parametrize("wish", ["TE", "keep-alive", "closed"])
def test_connections_that_stay_open(url, wish):
    """Other options of ``Connection`` do not close the connection."""
    with Line(url) as line:
        for _ in range(2):
            reply = line.ask(OK, connection=wish)
            assert (reply.status, reply.headers.get("connection")) == (200, None)


def test_upgrade(url):
    """The server ignores a request to upgrade the protocol, and answers in HTTP/1.1."""
    with Line(url) as line:
        assert line.ask(OK, connection="Upgrade", upgrade="h2c").status == 200
        assert line.closed()


def test_head(url, world):
    """The response to HEAD has the headers of GET and no body, and the connection stays open."""
    with Line(url) as line:
        reply = line.ask(b"", method="HEAD", more="?a")
        assert (reply.status, reply.body) == (200, b"")
        with_body = line.ask(b"", method="GET", more="?a")
        assert len(with_body.body) == int(reply.headers["content-length"]) - 1  # "HEAD" is longer than "GET"
        line.send(line.request(method="HEAD") + b"nonsense\r\n\r\n")
        line.reply("HEAD")
        reply = line.reply()
        assert (reply.status, len(reply.body)) == (400, int(reply.headers["content-length"]))
        assert line.closed()
    with Line(url) as line:
        assert line.ask(b"", method="HEAD", path="/nobody").status == 404
        assert line.closed()
    assert [request.method for request in world.asked] == ["HEAD", "GET", "HEAD"]


def test_paths(url):
    """A world answers at its URL, with ``/graphql`` or a slash appended, and gets the query separately."""
    with Line(url) as line:
        for more in ("", "/", "/graphql", "/graphql/"):
            assert line.ask(OK, more=f"{more}?a=%20b").json["query"] == "a=%20b"


def test_headers_that_come_twice(url, world):
    """The values of a repeated header are joined to one list."""
    with Line(url) as line:
        line.send(line.request(OK).replace(b"Content-Type", b"Accept: a\r\naccept: b\r\nContent-Type", 1))
        line.reply()
    assert world.asked[-1].headers["accept"] == "a, b"


def test_chunks(url, world):
    """Chunked bodies are decoded; chunk extensions and trailers are ignored."""
    chunked = {"content_length": None, "transfer_encoding": "chunked"}
    with Line(url) as line:
        line.send(line.request(b"3;x=y\r\nabc\r\n2 \r\nde\r\n0\r\nTrailer: x\r\n\r\n", **chunked))
        assert line.reply().json["length"] == 5
        assert line.ask(OK).status == 200
    assert world.asked[0].body == b"abcde"


def test_expect(url):
    """``100 Continue`` is sent only after a valid head."""
    body = json.dumps(OK).encode()
    with Line(url) as line:
        head = line.request(expect="100-continue", content_length=str(len(body)))
        line.send(head)
        assert line.file.readline() == b"HTTP/1.1 100 Continue\r\n"
        line.file.readline()
        line.send(body)
        assert line.reply().status == 200
        line.send(head.replace(str(len(body)).encode(), str(MAX_BODY + 1).encode()))
        assert line.reply().status == 413


def test_large_bodies(url):
    """A body of 10 MB is accepted."""
    assert ask(url, b"x" * 10_000_000).json["length"] == 10_000_000


def test_date(url):
    """The header ``Date`` shows the time of the frozen clock."""
    with frozen_clock("2026-01-31T08:00:00"):
        assert ask(url, OK).headers["date"] == "Sat, 31 Jan 2026 08:00:00 GMT"


def test_frozen_time_stops_nobody(url):
    """A request that arrives in parts is answered while time is frozen."""
    with frozen_clock(), Line(url) as line:
        request = line.request(OK)
        line.send(request[:20])
        time.sleep(0.05)
        line.send(request[20:])
        assert line.reply().status == 200


# -- who is meant ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:"])
def test_hosts(url, host):
    """The server accepts the names of this machine with any port."""
    assert ask(url, OK, host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "[::1]", "", "localhost@x"]
)
def test_other_hosts(url, world, host):
    """A foreign host name (DNS rebinding) gets 421, and the world gets no request."""
    reply = ask(url, OK, host=host)
    assert (reply.status, world.asked) == (421, [])
    assert reply.message == "this server accepts requests to 127.0.0.1 and localhost only"


@pytest.mark.parametrize("place", ["http://127.0.0.1:1", "HTTP://localhost", "https://localhost:8080"])
def test_a_target_with_scheme_and_host(url, world, place):
    """The server accepts an absolute target, as HTTP/1.1 requires."""
    path = urlsplit(url).path
    assert ask(url, OK, path=place + path, more="?x=1").status == 200
    assert [(request.path, request.query) for request in world.asked] == [(path, "x=1")]


@pytest.mark.parametrize("place", ["http://evil.example", "http://evil@127.0.0.1", "http://[::1]", "http://"])
def test_a_target_with_another_host(url, world, place):
    """An absolute target with a foreign host is rejected, whatever the Host header contains."""
    assert ask(url, OK, path=place + urlsplit(url).path).status == 421
    assert world.asked == []


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: localhost\r\n"])
def test_no_host_and_two(url, hosts):
    """A request without a Host header or with two is rejected."""
    with Line(url) as line:
        line.send(b"POST / HTTP/1.1\r\n" + hosts + b"Content-Length: 0\r\n\r\n")
        assert line.reply().message == "the request must have exactly one Host header"
        assert line.closed()


@pytest.mark.parametrize("path", ["/", "/nobody", "/graphql", "//", "http://localhost/"])
def test_404(url, path):
    """A path without a world gets 404."""
    reply = ask(url, OK, path=path)
    assert reply.status == 404
    assert "prefect_cloud.url" in reply.message


def test_a_world_that_has_gone(world):
    """The URL of an unmounted world gets 404, and the next world has another URL."""
    url = server.mount(world)
    server.unmount(world)
    server.unmount(world)
    assert ask(url, OK).status == 404
    assert server.mount(world) != url


# -- bad HTTP ----------------------------------------------------------------------------------------------------------

HOST = b"Host: localhost\r\n"
MALFORMED = {
    "no method": (b"\x00\x01\x02\r\n\r\n", 400),
    "no version": (b"GET\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "a version that is none": (b"GET / HTTP/x.y\r\n" + HOST + b"\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "a NUL in a header": (b"GET / HTTP/1.1\r\n" + HOST + b"x: a\0b\r\n\r\n", 400),
    "a control character in a header": (b"GET / HTTP/1.1\r\n" + HOST + b"x: a\x01b\r\n\r\n", 400),
    "a carriage return in a header": (b"GET / HTTP/1.1\r\n" + HOST + b"x: a\rb\r\n\r\n", 400),
    "an odd space before a coding": (
        b"POST %s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a coding twice": (
        b"POST %s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
        501,
    ),
    "no host in HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", 400),
    "a length with a sign": (b"POST %s HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\na", 400),
    "a length with an odd space": (b"POST %s HTTP/1.1\r\n" + HOST + b"Content-Length: \x0b1\r\n\r\na", 400),
    "too many words": (b"GET / x HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a long line": (b"GET /" + b"x" * MAX_LINE + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a line without an end": (b"GET /" + b"x" * 70_000, 414),
    "a long header": (b"GET / HTTP/1.1\r\n" + HOST + b"x: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    "a header without an end": (b"GET / HTTP/1.1\r\n" + HOST + b"x: " + b"x" * 70_000, 431),
    "many headers": (b"GET / HTTP/1.1\r\n" + HOST + b"x: y\r\n" * 101 + b"\r\n", 431),
    "large headers": (
        b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"x%d: %s\r\n" % (n, b"x" * 9_000) for n in range(9)) + b"\r\n",
        431,
    ),
    "a header without a colon": (b"GET / HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length : 3\r\n\r\nabc", 400),
    "two lengths": (b"POST %s HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a length that is none": (b"POST %s HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
    "a huge length": (b"POST %s HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
    "an endless length": (b"POST %s HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
    "chunks and a length": (
        b"POST %s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na",
        400,
    ),
    "chunks in HTTP/1.0": (b"POST %s HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "an unknown coding": (b"POST %s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
}
CHUNKED = b"POST %s HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
for name, chunks, status in [
    ("a size that is none", b"x\r\n", 400),
    ("a negative size", b"-1\r\n", 400),
    ("a chunk that is too long", b"1\r\nab\r\n", 400),
    ("a chunk that is too large", b"fffffff\r\n" + b"x" * (MAX_BODY + 1), 413),
    ("a chunk that does not end", b"1\r\naXX0\r\n\r\n", 400),
    ("many chunks", b"800000\r\n" + b"x" * 0x800000 + b"\r\n800001\r\n" + b"x" * 0x800001, 413),
    ("a large trailer", b"0\r\n" + b"x: %s\r\n" % (b"x" * 9_000) * 9, 400),
]:
    MALFORMED[name] = (CHUNKED + chunks, status)


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(url, world, case):
    """A malformed request gets a GraphQL error with the right status and closes the connection."""
    data, status = MALFORMED[case]
    with Line(url) as line:
        line.send(data.replace(b"%s", line.path.encode(), 1))
        reply = line.reply()
        assert (reply.status, reply.headers["content-type"]) == (status, "application/json; charset=utf-8")
        assert len(reply.message) < 120
        assert line.closed()
    assert world.asked == []


def test_an_empty_line_before_a_request(url, world):
    """Empty lines before a request are ignored, also directly after another request."""
    with Line(url) as line:
        line.send(b"\r\n")
        line.send(b"\r\n" + line.request(OK) + b"\r\n" + line.request(OK))
        assert [line.reply().status, line.reply().status] == [200, 200]
    assert len(world.asked) == 2


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "multipart/form-data", "multipart/mixed; boundary="]
)
def test_multipart(url, world, kind):
    """The world rejects multipart bodies; a malformed header is rejected by the server."""
    assert ask(url, OK, content_type=kind).status == 200
    with Line(url) as line:
        line.send(line.request(OK, content_type=kind).replace(b"Host:", b"X-Odd : y\r\nHost:"))
        assert line.reply().status == 400
    assert len(world.asked) == 1


@pytest.mark.slow
def test_many_small_chunks(url, world):
    """Many small chunks form one body."""
    with Line(url) as line:
        line.send(CHUNKED.replace(b"%s", line.path.encode()) + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")
        assert line.reply().status == 200
    assert world.asked[0].body == b"x" * 50_000


@pytest.mark.parametrize(
    "data",
    [
        b"POST %s HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\nabc",
        CHUNKED + b"3\r\nab",
        CHUNKED + b"0\r\n",
    ],
    ids=["length", "chunk", "last chunk"],
)
def test_truncated_bodies(url, world, data):
    """A truncated body gets 400 if the client still listens, and does not reach the world."""
    with Line(url) as line:
        line.send(data.replace(b"%s", line.path.encode(), 1))
        line.socket.shutdown(socket.SHUT_WR)
        assert line.reply().status == 400
    assert world.asked == []


@pytest.mark.parametrize("data", [b"", b"PO", b"\r\n", b"POST / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\n"])
def test_clients_that_go_away(url, data):
    """A client can disconnect at any point."""
    with Line(url) as line:
        line.send(data)
        line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closing will be a reset


def test_a_large_body_that_is_refused(url):
    """A client can send all of a too large body before it reads the rejection."""
    with Line(url) as line:
        line.send(line.request(b"x" * (MAX_BODY + 1)))
        assert line.reply().message == "the body is larger than 16 MiB"


def test_a_fault_of_the_world(url, caplog):
    """An exception of the world becomes 500; response and log contain its type, not its text."""
    with caplog.at_level(logging.ERROR, "pytest_flowsecrets"), Line(url) as line:
        reply = line.ask(b"raise")
        assert (reply.status, reply.message) == (500, "internal error of this API: ValueError")
        assert line.ask(OK).status == 200
    assert "ValueError while answering a request, " in caplog.text
    assert "ghp" not in caplog.text + reply.message


# -- slow clients ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_slow_clients(url, monkeypatch):
    """Slow requests and idle connections time out without delaying other clients."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 2)
    monkeypatch.setattr(connection, "IDLE_SECONDS", 2)
    with Line(url) as slow, Line(url) as silent:
        request = slow.request(OK)
        slow.send(request[:40])
        for byte in request[40:44]:
            slow.send(bytes([byte]))
            assert ask(url, OK).status == 200
            time.sleep(0.1)
        assert slow.reply().status == 408
        assert slow.closed()
        assert silent.closed()


@pytest.mark.slow
def test_clients_that_do_not_read(url, world, monkeypatch):
    """A client that does not read the response times out."""
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(world, "answer", lambda _: Response(200, (), b"x" * 50_000_000))
    with Line(url) as line:
        line.send(line.request(OK))
        time.sleep(1.5)
        assert len(line.file.read()) < 50_000_000
    monkeypatch.undo()


def test_a_thread_for_each_connection(url):
    """Waiting connections do not block others, and leave no thread after they are closed."""
    before = threading.active_count()
    lines = [Line(url) for _ in range(50)]
    assert [line.ask(OK).status for line in lines] == [200] * 50
    for line in lines:
        line.__exit__()
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before


# -- cut connections ---------------------------------------------------------------------------------------------------


def test_cut_connections(url, world, monkeypatch):
    """A response with ``sent`` below 1 is sent partly or not at all; then the connection is closed."""
    for data, length in ((0.0, 0), (0.5, 5)):
        monkeypatch.setattr(world, "answer", lambda _, data=data: Response(200, (), b"x" * 10, data))
        with Line(url) as line:
            line.send(line.request(OK))
            received = line.file.read()
            assert received.count(b"x") == length
            assert (b"Content-Length: 10" in received) == bool(length)
    monkeypatch.undo()


# -- the process -------------------------------------------------------------------------------------------------------


def test_one_server_for_the_process(world):
    """There is one server on 127.0.0.1 and a free port, even if threads start it concurrently."""
    result = []
    threads = [threading.Thread(target=lambda: result.append(server.address())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(result) == {server.address()}
    assert result[0][0] == "127.0.0.1"


def test_servers_of_their_own():
    """A server can have its own address, host names and paths; a port in use raises OSError."""
    mine = Server(allows="api.example".__eq__, host_names="api.example")
    mine.start()
    try:
        url = mine.mount(Echo(), "")
        assert ask(url, OK, host="api.example").status == 200
        assert ask(url, OK, path="/graphql", host="api.example:80").status == 200
        assert ask(url, OK).message == "this server accepts requests to api.example only"
        with pytest.raises(OSError, match="in use"):
            Server(port=mine.address[1])
    finally:
        mine.shutdown()
        mine.server_close()


def in_a_child(world, url, expected_message):
    server.unmount(world)  # has no business with its parent's
    mine = server.mount(Echo())
    expected_message.send([ask(url, OK).status, ask(mine, OK).status, mine.split("/")[2] != url.split("/")[2]])
    for _ in range(2):
        server.drop_inherited()  # as a child of this child does, and one of that, which has no server
    expected_message.send([ask(server.mount(Echo()), OK).status, refuses(mine)])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_children(world):
    """A forked child reaches its parent's worlds by URL, and starts its own server for its own worlds."""
    url = server.mount(world)
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    child = fork.Process(target=in_a_child, args=(world, url, there))
    child.start()
    assert here.poll(10)
    assert here.recv() == [200, 200, True]
    assert here.poll(10)
    assert here.recv() == [200, True]
    child.join()
    assert ask(url, OK).status == 200


LIVES = """
import sys, time
from pytest_flowsecrets.backend.http import server
from tests.backend.test_server import Echo
print(server.mount(Echo()), flush=True)
{then}
"""


def run(then):
    code = LIVES.format(then=then)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def refuses(url):
    try:
        ask(url, OK)
    except OSError:
        return True
    return False


@pytest.mark.slow
def test_it_ends_with_the_process():
    """The server does not keep the process alive, and prints nothing at its end."""
    process, url = run("sys.stdin.readline")
    with Line(url) as line:
        line.send(b"POST")
        _, said = process.communicate(timeout=10)
    assert (process.returncode, said) == (0, "")
    assert refuses(url)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_process_leaves_nothing(number):
    """The port of a killed process is free, although a forked child still runs."""
    process, url = run(
        "import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "child = os.fork(); child and print(child, flush=True); time.sleep(60)"  # the parent says it: it is past forking
    )
    child = int(process.stdout.readline())
    try:
        assert ask(url, OK).status == 200
        process.send_signal(number)
        process.wait(timeout=10)
        assert refuses(url)
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()
        process.stderr.close()


@pytest.mark.slow
def test_nothing_is_kept_of_connections(url):
    """A thousand closed connections leave no objects behind."""
    ask(url, OK)
    gc.collect()
    count = sum(isinstance(one, connection.Connection) for one in gc.get_objects())
    for _ in range(100):
        ask(url, OK)
    for _ in range(100):  # until the last ones have ended
        remaining = sum(isinstance(one, connection.Connection) for one in gc.get_objects())
        if remaining <= count + 2:
            break
        time.sleep(0.05)
    assert remaining <= count + 2


def test_faults_have_the_shape_of_graphql():
    """The body of a fault is a GraphQL error with a message."""
    assert json.loads(write_fault(None, HttpFault(400, "m")).body) == {"errors": [{"message": "m"}]}
