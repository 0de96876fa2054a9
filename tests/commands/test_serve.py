"""``flowsecrets serve``, as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from pytest_flowsecrets.commands.serve import NO_SCHEDULES, _allowed, _is_loopback, _mounted, _text, secrets_of
from tests.backend.http import ask
from tests.compat import VERSION, needs_prefect

SET = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }"
NAMES = {"query": "{ secret_names }"}


class Served:
    def __init__(self, *arguments, port="0"):
        command = [sys.executable, "-m", "pytest_flowsecrets.cli", "serve", "--port", port, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, **pipes)
        self.line = self.process.stdout.readline()

    def stop(self, number=signal.SIGINT):
        """(status, rest of stdout, stderr)"""
        self.process.send_signal(number)
        out, err = self.process.stdout.read(), self.process.stderr.read()  # until it ends
        return self.process.wait(timeout=20), out, err

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=20)
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def serve():
    started = []

    def serve(*arguments, **more):
        started.append(Served(*arguments, **more))
        return started[-1]

    yield serve
    for one in started:
        one.end()


@pytest.mark.slow
def test_json(serve):
    """One line with address, keys and environment; by HTTP, secrets are set and listed; SIGTERM ends it with 0."""
    served = serve("--json")
    told = json.loads(served.line)
    assert sorted(told) == ["backend", "environ", "pid", "runner_key", "tenant_id", "url", "user_key"]
    assert (told["backend"], told["pid"]) == ("cloud", served.process.pid)
    user, runner = ({"authorization": f"Bearer {told[key]}"} for key in ("user_key", "runner_key"))
    body = {"query": SET, "variables": {"input": {"name": "TOKEN", "value": "x"}}}
    assert ask(told["url"], body, **user).json == {"data": {"set_secret": {"success": True}}}
    assert ask(told["url"], NAMES, **user).json == {"data": {"secret_names": ["TOKEN"]}}
    assert ask(told["url"] + "/graphql", NAMES, **runner).status == 200
    assert ask(told["url"], NAMES).json["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert ask(told["url"], NAMES, host="evil.example").status == 421
    assert served.stop(signal.SIGTERM) == (0, "", "")


def test_text(serve):
    """Address, keys and lines for a shell; Ctrl-C ends it with 0."""
    served = serve()
    assert re.fullmatch(r"a fake Prefect Cloud listens at http://127\.0\.0\.1:\d+ \(Ctrl-C stops it\)\n", served.line)
    status, out, err = served.stop()
    assert (status, err) == (0, "")
    assert re.search(r"USER key    \S{20,}\n  RUNNER key  \S{20,}  \(for agents\)\n  tenant      [0-9a-f-]{36}\n", out)
    assert f"PREFECT__CLOUD__API_KEY={re.search('RUNNER key  (.*?)  ', out)[1]} prefect agent local start\n" in out
    assert (NO_SCHEDULES in out) == (VERSION is None)
    exported = re.findall(r"^export (\w+)=\S+$", out, re.MULTILINE)
    assert exported == [f"PREFECT__{name}" for name in ("BACKEND", "CLOUD__API", "CLOUD__API_KEY", "CLOUD__TENANT_ID")]


@pytest.mark.slow
def test_server(serve):
    """Prefect Server has neither keys nor secrets."""
    served = serve("--server", "--json")
    told = json.loads(served.line)
    assert (told["backend"], "user_key" in told) == ("server", False)
    assert told["environ"]["PREFECT__SERVER__ENDPOINT"] == told["url"]
    assert ask(told["url"], {"query": "{ tenant { slug } }"}).json == {"data": {"tenant": [{"slug": "default"}]}}
    assert ask(told["url"], NAMES).status == 400
    text = _text(told)
    assert text.startswith(f"a fake Prefect Server listens at {told['url']} (Ctrl-C stops it)\n\n")
    assert re.findall("^(?:export|prefect|curl) .*$", text, re.MULTILINE) == [
        "export PREFECT__BACKEND=server",
        f"export PREFECT__CLOUD__API={told['url']}",
        f"export PREFECT__SERVER__ENDPOINT={told['url']}",
        "prefect create project demo",
        "prefect agent local start",
        f"curl {told['url']}/health",
    ]


@pytest.mark.slow
def test_fixed_keys_and_secrets(serve, tmp_path):
    """Keys and secrets that are the same each time; the random keys are good for nothing."""
    file = tmp_path / "secrets.toml"
    file.write_text('[context.secrets]\nTOKEN = "x"\nPORT = 8080\n')
    served = serve("--json", "--user-key", "user", "--runner-key", "runner", "--secrets", str(file))
    told = json.loads(served.line)
    assert (told["user_key"], told["runner_key"], told["environ"]["PREFECT__CLOUD__API_KEY"]) == (
        "user",
        "runner",
        "user",
    )
    for key in ("user", "runner"):
        reply = ask(told["url"], NAMES, authorization=f"Bearer {key}")
        assert reply.json == {"data": {"secret_names": ["TOKEN", "PORT"]}}
    value = {"query": '{ secret_value(name: "TOKEN") }'}
    assert "scope RUNNER" in ask(told["url"], value, authorization="Bearer user").message


def test_health(serve):
    """Without a key, by GET and HEAD."""
    url = json.loads(serve("--json").line)["url"]
    reply = ask(url, path="/health", method="GET")
    assert (reply.status, reply.json) == (200, {"status": "ok", "backend": "cloud"})
    assert ask(url, path="/health", method="HEAD").status == 200


@pytest.mark.slow
def test_verbose(serve):
    """A line on stderr for each request, those that no API gets to see too, and no value in it."""
    served = serve("--json", "--verbose", "--user-key", "user")
    url = json.loads(served.line)["url"]
    body = {"query": SET, "variables": {"input": {"name": "TOKEN", "value": "hunter2"}}}
    ask(url, body, authorization="Bearer user")
    ask(url, NAMES)
    ask(url, b"{")
    ask(url, NAMES, path="/nobody")
    _, _, err = served.stop()
    lines = [re.sub(r"^[-\d]{10} [:\d]{8} |, [.\d]+ ms$", "", line) for line in err.splitlines()]
    assert lines == [
        "200, mutation set_secret, USER",
        "200, query secret_names, UNAUTHENTICATED",
        "400, no operation",
        "404, no API is here, or its test has ended: take the URL from prefect_cloud.url",
    ]
    assert "hunter2" not in err


@pytest.mark.parametrize(
    ("name", "text", "secrets"),
    [
        ("a.json", '{"A": 1, "b c": [null]}', {"A": 1, "b c": [None]}),
        ("a.json", '{"context": {"secrets": {"A": "x"}}}', {"A": "x"}),
        ("a.toml", 'A = "x"\n"b c" = 1\n', {"A": "x", "b c": 1}),
        ("a.toml", "[context.secrets]\nA = true\n", {"A": True}),
        (".env", "# no\nA='x'\nexport PREFECT__CONTEXT__SECRETS__B=1\n", {"A": "x", "B": "1"}),
        ("a.toml", "", {}),
    ],
)
def test_files_of_secrets(tmp_path, name, text, secrets):
    """Their kind is inferred from the name."""
    (tmp_path / name).write_text(text)
    assert secrets_of(str(tmp_path / name)) == secrets
    assert secrets_of(None) == {}


@pytest.mark.parametrize(
    ("arguments", "files", "message"),
    [
        (["--secrets", "a.toml"], {"a.toml": "A = hunter2"}, "--secrets a.toml is not valid: line 1, column 5"),
        (["--secrets", "a.toml"], {"a.toml": 'A = "hunter2'}, "--secrets a.toml is not valid: "),
        (["--secrets", "a.json"], {"a.json": "{hunter2}"}, "--secrets a.json is not valid: line 1 column 2"),
        (["--secrets", "a.json"], {"a.json": "[" * 100_000}, "--secrets a.json is not valid: "),
        (
            ["--secrets", "a.json"],
            {"a.json": '["hunter2"]'},
            "--secrets a.json has to hold a mapping of names to values",
        ),
        (["--secrets", "a.toml"], {"a.toml": "A = 2022-01-01"}, "'A'.*not date"),
        (["--secrets", "a.env"], {"a.env": b"A=\xff"}, "--secrets a.env cannot be read: it is not UTF-8"),
        (["--secrets", "nobody.toml"], {}, "--secrets nobody.toml cannot be read: No such file or directory"),
        (["--server", "--user-key", "k"], {}, "--user-key does not go with --server"),
        (["--server", "--secrets", "a.env"], {}, "--secrets does not go with --server"),
        (["--user-key", "a b"], {}, "--user-key is not valid"),
        (["--runner-key", ""], {}, "--runner-key is not valid"),
        (["--user-key", "k", "--runner-key", "k"], {}, "--user-key and --runner-key are the same"),
    ],
)
def test_options_that_are_wrong(run, write, arguments, files, message):
    """One line without a value, exit 2."""
    for name, text in files.items():
        write(name, text)
    done = run("serve", "--port", 0, *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert re.search(message, done.err)
    assert "hunter2" not in done.err


CLIENT = """
import prefect
client = prefect.Client()
client.set_secret(name="my secret", value=42)
print(client.graphql("{ secret_names }").data.secret_names)
"""


@pytest.mark.slow
@needs_prefect
@pytest.mark.skipif(VERSION is not None and VERSION < (0, 15, 13), reason="API keys came with 0.15.0")
def test_the_real_client_in_another_process(serve, tmp_path):
    """With nothing but the environment that is printed."""
    served = serve("--json")
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT__")}
    environ = {**kept, **json.loads(served.line)["environ"], "HOME": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", CLIENT]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "['my secret']\n"), done.stderr


def test_a_port_that_is_in_use(run):
    """One line, exit 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", port)
    told = f"flowsecrets: cannot listen at 127.0.0.1 port {port}: it is in use: choose another --port, or 0 for any free one\n"
    assert done == (2, "", told)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "build.example"])
