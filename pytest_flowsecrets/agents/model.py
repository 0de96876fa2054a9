"""The model of the agents: what is written where -> the environment of a flow run. Pure; no Prefect, no cluster.

For machines without Prefect, and to tell origins. Where Prefect is installed its own agents make the environment
(``real_agents``), and tests hold the two equal.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from pytest_flowsecrets.agents import kubernetes, rules
from pytest_flowsecrets.agents.environment import ABSENT, CONFIGURED, Entry, FlowEnvironment, Lost, merged
from pytest_flowsecrets.agents.rules import Facts
from pytest_flowsecrets.names import PREFIX
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets

Texts = Mapping[str, Optional[str]]
#: The secret that the ECS agent itself uses: for ``prefect.utilities.aws.get_boto_client``, since 0.11.0.
AGENT_OWN = (f"{PREFIX}CONTEXT__SECRETS__AWS_CREDENTIALS",)


@dataclass(frozen=True)
class Written:
    """Everything that is written for a flow run, by place.

    Attributes:
        host: the environment of the agent itself.
        agent_env: ``--env`` of the agent.
        run_env: ``env`` of the run config.
        template: job template of Kubernetes, or task definition of ECS.
        overrides: ``run_task_kwargs`` of ECS.
        working_dir: of a LocalRun.
        facts: what the agent knows.
        configured: ``agent_env`` comes from the agent's configuration, not from ``--env``.
    """

    host: Texts = field(default_factory=dict, repr=False)
    agent_env: Texts = field(default_factory=dict, repr=False)
    run_env: Texts = field(default_factory=dict, repr=False)
    template: Mapping[str, Any] = field(default_factory=dict, repr=False)
    overrides: Mapping[str, Any] = field(default_factory=dict, repr=False)
    working_dir: Optional[str] = None
    facts: Facts = field(default_factory=Facts)
    configured: bool = False


def modelled(agent: str, version: str, written: Written, secrets: Optional[ClusterSecrets] = None) -> FlowEnvironment:
    """What a flow run of this agent sees.

    Args:
        agent: one of ``agent_rules.AGENTS``.
        version: release of Prefect.
        written: what stands where.
        secrets: the Secrets of the cluster; without, what they hold is not known.

    Raises:
        UsageError: no such agent, or one of a release that is not known here; a job template that is none.
        CreateContainerConfigError: the pod needs a Secret that the cluster does not have.
    """
    rules.require_known(agent, version)
    made, lost = entries(agent, version, written)
    if agent == "kubernetes":
        env_from = kubernetes.container_of(written.template).get("envFrom") or ()
        return kubernetes.in_pod(version, made, lost, env_from, secrets, notes=notes(agent, written))
    return FlowEnvironment(agent, version, made, lost, notes(agent, written))


def entries(agent: str, version: str, written: Written) -> Tuple[List[Entry], List[Lost]]:
    """What the agent hands over, each with its origin, and what it has lost by then.

    For Kubernetes this is the list ``env`` of the container, which the kubelet makes an environment of.
    """
    return _MERGED[agent](version, written)


def _local(version: str, written: Written) -> Tuple[List[Entry], List[Lost]]:
    facts = written.facts
    if release_of(version) < rules.RUN_CONFIGS:
        forced = rules.forced("local", version, facts)
        given = {name: text for name, text in forced.items() if text is not None}
        host = _entries("host", written.host) + _entries("forced", given) + _entries("agent", written.agent_env)
        left = {entry.name: entry.value for entry in merged(host)[0]}
        return merged(host + _entries("default", {"PYTHONPATH": _path(left.get("PYTHONPATH"), facts.folder)}))
    path = _path(written.working_dir or facts.folder, written.host.get("PYTHONPATH"))
    defaults = _entries("default", {**rules.defaults("local", version, facts), "PYTHONPATH": path})
    return merged([*_entries("host", written.host), *defaults, *_above("local", version, written)])


def _docker(version: str, written: Written) -> Tuple[List[Entry], List[Lost]]:
    """A variable without a value stays in what the agent sends, for Docker to remove it from those of the image."""
    entries = _set_by_agent("docker", version, written)
    return merged([replace(entry, detail=ABSENT) if entry.value is None else entry for entry in entries])


def _kubernetes(version: str, written: Written) -> Tuple[List[Entry], List[Lost]]:
    """The list ``env`` of the container as the agent of Kubernetes writes it; names may stand in it twice."""
    entries = _set_by_agent("kubernetes", version, written)
    set_by_agent, lost = merged([replace(entry, value=entry.value or "") for entry in entries])
    winners = {entry.name: entry for entry in set_by_agent}
    template = [kubernetes.entry_of(each) for each in kubernetes.container_of(written.template).get("env") or ()]
    lost += [Lost(entry, winners[entry.name]) for entry in template if entry.name in winners]
    return set_by_agent + [entry for entry in template if entry.name not in winners], lost


def _ecs(version: str, written: Written) -> Tuple[List[Entry], List[Lost]]:
    definition = written.template.get("containerDefinitions")
    overrides = (written.overrides.get("overrides") or {}).get("containerOverrides")
    image = _entries("default", {"PREFECT__CONTEXT__IMAGE": written.facts.image})
    in_definition = task_entries(definition, [])
    return merged(in_definition + image + task_entries([], overrides) + _set_by_agent("ecs", version, written))


def notes(agent: str, written: Written) -> List[str]:
    """What is written for an agent and does not reach its flow runs: only a LocalAgent passes its own environment on.

    Args:
        agent: one of ``agent_rules.AGENTS``.
        written: what stands where; of ``host`` only the secrets matter.
    """
    secrets = f"{PREFIX}CONTEXT__SECRETS__"
    used = {*written.agent_env, *written.run_env, *(AGENT_OWN if agent == "ecs" else ())}
    names = [name for name in written.host if name.upper().startswith(secrets) and name not in used]
    if agent == "local" or not names:
        return []
    hint = f"the {agent} agent does not pass it on to flow runs; use --env, run_config.env or the template"
    return [f"{', '.join(sorted(names))} of the agent's own environment: {hint}"]


def task_entries(definition: Any, overrides: Any) -> List[Entry]:
    """The variables of the container ``flow`` of a task definition, then those of RunTask's overrides, which win."""
    container = _named_flow(definition)
    secrets = [
        Entry(each["name"], None, "template", each, f"secrets {each.get('valueFrom')}")
        for each in container.get("secrets") or ()
    ]
    return _pairs("template", container) + secrets + _pairs("overrides", _named_flow(overrides))


