"""How fast the fake API is: tables in Markdown, each figure beside its peers in the same run.

    python benchmarks/bench_backend.py [first] [views] [requests] [client] [memory] [rows]

Needs Prefect, and for the peers moto[server], boto3 and pytest-httpserver; those that are missing are left out. The
clients that count requests are processes of their own. A limit that is broken ends the run with status 1.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

broken: List[str] = []


def main() -> None:
    """Print the tables that were asked for."""
    tables = {
        name: one
        for name, one in globals().items()
        if name in ("first", "views", "requests", "client", "memory", "rows")
    }
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("table", nargs="*", choices=[*tables, []], help="all without any")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n", flush=True)
    for name in arguments.table or tables:
        print("\n".join(tables[name]()) + "\n", flush=True)
    sys.exit(f"limits broken: {'; '.join(broken)}" if broken else 0)


def limit(figure: float, most: Optional[float], what: str) -> None:
    """Remember a limit that is broken."""
    if most is not None and figure > most:
        broken.append(f"{what}: {figure:,.2f} is more than {most:,.2f}")


def table(head: List[str], lines: List[List[str]]) -> List[str]:
    """Lines of Markdown."""
    rows = [head, ["---"] + ["---:"] * (len(head) - 1), *lines]
    return [f"| {' | '.join(row)} |" for row in rows]


# -- first use ---------------------------------------------------------------------------------------------------------

# Each is run in fresh processes, Prefect being imported before; it prints milliseconds.
FIRST: Dict[str, Tuple[str, Optional[float]]] = {
    "**`FakeCloud`, entered and asked**": (
        """
from pytest_flowsecrets import isolated_prefect
with isolated_prefect():
    start = clocks()
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud
    with FakeCloud() as cloud:
        ask(cloud.url, b'{"query": "{ secret_names }"}', {"Authorization": f"Bearer {cloud.tenant.user_key}"})
        print(*since(start))
""",
        350,
    ),
    "of that, `import graphql`": ("start = clocks(); import graphql; print(*since(start))", None),
    "moto's server, started and asked": (
        """
start = clocks()
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(port=0)
server.start()
ask("http://%s:%s/moto-api/data.json" % server.get_host_and_port(), None, {})
print(*since(start))
""",
        None,
    ),
    "pytest-httpserver, started and asked": (
        """
start = clocks()
from pytest_httpserver import HTTPServer
server = HTTPServer()
server.start()
server.expect_request("/").respond_with_json({})
ask(server.url_for("/"), b"{}", {})
print(*since(start))
""",
        None,
    ),
}
ASK = """
import os, sys, urllib.request, prefect
from time import perf_counter, process_time
def clocks():
    return perf_counter(), process_time()
def since(start):
    return [(now - then) * 1000 for now, then in zip(clocks(), start)]
