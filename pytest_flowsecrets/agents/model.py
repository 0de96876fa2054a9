"""The model of the agents: from the variables in each place to the environment of a flow run.

The model is pure: it needs neither Prefect nor a cluster. It is for machines without Prefect, and it determines
origins. If Prefect is installed, its own agents create the environment (``real_agents``); tests compare both.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from pytest_flowsecrets.agents import kubernetes, rules
from pytest_flowsecrets.agents.rules import Facts
from pytest_flowsecrets.agents.variable_origins import ABSENT, CONFIGURED, Entry, FlowEnvironment, Lost, merge_entries
from pytest_flowsecrets.names import SECRETS_PREFIX
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets

Texts = Mapping[str, Optional[str]]
#: The secret that the ECS agent itself uses, for ``prefect.utilities.aws.get_boto_client``, since 0.11.0.
AGENT_OWN = (f"{SECRETS_PREFIX}AWS_CREDENTIALS",)


@dataclass(frozen=True)
class AgentInputs:
    """The variables for a flow run, by place, and the facts that its agent knows.

    Attributes:
        host: the environment of the agent itself.
        agent_env: ``--env`` of the agent.
        run_env: ``env`` of the run config.
        template: the job template of Kubernetes, or the task definition of ECS.
        overrides: ``run_task_kwargs`` of ECS.
        working_dir: the working directory of a LocalRun.
        facts: the facts that the agent knows.
        configured: whether ``agent_env`` comes from the configuration of the agent, not from ``--env``.
    """

    host: Texts = field(default_factory=dict, repr=False)
    agent_env: Texts = field(default_factory=dict, repr=False)
    run_env: Texts = field(default_factory=dict, repr=False)
    template: Mapping[str, Any] = field(default_factory=dict, repr=False)
    overrides: Mapping[str, Any] = field(default_factory=dict, repr=False)
    working_dir: Optional[str] = None
    facts: Facts = field(default_factory=Facts)
    configured: bool = False


def model_environment(
    agent: str, version: str, inputs: AgentInputs, secrets: Optional[ClusterSecrets] = None
) -> FlowEnvironment:
    """Return the environment of a flow run of this agent.

    Args:
        agent: one of ``rules.AGENTS``.
        version: the release of Prefect.
        inputs: the variables by place.
        secrets: the Secrets of the cluster, or None if their content is not known.

    Raises:
        UsageError: there is no such agent, its release is not known here, or the job template is not valid.
        CreateContainerConfigError: the pod needs a Secret that the cluster does not have.
    """
    rules.require_known(agent, version)
    variables, lost = entries(agent, version, inputs)
    if agent == "kubernetes":
        env_from = kubernetes.container_of(inputs.template).get("envFrom") or ()
        return kubernetes.in_pod(version, variables, lost, env_from, secrets, notes=notes(agent, inputs))
    return FlowEnvironment(agent, version, variables, lost, notes(agent, inputs))


def entries(agent: str, version: str, inputs: AgentInputs) -> Tuple[List[Entry], List[Lost]]:
    """Return the variables that the agent sends, with their origins, and the variables that it drops.

    For Kubernetes this is the list ``env`` of the container, from which the kubelet creates the environment.
    """
    return _ENTRIES[agent](version, inputs)


def _local(version: str, inputs: AgentInputs) -> Tuple[List[Entry], List[Lost]]:
    facts = inputs.facts
    if release_of(version) < rules.RUN_CONFIGS:
        return _local_without_run_configs(version, inputs)
    path = _path(inputs.working_dir or facts.folder, inputs.host.get("PYTHONPATH"))
    defaults = _entries("default", {**rules.defaults("local", version, facts), "PYTHONPATH": path})
    return merge_entries([*_entries("host", inputs.host), *defaults, *_user_and_forced("local", version, inputs)])


def _local_without_run_configs(version: str, inputs: AgentInputs) -> Tuple[List[Entry], List[Lost]]:
    forced = rules.forced("local", version, inputs.facts)
    with_value = {name: text for name, text in forced.items() if text is not None}
    variables = [
        *_entries("host", inputs.host),
        *_entries("forced", with_value),
        *_entries("agent", inputs.agent_env),
    ]
    values = {entry.name: entry.value for entry in merge_entries(variables)[0]}
    path = _path(values.get("PYTHONPATH"), inputs.facts.folder)
    return merge_entries([*variables, *_entries("default", {"PYTHONPATH": path})])


def _docker(version: str, inputs: AgentInputs) -> Tuple[List[Entry], List[Lost]]:
    """Return the variables of Docker. The agent sends those without a value too: Docker removes them from the image."""
    variables = _agent_entries("docker", version, inputs)
    return merge_entries([replace(entry, detail=ABSENT) if entry.value is None else entry for entry in variables])


def _kubernetes(version: str, inputs: AgentInputs) -> Tuple[List[Entry], List[Lost]]:
    """Return the list ``env`` of the container as the Kubernetes agent writes it, which may contain a name twice."""
    variables = _agent_entries("kubernetes", version, inputs)
    from_agent, lost = merge_entries([replace(entry, value=entry.value or "") for entry in variables])
    winners = {entry.name: entry for entry in from_agent}
    template = list(map(kubernetes.entry_of, kubernetes.container_of(inputs.template).get("env") or ()))
    lost += [Lost(entry, winners[entry.name]) for entry in template if entry.name in winners]
    return from_agent + [entry for entry in template if entry.name not in winners], lost


def _ecs(version: str, inputs: AgentInputs) -> Tuple[List[Entry], List[Lost]]:
    definition = inputs.template.get("containerDefinitions")
    overrides = (inputs.overrides.get("overrides") or {}).get("containerOverrides")
    image = _entries("default", {"PREFECT__CONTEXT__IMAGE": inputs.facts.image})
    in_definition = task_entries(definition, [])
    from_agent = _agent_entries("ecs", version, inputs)
    return merge_entries(in_definition + image + task_entries([], overrides) + from_agent)


def notes(agent: str, inputs: AgentInputs) -> List[str]:
    """Describe the secrets that do not reach flow runs: only a LocalAgent passes on its own environment.

    Args:
        agent: one of ``rules.AGENTS``.
        inputs: the variables by place.
    """
    used = {*inputs.agent_env, *inputs.run_env, *(AGENT_OWN if agent == "ecs" else ())}
    names = [name for name in inputs.host if name.upper().startswith(SECRETS_PREFIX) and name not in used]
    if agent == "local" or not names:
        return []
    hint = f"the {agent} agent does not pass it on to flow runs; use --env, run_config.env or the template"
    return [f"{', '.join(sorted(names))} of the agent's own environment: {hint}"]


def task_entries(definition: Any, overrides: Any) -> List[Entry]:
    """Return the variables of the container ``flow`` in a task definition, and then those in RunTask's overrides."""
    container = _named_flow(definition)
    secrets = [
        Entry(each["name"], None, "template", each, f"secrets {each.get('valueFrom')}")
        for each in container.get("secrets") or ()
    ]
    return _pairs("template", container) + secrets + _pairs("overrides", _named_flow(overrides))


