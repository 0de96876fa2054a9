"""The environment of a flow run as the real agents of the installed Prefect make it.

Each agent is the real class, made by its real constructor, and deploys a flow run by its real ``deploy_flow``; only
what lies outside Prefect is not there (``harness``). Nothing is started, and no address but 127.0.0.1 is asked.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from pytest_flowsecrets.agents import agent_errors, harness, kubernetes, model, rules
from pytest_flowsecrets.agents.environment import Entry, FlowEnvironment
from pytest_flowsecrets.errors import RouteUnavailable, UsageError
from pytest_flowsecrets.names import API_KEY, AUTH_TOKEN, BACKEND, CLOUD_API, FLOW_ID, FLOW_RUN_ID, TENANT_ID
from pytest_flowsecrets.versions import Release, release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.harness import Sent
    from pytest_flowsecrets.agents.model import Written

_RUN_CONFIGS = {"local": "LocalRun", "docker": "DockerRun", "kubernetes": "KubernetesRun", "ecs": "ECSRun"}
_TEMPLATES = {"kubernetes": "job_template", "ecs": "task_definition"}
_NEEDS = {"kubernetes": ("kubernetes",), "docker": ("docker",), "ecs": ("boto3",)}
_OLDEST_BOTO = (1, 28, 0)  # the first that is told an address of ECS by AWS_ENDPOINT_URL; older ones would ask Amazon


def require(agent: str, version: str) -> None:
    """Check that the real agent can run here.

    Raises:
        UsageError: there is no such agent.
        RouteUnavailable: the installed Prefect is older than its rules that are known here, or a package is missing.
    """
    rules.require_agent(agent)
    if release_of(version) < rules.OLDEST[agent]:
        oldest = ".".join(map(str, rules.OLDEST[agent]))
        raise RouteUnavailable(f"the {agent} agent is driven from Prefect {oldest} on, and {version} is installed")
    missing = [package for package in _NEEDS.get(agent, ()) if find_spec(package) is None]
    if agent == "ecs" and not missing and _boto_version() < _OLDEST_BOTO:
        missing = ["boto3>=1.28"]
    if missing:
        raise RouteUnavailable(
            f"the {agent} agent needs {', '.join(missing)}, which is not installed here: "
            "pip install 'pytest-flowsecrets[agents]'"
        )


def _boto_version() -> Release:
    from importlib import metadata

    return release_of(metadata.version("boto3"))


def real(
    agent: str, version: str, written: Written, run_config: Any, secrets: Optional[ClusterSecrets]
) -> FlowEnvironment:
    """What a flow run of the real agent sees.

    Args:
        agent: one of ``agent_rules.AGENTS``.
        version: the installed release.
        written: what stands where; its ``facts`` are those of the real agent afterwards.
        run_config: a run config of Prefect's, or None.
        secrets: the Secrets of the cluster; without, what they hold is not known.

    Raises:
        RouteUnavailable: this agent cannot run here.
        UsageError: the agent, or Kubernetes, refuses what is written; its own reason, never a value.
        CreateContainerConfigError: the pod needs a Secret that the cluster does not have.
    """
    require(agent, version)
    with ExitStack() as stack:
        stack.enter_context(harness.quiet())
        driver = stack.enter_context(harness.DRIVERS[agent](written))
        run, made = _flow_run(version, run_config), driver.make()
        written = with_agent_env(written, made)
        with agent_errors.told_as_one_line(agent, agent_errors.not_text(written)), harness.hosted(agent, written.host):
            made.deploy_flow(run)
        sent = driver.entries()
        written = replace(written, facts=facts(made, run, sent[0]))
    return with_origins(agent, version, written, sent, secrets)


def with_agent_env(written: Written, made: Any) -> Written:
    """Add the variables of the agent's configuration, which count where there is no ``--env``."""
    if written.agent_env or not isinstance(made.env_vars, Mapping) or not made.env_vars:
        return written
    return replace(written, agent_env=dict(made.env_vars), configured=True)


def with_origins(
    agent: str, version: str, written: Written, sent: Sent, secrets: Optional[ClusterSecrets]
) -> FlowEnvironment:
    """The environment that the real agent has sent, with the origins that the model tells.

    Raises:
        CreateContainerConfigError: the pod needs a Secret that the cluster does not have.
    """
    expected, lost = model.entries(agent, version, written)
    known = {_key(entry): entry for entry in expected}
    entries = [known.get(_key(entry), entry) for entry in sent[0]]
    notes = model.notes(agent, written)
    if agent == "kubernetes":
        env = kubernetes.in_pod(version, entries, lost, sent[1].get("envFrom") or (), secrets, notes=notes)
        return FlowEnvironment(agent, version, env.variables.values(), env.lost, env.notes, real=True)
    return FlowEnvironment(agent, version, entries, lost, [*notes, *(sent[1].get("notes") or ())], real=True)