def ask(url, body, headers):
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    return urllib.request.urlopen(request).read()
"""


def first(rounds: int = 7) -> List[str]:
    """What the first test that uses an API pays. On a busy machine time passes that the process does not have."""
    lines = []
    for name, (code, most) in FIRST.items():
        found = [_alone(ASK + code + "\nsys.stdout.flush(); os._exit(0)") for _ in range(rounds)]
        times = [pair for pair in found if pair]
        if times:
            wall, work = (median(column) for column in zip(*times))
            limit(work, most, name)
            lines.append([name, f"{wall:.0f} ms", f"{work:.0f} ms", f"{most} ms" if most else ""])
        elif most:
            broken.append(f"{name}: it did not run")
    return table([f"first use in a process, median of {rounds}", "time", "CPU time", "limit"], lines)


def _alone(code: str) -> List[float]:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    return [float(word) for word in done.stdout.split()[-2:]] if done.returncode == 0 else []


# -- further views -----------------------------------------------------------------------------------------------------


def views(count: int = 200) -> List[str]:
    """What each further test pays for an API of its own."""
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud, FakeServer

    lines = []
    with isolated(), FakeCloud(), FakeServer():
        for kind in (FakeCloud, FakeServer):
            took = median(timed(lambda kind=kind: kind().__enter__().__exit__(), count)) * 1000
            limit(took, 2, kind.__name__)
            lines.append([f"**`{kind.__name__}`**", f"{took:.2f} ms", "2 ms"])
    with suppress(ImportError):
        from pytest_httpserver import HTTPServer

        with HTTPServer() as server:
            lines.append(["pytest-httpserver, `clear()`", f"{median(timed(server.clear, count)) * 1000:.2f} ms", ""])
        lines.append(["pytest-httpserver, a server of its own", f"{median(timed(_httpserver, 5)) * 1000:.2f} ms", ""])
    with suppress(ImportError):
        lines.append(["moto's server, a server of its own", f"{median(timed(_moto, 3)) * 1000:.2f} ms", ""])
    return table(["a further test's API, entered and left", "median", "limit"], lines)


def _httpserver() -> None:
    from pytest_httpserver import HTTPServer

    with HTTPServer():
        pass


def _moto() -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    server.stop()


def timed(call: Callable[[], Any], count: int, clock: Callable[[], float] = perf_counter) -> List[float]:
    """Seconds of each of so many calls, after a first one."""
    call()
    times = []
    for _ in range(count):
        start = clock()
        call()
        times.append(clock() - start)
    return times


@contextmanager
def isolated() -> Iterator[None]:
    """An isolation, as every test that uses an API has one."""
    from pytest_flowsecrets import isolated_prefect

    with isolated_prefect():
        yield


# -- requests per second -----------------------------------------------------------------------------------------------


class Peer(NamedTuple):
    """A server, and a request that it answers with 200."""

    name: str
    url: str
    headers: Dict[str, str]
    body: bytes
    one: Optional[int] = None  # the least number of requests per second, on one connection
    eight: Optional[int] = None  # and on eight


def requests(count: int = 4_000) -> List[str]:
    """How many requests a second are answered."""
    lines = []
    with peers() as found:
        for peer in found:
            one, eight = max(_rate(peer, 1, count) for _ in range(3)), max(_rate(peer, 8, count // 4) for _ in range(3))
            limit(-one, -(peer.one or 0), f"{peer.name}, one connection")
            limit(-eight, -(peer.eight or 0), f"{peer.name}, eight connections")
            wanted = f"{peer.one:,} and {peer.eight:,}" if peer.one and peer.eight else ""
            lines.append([peer.name, f"{one:,.0f}", f"{eight:,.0f}", wanted])
    head = ["requests per second, best of 3", "one keep-alive connection", "eight in parallel", "at least"]
    return table(head, lines)


@contextmanager
def peers(*, others: bool = True) -> Iterator[List[Peer]]:
    """The fake API inside a flow run, and what else there is."""
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud

    found = []
    with ExitStack() as stack:
        stack.enter_context(isolated())
        cloud = stack.enter_context(FakeCloud({"TOKEN": "x" * 40}))
        stack.enter_context(cloud.flow_run())
        headers = {"Authorization": f"Bearer {cloud.tenant.runner_key}", "Content-Type": "application/json"}
        found.append(Peer("**`secret_value`** by a RUNNER key", cloud.url, headers, SECRET_VALUE, 2_000, 1_200))
        body = json.dumps({"query": "{ secret_names }", "variables": "null"}).encode()
        found.append(Peer("**`secret_names`**", cloud.url, headers, body))
        yield found + list(_others(stack, headers) if others else ())


def _others(stack: ExitStack, headers: Dict[str, str]) -> Iterator[Peer]:
    url = stack.enter_context(constant(b'{"data": {"secret_value": "x"}}'))
    yield Peer("`http.server`, a constant", url, headers, SECRET_VALUE)
    with suppress(ImportError):
        yield _moto_peer(stack)
    with suppress(ImportError):
        from pytest_httpserver import HTTPServer

        server = stack.enter_context(HTTPServer())
        server.expect_request("/").respond_with_json({})
        yield Peer("pytest-httpserver, a constant", server.url_for("/"), headers, SECRET_VALUE)


QUERY = "query($name: String!) {\n    secret_value(name: $name)\n}"
SECRET_VALUE = json.dumps({"query": QUERY, "variables": json.dumps({"name": "TOKEN"})}).encode()


def _moto_peer(stack: ExitStack) -> Peer:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    stack.callback(server.stop)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    url = "http://{}:{}/".format(*server.get_host_and_port()).replace("0.0.0.0", "127.0.0.1")
    made = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    boto3.client("secretsmanager", endpoint_url=url, **made).create_secret(Name="TOKEN", SecretString="x" * 40)
    headers = {
        "X-Amz-Target": "secretsmanager.GetSecretValue",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/secretsmanager/aws4_request, "
        "SignedHeaders=host, Signature=x",
    }
    return Peer("moto's server, `GetSecretValue`", url, headers, b'{"SecretId": "TOKEN"}')


@contextmanager
def constant(body: bytes) -> Iterator[str]:
    """The URL of the standard library's server, which always gives the same JSON; one write for each answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def _rate(peer: Peer, connections: int, count: int) -> float:
    """Requests per second that a process with so many connections gets answered."""
    command = [sys.executable, __file__, "--load", str(connections), str(count)]
    done = subprocess.run(
        command, input=json.dumps([*peer[1:3], peer.body.decode()]), text=True, capture_output=True, check=True
    )
    return float(done.stdout)


def load(connections: int, count: int) -> None:
    """Be the client: send requests on connections that are kept (or made anew where the server closes them)."""
    url, headers, body = json.load(sys.stdin)
    place = urlsplit(url)
    lines = [f"POST {place.path} HTTP/1.1", f"Host: {place.netloc}", f"Content-Length: {len(body)}", "Accept: */*"]
    request = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", body]).encode()
    threads = [threading.Thread(target=_send, args=(place, request, count)) for _ in range(connections)]
    start = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(connections * count / (perf_counter() - start))


