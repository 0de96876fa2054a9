"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from pytest_flowsecrets import cli

HEAVY = ("pytest", "prefect", "graphql", "hypothesis", "freezegun", "yaml", "tomlkit", "http.server", "asyncio")


def test_imports_nothing_heavy(tmp_path):
    """Checking a clean file imports none of the heavy modules."""
    path = tmp_path / "config.toml"
    path.write_text("[context.secrets]\nA = 'ghp_abcdefgh'\n")
    code = (
        f"import sys; from pytest_flowsecrets.cli import main; code = main(['check', {str(path)!r}]); "
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 []\n"


def test_module_runs():
    """``python -m pytest_flowsecrets.cli`` is the command, too."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_flowsecrets.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "explain" in done.stdout
    assert "check" in done.stdout


def test_reader_goes_away():
    """A closed pipe ends the command without a traceback."""
    code = "import sys; from pytest_flowsecrets.cli import main; sys.exit(main(['explain', '--all-versions']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    process.wait()
    with process.stderr as errors:
        assert b"Traceback" not in errors.read()


def test_broken_pipe(monkeypatch):
    """The code of a command whose reader went away is 2."""
    duplicated = []
    fake = SimpleNamespace(dup2=lambda *ends: duplicated.append(ends), open=lambda *_: 7, devnull="", O_WRONLY=1)
    monkeypatch.setattr(cli, "os", fake)
    monkeypatch.setattr(cli.sys, "stdout", SimpleNamespace(fileno=lambda: 1))

    def run(arguments):
        raise BrokenPipeError

    monkeypatch.setattr(cli, "_lazily", lambda name: run)
    assert cli.main(["check", "x"]) == 2
    assert duplicated == [(7, 1)]


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["explain", "--help"]])
def test_help(arguments, capsys):
    """Each command has help."""
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 0
    assert "usage: flowsecrets" in capsys.readouterr().out