def _key(entry: Entry) -> Tuple[str, Optional[str], str]:
    return entry.name, entry.value, entry.detail if entry.source is not None else ""


# -- what an agent is given --------------------------------------------------------------------------------------------


def _flow_run(version: str, run_config: Any) -> Any:
    """A flow run as the API tells an agent of it."""
    from prefect.utilities.graphql import GraphQLResult

    facts = rules.Facts()
    flow = {
        "id": facts.flow_id,
        "name": "flow",
        "version": 1,
        "core_version": version,
        "environment": None,
        "storage": _storage(),
    }
    run: Dict[str, Any] = {"id": facts.flow_run_id, "name": "flow-run", "flow": GraphQLResult(flow)}
    # Before 0.14 it stood at the flow.
    run["run_config"] = run["flow"]["run_config"] = run_config.serialize() if run_config is not None else None
    return GraphQLResult(run)


def _storage() -> Any:
    try:
        from prefect.storage import Local
    except ImportError:  # before 0.14
        from prefect.environments.storage import Local
    return Local(directory=os.path.abspath(os.sep), validate=False).serialize()


def run_config_of(
    agent: str,
    env: Mapping[str, Optional[str]],
    template: Mapping[str, Any],
    *,
    version: str,
    universal: bool = True,
) -> Any:
    """A run config that carries variables: a UniversalRun, or the agent's own kind, which alone can carry a template.

    Raises:
        RouteUnavailable: the installed Prefect has no run configs, or none of this kind.
    """
    if release_of(version) < rules.RUN_CONFIGS:
        raise RouteUnavailable(f"Prefect {version} has no run configs: they came with 0.13.12")
    from prefect import run_configs

    if not template and universal:
        if not hasattr(run_configs, "UniversalRun"):
            raise RouteUnavailable(f"Prefect {version} has no UniversalRun: it came with 0.14.0")
        return run_configs.UniversalRun(env=dict(env))
    more = {_TEMPLATES[agent]: dict(template)} if template else {}
    return getattr(run_configs, _RUN_CONFIGS[agent])(env=dict(env), **more)


def with_template(agent: str, run_config: Any, template: Mapping[str, Any], *, version: str) -> Any:
    """A run config with a template, unless it has one of its own; that of the caller stays as it is.

    Raises:
        UsageError: it is no run config, or one for another agent.
    """
    require_run_config(agent, run_config)
    name = _TEMPLATES.get(agent, "")
    if not template or any(getattr(run_config, name + kind, None) for kind in ("", "_path", "_arn")):
        return run_config
    if type(run_config).__name__ == "UniversalRun":  # what the agent itself makes of it
        made = run_config_of(agent, run_config.env or {}, template, version=version)
        made.labels = run_config.labels
        return made
    made = copy(run_config)
    setattr(made, name, dict(template))
    return made


def require_run_config(agent: str, run_config: Any) -> None:
    """Check that an agent takes a run config.

    Raises:
        UsageError: it is no run config, or one for another agent.
    """
    from prefect.run_configs import RunConfig

    kind = type(run_config).__name__
    if not isinstance(run_config, RunConfig):
        raise UsageError(f"a run config is a mapping of variables or one of prefect.run_configs, not a {kind}")
    if kind not in ("UniversalRun", _RUN_CONFIGS[agent]):
        raise UsageError(
            f"a {kind} is for another agent: the {agent} agent takes {_RUN_CONFIGS[agent]} or UniversalRun"
        )
    agent_errors.require_sendable(run_config)


def facts(made: Any, run: Any, entries: List[Entry]) -> rules.Facts:
    """What the real agent knows, for the model to tell origins by."""
    import prefect

    config = prefect.config
    key = getattr(made, "flow_run_api_key", None)
    sent = {entry.name: entry.value for entry in entries}
    return rules.Facts(
        backend=config.get("backend", "cloud"),
        api=config.cloud.api,
        api_key=key,
        tenant_id=made.client.tenant_id if key else None,
        agent_labels=tuple(made.labels),
        log_to_cloud=made.log_to_cloud,
        level=config.logging.level,
        flow_run_id=run.id,
        flow_id=run.flow.id,
        image=sent.get("PREFECT__CONTEXT__IMAGE") or "",
        folder=os.getcwd(),
        auth_token=config.cloud.agent.get("auth_token") or getattr(made.client, "_api_token", None),
        server_port=str(config.get("server", {}).get("port", "4200")),
    )


def facts_of(sent: Mapping[str, str], labels: List[str]) -> rules.Facts:
    """What a LocalAgent knew that sent these variables."""
    return rules.Facts(
        backend=sent[BACKEND],
        api=sent[CLOUD_API],
        api_key=sent.get(API_KEY),
        tenant_id=sent.get(TENANT_ID),
        agent_labels=tuple(labels),
        flow_run_id=sent[FLOW_RUN_ID],
        flow_id=sent[FLOW_ID],
        folder=os.getcwd(),
        auth_token=sent.get(AUTH_TOKEN),
    )
