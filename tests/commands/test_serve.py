"""``flowsecrets serve`` serves the fake API from its own process."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from pytest_flowsecrets.cli import main
from pytest_flowsecrets.commands.serve import (
    NO_SCHEDULES,
    allowed_hosts,
    is_loopback,
    mount,
    rest_version,
    secrets_of,
    text_of,
)
from pytest_flowsecrets.commands.serve_rest import text_of as rest_text_of
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
        """Stop the process and return (status, rest of stdout, stderr)."""
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
    """`--json` prints one line with address, keys and environment; HTTP sets secrets; SIGTERM ends with status 0."""
    served = serve("--json")
    details = json.loads(served.line)
    assert sorted(details) == ["backend", "environ", "pid", "runner_key", "tenant_id", "url", "user_key"]
    assert (details["backend"], details["pid"]) == ("cloud", served.process.pid)
    user, runner = ({"authorization": f"Bearer {details[key]}"} for key in ("user_key", "runner_key"))
    body = {"query": SET, "variables": {"input": {"name": "TOKEN", "value": "x"}}}
    assert ask(details["url"], body, **user).json == {"data": {"set_secret": {"success": True}}}
    assert ask(details["url"], NAMES, **user).json == {"data": {"secret_names": ["TOKEN"]}}
    assert ask(details["url"] + "/graphql", NAMES, **runner).status == 200
    assert ask(details["url"], NAMES).json["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert ask(details["url"], NAMES, host="evil.example").status == 421
    assert served.stop(signal.SIGTERM) == (0, "", "")


def test_text(serve):
    """The text shows address, keys and shell commands, and Ctrl-C ends the command with status 0."""
    served = serve()
    assert re.fullmatch(r"a fake Prefect Cloud listens on http://127\.0\.0\.1:\d+ \(Ctrl-C stops it\)\n", served.line)
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
    details = json.loads(served.line)
    assert (details["backend"], "user_key" in details) == ("server", False)
    assert details["environ"]["PREFECT__SERVER__ENDPOINT"] == details["url"]
    assert ask(details["url"], {"query": "{ tenant { slug } }"}).json == {"data": {"tenant": [{"slug": "default"}]}}
    assert ask(details["url"], NAMES).status == 400
    text = text_of(details)
    assert text.startswith(f"a fake Prefect Server listens on {details['url']} (Ctrl-C stops it)\n\n")
    assert re.findall("^(?:export|prefect|curl) .*$", text, re.MULTILINE) == [
        "export PREFECT__BACKEND=server",
        f"export PREFECT__CLOUD__API={details['url']}",
        f"export PREFECT__SERVER__ENDPOINT={details['url']}",
        "prefect create project demo",
        "prefect agent local start",
        f"curl {details['url']}/health",
    ]


@pytest.mark.slow
def test_fixed_keys_and_secrets(serve, tmp_path):
    """Keys and secrets of the options replace the random keys, which are not valid."""
    file = tmp_path / "secrets.toml"
    file.write_text('[context.secrets]\nTOKEN = "x"\nPORT = 8080\n')
    served = serve("--json", "--user-key", "user", "--runner-key", "runner", "--secrets", str(file))
    details = json.loads(served.line)
    assert (details["user_key"], details["runner_key"], details["environ"]["PREFECT__CLOUD__API_KEY"]) == (
        "user",
        "runner",
        "user",
    )
    for key in ("user", "runner"):
        reply = ask(details["url"], NAMES, authorization=f"Bearer {key}")
        assert reply.json == {"data": {"secret_names": ["TOKEN", "PORT"]}}
    value = {"query": '{ secret_value(name: "TOKEN") }'}
    assert "scope RUNNER" in ask(details["url"], value, authorization="Bearer user").message


def test_health(serve):
    """``/health`` answers GET and HEAD without a key."""
    url = json.loads(serve("--json").line)["url"]
    reply = ask(url, path="/health", method="GET")
    assert (reply.status, reply.json) == (200, {"status": "ok", "backend": "cloud"})
    assert ask(url, path="/health", method="HEAD").status == 200


@pytest.mark.slow
def test_verbose(serve):
    """`--verbose` logs each request to stderr, including those that no API receives, without a value."""
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
        "404, there is no API at this path, or its test has ended: use prefect_cloud.url",
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
    """The type of a file with secrets is inferred from its name."""
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
            "--secrets a.json must contain a mapping of names to values",
        ),
        (["--secrets", "a.toml"], {"a.toml": "A = 2022-01-01"}, "'A'.*not date"),
        (["--secrets", "a.env"], {"a.env": b"A=\xff"}, "--secrets a.env cannot be read: it is not UTF-8"),
        (["--secrets", "nobody.toml"], {}, "--secrets nobody.toml cannot be read: No such file or directory"),
        (["--server", "--user-key", "k"], {}, "--user-key cannot be used with --server"),
        (["--server", "--secrets", "a.env"], {}, "--secrets cannot be used with --server"),
        (["--user-key", "a b"], {}, "--user-key is not valid"),
        (["--runner-key", ""], {}, "--runner-key is not valid"),
        (["--user-key", "k", "--runner-key", "k"], {}, "--user-key and --runner-key are the same"),
    ],
)
def test_options_that_are_wrong(run, write, arguments, files, message):
    """A wrong option is one line without a value, and exit status 2."""
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
    """The real client works with only the printed environment."""
    served = serve("--json")
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT__")}
    environ = {**kept, **json.loads(served.line)["environ"], "HOME": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", CLIENT]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "['my secret']\n"), done.stderr


def test_a_port_that_is_in_use(run):
    """A port that is in use is one line and exit status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", port)
    reason = "the port is in use: choose another --port, or 0 for any free port"
    assert done == (2, "", f"flowsecrets: cannot listen on 127.0.0.1 port {port}: {reason}\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "build.example"])
def test_other_machines(run, host):
    """An address that other machines can reach is rejected without `--allow-remote`."""
    done = run("serve", "--host", host)
    assert (done.code, done.out) == (2, "")
    assert f"--host {host} gives other machines access" in done.err
    assert "--allow-remote" in done.err


def test_the_deprecated_name_of_allow_remote(run):
    """`--i-know` still works, and a warning on stderr names `--allow-remote`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = run("serve", "--host", "0.0.0.0", "--i-know", "--port", server.getsockname()[1])
    warning, error = done.err.splitlines()
    assert warning == "flowsecrets serve: --i-know is deprecated: use --allow-remote"
    assert error.startswith("flowsecrets: cannot listen on 0.0.0.0")
    assert "--i-know" not in run("serve", "--help").out


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.1", "this machine does not have this address"),
        ("nobody.invalid", "there is no such host"),
        ("x" * 70, "there is no such host|label"),
    ],
)
def test_hosts_that_are_none(run, host, message):
    """An invalid host is one line and exit status 2."""
    done = run("serve", "--host", host, "--allow-remote", "--port", 0)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert re.search(message, done.err)


@pytest.mark.parametrize("port", ["x", "-1", "65536", "4.2", ""])
def test_ports_that_are_none(run, port):
    """An invalid port is a usage error with exit status 2."""
    done = run("serve", f"--port={port}")
    assert (done.code, done.out) == (2, "")
    assert "is not a valid port (0-65535)" in done.err


@pytest.mark.slow
def test_wildcard(serve):
    """The printed address belongs to this machine, and requests may name only addresses and names of this machine."""
    served = serve("--host", "0.0.0.0", "--allow-remote", "--json")
    details = json.loads(served.line)
    assert details["url"].startswith("http://127.0.0.1:")
    for host in ("192.0.2.7:4200", "[2001:db8::1]", "host.docker.internal", "localhost", socket.gethostname()):
        assert ask(details["url"], NAMES, host=host).status == 200
    reply = ask(details["url"], NAMES, host="evil.example")
    assert reply.status == 421
    assert "host.docker.internal" in reply.message


@pytest.mark.slow
def test_an_address_of_its_own(serve):
    """Requests may name the value of ``--host``, and a loopback address does not need ``--allow-remote``."""
    served = serve("--host", "127.0.0.2", "--json")
    url = json.loads(served.line)["url"]
    assert url.startswith("http://127.0.0.2:")
    assert ask(url, NAMES).status == ask(url, NAMES, host="localhost").status == 200
    assert ask(url, NAMES, host="127.0.0.3").status == 421


def test_ipv6():
    """IPv6 addresses are written in brackets."""
    allows, description = allowed_hosts("2001:db8::1")
    assert allows("[2001:db8::1]")
    assert description == "127.0.0.1 and [2001:db8::1] and localhost"
    assert is_loopback("::1")

    class Mounting:
        def mount(self, world, path):
            return f"http://[::]:4200{path}"

    assert mount(Mounting(), None) == "http://[::1]:4200"


@pytest.mark.slow
@pytest.mark.skipif(not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"), reason="this machine has no IPv6")
def test_ipv6_itself(serve):
    """The server listens on the IPv6 loopback address."""
    served = serve("--host", "::1", "--json")
    assert ask(json.loads(served.line)["url"], NAMES).status == 200


def test_where_it_may_not(run, monkeypatch):
    """A port without permission, as below 1024 on most machines, is one line and exit status 2."""
    from pytest_flowsecrets.backend.http import server

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(server, "Server", refuse)
    done = run("serve", "--port", 80)
    assert (done.code, "choose a --port above 1023" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prefect", "nope"], "--prefect nope is not a version"),
        (["--prefect", "2.19"], "--prefect 2.19 is not supported"),
        (["--prefect", "3", "--runner-key", "k"], "--runner-key cannot be used with Prefect 3"),
        (["--prefect", "2.20", "--server", "--user-key", "k"], "--user-key cannot be used with --server"),
        (["--prefect", "3", "--host", "0.0.0.0"], "add --allow-remote"),
    ],
)
def test_options_that_do_not_fit_the_version(capsys, arguments, message):
    """The error names the option and the version."""
    assert main(["serve", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("wanted", "version"), [("3", "3.9.1"), ("2", "2.20.27"), ("3.4.25", "3.4.25"), ("1", None)])
def test_versions(wanted, version):
    """A short version means the newest release of it. Versions from 0.5 to 1.4 have the other API."""
    assert rest_version(wanted) == version


@pytest.mark.slow
def test_prefect_3_without_prefect(serve):
    """The REST API is served without Prefect. Its text shows the address, the key and commands."""
    served = serve("--prefect", "3.4.25", "--json", "--verbose")
    details = json.loads(served.line)
    assert (details["version"], details["backend"]) == ("3.4.25", "cloud")
    key = {"authorization": f"Bearer {details['api_key']}"}
    root, _, path = details["url"].partition("/api/")
    assert ask(root, path=f"/api/{path}/admin/version", method="GET", **key).status == 200
    status, _, err = served.stop()
    assert status == 0
    assert "200, GET " in err
    assert details["api_key"] not in err
    assert "export PREFECT_API_URL=" in rest_text_of(details)
