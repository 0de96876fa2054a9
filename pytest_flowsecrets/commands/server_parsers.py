"""The parsers of the subcommands that serve an API until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Callable, Tuple

from pytest_flowsecrets.commands.parsers import examples

# -- serve -------------------------------------------------------------------------------------------------------------


def _add_serve(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "serve",
        help="serve the fake API to other processes until Ctrl-C",
        description="Serve the fake API to other processes until Ctrl-C. The output says how to use it.",
        **examples("flowsecrets serve", "flowsecrets serve --prefect 3 --secrets secrets.toml"),
    )
    parser.add_argument(
        "--prefect",
        metavar="VERSION",
        help="serve the API of this Prefect: 1, 2.20, 3 or a release (default: the installed one, else 1)",
    )
    parser.add_argument("--server", action="store_true", help="serve the API of a self-hosted server: no keys")
    parser.add_argument(
        "--port", type=_port, default=4200, help="the port (default: 4200, as for Prefect Server; 0: any)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--allow-remote", action="store_true", help="accept connections from other machines")
    parser.add_argument("--i-know", action=_AllowRemoteAlias, help=argparse.SUPPRESS)
    parser.add_argument(
        "--user-key", metavar="KEY", help="the key of scope USER; on Prefect 3, the API key (default: a new random one)"
    )
    parser.add_argument(
        "--runner-key", metavar="KEY", help="the key of scope RUNNER, for agents (default: a new random one)"
    )
    parser.add_argument("--secrets", metavar="FILE", help="set these secrets first: a mapping in TOML, JSON or .env")
    parser.add_argument("--json", action="store_true", help="print the address and the keys as one line of JSON")
    parser.add_argument("--verbose", action="store_true", help="log each request to stderr, without values")
    parser.set_defaults(run=_serve)


class _AllowRemoteAlias(argparse.Action):
    """The deprecated name of ``--allow-remote``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "dest": "allow_remote", "default": argparse.SUPPRESS, "nargs": 0})

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: Any) -> None:
        print(f"{parser.prog}: --i-know is deprecated: use --allow-remote", file=sys.stderr)
        namespace.allow_remote = True


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 65535):  # noqa: PLR2004 - the highest port
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid port (0-65535)")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    from pytest_flowsecrets.commands import serve

    version = serve.rest_version(arguments.prefect)
    if version is None:
        return serve.run(arguments)
    from pytest_flowsecrets.commands import serve_rest

    return serve_rest.run(arguments, version)


# -- record ------------------------------------------------------------------------------------------------------------


def _add_record(subcommands: Any) -> None:
    parser = subcommands.add_parser(
        "record",
        help="record the traffic of an API in a file for tests until Ctrl-C, without the values of secrets",
        description="Forward requests to an API until Ctrl-C, and record them in a file that `replay` answers from in "
        "tests. The file holds no values of secrets. The output says how to use the recorder.",
        **examples(
            "flowsecrets record cassette.json --to http://localhost:4200/api",
            "flowsecrets record cassette.json --to https://api.prefect.io --prefect 1",
        ),
    )
    parser.add_argument("cassette", metavar="FILE", help="the file to write (JSON)")
    parser.add_argument(
        "--to", metavar="URL", required=True, help="the address of the API, such as http://localhost:4200/api"
    )
    parser.add_argument(
        "--prefect", metavar="VERSION", help="the Prefect of the API: 1, 2.20 or 3 (default: the installed one, else 1)"
    )
    parser.add_argument("--port", type=_port, default=0, help="the port of the recorder (default: any)")
    parser.set_defaults(run=_record)


def _record(arguments: argparse.Namespace) -> int:
    from pytest_flowsecrets.commands import record

    return record.run(arguments)


COMMANDS: Tuple[Callable[[Any], None], ...] = (_add_serve, _add_record)
