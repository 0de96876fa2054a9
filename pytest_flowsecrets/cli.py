# PYTHON_ARGCOMPLETE_OK
"""The command line ``flowsecrets``.

The exit status is 0 without findings, 1 with findings or failures, 2 after misuse.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from typing import Any, Callable, Optional, Sequence, Tuple

from pytest_flowsecrets.commands import parsers, server_parsers
from pytest_flowsecrets.commands.parsers import EXIT_STATUS, HelpFormatter, examples
from pytest_flowsecrets.errors import FlowSecretsError

FINDINGS, USAGE = 1, 2


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a subcommand and return the exit status."""
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks for completions
        import argcomplete

        argcomplete.autocomplete(parser)
    arguments = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):  # names may contain characters that the terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except FlowSecretsError as error:
        print(f"flowsecrets: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:  # the reader of the output (`| head`) has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINDINGS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowsecrets",
        description="Test and check the secrets of Prefect flows (0.5-1.4, 2.20 and 3).",
        epilog=f"`flowsecrets COMMAND --help` describes a command.\n{EXIT_STATUS}",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="show the version of this package, of Prefect and of Python")
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(subcommands)
    return parser


class _Version(argparse.Action):
    """Print the versions and exit. They are read only if this option is used."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "nargs": 0, "default": argparse.SUPPRESS})

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from pytest_flowsecrets.commands.inputs import versions

        print(versions())
        parser.exit()


def _add_completion(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "completion",
        help="print the code that completes this command in a shell",
        description="Print the code that completes `flowsecrets` in a shell.",
        **examples('eval "$(flowsecrets completion bash)"', "flowsecrets completion fish | source"),
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that runs the code")
    parser.set_defaults(run=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    print(shellcode(["flowsecrets"], shell=arguments.shell))
    return 0


COMMANDS: Tuple[Callable[[Any], None], ...] = (*parsers.COMMANDS, *server_parsers.COMMANDS, _add_completion)

if __name__ == "__main__":  # pragma: no cover - run in a process of its own by the tests
    sys.exit(main())
