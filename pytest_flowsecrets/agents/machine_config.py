"""Settings that an agent reads from the configuration of its machine: backend, API, key, labels, variables.

For releases that are not installed they come from the model in ``resolution``. An installed agent reads them itself.
"""

from __future__ import annotations

import os
import socket
from ast import literal_eval
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from pytest_flowsecrets.agents.agent_errors import kind_of
from pytest_flowsecrets.agents.rules import Facts
from pytest_flowsecrets.errors import UsageError, with_article
from pytest_flowsecrets.names import PREFIX
from pytest_flowsecrets.resolution.display import Mask
from pytest_flowsecrets.resolution.shown_names import masked_name
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from contextlib import ExitStack

    from pytest_flowsecrets.agents.model import AgentInputs
    from pytest_flowsecrets.resolution.layers import Layer
    from pytest_flowsecrets.resolution.resolve import Resolution

#: The tenant of a key without one. The agent asks the API for it; this value stands for the answer.
UNKNOWN_TENANT = "00000000-0000-0000-0000-00000000007e"


def with_configuration(agent: str, inputs: AgentInputs, resolution: Resolution) -> AgentInputs:
    """Return inputs with the settings that an agent reads from its configuration.

    Args:
        agent: one of ``rules.AGENTS``.
        inputs: the variables by place.
        resolution: the configuration of the machine of the agent.

    Raises:
        UsageError: the agent cannot start with this configuration. The message contains names and types only.
    """
    if resolution.failure is not None:
        raise UsageError(f"the {agent} agent cannot start: import prefect fails: {Mask().failure(resolution.failure)}")
    version = resolution.dialect.version
    facts = _facts(agent, version, resolution.config)
    variables = _table(resolution.config, "cloud", "agent").get("env_vars")
    if inputs.agent_env or not variables or release_of(version) < (0, 10, 0):
        return replace(inputs, facts=facts)
    if not isinstance(variables, Mapping):
        kind = type(variables).__name__
        raise UsageError(
            f"the {agent} agent cannot start a flow run: cloud.agent.env_vars is {with_article(kind)}, not a table"
        )
    if agent != "docker":  # Docker converts values to strings
        _require_strings(agent, variables)
    return replace(inputs, facts=facts, agent_env=dict(variables), configured=True)


def _require_strings(agent: str, variables: Mapping[str, Any]) -> None:
    for name, value in variables.items():
        if not isinstance(value, (str, type(None))):
            problem = f"{masked_name(name)!r} is {with_article(kind_of(value))}: write text in quotes"
            raise UsageError(f"the {agent} agent cannot start the flow run: {problem}")


def host_configuration(
    host_env: Optional[Mapping[str, str]], host_files: Optional[Mapping[str, str]]
) -> Tuple[Dict[str, str], List[Layer]]:
    """Return the environment and the configuration files of an agent.

    Outside of an isolation, the developer's own variables and files are hidden, as an isolation hides them.

    Args:
        host_env: the environment of the agent, or None for that of this process.
        host_files: the paths of its files by kind, or None for the files that Prefect reads here.
    """
    from pytest_flowsecrets.isolation.prefect1.paths import config_files
    from pytest_flowsecrets.isolation.stack import depth
    from pytest_flowsecrets.resolution.toml_reader import read_layer

    environ = dict(os.environ if host_env is None else host_env)
    if host_files is None:
        host_files = dict(config_files()) if depth() else {}
    if host_env is None and not depth():
        environ = _without_prefect(environ)
    return environ, [read_layer(Path(path).read_bytes(), kind, path) for kind, path in host_files.items()]


def _without_prefect(environ: Mapping[str, str]) -> Dict[str, str]:
    return {name: text for name, text in environ.items() if not name.startswith(PREFIX)}


