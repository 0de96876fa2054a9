"""What an agent reads from the configuration of its machine: backend, API, key, labels, ``[cloud.agent.env_vars]``.

From the model of ``resolution``, for the releases that are not installed. The installed agent reads it itself.
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
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import PREFIX
from pytest_flowsecrets.resolution.display import Mask
from pytest_flowsecrets.resolution.masked_names import masked_name
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from contextlib import ExitStack

    from pytest_flowsecrets.agents.model import Written
    from pytest_flowsecrets.resolution.layers import Layer
    from pytest_flowsecrets.resolution.resolve import Resolution

#: A key without a tenant: the agent asks the API for the tenant. Nothing is asked here, and this stands for the answer.
UNKNOWN_TENANT = "00000000-0000-0000-0000-00000000007e"


def configured(agent: str, written: Written, resolution: Resolution) -> Written:
    """Add what an agent reads from its configuration.

    Args:
        agent: one of ``agent_rules.AGENTS``.
        written: what stands where.
        resolution: the configuration of the agent's machine.

    Raises:
        UsageError: the agent cannot start with this configuration; names and types only.
    """
    if resolution.failure is not None:
        raise UsageError(f"the {agent} agent cannot start: import prefect fails: {Mask().failure(resolution.failure)}")
    version = resolution.dialect.version
    facts = _facts(agent, version, resolution.config)
    variables = _table(resolution.config, "cloud", "agent").get("env_vars")
    if written.agent_env or not variables or release_of(version) < (0, 10, 0):
        return replace(written, facts=facts)
    if not isinstance(variables, Mapping):
        kind = type(variables).__name__
        raise UsageError(f"the {agent} agent cannot start a flow run: cloud.agent.env_vars is a {kind}, not a table")
    for name, value in variables.items():
        if agent != "docker" and not isinstance(value, (str, type(None))):
            problem = f"{masked_name(name)!r} is a {kind_of(value)}: write text"
            raise UsageError(f"the {agent} agent cannot start the flow run: {problem}")
    return replace(written, facts=facts, agent_env=dict(variables), configured=True)


def of_host(
    host_env: Optional[Mapping[str, str]], host_files: Optional[Mapping[str, str]]
) -> Tuple[Dict[str, str], List[Layer]]:
    """Return the environment and the configuration files of an agent that is started here, or as the arguments say.

    Outside of an isolation, the developer's own variables and files are hidden, as an isolation would hide them.

    Args:
        host_env: the environment of the agent, or None for that of this process.
        host_files: paths of its files by kind, or None for those that Prefect reads here.
    """
    from pytest_flowsecrets.isolation.prefect1.paths import config_files
    from pytest_flowsecrets.isolation.stack import depth
    from pytest_flowsecrets.resolution.toml_reader import read_layer

    environ = dict(os.environ if host_env is None else host_env)
    if host_files is None:
        host_files = dict(config_files()) if depth() else {}
    if host_env is None and not depth():
        environ = {name: text for name, text in environ.items() if not name.startswith(PREFIX)}
    return environ, [read_layer(Path(path).read_bytes(), kind, path) for kind, path in host_files.items()]


def isolate(stack: ExitStack, host_env: Optional[Mapping[str, str]], host_files: Optional[Mapping[str, str]]) -> None:
    """Configure the installed Prefect as an agent of that environment and those files does, until the stack is closed.

    Args:
        stack: what undoes it.
        host_env: the environment of the agent, or None for that of this process.
        host_files: paths of its files by kind, or None for those that Prefect reads here.

    Raises:
        SecretRejected: Prefect cannot load this configuration.
    """
    from pytest_flowsecrets.isolation.prefect1.loader import CLOUD_ADDRESS
    from pytest_flowsecrets.isolation.prefect1.network import UNREACHABLE
    from pytest_flowsecrets.isolation.stack import Isolation, current, depth

    if not depth():
        entered = Isolation()
        stack.callback(entered.exit)
        entered.enter({})
        host_env = {} if host_env is None else host_env
    isolation = current()
    assert isolation is not None  # noqa: S101 - entered above
    variables = _of_agent(host_env, host_files)
    if host_env is not None:  # the address that the agent would know; nothing can be sent there
        known = {name: CLOUD_ADDRESS for name, text in os.environ.items() if text == UNREACHABLE}
        variables = {**known, **variables}
    if variables:
        stack.enter_context(isolation.overlay(variables))
    cloud = isolation.require_prefect("an agent").package.config.cloud
    if cloud.get("api_key") and not cloud.get("tenant_id"):
        stack.enter_context(isolation.overlay({f"{PREFIX}CLOUD__TENANT_ID": UNKNOWN_TENANT}))


def _of_agent(
    host_env: Optional[Mapping[str, str]], host_files: Optional[Mapping[str, str]]
) -> Dict[str, Optional[str]]:
    """The variables that configure an agent; None where it does not have one that is set here."""
    from pytest_flowsecrets.isolation.prefect1.network import UNREACHABLE
    from pytest_flowsecrets.isolation.prefect1.paths import FILES

    paths = [variable for variable, _ in FILES.values()]
    variables: Dict[str, Optional[str]] = {}
    if host_env is not None:
        gone = [name for name, text in os.environ.items() if name.startswith(PREFIX) and text != UNREACHABLE]
        variables.update({name: None for name in gone if name not in paths})
        variables.update({name: text for name, text in host_env.items() if name.startswith(PREFIX)})
    if host_files is not None:
        variables.update({FILES[kind][0]: host_files.get(kind) for kind in FILES})
    return variables


def _facts(agent: str, version: str, config: Mapping[str, Any]) -> Facts:
    cloud, own = _table(config, "cloud"), _labels(config)
    host = [socket.gethostname()] if agent == "local" and socket.gethostname() not in own else []
    key = str(cloud.get("api_key") or "") or None if release_of(version) >= (0, 15, 0) else None
    return Facts(
        backend=str(config.get("backend", "cloud")),
        api=str(cloud.get("api")),
        api_key=key,
        tenant_id=str(cloud.get("tenant_id") or "") or (UNKNOWN_TENANT if key else None),
        agent_labels=tuple(map(str, [*own, *host])),
        log_to_cloud=bool(cloud.get("send_flow_run_logs", True)),
        level=str(_table(config, "logging").get("level", "INFO")),
        image=f"prefecthq/prefect:{version}",
        folder=os.getcwd(),
        auth_token=_token(config) if release_of(version) < (1, 0, 0) else None,
        server_port=str(_table(config, "server").get("port", "4200")),
    )


def _labels(config: Mapping[str, Any]) -> List[Any]:
    labels = _table(config, "cloud", "agent").get("labels")
    if isinstance(labels, str):  # up to 0.11.1 it is not typed, and the agent evaluates it
        try:
            labels = literal_eval(labels)
        except (ValueError, SyntaxError):
            labels = None
    return list(labels) if isinstance(labels, list) else []


def _token(config: Mapping[str, Any]) -> Optional[str]:
    token = _table(config, "cloud", "agent").get("auth_token") or _table(config, "cloud").get("auth_token")
    return str(token) if token else None


def _table(config: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        found = config.get(key)
        config = found if isinstance(found, Mapping) else {}
    return config
