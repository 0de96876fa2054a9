"""The command line: ``flowsecrets explain`` and ``flowsecrets check``.

Each command is a function that registers its options, and a module under :mod:`pytest_flowsecrets.commands` that is
imported when the command runs. Exit codes: 0 nothing found, 1 findings, 2 the command could not do what it was asked.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Callable, Optional, Sequence

from pytest_flowsecrets.errors import FlowSecretsError

Subparsers = Any  # argparse keeps this type private
KINDS = ("toml", "env", "yaml", "shell")
FORMATS = ("text", "json", "github", "sarif")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command.

    Args:
        argv: arguments; by default the process's own.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except FlowSecretsError as error:
        print(f"flowsecrets: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flowsecrets", description="What a Prefect 0.5-1.4 flow's secrets will be.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for register in COMMANDS:
        register(commands)
    return parser


def _explain(commands: Subparsers) -> None:
    parser = commands.add_parser("explain", help="say where each secret comes from and what a flow gets")
    parser.add_argument("names", nargs="*", metavar="NAME", help="secrets (default: all)")
    parser.add_argument("--config", metavar="FILE", help="a user's config.toml (default: this machine's)")
    parser.add_argument("--backend", metavar="FILE", help="a backend.toml (default: this machine's)")
    parser.add_argument("--env-file", metavar="FILE", action="append", help="take the environment from this file")
    parser.add_argument("--show-values", action="store_true", help="show the values themselves")
    parser.add_argument("--json", action="store_true", help="print JSON")
    _versions(parser)
    parser.set_defaults(run=_lazily("explain"))


def _check(commands: Subparsers) -> None:
    parser = commands.add_parser("check", help="find surprises in config.toml, .env, manifests, job templates, scripts")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--as", dest="kind", choices=KINDS, help="what the files are (default: by their names)")
    parser.add_argument("--format", choices=FORMATS, default="text", help="form of the output")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.add_argument("--no-notes", action="store_true", help="leave out findings that are mere notes")
    _versions(parser)
    parser.set_defaults(run=_lazily("check"))


def _versions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prefect-version", metavar="X", help="release (default: the installed one, else 1.4.1)")
    parser.add_argument("--python-version", metavar="X.Y", help="Python of the flow (default: this one)")
    parser.add_argument("--all-versions", action="store_true", help="go through all releases")


def _lazily(name: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        from importlib import import_module

        return int(import_module(f"pytest_flowsecrets.commands.{name}").run(arguments))

    return run


#: Each registers one command.
COMMANDS = (_explain, _check)

if __name__ == "__main__":  # pragma: no cover (run in a process of its own by the tests)
    sys.exit(main())
