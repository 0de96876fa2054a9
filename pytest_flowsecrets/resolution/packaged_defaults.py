"""The packaged defaults, the weakest layer. A secret can refer to them with ``${section.key}``.

They are facts about the ``config.toml`` in each release from 0.5.0 to 1.4.1, with which references and flags resolve
even if Prefect is not installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, FrozenSet, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect

_GONE = object()
_UI = "http://localhost:4200/graphql"
_DB = "postgresql://${server.database.username}:${server.database.password}@${server.database.host}:"

# Settings that Prefect reads and gives no default in some releases.
_WITHOUT_DEFAULT = (
    *("cloud.agent.agent_address", "cloud.agent.auth_token", "cloud.agent.env_vars", "cloud.api_key"),
    *("cloud.auth_token", "cloud.send_flow_run_logs", "cloud.tenant_id", "tasks.defaults.timeout"),
)
# Tables whose keys users choose, for Prefect itself.
OPEN_TABLES = frozenset({("cloud", "agent", "env_vars"), ("tasks", "defaults")})

# (first release with the value, dotted key, value), in the order of releases.
_FACTS: Tuple[Tuple[str, str, Any], ...] = (
    ("0.5.0", "user_config_path", "$HOME/.prefect/config.toml"),
    ("0.5.0", "debug", False),
    ("0.5.0", "cloud.api", "http://api-staging.prefect.io"),
    ("0.5.0", "cloud.graphql", "${cloud.api}/graphql/alpha"),
    ("0.5.0", "cloud.log", "${cloud.api}/log"),
    ("0.5.0", "cloud.result_handler", "${cloud.api}/result-handler"),
    ("0.5.0", "cloud.use_local_secrets", True),
    ("0.5.0", "cloud.heartbeat_interval", 30.0),
    ("0.5.0", "logging.level", "DEBUG"),
    ("0.5.0", "logging.format", "[%(asctime)s] %(levelname)s - %(name)s | %(message)s"),
    ("0.5.0", "logging.log_to_cloud", False),
    ("0.5.0", "flows.eager_edge_validation", False),
    ("0.5.0", "tasks.defaults.checkpoint", False),
    ("0.5.0", "tasks.defaults.max_retries", False),
    ("0.5.0", "tasks.defaults.retry_delay", False),
    ("0.5.0", "engine.executor.default_class", "prefect.engine.executors.SynchronousExecutor"),
    ("0.5.0", "engine.executor.dask.address", "local"),
    ("0.5.0", "engine.executor.dask.local_processes", False),
    ("0.5.0", "engine.flow_runner.default_class", "prefect.engine.flow_runner.FlowRunner"),
    ("0.5.0", "engine.result_handler.default_class", "prefect.engine.cloud.CloudResultHandler"),
    ("0.5.0", "engine.task_runner.default_class", "prefect.engine.task_runner.TaskRunner"),
    ("0.5.2", "logging.level", "INFO"),
    ("0.5.3", "flows.run_on_schedule", True),
    ("0.5.4", "user_config_path", _GONE),
    ("0.5.4", "cloud.api", "https://api.prefect.io"),
    ("0.6.0", "cloud.log", _GONE),
    ("0.6.0", "cloud.result_handler", _GONE),
    ("0.6.0", "engine.result_handler.default_class", ""),
    ("0.6.1", "flows.checkpointing", False),
    ("0.6.2", "engine.executor.default_class", "prefect.engine.executors.LocalExecutor"),
    ("0.6.2", "home_dir", "~/.prefect"),
    ("0.6.2", "cloud.agent.auth_token", ""),
    ("0.6.2", "cloud.agent.resource_manager.loop_interval", 60),
    ("0.6.2", "flows.defaults.storage.default_class", "prefect.environments.storage.Docker"),
    ("0.6.5", "cloud.agent.level", "INFO"),
    ("0.6.6", "cloud.queue_interval", 30.0),
    ("0.6.7", "cloud.agent.name", "agent"),
    ("0.7.0", "cloud.agent.labels", "[]"),
    ("0.7.1", "cloud.logging_heartbeat", 5),
    ("0.8.0", "flows.defaults.storage.default_class", "prefect.environments.storage.Local"),
    ("0.9.0", "engine.result_handler.default_class", _GONE),
    ("0.9.1", "tasks.defaults.checkpoint", _GONE),
    ("0.9.4", "logging.extra_loggers", []),
    ("0.9.6", "logging.extra_loggers", "[]"),
    ("0.10.0", "cloud.api", "${${backend}.endpoint}"),
    ("0.10.0", "backend", "cloud"),
    ("0.10.0", "server.host", "http://localhost"),
    ("0.10.0", "server.port", "4200"),
    ("0.10.0", "server.endpoint", "${server.host}:${server.port}"),
    ("0.10.0", "server.database.host", "localhost"),
    ("0.10.0", "server.database.port", 5432),
    ("0.10.0", "server.database.name", "prefect_server"),
    ("0.10.0", "server.database.username", "prefect"),
    ("0.10.0", "server.database.password", "test-password"),
    ("0.10.0", "server.database.connection_url", _DB + "${server.database.port}/${server.database.name}"),
    ("0.10.0", "server.graphql.host", "0.0.0.0"),  # noqa: S104 (from the packaged file)
    ("0.10.0", "server.graphql.port", 4201),
    ("0.10.0", "server.graphql.debug", False),
    ("0.10.0", "server.graphql.path", "/graphql/"),
    ("0.10.0", "server.hasura.host", "localhost"),
    ("0.10.0", "server.hasura.port", 3000),
    ("0.10.0", "server.hasura.admin_secret", ""),
    ("0.10.0", "server.hasura.claims_namespace", "hasura-claims"),
    ("0.10.0", "server.hasura.graphql_url", "http://${server.hasura.host}:${server.hasura.port}/v1alpha1/graphql"),
    ("0.10.0", "server.hasura.ws_url", "ws://${server.hasura.host}:${server.hasura.port}/v1alpha1/graphql"),
    ("0.10.0", "server.hasura.execute_retry_seconds", 10),
    ("0.10.0", "server.ui.host", "http://localhost"),
    ("0.10.0", "server.ui.port", "8080"),
    ("0.10.0", "server.ui.endpoint", "${server.ui.host}:${server.ui.port}"),
    ("0.10.0", "cloud.endpoint", "https://api.prefect.io"),
    ("0.10.1", "server.database.port", "5432"),
    ("0.10.1", "server.graphql.port", "4201"),
    ("0.10.1", "server.hasura.port", "3000"),
    ("0.10.1", "server.host_port", "4200"),
    ("0.10.1", "server.database.host_port", "5432"),
    ("0.10.1", "server.graphql.host_port", "4201"),
    ("0.10.1", "server.hasura.host_port", "3000"),
    ("0.10.1", "server.ui.host_port", "8080"),
    ("0.10.1", "cloud.diagnostics", False),
    ("0.10.3", "server.ui.graphql_url", _UI),
    ("0.10.3", "logging.datefmt", "%Y-%m-%d %H:%M:%S"),
    ("0.10.6", "logging.log_attributes", "[]"),
    ("0.10.7", "cloud.agent.agent_address", ""),
    ("0.11.0", "server.telemetry.enabled", True),
    ("0.11.3", "cloud.graphql", "${cloud.api}/graphql"),
    ("0.11.3", "server.database.volume_path", "${home_dir}/pg_data"),
    ("0.11.4", "cloud.graphql", "${cloud.api}/graphql/alpha"),
    ("0.11.5", "engine.executor.dask.address", ""),
    ("0.11.5", "engine.executor.dask.local_processes", _GONE),
    ("0.11.5", "engine.executor.dask.cluster_class", "distributed.deploy.local.LocalCluster"),
    ("0.12.0", "flows.defaults.storage.add_default_labels", True),
    ("0.12.1", "cloud.graphql", "${cloud.api}/graphql"),
    ("0.13.0", "cloud.check_cancellation_interval", 15.0),
    ("0.13.7", "server.ui.graphql_url", _GONE),
    ("0.13.7", "server.ui.apollo_url", _UI),
    ("0.13.14", "logging.datefmt", "%Y-%m-%d %H:%M:%S%z"),
    ("0.14.0", "engine.executor.default_class", "prefect.executors.LocalExecutor"),
    ("0.14.0", "flows.defaults.storage.default_class", "prefect.storage.Local"),
    ("0.14.9", "cloud.request_timeout", 15),
    ("0.14.20", "logging.log_to_cloud", _GONE),
    ("0.14.20", "cloud.send_flow_run_logs", True),
    ("0.15.0", "cloud.api_key", ""),
    ("0.15.0", "cloud.tenant_id", ""),
    ("0.15.4", "cloud.heartbeat_mode", "process"),
    ("0.15.5", "server.host_ip", "127.0.0.1"),
    ("0.15.5", "server.ui.host_ip", "127.0.0.1"),
    ("0.15.8", "cloud.agent.kubernetes_keep_alive", False),
    ("1.2.3", "cloud.rate_limiting.backoff_s", 180),
    ("1.2.3", "cloud.rate_limiting.backoff_multiplier", 10),
    ("1.2.3", "cloud.rate_limiting.backoff_exponent", 2),
    ("1.2.3", "cloud.rate_limiting.max_retries", 6),
)


def packaged_defaults(dialect: Dialect) -> Dict[str, Any]:
    """Return the packaged configuration of a release as nested tables.

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


def known_settings() -> FrozenSet[str]:
    """Return the dotted names, in lower case, of the settings that Prefect reads: tables and keys of all releases."""
    keys = {*(key for _, key, _ in _FACTS), *_WITHOUT_DEFAULT}
    tables = {key[:end] for key in keys for end, character in enumerate(key) if character == "."}
    return frozenset(keys | tables)
