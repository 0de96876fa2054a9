"""The table of variables that each agent adds to the environment of a flow run, by release of Prefect.

An agent collects the variables of a flow run from the places in ``variable_origins.ORIGINS``. What is odd:

- All agents force ``PREFECT__CLOUD__USE_LOCAL_SECRETS=false``, for Prefect Server too.
- A LocalAgent removes a forced variable without a value: an API key in ``--env`` is lost if the agent has none.
- The agents of containers set such a variable to an empty string.
- Up to 0.13.11 ``--env`` of a LocalAgent overrides everything. From 0.13.12 it supports run configs.
- The ECS agent writes the image into the task definition; the variables in RunTask override it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.errors import UsageError, with_article
from pytest_flowsecrets.names import (
    API_KEY,
    AUTH_TOKEN,
    BACKEND,
    CLOUD_API,
    FLOW_ID,
    FLOW_RUN_ID,
    TENANT_ID,
    USE_LOCAL_SECRETS,
)
from pytest_flowsecrets.versions import Release, release_of

AGENTS = ("local", "docker", "kubernetes", "ecs")
#: The oldest release with known rules for this kind of agent.
OLDEST: Dict[str, Release] = {"local": (0, 10, 0), "docker": (0, 15, 0), "kubernetes": (0, 15, 0), "ecs": (0, 15, 0)}
#: The first release whose LocalAgent supports run configs, and whose forced variables override everything.
RUN_CONFIGS: Release = (0, 13, 12)
#: The first release with a run config for any agent.
UNIVERSAL: Release = (0, 14, 0)
#: The first release in which a flow run can turn off its logs.
LOGS_BY_CHOICE: Release = (1, 4, 0)

#: The releases whose ``prefect agent … start --env NAME=value`` fails with a ValueError for a ``=`` in the value: the
#: command splits at each ``=`` (up to 0.13.14 and 0.14.9, according to the packages; 0.9.0 added the option).
SPLITS_EQUALS: Tuple[Release, Release] = ((0, 9, 0), (0, 14, 9))

_LOCAL = frozenset({"local"})
_CONTAINERS = frozenset(AGENTS) - _LOCAL
_ALL = frozenset(AGENTS)
_FIRST, _LAST = (0, 0, 0), (1, 4, 1)


class Rule(NamedTuple):
    """A variable that agents set.

    Attributes:
        name: the variable.
        fact: the key of its value in ``_texts``, mostly a property of :class:`Facts`.
        agents: the agents that set it.
        since: the first release.
        until: the last release.
    """

    name: str
    fact: str
    agents: FrozenSet[str] = _ALL
    since: Release = _FIRST
    until: Release = _LAST


FORCED: Tuple[Rule, ...] = (
    Rule(BACKEND, "backend", since=(0, 14, 7)),
    Rule(CLOUD_API, "api", _ALL - {"docker"}),
    Rule(CLOUD_API, "docker_api", frozenset({"docker"}), until=(0, 15, 9)),
    Rule(AUTH_TOKEN, "token", _LOCAL, until=(0, 15, 13)),
    Rule(AUTH_TOKEN, "token", _CONTAINERS),
    Rule(API_KEY, "key", since=(0, 15, 0)),
    Rule(TENANT_ID, "tenant", since=(0, 15, 0)),
    Rule("PREFECT__CLOUD__AGENT__LABELS", "labels"),
    Rule(FLOW_RUN_ID, "flow_run_id"),
    Rule(FLOW_ID, "flow_id"),
    Rule("PREFECT__CONTEXT__IMAGE", "image", frozenset({"docker", "kubernetes"})),
    Rule(USE_LOCAL_SECRETS, "false"),
    Rule("PREFECT__CLOUD__SEND_FLOW_RUN_LOGS", "logs", since=(0, 14, 20), until=(1, 3, 1)),
    Rule("PREFECT__LOGGING__LOG_TO_CLOUD", "logs", _LOCAL, until=(0, 14, 19)),
    Rule("PREFECT__LOGGING__LOG_TO_CLOUD", "logs", _CONTAINERS),
    Rule("PREFECT__LOGGING__LEVEL", "debug", _LOCAL, until=(0, 12, 6)),
    Rule("PREFECT__LOGGING__LEVEL", "level", _LOCAL, since=(0, 13, 0), until=(0, 13, 11)),
    Rule("PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS", "flow_runner"),
    Rule("PREFECT__ENGINE__TASK_RUNNER__DEFAULT_CLASS", "task_runner", until=(1, 2, 2)),
)


@dataclass(frozen=True)
class Facts:
    """Facts about an agent and a flow run that the agent puts into the environment.

    Attributes:
        backend: ``cloud`` or ``server``.
        api: the address of the API.
        api_key: the API key of the agent, or None.
        tenant_id: the tenant of the agent, or None.
        agent_labels: the labels of the agent.
        log_to_cloud: whether flow runs send their logs.
        level: the log level of the agent.
        flow_run_id: the id of the flow run.
        flow_id: the id of the flow.
        image: the image of the container.
        folder: the working directory of a LocalAgent.
        auth_token: the token of releases before 0.15, or None.
        server_port: the port of Prefect Server, for requests of containers to the machine of the agent.
    """

    backend: str = "cloud"
    api: str = "https://api.prefect.io"
    api_key: Optional[str] = field(default=None, repr=False)
    tenant_id: Optional[str] = None
    agent_labels: Tuple[str, ...] = ()
    log_to_cloud: bool = True
    level: str = "INFO"
    flow_run_id: str = "00000000-0000-0000-0000-00000000f10e"
    flow_id: str = "00000000-0000-0000-0000-000000000f10"
    image: str = "prefecthq/prefect"
    folder: str = "."
    auth_token: Optional[str] = field(default=None, repr=False)
    server_port: str = "4200"


def refused_options(version: str, agent_env: Mapping[str, Optional[str]]) -> List[str]:
    """Return the names of the variables that ``prefect agent … start --env`` does not accept.

    Args:
        version: the release of Prefect.
        agent_env: the names and values.
    """
    oldest, newest = SPLITS_EQUALS
    is_affected = oldest <= release_of(version) <= newest
    return [name for name, text in agent_env.items() if is_affected and "=" in (text or "")]


def equals_in_option(version: str, names: List[str]) -> str:
    """Return a message that a release does not accept variables in ``--env``, with advice.

    Args:
        version: the release of Prefect.
        names: the names of the variables.
    """
    return (
        f"--env {', '.join(names)}: `prefect agent … start` of Prefect {version} fails with a ValueError if the value "
        "contains = (0.9.0-0.14.9): use run_config.env, the environment of a LocalAgent, or Prefect 0.14.10"
    )


def require_agent(agent: str) -> None:
    """Check that an agent exists.

    Raises:
        UsageError: the agent does not exist.
    """
    if not isinstance(agent, str):
        raise UsageError(f"agent must be one of {', '.join(AGENTS)}, not {with_article(type(agent).__name__)}")
    if agent not in AGENTS:
        raise UsageError(f"{agent!r} is not an agent: choose one of {', '.join(AGENTS)}")


def require_known(agent: str, version: str) -> None:
    """Check that an agent exists, and that its rules in this release are known.

    Raises:
        UsageError: there is no such agent, or the release is too old.
    """
    require_agent(agent)
    oldest = OLDEST[agent]
    if release_of(version) < oldest:
        since = ".".join(map(str, oldest))
        raise UsageError(f"the {agent} agent of Prefect {version} is not known here: use {since} or later")


def forced(agent: str, version: str, facts: Facts) -> Dict[str, Optional[str]]:
    """Return the variables that an agent forces. A value of None removes the variable."""
    number, texts = release_of(version), _texts(agent, facts)
    variables = {
        rule.name: texts[rule.fact] for rule in FORCED if agent in rule.agents and rule.since <= number <= rule.until
    }
    if number >= LOGS_BY_CHOICE and not facts.log_to_cloud:
        variables["PREFECT__CLOUD__SEND_FLOW_RUN_LOGS"] = "false"
    return variables


def log_default(version: str, facts: Facts) -> Dict[str, str]:
    """Return the default for logs, in releases in which a flow run can turn them off: they are sent."""
    by_choice = release_of(version) >= LOGS_BY_CHOICE and facts.log_to_cloud
    return {"PREFECT__CLOUD__SEND_FLOW_RUN_LOGS": "true"} if by_choice else {}


def defaults(agent: str, version: str, facts: Facts) -> Dict[str, str]:
    """Return the variables that an agent sets unless ``--env`` or the run config sets them."""
    variables = {"PREFECT__LOGGING__LEVEL": facts.level}
    if agent == "docker" and release_of(version) >= (0, 15, 10):
        variables[CLOUD_API] = _docker_api(facts)
    return variables


def _docker_api(facts: Facts) -> str:
    """Return the address of the API for a container, in which ``localhost`` is another host."""
    return f"http://host.docker.internal:{facts.server_port}" if "localhost" in facts.api else facts.api


def _texts(agent: str, facts: Facts) -> Dict[str, Optional[str]]:
    no_value = None if agent == "local" else ""
    labels: List[str] = list(facts.agent_labels)
    return {
        "backend": facts.backend,
        "api": facts.api,
        "docker_api": _docker_api(facts),
        "key": facts.api_key or no_value,
        "tenant": facts.tenant_id if facts.api_key else no_value,
        "token": facts.auth_token or facts.api_key or no_value,
        "labels": str(labels),
        "flow_run_id": facts.flow_run_id,
        "flow_id": facts.flow_id,
        "image": facts.image,
        "false": "false",
        "logs": str(facts.log_to_cloud).lower(),
        "level": facts.level,
        "debug": "DEBUG",
        "flow_runner": "prefect.engine.cloud.CloudFlowRunner",
        "task_runner": "prefect.engine.cloud.CloudTaskRunner",
    }