def test_other_machines(run, host):
    """Are not let in by mistake."""
    done = run("serve", "--host", host)
    assert (done.code, done.out) == (2, "")
    assert f"--host {host} lets other machines in" in done.err
    assert "--i-know" in done.err


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("192.0.2.1", "this machine has no such address"),
        ("nobody.invalid", "there is no such host"),
        ("x" * 70, "there is no such host|label"),
    ],
)
def test_hosts_that_are_none(run, host, told):
    """One line, exit 2."""
    done = run("serve", "--host", host, "--i-know", "--port", 0)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert re.search(told, done.err)


@pytest.mark.parametrize("port", ["x", "-1", "65536", "4.2", ""])
def test_ports_that_are_none(run, port):
    """Usage, exit 2."""
    done = run("serve", f"--port={port}")
    assert (done.code, done.out) == (2, "")
    assert "is no port: those are 0 to 65535" in done.err


@pytest.mark.slow
def test_wildcard(serve):
    """The printed address is one of this machine; a request may name addresses and names for this machine only."""
    served = serve("--host", "0.0.0.0", "--i-know", "--json")
    told = json.loads(served.line)
    assert told["url"].startswith("http://127.0.0.1:")
    for host in ("192.0.2.7:4200", "[2001:db8::1]", "host.docker.internal", "localhost", socket.gethostname()):
        assert ask(told["url"], NAMES, host=host).status == 200
    reply = ask(told["url"], NAMES, host="evil.example")
    assert reply.status == 421
    assert "host.docker.internal" in reply.message


