"""``flowsecrets serve --prefect 3``: the fake REST API for other processes and containers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, Dict

from pytest_flowsecrets.commands.serve import (
    allowed_hosts,
    exports,
    listen_errors_explained,
    log,
    require_local,
    secrets_of,
    stop_on_signals,
)
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.versions import installed_version, uses_rest_api

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.messages import Request, Response
    from pytest_flowsecrets.backend.rest.api import RestApi
    from pytest_flowsecrets.backend.rest.view import View

# The client registers the type of the blocks. No message contains its errors, because they may quote a value.
SAVE_SECRETS = """
import json, sys
from prefect.blocks.system import Secret
for name, value in json.load(sys.stdin).items():
    try:
        Secret(value=value).save(name, overwrite=True)
    except Exception:
        sys.exit(f"{name!r} cannot be stored as a Secret block")
"""


def run(arguments: Any, version: str) -> int:
    """Serve a new, empty API, print its address, and wait.

    Args:
        arguments: parsed arguments of ``serve``.
        version: of Prefect, whose API is served: 2.20 or 3.x.

    Returns:
        0 after SIGINT (Ctrl-C) or SIGTERM.

    Raises:
        UsageError: the server cannot listen on this address, or an option does not fit this version.
    """
    from pytest_flowsecrets.backend.rest.api import RestApi

    require_local(arguments)
    _require_consistent(arguments, version)
    secrets = secrets_of(arguments.secrets)
    allows, host_names = allowed_hosts(arguments.host)
    api = RestApi(version)
    with listen_errors_explained(arguments.host, arguments.port):
        api.start(host=arguments.host, port=arguments.port, allows=allows, host_names=host_names)
    with api, suppress(KeyboardInterrupt):
        stop_on_signals()
        view = api.new_view(path="") if arguments.server else api.new_workspace(arguments.user_key)
        if arguments.verbose:
            view.intercept = _log_request
        details = _details(api, view, version)
        if secrets:
            _save(secrets, details["environ"])
        print(json.dumps(details) if arguments.json else text_of(details), flush=True)
        threading.Event().wait()
    return 0


def _require_consistent(arguments: Any, version: str) -> None:
    if arguments.runner_key is not None:
        raise UsageError(
            f"--runner-key cannot be used with Prefect {version}, which has one kind of key: use --user-key"
        )
    if arguments.server and arguments.user_key is not None:
        raise UsageError("--user-key cannot be used with --server: a self-hosted server has no keys")
    if arguments.secrets is not None and not uses_rest_api():
        raise UsageError(
            f"--secrets for Prefect {version} needs Prefect 2.20 or 3 in this environment, whose client creates the "
            f"blocks; installed: {installed_version() or 'none'}"
        )


def _details(api: RestApi, view: View, version: str) -> Dict[str, Any]:
    details = {"backend": "server", "version": version, "url": view.url, "pid": os.getpid()}
    environ = {"PREFECT_API_URL": view.url}
    if view.workspace_id:
        key = view.authorization.partition(" ")[2]
        details.update(backend="cloud", api_key=key, account_id=view.account_id, workspace_id=view.workspace_id)
        environ.update(PREFECT_CLOUD_API_URL=api.root, PREFECT_API_KEY=key)
    return {**details, "environ": environ}


def text_of(details: Dict[str, Any]) -> str:
    """Return the address, the key and commands to paste, for a user who has only this output."""
    name = f"{details['backend'].capitalize()} of Prefect {details['version']}"
    return "\n".join(
        [
            f"a fake {name} listens on {details['url']} (Ctrl-C stops it)",
            "",
            "# Paste these lines into a shell. `prefect cloud login` is not needed.",
            *exports(details["environ"]),
            "",
            "# Then, for example:",
            'python -c \'from prefect.blocks.system import Secret; Secret(value="x").save("token")\'',
            "prefect block ls",
            "",
            "# Check whether the API is up:",
            f"curl {details['url'].partition('/api')[0]}/api/health",
        ]
    )


def _save(secrets: Dict[str, Any], environ: Dict[str, str]) -> None:
    from pytest_flowsecrets.isolation.prefect3.blocks import block_values

    try:
        data = json.dumps(block_values(secrets))
    except TypeError:
        raise UsageError("--secrets: a value is no JSON data, such as a date: write it as text") from None
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", SAVE_SECRETS],
        env={**os.environ, **environ},
        input=data,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UsageError(f"--secrets: {(done.stderr.strip().splitlines() or ['the client failed'])[-1]}")


def _log_request(request: Request, answer: Callable[[], Response]) -> Response:
    start = perf_counter()
    response = answer()
    log(f"{response.status}, {request.method} {request.path}, {(perf_counter() - start) * 1000:.1f} ms")
    return response
