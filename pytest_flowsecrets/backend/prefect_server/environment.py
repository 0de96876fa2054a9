"""The settings of a real Prefect server that serves tests: what the child process finds in its environment.

Prefect 2.20 and 3.0 name these settings ``PREFECT_API_SERVICES_…``, later releases ``PREFECT_SERVER_SERVICES_…`` (some
know both). Prefect ignores variables that it does not know, so each setting is written under both names.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Collection, Dict, Mapping

from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

# Services that change rows by themselves. They are off unless a test asks for them.
SERVICES = (
    "cancellation_cleanup",
    "foreman",
    "late_runs",
    "pause_expirations",
    "repossessor",
    "scheduler",
    "triggers",
)
# Services that a test server never needs: they send data to Prefect, print events, or delete old rows.
_OFF = ("telemetry", "event_logger", "db_vacuum", "flow_run_notifications")
_PREFIXES = ("PREFECT_API_SERVICES_", "PREFECT_SERVER_SERVICES_")
# A batch of one event is written at once: `/events/filter` sees it, and no event waits for the next test's database.
_EACH_EVENT_AT_ONCE = {
    "EVENT_PERSISTER_BATCH_SIZE": "1",
    "EVENT_PERSISTER_READ_BATCH_SIZE": "1",
    "TASK_RUN_RECORDER_BATCH_SIZE": "1",
    "TASK_RUN_RECORDER_READ_BATCH_SIZE": "1",
}


def server_environment(
    base: Mapping[str, str], home: Path, *, services: Collection[str] = (), auth_string: str = "", ui: bool = False
) -> Dict[str, str]:
    """Return the environment of a server's process.

    Args:
        base: an environment; its ``PREFECT_`` variables are dropped.
        home: the private ``PREFECT_HOME``, with the database.
        services: names of ``SERVICES`` to start.
        auth_string: ``PREFECT_SERVER_API_AUTH_STRING``; empty for no authentication.
        ui: whether to serve the user interface.

    Raises:
        UsageError: a service is not known.
    """
    unknown = sorted(set(services) - set(SERVICES))
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not a service of the server; choose from {', '.join(SERVICES)}")
    environ = {name: text for name, text in base.items() if not name.startswith("PREFECT_")}
    environ.update(
        PREFECT_HOME=str(home),
        PREFECT_PROFILES_PATH=str(home / "profiles.toml"),
        PREFECT_API_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{database_path(home)}",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_LOGGING_SERVER_LEVEL="WARNING",
        PREFECT_UI_ENABLED=str(ui).lower(),
        DO_NOT_TRACK="1",
    )
    if auth_string:
        environ["PREFECT_SERVER_API_AUTH_STRING"] = auth_string
    for prefix in _PREFIXES:
        environ.update({prefix + name: text for name, text in _EACH_EVENT_AT_ONCE.items()})
        for name in (*SERVICES, *_OFF):
            environ[f"{prefix}{name.upper()}_ENABLED"] = str(name in services).lower()
    return environ


def startup_environment(*, has_template: bool) -> Dict[str, str]:
    """Return the settings that make the server create its database, unless it starts from a template."""
    create = str(not has_template).lower()
    return {
        "PREFECT_API_DATABASE_MIGRATE_ON_START": create,
        "PREFECT_API_BLOCKS_REGISTER_ON_START": create,
    }


def database_path(home: Path) -> Path:
    """Return the path of the SQLite database."""
    return home / "prefect.db"


def authorization_header(auth_string: str) -> Dict[str, str]:
    """Return the header that a server with an auth string requires: Basic authentication (RFC 7617)."""
    if not auth_string:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(auth_string.encode()).decode()}"}
