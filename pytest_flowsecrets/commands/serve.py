"""``flowsecrets serve``: the fake API for other processes and containers."""

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
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, Iterator, List, Mapping, Optional, Tuple

from pytest_flowsecrets.errors import UnknownPrefectVersion, UnsupportedPrefect, UsageError
from pytest_flowsecrets.names import API_KEY, AUTH_TOKEN, BACKEND, CLOUD_API, SECRETS_PREFIX, TENANT_ID
from pytest_flowsecrets.versions import (
    installed_version,
    is_rest_version,
    release_of,
    require_supported,
    uses_rest_api,
)

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.graphql_service import GraphqlService
    from pytest_flowsecrets.backend.http.server import Server
    from pytest_flowsecrets.backend.messages import HttpFault, Request, Response
    from pytest_flowsecrets.backend.request_log import RecordedRequest

NO_SCHEDULES = "Schedules do not create flow runs here, because that needs Prefect: install it in the same environment."
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})  # a request may always name these


def run(arguments: Any) -> int:
    """Serve a new fake API at the root path, print its address, and wait.

    Args:
        arguments: parsed arguments.

    Returns:
        0 after SIGINT (Ctrl-C) or SIGTERM.

    Raises:
        UsageError: the server cannot listen on this address, or the address needs ``--allow-remote``.
    """
    require_local(arguments)
    require_consistent(arguments)
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud, FakeServer

    api: Any = FakeServer() if arguments.server else FakeCloud(secrets_of(arguments.secrets))
    if not arguments.server:
        api.tenant.replace_keys(arguments.user_key, arguments.runner_key)
    with _listening(arguments.host, arguments.port) as server, suppress(KeyboardInterrupt):
        stop_on_signals()
        server.mount(Health(api.backend), "/health")
        if arguments.verbose:
            log_requests(api.world, server)
        details = _details(api, mount(server, api.world))
        print(json.dumps(details) if arguments.json else text_of(details), flush=True)
        server.serve_forever()  # each connection has its own thread, which ends with the process
    return 0


def require_local(arguments: Any) -> None:
    """Check that other machines cannot reach the API, or that the user allows it.

    Raises:
        UsageError: the address needs ``--allow-remote``.
    """
    if not (arguments.allow_remote or is_loopback(arguments.host)):
        raise UsageError(
            f"--host {arguments.host} gives other machines access to an API that is for tests and has no TLS; "
            "to allow this, add --allow-remote"
        )