def isolate(stack: ExitStack, host_env: Optional[Mapping[str, str]], host_files: Optional[Mapping[str, str]]) -> None:
    """Configure the installed Prefect with this environment and these files until the stack is closed.

    Args:
        stack: the stack that undoes the changes.
        host_env: the environment of the agent, or None for that of this process.
        host_files: the paths of its files by kind, or None for the files that Prefect reads here.

    Raises:
        SecretRejected: Prefect cannot load this configuration.
    """
    from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation
    from pytest_flowsecrets.isolation.stack import current, depth

    if not depth():
        new = LegacyIsolation()
        stack.callback(new.exit)
        new.enter({})
        host_env = host_env or {}
    innermost = current()
    assert innermost is not None  # noqa: S101 - entered above
    isolation: LegacyIsolation = innermost.require_legacy("an agent")
    variables = _agent_variables(host_env, host_files)
    if variables:
        stack.enter_context(isolation.overlay(variables))
    cloud = isolation.require_prefect("an agent").package.config.cloud
    if cloud.get("api_key") and not cloud.get("tenant_id"):
        stack.enter_context(isolation.overlay({f"{PREFIX}CLOUD__TENANT_ID": UNKNOWN_TENANT}))


def _agent_variables(
    host_env: Optional[Mapping[str, str]], host_files: Optional[Mapping[str, str]]
) -> Dict[str, Optional[str]]:
    """Return the variables that configure an agent. None removes a variable that is set in this process."""
    from pytest_flowsecrets.isolation.prefect1.loader import CLOUD_ADDRESS
    from pytest_flowsecrets.isolation.prefect1.network import UNREACHABLE
    from pytest_flowsecrets.isolation.prefect1.paths import FILES

    variables: Dict[str, Optional[str]] = {}
    if host_env is not None:
        # the default address of the agent; nothing can be sent there
        variables.update({name: CLOUD_ADDRESS for name, text in os.environ.items() if text == UNREACHABLE})
        variables.update(dict.fromkeys(_own_variables()))
        variables.update({name: text for name, text in host_env.items() if name.startswith(PREFIX)})
    if host_files is not None:
        variables.update({FILES[kind][0]: host_files.get(kind) for kind in FILES})
    return variables


def _own_variables() -> List[str]:
    """Return the names of this process's Prefect variables, without paths of files and unreachable addresses."""
    from pytest_flowsecrets.isolation.prefect1.network import UNREACHABLE
    from pytest_flowsecrets.isolation.prefect1.paths import FILES

    paths = [variable for variable, _ in FILES.values()]
    variables = [name for name, text in os.environ.items() if name.startswith(PREFIX) and text != UNREACHABLE]
    return [name for name in variables if name not in paths]


def _facts(agent: str, version: str, config: Mapping[str, Any]) -> Facts:
    cloud = _table(config, "cloud")
    key = _text(cloud.get("api_key")) if release_of(version) >= (0, 15, 0) else None
    return Facts(
        backend=str(config.get("backend", "cloud")),
        api=str(cloud.get("api")),
        api_key=key,
        tenant_id=_text(cloud.get("tenant_id")) or (UNKNOWN_TENANT if key else None),
        agent_labels=_all_labels(agent, config),
        log_to_cloud=bool(cloud.get("send_flow_run_logs", True)),
        level=str(_table(config, "logging").get("level", "INFO")),
        image=f"prefecthq/prefect:{version}",
        folder=os.getcwd(),
        auth_token=_token(config) if release_of(version) < (1, 0, 0) else None,
        server_port=str(_table(config, "server").get("port", "4200")),
    )


def _text(value: Any) -> Optional[str]:
    return str(value or "") or None


def _all_labels(agent: str, config: Mapping[str, Any]) -> Tuple[str, ...]:
    """Return the configured labels; a LocalAgent adds the name of its host."""
    labels = _labels(config)
    if agent == "local" and socket.gethostname() not in labels:
        labels.append(socket.gethostname())
    return tuple(map(str, labels))


def _labels(config: Mapping[str, Any]) -> List[Any]:
    labels = _table(config, "cloud", "agent").get("labels")
    if isinstance(labels, str):  # up to 0.11.1 the value is not typed, and the agent evaluates it
        try:
            labels = literal_eval(labels)
        except (ValueError, SyntaxError):
            labels = None
    return list(labels) if isinstance(labels, list) else []


def _token(config: Mapping[str, Any]) -> Optional[str]:
    return _text(_table(config, "cloud", "agent").get("auth_token") or _table(config, "cloud").get("auth_token"))


def _table(config: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = config.get(key)
        config = value if isinstance(value, Mapping) else {}
    return config
