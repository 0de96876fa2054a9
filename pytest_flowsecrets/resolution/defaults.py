"""The packaged defaults that a secret can refer to by ``${section.key}``: weakest layer of all.

Facts about the ``config.toml`` inside each release, so that references and flags resolve without Prefect installed.
Where Prefect is installed, its own file is the better layer. Between the releases that were read, the older value is
taken to hold; two keys of 0.5.0 differ from 0.5.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect

_GONE = object()
_UI = "http://localhost:4200/graphql"
_DB = "postgresql://${server.database.username}:${server.database.password}@${server.database.host}:"

# (release from which the value holds, dotted key, value), in order of release.
_FACTS: Tuple[Tuple[str, str, Any], ...] = (
    ("0.5.0", "debug", False),
    ("0.5.0", "cloud.api", "http://api-staging.prefect.io"),
    ("0.5.4", "cloud.api", "https://api.prefect.io"),
    ("0.5.0", "cloud.graphql", "${cloud.api}/graphql/alpha"),
    ("0.5.0", "cloud.log", "${cloud.api}/log"),
    ("0.5.0", "cloud.result_handler", "${cloud.api}/result-handler"),
    ("0.5.0", "cloud.use_local_secrets", True),
    ("0.5.0", "cloud.heartbeat_interval", 30.0),
    ("0.5.0", "logging.level", "DEBUG"),
    ("0.5.4", "logging.level", "INFO"),
    ("0.5.0", "logging.format", "[%(asctime)s] %(levelname)s - %(name)s | %(message)s"),
    ("0.5.0", "logging.log_to_cloud", False),
    ("0.5.0", "flows.eager_edge_validation", False),
    ("0.5.4", "flows.run_on_schedule", True),
    ("0.5.0", "tasks.defaults.checkpoint", False),
    ("0.5.0", "tasks.defaults.max_retries", False),
    ("0.5.0", "tasks.defaults.retry_delay", False),
    ("0.5.0", "engine.executor.default_class", "prefect.engine.executors.SynchronousExecutor"),
    ("0.5.0", "engine.executor.dask.address", "local"),
    ("0.5.0", "engine.executor.dask.local_processes", False),
    ("0.5.0", "engine.flow_runner.default_class", "prefect.engine.flow_runner.FlowRunner"),
    ("0.5.0", "engine.task_runner.default_class", "prefect.engine.task_runner.TaskRunner"),
    ("0.6.0", "cloud.log", _GONE),
    ("0.6.0", "cloud.result_handler", _GONE),
    ("0.6.1", "home_dir", "~/.prefect"),
    ("0.6.1", "cloud.agent.auth_token", ""),
    ("0.6.1", "cloud.agent.level", "INFO"),
    ("0.6.1", "cloud.agent.resource_manager.loop_interval", 60),
    ("0.6.1", "flows.checkpointing", False),
    ("0.6.1", "flows.defaults.storage.default_class", "prefect.environments.storage.Docker"),
    ("0.6.1", "engine.executor.default_class", "prefect.engine.executors.LocalExecutor"),
    ("0.6.6", "cloud.queue_interval", 30.0),
    ("0.6.7", "cloud.agent.name", "agent"),
    ("0.10.0", "backend", "cloud"),
    ("0.10.0", "server.host", "http://localhost"),
    ("0.10.0", "server.port", "4200"),
    ("0.10.0", "server.host_port", "4200"),
    ("0.10.0", "server.endpoint", "${server.host}:${server.port}"),
    ("0.10.0", "server.database.host", "localhost"),
    ("0.10.0", "server.database.port", "5432"),
    ("0.10.0", "server.database.name", "prefect_server"),
    ("0.10.0", "server.database.username", "prefect"),
    ("0.10.0", "server.database.password", "test-password"),
    ("0.10.0", "server.database.connection_url", _DB + "${server.database.port}/${server.database.name}"),
    ("0.10.0", "server.graphql.host", "0.0.0.0"),  # noqa: S104 (what the packaged file says)
    ("0.10.0", "server.graphql.port", "4201"),
    ("0.10.0", "server.graphql.path", "/graphql/"),
    ("0.10.0", "server.hasura.host", "localhost"),
    ("0.10.0", "server.hasura.port", "3000"),
    ("0.10.0", "server.ui.host", "http://localhost"),
    ("0.10.0", "server.ui.port", "8080"),
    ("0.10.0", "server.ui.endpoint", "${server.ui.host}:${server.ui.port}"),
    ("0.10.0", "cloud.api", "${${backend}.endpoint}"),
    ("0.10.0", "cloud.endpoint", "https://api.prefect.io"),
    ("0.10.0", "cloud.diagnostics", False),
    ("0.10.0", "cloud.logging_heartbeat", 5),
    ("0.10.0", "cloud.agent.labels", "[]"),
    ("0.10.0", "cloud.agent.agent_address", ""),
    ("0.10.0", "logging.log_attributes", "[]"),
    ("0.10.0", "logging.datefmt", "%Y-%m-%d %H:%M:%S"),
    ("0.10.0", "logging.extra_loggers", "[]"),
    ("0.10.0", "flows.defaults.storage.default_class", "prefect.environments.storage.Local"),
    ("0.10.0", "tasks.defaults.checkpoint", _GONE),
    ("0.11.0", "server.telemetry.enabled", True),
    ("0.13.0", "server.ui.apollo_url", _UI),
    ("0.13.0", "cloud.graphql", "${cloud.api}/graphql"),
    ("0.13.0", "cloud.check_cancellation_interval", 15.0),
    ("0.13.0", "logging.datefmt", "%Y-%m-%d %H:%M:%S%z"),
    ("0.13.0", "flows.defaults.storage.add_default_labels", True),
    ("0.13.0", "engine.executor.dask.address", ""),
    ("0.13.0", "engine.executor.dask.local_processes", _GONE),
    ("0.14.0", "cloud.request_timeout", 15),
    ("0.14.0", "cloud.send_flow_run_logs", True),
    ("0.14.0", "logging.log_to_cloud", _GONE),
    ("0.14.0", "flows.defaults.storage.default_class", "prefect.storage.Local"),
    ("0.14.0", "engine.executor.default_class", "prefect.executors.LocalExecutor"),
    ("0.15.0", "cloud.heartbeat_mode", "process"),
    ("0.15.0", "cloud.api_key", ""),
    ("0.15.0", "cloud.tenant_id", ""),
)


def packaged_defaults(dialect: Dialect) -> Dict[str, Any]:
    """Give the packaged configuration of a release as nested tables.

    Args:
        dialect: the rules, with their release.

    Returns:
        A new mapping, which the caller may change.
    """
    flat = {key: value for first, key, value in _FACTS if dialect.at_least(first)}
    tables: Dict[str, Any] = {}
    for key, value in flat.items():
        if value is not _GONE:
            _put(tables, key.split("."), value)
    return tables


def _put(tables: Dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        tables = tables.setdefault(part, {})
    tables[path[-1]] = value
