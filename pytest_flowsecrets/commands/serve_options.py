"""Options of ``flowsecrets serve``: fixed keys, secrets from a file, a request log; and its ``/health``."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.http.server import Server
    from pytest_flowsecrets.backend.messages import HttpFault, Request, Response
    from pytest_flowsecrets.backend.request_log import RecordedRequest
    from pytest_flowsecrets.backend.service import World

_PREFIX = "PREFECT__CONTEXT__SECRETS__"


def require_consistent(arguments: Any) -> None:
    """Check the options that only Prefect Cloud has.

    Raises:
        UsageError: one is used with ``--server``, a key cannot be sent in a header, or both keys are the same.
    """
    options = {"--user-key": arguments.user_key, "--runner-key": arguments.runner_key, "--secrets": arguments.secrets}
    used = [name for name, value in options.items() if value is not None]
    if arguments.server and used:
        raise UsageError(f"{used[0]} does not go with --server: Prefect Server has neither keys nor secrets")
    for name in ("--user-key", "--runner-key"):
        if options[name] is not None and not re.fullmatch("[!-~]+", options[name]):
            raise UsageError(f"{name} is not valid: a key is ASCII text without spaces")
    if arguments.user_key is not None and arguments.user_key == arguments.runner_key:
        raise UsageError("--user-key and --runner-key are the same: an agent needs a key of its own")


# -- secrets -----------------------------------------------------------------------------------------------------------


def secrets_of(path: Optional[str]) -> Dict[str, Any]:
    """Return the secrets in a file by their names; none without a file.

    ``.toml`` and ``.json`` hold a mapping, which may be the ``context.secrets`` of a Prefect configuration. Any other
    file is read as ``.env``, where ``PREFECT__CONTEXT__SECRETS__`` is taken off the names.

    Raises:
        UsageError: the file cannot be read or holds no mapping.
    """
    if path is None:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"--secrets {path} cannot be read: {reason}") from None
    if path.endswith((".toml", ".json")):
        return _inner(_parsed(path, text), path)
    from pytest_flowsecrets.commands.files.env_files import env_items

    return {re.sub(f"^{_PREFIX}", "", item.name): item.value for item in env_items(text)}


def _parsed(path: str, text: str) -> Any:
    import tomli

    try:
        return tomli.loads(text) if path.endswith(".toml") else json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
    except (ValueError, RecursionError) as error:  # of tomli; what stands before the place may quote the text
        place = re.search(r"line \d+, column \d+", str(error))
        where = place.group() if place else "at its end"
    raise UsageError(f"--secrets {path} is not valid: {where}")


def _inner(parsed: Any, path: str) -> Dict[str, Any]:
    context = parsed.get("context") if isinstance(parsed, Mapping) else None
    inner = context.get("secrets") if isinstance(context, Mapping) else None
    secrets = inner if isinstance(inner, Mapping) else parsed
    if not isinstance(secrets, Mapping):
        raise UsageError(f"--secrets {path} has to hold a mapping of names to values")
    return dict(secrets)


# -- requests ----------------------------------------------------------------------------------------------------------


class Health:
    """What is mounted at ``/health``: any request gets 200."""

    def __init__(self, backend: str) -> None:
        self._body = json.dumps({"status": "ok", "backend": backend}).encode()

    def answer(self, request: Request) -> Response:  # noqa: ARG002 - each gets the same
        """Say that the API is up."""
        from pytest_flowsecrets.backend.messages import Response

        return Response(200, (("Content-Type", "application/json"),), self._body)


def log_requests(world: World, server: Server) -> None:
    """Write a line to stderr for each request from now on, without values."""
    world.journal.watchers.append(_log_request)
    server.on_refusal = _log_refusal


def _log_request(request: RecordedRequest) -> None:
    asked = f"{request.kind} {', '.join(request.fields)}".strip() or "no operation"
    parts = [str(request.status), asked, request.scope, *request.codes, f"{request.seconds * 1000:.1f} ms"]
    _log(", ".join(part for part in parts if part))


def _log_refusal(fault: HttpFault) -> None:
    _log(f"{fault.status}, {fault.message}")


def _log(line: str) -> None:
    print(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} {line}", file=sys.stderr, flush=True)