def _send(place: Any, request: bytes, count: int) -> None:
    line = None
    for _ in range(count):
        if line is None:
            line = socket.create_connection((place.hostname, place.port))
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(request)
        head, _, body = line.recv(65536).partition(b"\r\n\r\n")
        head = head.lower()
        if head.split()[1:2] != [b"200"]:
            sys.exit(f"not 200: {head!r} {body!r}")
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += line.recv(65536)
        if head.startswith(b"http/1.0") or b"connection: close" in head:
            line = line.close()


# -- the real client ---------------------------------------------------------------------------------------------------


def client(count: int = 400) -> List[str]:
    """What ``Client.graphql`` takes, against the same call to a server that answers a constant."""
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud

    with isolated(), FakeCloud({"TOKEN": "x"}) as cloud, constant(b'{"data": {"secret_names": ["TOKEN"]}}') as url:
        mine, theirs = cloud.client, cloud.client
        theirs.api_server = url
        calls = {one: [] for one in (mine, theirs)}
        for _ in range(count):  # in turn, so that a busy moment hits both
            for one, times in calls.items():
                times.append(_once(one))
        ours, constants = (median(times) * 1000 for times in calls.values())
    limit(ours / constants, 1.3, "Client.graphql")
    lines = [
        ["a constant answer of `http.server`", f"{constants:.2f} ms", "1.00", ""],
        ["**the fake API**", f"{ours:.2f} ms", f"{ours / constants:.2f}", "1.30"],
    ]
    return table(["`Client.graphql` of Prefect 1.4.1", "median", "ratio", "limit"], lines)


def _once(one: Any) -> float:
    start = perf_counter()
    one.graphql("query { secret_names }")
    return perf_counter() - start


# -- memory ------------------------------------------------------------------------------------------------------------


def memory(count: int = 100_000) -> List[str]:
    """Memory of the process while it is asked, beyond the requests that the journal keeps."""
    lines, seen = [], []
    with peers(others=False) as found:
        for part in range(1, 11):
            _rate(found[0], 1, count // 10)
            seen.append(_resident_mb())
            if part in (1, 2, 5, 10):
                lines.append([f"{part * count // 10:,}", f"{seen[-1]:.1f} MB"])
    limit(seen[-1] - seen[1], 5, "growth after the first fifth, in MB")
    return table(["requests", "resident memory"], lines)


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


# -- many rows ---------------------------------------------------------------------------------------------------------

LISTS = {
    "secrets, sorted by name": "query { secret(order_by: {name: asc}) { name } }",
    "secret_names": "query { secret_names }",
    "ten secrets of all": "query { secret(order_by: {name: asc}, limit: 10) { name } }",
    "flow runs, with their flows": "query { flow_run(order_by: {created: desc}) { id state flow { name } } }",
    "flow runs by state": 'query { flow_run(where: {state: {_eq: "Scheduled"}}) { id } }',
    "one flow run by its name": 'query { flow_run(where: {name: {_eq: "run-77"}}) { id } }',
    "number of flow runs": "query { flow_run_aggregate { aggregate { count } } }",
}


def rows(few: int = 1_000, many: int = 10_000) -> List[str]:
    """How list queries slow with what is stored."""
    times: Dict[str, List[float]] = {name: [] for name in LISTS}
    for count in (few, many):
        with isolated(), _filled(count) as cloud:
            for name, query in LISTS.items():
                times[name].append(min(timed(lambda query=query: cloud.client.graphql(query), 5, process_time)) * 1000)
    lines = []
    for name, (early, late) in times.items():
        most = early * many / few * 1.3  # what is not linear at all would be ten times that
        limit(late, most, name)
        lines.append([name, f"{early:.1f} ms", f"{late:.1f} ms", f"{late / early:.1f}", f"{many / few:.0f}"])
    return table(
        ["CPU time of a list query and of the client that reads it", f"{few:,}", f"{many:,}", "times", "linear"], lines
    )


@contextmanager
def _filled(count: int) -> Iterator[Any]:
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud

    with FakeCloud({f"SECRET_{number:05}": number for number in range(count)}) as cloud:
        store, tenant = cloud.world.store, cloud.tenant.id
        project = store.add("project", tenant_id=tenant, name="p")
        group = store.add("flow_group", tenant_id=tenant, name="f")
        flow = store.add("flow", tenant_id=tenant, project_id=project["id"], flow_group_id=group["id"], name="f")
        for number in range(count):
            store.add("flow_run", tenant_id=tenant, flow_id=flow["id"], name=f"run-{number}", state="Scheduled")
        yield cloud


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        load(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