def stop_on_signals() -> None:
    """Raise KeyboardInterrupt on SIGINT and SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell makes background processes ignore SIGINT
        signal.signal(number, _stop)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def rest_version(wanted: Optional[str]) -> Optional[str]:
    """Return the version of Prefect 2.20 or 3 whose API is served, or None for the API of Prefect 0.5 to 1.4.

    Args:
        wanted: a version or the beginning of one, such as ``3``; None for the installed Prefect.

    Raises:
        UsageError: the text is not a version, or the version is not supported.
    """
    from pytest_flowsecrets.backend.rest.api import NEWEST

    if wanted is None:
        return installed_version() if uses_rest_api() else None
    if wanted in ("0", "1"):
        return None
    version = {"2": "2.20.27", "2.20": "2.20.27", "3": NEWEST}.get(wanted, wanted)
    try:
        if is_rest_version(version) and release_of(version)[:2] <= release_of(NEWEST)[:2]:
            return version
        require_supported(version)
    except UnsupportedPrefect:
        raise UsageError(f"--prefect {wanted} is not supported: use 1, 2.20, 3 or one of their releases") from None
    except UnknownPrefectVersion:
        raise UsageError(f"--prefect {wanted} is not a version: use 1, 2.20, 3 or a release such as 3.4.25") from None
    return None


# -- address -----------------------------------------------------------------------------------------------------------


def _listening(host: str, port: int) -> Server:
    from pytest_flowsecrets.backend.http.server import Server

    allows, host_names = allowed_hosts(host)
    with listen_errors_explained(host, port):
        return Server(host, port, allows=allows, host_names=host_names)


@contextmanager
def listen_errors_explained(host: str, port: int) -> Iterator[None]:
    """Replace an error of a server that starts inside the ``with`` block.

    Raises:
        UsageError: the server cannot listen on this address.
    """
    try:
        yield
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: "the port is in use: choose another --port, or 0 for any free port",
            errno.EACCES: "permission denied: choose a --port above 1023",
            errno.EADDRNOTAVAIL: "this machine does not have this address",
        }
        reason = reasons.get(
            error.errno or 0, "there is no such host" if isinstance(error, socket.gaierror) else str(error)
        )
        raise UsageError(f"cannot listen on {host} port {port}: {reason}") from None


def mount(server: Server, world: GraphqlService) -> str:
    """Serve the API and return its address; for a wildcard, the address on this machine."""
    url = server.mount(world, "")
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host.

    Args:
        host: an address or a name.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def allowed_hosts(host: str) -> Tuple[Callable[[str], bool], str]:
    """Return a check for the hosts that a request may name, and a description of these hosts.

    Only hosts that mean this machine are allowed, because an attacker can make any other name point here. A wildcard
    allows all addresses, which an attacker cannot redirect, and the names of this machine for itself and containers.
    """
    in_header = f"[{host}]" if ":" in host else host.lower()
    names: FrozenSet[str] = _LOCAL_HOSTS | {in_header}
    if host not in ("0.0.0.0", "::", ""):  # noqa: S104 - only a comparison
        return names.__contains__, " and ".join(sorted(names))
    names = _LOCAL_HOSTS | {socket.gethostname().lower(), "host.docker.internal"}
    return (lambda name: name in names or _is_address(name)), f"{', '.join(sorted(names))} and addresses"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


# -- output ------------------------------------------------------------------------------------------------------------


def _details(api: Any, url: str) -> Dict[str, Any]:
    environ = {BACKEND: api.backend, CLOUD_API: url}
    details = {"backend": api.backend, "url": url, "pid": os.getpid()}
    if api.backend == "server":
        environ["PREFECT__SERVER__ENDPOINT"] = url
    else:
        environ.update({API_KEY: api.tenant.user_key, TENANT_ID: api.tenant.id})
        details.update(user_key=api.tenant.user_key, runner_key=api.tenant.runner_key, tenant_id=api.tenant.id)
    return {**details, "environ": environ}


def text_of(details: Dict[str, Any]) -> str:
    """Return the address, the keys and commands to paste, for a user who has only this output."""
    lines = [f"a fake Prefect {details['backend'].capitalize()} listens on {details['url']} (Ctrl-C stops it)", ""]
    agent = "prefect agent local start"
    if "user_key" in details:
        lines += [f"  USER key    {details['user_key']}", f"  RUNNER key  {details['runner_key']}  (for agents)"]
        lines += [f"  tenant      {details['tenant_id']}", ""]
        agent = f"{API_KEY}={details['runner_key']} {agent}"
    lines += ["# Paste these lines into a shell. `prefect auth login` is not needed.", *exports(details["environ"])]
    if "user_key" in details:
        lines += [f"# Prefect before 0.15.0 reads the key from {AUTH_TOKEN} instead."]
    lines += ["", "# Then, for example:", "prefect create project demo"]
    if "user_key" in details:
        lines += ['python -c \'import prefect; prefect.Client().set_secret(name="TOKEN", value="x")\'']
    lines += ["", "# Start an agent, in another shell with the same lines:", agent]
    lines += ["", "# Check whether the API is up:", f"curl {details['url']}/health"]
    if find_spec("prefect") is None:
        lines += ["", "# " + NO_SCHEDULES]
    return "\n".join(lines)


def exports(environ: Mapping[str, str]) -> List[str]:
    """Return shell commands that set these variables."""
    return [f"export {name}={shlex.quote(value)}" for name, value in environ.items()]


# -- options -----------------------------------------------------------------------------------------------------------


def require_consistent(arguments: Any) -> None:
    """Check the options that are only for Prefect Cloud.

    Raises:
        UsageError: an option is used with ``--server``, a key cannot be sent in a header, or both keys are the same.
    """
    keys = {"--user-key": arguments.user_key, "--runner-key": arguments.runner_key}
    for name, value in {**keys, "--secrets": arguments.secrets}.items():
        if arguments.server and value is not None:
            raise UsageError(f"{name} cannot be used with --server: Prefect Server has neither keys nor secrets")
    for name, key in keys.items():
        if key is not None and not re.fullmatch("[!-~]+", key):
            raise UsageError(f"{name} is not valid: a key is ASCII text without spaces")
    if arguments.user_key is not None and arguments.user_key == arguments.runner_key:
        raise UsageError("--user-key and --runner-key are the same: an agent needs a key of its own")


# -- secrets -----------------------------------------------------------------------------------------------------------


def secrets_of(path: Optional[str]) -> Dict[str, Any]:
    """Return the secrets in a file by name. Without a file there are none.

    ``.toml`` and ``.json`` files contain a mapping, which may be the ``context.secrets`` of a Prefect configuration.
    Any other file is read as ``.env``; the prefix ``PREFECT__CONTEXT__SECRETS__`` is removed from its names.

    Raises:
        UsageError: the file cannot be read, or does not contain a mapping.
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
        return _secrets_in(_parse(path, text), path)
    from pytest_flowsecrets.commands.files.env_files import env_items

    return {re.sub(f"^{SECRETS_PREFIX}", "", item.name): item.value for item in env_items(text)}


