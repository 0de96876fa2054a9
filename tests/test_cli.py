"""The command line as such."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_flowsecrets.cli import main


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["demo", "--nonsense"]])
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line says how it is used."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: flowsecrets" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    """``flowsecrets --help`` loads neither pytest nor Prefect nor the subcommands' code."""
    code = (
        "import sys\nfrom pytest_flowsecrets.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'pytest', 'prefect', 'pytest_flowsecrets.demo'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert "demo" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_a_reader_that_has_gone_is_no_traceback() -> None:
    """``flowsecrets … | head -0`` ends quietly."""
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
