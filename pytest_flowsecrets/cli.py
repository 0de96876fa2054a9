"""The command line ``flowsecrets``: 0 is clean, 1 is findings or failures, 2 is wrong usage.

Each subcommand is one function that adds its parser and names what runs it; what runs it is imported when it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Callable, Optional, Sequence, Tuple

from pytest_flowsecrets.errors import FlowSecretsError

CLEAN, FINDINGS, USAGE = 0, 1, 2


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a subcommand; the result is the exit status."""
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except FlowSecretsError as error:
        print(f"flowsecrets: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:  # whoever read our output (`| head`) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINDINGS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="flowsecrets", description="Secrets of Prefect 0.5-1.4 flows, in tests.")
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(subcommands)
    return parser


# -- demo --------------------------------------------------------------------------------------------------------------


def _add_demo(subcommands: Any) -> None:
    parser = subcommands.add_parser("demo", help="write a small project, run its tests on the real Prefect, and tell")
    parser.add_argument("--keep", metavar="DIR", help="write the project to this new folder and leave it there")
    parser.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    from pytest_flowsecrets.demo import demo

    return CLEAN if demo(arguments.keep) else FINDINGS


COMMANDS: Tuple[Callable[[Any], None], ...] = (_add_demo,)