def _parse(path: str, text: str) -> Any:
    import tomli

    try:
        return tomli.loads(text) if path.endswith(".toml") else json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
    except (ValueError, RecursionError) as error:  # of tomli; the rest of the message may quote the text
        place = re.search(r"line \d+, column \d+", str(error))
        where = place.group() if place else "at its end"
    raise UsageError(f"--secrets {path} is not valid: {where}")


def _secrets_in(data: Any, path: str) -> Dict[str, Any]:
    context = data.get("context") if isinstance(data, Mapping) else None
    table = context.get("secrets") if isinstance(context, Mapping) else None
    secrets = table if isinstance(table, Mapping) else data
    if not isinstance(secrets, Mapping):
        raise UsageError(f"--secrets {path} must contain a mapping of names to values")
    return dict(secrets)


# -- requests ----------------------------------------------------------------------------------------------------------


class Health:
    """The endpoint ``/health``, which answers any request with 200."""

    def __init__(self, backend: str) -> None:
        self._body = json.dumps({"status": "ok", "backend": backend}).encode()

    def answer(self, request: Request) -> Response:  # noqa: ARG002 - the answer is always the same
        """Return the answer that the API is up."""
        from pytest_flowsecrets.backend.messages import Response

        return Response(200, (("Content-Type", "application/json"),), self._body)


def log_requests(world: GraphqlService, server: Server) -> None:
    """Write a line to stderr for each further request, without values."""
    world.journal.watchers.append(_log_request)
    server.on_refusal = _log_refusal


def _log_request(request: RecordedRequest) -> None:
    operation = f"{request.kind} {', '.join(request.fields)}".strip() or "no operation"
    parts = [str(request.status), operation, request.scope, *request.codes, f"{request.seconds * 1000:.1f} ms"]
    log(", ".join(part for part in parts if part))


def _log_refusal(fault: HttpFault) -> None:
    log(f"{fault.status}, {fault.message}")


def log(line: str) -> None:
    """Write a line with the time to stderr."""
    print(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} {line}", file=sys.stderr, flush=True)
