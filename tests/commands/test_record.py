"""``flowsecrets record``: wrong arguments. What it records is tested in ``tests/backend/test_cassettes.py``."""

from __future__ import annotations

import socket

import pytest

API = "http://127.0.0.1:4200/api"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["c.json", "--to", "localhost"],
            "--to localhost: write the address of an API, such as http://127.0.0.1:4200/api",
        ),
        ([".", "--to", API], ".: the cassette needs a writable folder and a name of its own"),
        (["none/c.json", "--to", API], "none/c.json: the cassette needs a writable folder and a name of its own"),
        (["c.json", "--to", API, "--prefect", "9"], "--prefect 9 is not a version"),
    ],
)
def test_misuse(run, arguments, message):
    """A wrong argument is an error of one line, and nothing is written."""
    done = run("record", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_port_in_use(run):
    """The error names the port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("record", "c.json", "--to", API, "--port", str(port))
    assert done.code == 2
    assert str(port) in done.err
