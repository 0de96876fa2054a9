"""The command line."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from pytest_flowsecrets.cli import _parser, main

HEAVY = {
    *("pytest", "prefect", "graphql", "hypothesis", "freezegun", "yaml", "tomlkit", "http.server", "asyncio"),
    "pytest_flowsecrets.commands.demo",
}
NEW = ["--prefect-version", "1.4.1"]


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["demo", "--nonsense"], ["check"], ["explain", "--config"]])
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line prints the usage and exits with status 2."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: flowsecrets" in capsys.readouterr().err


def subcommands() -> dict[str, argparse.ArgumentParser]:
    """The parsers of the subcommands by name."""
    (action,) = (each for each in _parser()._actions if isinstance(each, argparse._SubParsersAction))
    return dict(action.choices)


COMMANDS = sorted(subcommands())


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each subcommand has help with a description, examples and the exit statuses, as wide as the terminal."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert "usage: flowsecrets" in text
    assert "exit status: 0 without findings" in text
    assert len(arguments) == 1 or "examples:\n  " in text
    assert [line for line in text.splitlines() if len(line) > 80 and "--as {" not in line] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    """A subcommand has a description, and each of its arguments has one line of help that begins in lower case."""
    parser = subcommands()[name]
    assert parser.description.endswith(".")
    lines = [str(action.help) for action in parser._actions if action.help is not argparse.SUPPRESS]
    assert [line for line in lines if line == "None" or "\n" in line or not line[0].islower()] == []


def test_explain_and_migrate_describe_their_files_alike() -> None:
    """Both read the same files, so the options for them have the same help."""
    explain, migrate = (subcommands()[name]._option_string_actions for name in ("explain", "migrate"))
    for option in ("--config", "--backend", "--env-file"):
        one, other = explain[option], migrate[option]
        assert (one.help, one.metavar, one.nargs) == (other.help, other.metavar, other.nargs)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check", "config.toml", *NEW], ["explain", "--env-file", "flow.env", *NEW]]
)
def test_nothing_heavy_is_imported(arguments: list[str], tmp_path) -> None:
    """Help and a check without findings import neither pytest nor Prefect nor other subcommands."""
    (tmp_path / "config.toml").write_text("[context.secrets]\nA = 'ghp_abcdefgh'\n")
    (tmp_path / "flow.env").write_text("PREFECT__CONTEXT__SECRETS__A=ghp_abcdefgh\n")
    code = (
        f"import sys\nfrom pytest_flowsecrets.cli import main\ntry: code = main({arguments})\n"
        f"except SystemExit as exit_: code = exit_.code\nprint(code, sorted({HEAVY} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, cwd=tmp_path)
    assert result.stdout.endswith("0 []\n")


def test_the_module_runs() -> None:
    """``python -m pytest_flowsecrets`` runs the command."""
    command = [sys.executable, "-m", "pytest_flowsecrets", "--help"]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert all(name in result.stdout for name in ("demo", "explain", "check"))


def test_a_reader_that_has_gone_is_no_traceback() -> None:
    """A closed output pipe causes no traceback."""
    code = (
        "import sys\nfrom pytest_flowsecrets import cli\n"
        "def run(arguments):\n    sys.stdin.read()\n    print('x' * 100_000)\n"
        "cli.COMMANDS = [lambda commands: commands.add_parser('write').set_defaults(run=run)]\n"
        "sys.exit(cli.main(['write']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    process.stdin.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 1