@pytest.mark.slow
def test_an_address_of_its_own(serve):
    """What ``--host`` says may be named, too; loopback needs no ``--i-know``."""
    served = serve("--host", "127.0.0.2", "--json")
    url = json.loads(served.line)["url"]
    assert url.startswith("http://127.0.0.2:")
    assert ask(url, NAMES).status == ask(url, NAMES, host="localhost").status == 200
    assert ask(url, NAMES, host="127.0.0.3").status == 421


def test_ipv6():
    """Addresses are written in brackets."""
    allows, told = _allowed("2001:db8::1")
    assert allows("[2001:db8::1]")
    assert told == "127.0.0.1 and [2001:db8::1] and localhost"
    assert _is_loopback("::1")

    class Mounting:
        def mount(self, world, path):
            return f"http://[::]:4200{path}"

    assert _mounted(Mounting(), None) == "http://[::1]:4200"


@pytest.mark.slow
@pytest.mark.skipif(not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="this machine has no IPv6")
def test_ipv6_itself(serve):
    """At its loopback."""
    served = serve("--host", "::1", "--json")
    assert ask(json.loads(served.line)["url"], NAMES).status == 200


def test_where_it_may_not(run, monkeypatch):
    """Ports below 1024 on most machines."""
    from pytest_flowsecrets.backend.http import server

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(server, "Server", refuse)
    done = run("serve", "--port", 80)
    assert (done.code, "choose a --port above 1023" in done.err) == (2, True)