def _set_by_agent(agent: str, version: str, written: Written) -> List[Entry]:
    defaults = rules.defaults(agent, version, written.facts)
    return [*_entries("default", defaults), *_above(agent, version, written)]


def _above(agent: str, version: str, written: Written) -> List[Entry]:
    """From ``--env`` on; a flow run may switch its logs off, by any variable that the agent knows by then."""
    agent_env = _entries("agent", written.agent_env, CONFIGURED if written.configured else "")
    user = agent_env + _entries("run_config", written.run_env)
    known = {entry.name for entry in user} | (set(written.host) if agent == "local" else set())
    logs = rules.log_default(version, written.facts)
    default = _entries("default", {name: text for name, text in logs.items() if name not in known})
    return user + default + _entries("forced", rules.forced(agent, version, written.facts))


def _entries(origin: str, values: Mapping[str, Any], detail: str = "") -> List[Entry]:
    """Entries of one place; what is not text arrives as its ``str``, where it arrives at all."""
    texts = {name: value if value is None else str(value) for name, value in values.items()}
    return [Entry(name, text, origin, None, detail) for name, text in texts.items()]


def _pairs(origin: str, container: Mapping[str, Any]) -> List[Entry]:
    return [Entry(each["name"], each["value"], origin) for each in container.get("environment") or ()]


def _named_flow(containers: Any) -> Dict[str, Any]:
    return next((each for each in containers or () if each.get("name") == "flow"), {})


def _path(*parts: Optional[str]) -> str:
    return os.pathsep.join(part for part in parts if part)


_MERGED = {"local": _local, "docker": _docker, "kubernetes": _kubernetes, "ecs": _ecs}
