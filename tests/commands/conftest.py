"""A fixture that runs the command line in this process."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from pytest_flowsecrets.cli import main


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def ids(self):
        """The ids of the findings, in order."""
        return [line.split(": ")[2].split(" ")[0] for line in self.out.splitlines()]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Return a function that runs a command in an empty folder, which is also the home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments, quiet=True):
        """Run a command; `check` without its summary, unless `quiet` is false."""
        options = ("--quiet",) if quiet and arguments[:1] == ("check",) else ()
        try:
            code = main([str(argument) for argument in (*arguments, *options)])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file into that folder."""

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    return write
