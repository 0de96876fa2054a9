"""What each agent adds to the environment of a flow run, per release of Prefect. One table, read by the model and docs.

An agent puts the variables of a flow run together from the places of ``environment.ORIGINS``. Odd things about it:

- all agents force ``PREFECT__CLOUD__USE_LOCAL_SECRETS=false``, for Prefect Server too;
- a LocalAgent drops a forced variable that has no value: an API key given by ``--env`` is gone if the agent has none;
- the agents of containers set an empty text instead;
- up to 0.13.11 a LocalAgent let ``--env`` win over everything; it knows run configs from 0.13.12 on;
- the ECS agent writes the image into the task definition, which what it sends with RunTask beats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.errors import UsageError
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
#: The oldest release whose agent of this kind is known here.
OLDEST: Dict[str, Release] = {"local": (0, 10, 0), "docker": (0, 15, 0), "kubernetes": (0, 15, 0), "ecs": (0, 15, 0)}
#: The first release whose LocalAgent knows run configs and lets nothing win over what it forces.
RUN_CONFIGS: Release = (0, 13, 12)
#: The first release with a run config for any agent.
UNIVERSAL: Release = (0, 14, 0)
#: The first release in which a flow run may switch its logs off.
LOGS_BY_CHOICE: Release = (1, 4, 0)

#: The releases whose ``prefect agent … start --env NAME=value`` ends with a ValueError for a ``=`` in the value: the
#: command splits at each of them (up to 0.13.14 and 0.14.9, read from the packages; 0.9.0 brought the option).
SPLITS_EQUALS: Tuple[Release, Release] = ((0, 9, 0), (0, 14, 9))

_LOCAL = frozenset({"local"})
_CONTAINERS = frozenset(AGENTS) - _LOCAL
_ALL = frozenset(AGENTS)
_FIRST, _LAST = (0, 0, 0), (1, 4, 1)


class Rule(NamedTuple):
    """A variable that agents set.

    Attributes:
        name: the variable.
        fact: the property of :class:`Facts` that is its text.
        agents: which agents.
        since: first release.
        until: last release.
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
    """What an agent knows of itself and of the flow run, and puts into the environment.

    Attributes:
        backend: ``cloud`` or ``server``.
        api: address of the API.
        api_key: the agent's API key, None without.
        tenant_id: its tenant, None without.
        agent_labels: labels of the agent.
        log_to_cloud: whether flow runs send their logs.
        level: log level of the agent.
        flow_run_id: the flow run.
        flow_id: its flow.
        image: of the container.
        folder: where a LocalAgent runs.
        auth_token: the token of before 0.15, if any.
        server_port: port of Prefect Server, at which containers ask a server of the agent's machine.
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
    """List the variables that ``prefect agent … start --env`` cannot take.

    Args:
        version: release of Prefect.
        agent_env: names and texts.
    """
    oldest, newest = SPLITS_EQUALS
    broken = oldest <= release_of(version) <= newest
    return [name for name, text in agent_env.items() if broken and "=" in (text or "")]


def equals_in_option(version: str, names: List[str]) -> str:
    """Describe why a release cannot take variables by ``--env``, and what to do.

    Args:
        version: release of Prefect.
        names: of the variables.
    """
    return (
        f"--env {', '.join(names)}: `prefect agent … start` of Prefect {version} ends with a ValueError for a = in the "
        "value (0.9.0-0.14.9): use run_config.env, the environment of a LocalAgent, or 0.14.10"
    )


def require_agent(agent: str) -> None:
    """Check that an agent exists.

    Raises:
        UsageError: it does not.
    """
    if not isinstance(agent, str):
        raise UsageError(f"agent is one of {', '.join(AGENTS)}, not a {type(agent).__name__}")
    if agent not in AGENTS:
        raise UsageError(f"{agent!r} is no agent: choose one of {', '.join(AGENTS)}")


def require_known(agent: str, version: str) -> None:
    """Check that an agent exists and that its rules for this release stand here.

    Raises:
        UsageError: no such agent, or one of an older release.
    """
    require_agent(agent)
    oldest = OLDEST[agent]
    if release_of(version) < oldest:
        since = ".".join(map(str, oldest))
        raise UsageError(f"the {agent} agent of Prefect {version} is not known here: use {since} or later")


def forced(agent: str, version: str, facts: Facts) -> Dict[str, Optional[str]]:
    """The variables that an agent forces; None where it has no value to give, and takes the variable away."""
    number, texts = release_of(version), _texts(agent, facts)
    found = {
        rule.name: texts[rule.fact] for rule in FORCED if agent in rule.agents and rule.since <= number <= rule.until
    }
    if number >= LOGS_BY_CHOICE and not facts.log_to_cloud:
        found["PREFECT__CLOUD__SEND_FLOW_RUN_LOGS"] = "false"
    return found


def log_default(version: str, facts: Facts) -> Dict[str, str]:
    """Where a flow run may switch its logs off and nobody does, they are sent."""
    by_choice = release_of(version) >= LOGS_BY_CHOICE and facts.log_to_cloud
    return {"PREFECT__CLOUD__SEND_FLOW_RUN_LOGS": "true"} if by_choice else {}


def defaults(agent: str, version: str, facts: Facts) -> Dict[str, str]:
    """The variables that an agent sets unless ``--env`` or the run config does."""
    found = {"PREFECT__LOGGING__LEVEL": facts.level}
    if agent == "docker" and release_of(version) >= (0, 15, 10):
        found[CLOUD_API] = _for_docker(facts)
    return found


def _for_docker(facts: Facts) -> str:
    """Inside a container ``localhost`` is another host."""
    return f"http://host.docker.internal:{facts.server_port}" if "localhost" in facts.api else facts.api


def _texts(agent: str, facts: Facts) -> Dict[str, Optional[str]]:
    nothing = None if agent == "local" else ""
    labels: List[str] = list(facts.agent_labels)
    return {
        "backend": facts.backend,
        "api": facts.api,
        "docker_api": _for_docker(facts),
        "key": facts.api_key or nothing,
        "tenant": facts.tenant_id if facts.api_key else nothing,
        "token": facts.auth_token or facts.api_key or nothing,
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