def _agent_entries(agent: str, version: str, inputs: AgentInputs) -> List[Entry]:
    defaults = rules.defaults(agent, version, inputs.facts)
    return [*_entries("default", defaults), *_user_and_forced(agent, version, inputs)]


def _user_and_forced(agent: str, version: str, inputs: AgentInputs) -> List[Entry]:
    """Return the variables from ``--env`` on. The logs are on unless a variable that the agent knows sets them."""
    agent_env = _entries("agent", inputs.agent_env, CONFIGURED if inputs.configured else "")
    user = agent_env + _entries("run_config", inputs.run_env)
    known = {entry.name for entry in user} | (set(inputs.host) if agent == "local" else set())
    logs = rules.log_default(version, inputs.facts)
    default = _entries("default", {name: text for name, text in logs.items() if name not in known})
    return user + default + _entries("forced", rules.forced(agent, version, inputs.facts))


def _entries(origin: str, values: Mapping[str, Any], detail: str = "") -> List[Entry]:
    """Return the entries of one place. Values that are not strings are converted with ``str``."""
    texts = {name: value if value is None else str(value) for name, value in values.items()}
    return [Entry(name, text, origin, None, detail) for name, text in texts.items()]


def _pairs(origin: str, container: Mapping[str, Any]) -> List[Entry]:
    return [Entry(each["name"], each["value"], origin) for each in container.get("environment") or ()]


def _named_flow(containers: Any) -> Dict[str, Any]:
    return next((each for each in containers or () if each.get("name") == "flow"), {})


def _path(*parts: Optional[str]) -> str:
    return os.pathsep.join(part for part in parts if part)


_ENTRIES = {"local": _local, "docker": _docker, "kubernetes": _kubernetes, "ecs": _ecs}
