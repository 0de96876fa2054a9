"""``flowsecrets serve``: the fake API for other processes and for containers, until it is stopped."""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import re
import shlex
import signal
import socket
import sys
from contextlib import suppress
from datetime import datetime, timezone
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, List, Mapping, Optional, Tuple

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import API_KEY, AUTH_TOKEN, BACKEND, CLOUD_API, SECRETS_PREFIX, TENANT_ID

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.http.server import Server
    from pytest_flowsecrets.backend.messages import HttpFault, Request, Response
    from pytest_flowsecrets.backend.request_log import RecordedRequest
    from pytest_flowsecrets.backend.service import World


NO_SCHEDULES = "Schedules create no flow runs here: install Prefect beside flowsecrets, which reads them with its code."
_NEAR = frozenset({"127.0.0.1", "localhost"})  # what a request may always name


def run(arguments: Any) -> int:
    """Serve a fake API of its own at the root path, print where, and wait.

    Args:
        arguments: parsed arguments.

    Returns:
        0 once SIGINT (Ctrl-C) or SIGTERM has come.

    Raises:
        UsageError: it cannot listen there, or should not.
    """
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud, FakeServer

    host = arguments.host
    if not (arguments.i_know or _is_loopback(host)):
        raise UsageError(
            f"--host {host} lets other machines in, to an API that is made for tests and knows no TLS; "
            "if that is what you want, add --i-know"
        )
    require_consistent(arguments)
    api: Any = FakeServer() if arguments.server else FakeCloud(secrets_of(arguments.secrets))
    if not arguments.server:
        api.tenant.replace_keys(arguments.user_key, arguments.runner_key)
    with _listening(host, arguments.port) as server, suppress(KeyboardInterrupt):
        for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT, too: what shells run in the background ignores it
            signal.signal(number, _stop)
        server.mount(Health(api.backend), "/health")
        if arguments.verbose:
            log_requests(api.world, server)
        told = _told(api, _mounted(server, api.world))
        print(json.dumps(told) if arguments.json else _text(told), flush=True)
        server.serve_forever()  # connections have threads of their own, which end with the process
    return 0


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


# -- where -------------------------------------------------------------------------------------------------------------


def _listening(host: str, port: int) -> Server:
    from pytest_flowsecrets.backend.http.server import Server

    allows, told = _allowed(host)
    try:
        return Server(host, port, allows=allows, told=told)
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: "it is in use: choose another --port, or 0 for any free one",
            errno.EACCES: "this user may not: choose a --port above 1023",
            errno.EADDRNOTAVAIL: "this machine has no such address",
        }
        reason = reasons.get(
            error.errno or 0, "there is no such host" if isinstance(error, socket.gaierror) else str(error)
        )
        raise UsageError(f"cannot listen at {host} port {port}: {reason}") from None


def _mounted(server: Server, world: World) -> str:
    """The address of the world, which a wildcard has only on this machine."""
    url = server.mount(world, "")
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _allowed(host: str) -> Tuple[Callable[[str], bool], str]:
    """Which hosts a request may name: those that mean this machine, and no name that a stranger could let point here.

    At a wildcard that is every address, since only names can be made to point elsewhere, and the names that this
    machine has for itself and for containers.
    """
    written = f"[{host}]" if ":" in host else host.lower()
    names: FrozenSet[str] = _NEAR | {written}
    if host not in ("0.0.0.0", "::", ""):  # noqa: S104 - it asks
        return names.__contains__, " and ".join(sorted(names))
    names = _NEAR | {socket.gethostname().lower(), "host.docker.internal"}
    return (lambda name: name in names or _is_address(name)), f"{', '.join(sorted(names))} and addresses"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


# -- what is printed ---------------------------------------------------------------------------------------------------


def _told(api: Any, url: str) -> Dict[str, Any]:
    environ = {BACKEND: api.backend, CLOUD_API: url}
    told = {"backend": api.backend, "url": url, "pid": os.getpid()}
    if api.backend == "server":
        environ["PREFECT__SERVER__ENDPOINT"] = url
    else:
        environ.update({API_KEY: api.tenant.user_key, TENANT_ID: api.tenant.id})
        told.update(user_key=api.tenant.user_key, runner_key=api.tenant.runner_key, tenant_id=api.tenant.id)
    return {**told, "environ": environ}


def _text(told: Dict[str, Any]) -> str:
    """What a person needs who has nothing but this output: addresses, keys, and commands to paste."""
    lines = [f"a fake Prefect {told['backend'].capitalize()} listens at {told['url']} (Ctrl-C stops it)", ""]
    agent = "prefect agent local start"
    if "user_key" in told:
        lines += [f"  USER key    {told['user_key']}", f"  RUNNER key  {told['runner_key']}  (for agents)"]
        lines += [f"  tenant      {told['tenant_id']}", ""]
        agent = f"{API_KEY}={told['runner_key']} {agent}"
    lines += ["# Paste these lines into a shell. `prefect auth login` is not needed.", *_exports(told["environ"])]
    if "user_key" in told:
        lines += [f"# Prefect before 0.15.0 reads the key from {AUTH_TOKEN} instead."]
    lines += ["", "# Then, for example:", "prefect create project demo"]
    if "user_key" in told:
        lines += ['python -c \'import prefect; prefect.Client().set_secret(name="TOKEN", value="x")\'']
    lines += ["", "# An agent, in another shell with the same lines:", agent]
    lines += ["", "# Whether it is up:", f"curl {told['url']}/health"]
    if find_spec("prefect") is None:
        lines += ["", "# " + NO_SCHEDULES]
    return "\n".join(lines)


def _exports(environ: Dict[str, str]) -> List[str]:
    return [f"export {name}={shlex.quote(value)}" for name, value in environ.items()]


# Options of ``flowsecrets serve``: fixed keys, secrets from a file, a request log; and its ``/health``.


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

    return {re.sub(f"^{SECRETS_PREFIX}", "", item.name): item.value for item in env_items(text)}


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
