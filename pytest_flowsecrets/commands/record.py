"""``flowsecrets record``: record the traffic between Prefect and an API into a cassette, without values of secrets."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Any, Dict
from urllib.parse import urlsplit

from pytest_flowsecrets.backend.cassettes.exchanges import GRAPHQL, REST, settings_for
from pytest_flowsecrets.backend.cassettes.recorder import Recorder
from pytest_flowsecrets.backend.cassettes.server import WorldServer
from pytest_flowsecrets.commands.serve import exports, listen_errors_explained, rest_version, stop_on_signals
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import SECRETS_PREFIX

_CREDENTIALS = ("_API_KEY", "_AUTH_TOKEN", "_AUTH_STRING")


def run(arguments: Any) -> int:
    """Forward requests until Ctrl-C, and write the cassette.

    Args:
        arguments: parsed arguments.

    Returns:
        0 after SIGINT (Ctrl-C) or SIGTERM.

    Raises:
        UsageError: the address is not valid, the cassette cannot be written, or the port is in use.
    """
    target = urlsplit(arguments.to)
    if target.scheme not in ("http", "https") or not target.hostname:
        raise UsageError(f"--to {arguments.to}: write the address of an API, such as http://127.0.0.1:4200/api")
    folder = os.path.dirname(arguments.cassette) or "."
    if os.path.isdir(arguments.cassette) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise UsageError(f"{arguments.cassette}: the cassette needs a writable folder and a name of its own")
    kind = GRAPHQL if rest_version(arguments.prefect) is None else REST
    with listen_errors_explained("127.0.0.1", arguments.port):
        server = WorldServer(port=arguments.port)
    recorder = Recorder(arguments.to, server.prefix)
    with suppress(KeyboardInterrupt), server.serving(recorder) as url:
        stop_on_signals()
        lines = exports(settings_for(url, kind))
        print("\n".join(["Recording until Ctrl-C. In the environment of the flow:", *lines]), flush=True)
        threading.Event().wait()
    count = recorder.write(arguments.cassette, _known_secrets())
    print(f"{arguments.cassette}: {count} exchanges")
    return 0


def _known_secrets() -> Dict[str, str]:
    """Return the secrets that the environment of this process holds."""
    return {
        name: text
        for name, text in os.environ.items()
        if name.startswith(SECRETS_PREFIX) or (name.startswith("PREFECT_") and name.endswith(_CREDENTIALS))
    }
