"""The environment of a flow run that a real agent of the installed Prefect creates.

Each agent is an instance of the real class, and deploys a flow run with its real ``deploy_flow``. Only the parts
outside of Prefect are replaced (``harness``). Nothing is started, and no address but 127.0.0.1 receives requests.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from pytest_flowsecrets.agents import agent_errors, harness, kubernetes, model, rules
from pytest_flowsecrets.agents.variable_origins import Entry, FlowEnvironment
from pytest_flowsecrets.errors import RouteUnavailable, UsageError, with_article
from pytest_flowsecrets.names import API_KEY, AUTH_TOKEN, BACKEND, CLOUD_API, FLOW_ID, FLOW_RUN_ID, TENANT_ID
from pytest_flowsecrets.versions import Release, release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.harness import Output
    from pytest_flowsecrets.agents.model import AgentInputs

_RUN_CONFIGS = {"local": "LocalRun", "docker": "DockerRun", "kubernetes": "KubernetesRun", "ecs": "ECSRun"}
_TEMPLATES = {"kubernetes": "job_template", "ecs": "task_definition"}
_NEEDS = {"kubernetes": ("kubernetes",), "docker": ("docker",), "ecs": ("boto3",)}
_OLDEST_BOTO = (1, 28, 0)  # the first that supports AWS_ENDPOINT_URL; older ones send requests to Amazon


def require(agent: str, version: str) -> None:
    """Check that the real agent can run here.

    Raises:
        UsageError: there is no such agent.
        RouteUnavailable: the agent of the installed Prefect is too old, or a package is missing.
    """
    rules.require_agent(agent)
    if release_of(version) < rules.OLDEST[agent]:
        oldest = ".".join(map(str, rules.OLDEST[agent]))
        raise RouteUnavailable(f"the {agent} agent needs Prefect {oldest} or later, but {version} is installed")
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


def real_environment(
    agent: str, version: str, inputs: AgentInputs, run_config: Any, secrets: Optional[ClusterSecrets]
) -> FlowEnvironment:
    """Return the environment of a flow run of the real agent.

    Args:
        agent: one of ``rules.AGENTS``.
        version: the installed release.
        inputs: the variables by place. Their ``facts`` are replaced by those of the real agent.
        run_config: a run config of Prefect, or None.
        secrets: the Secrets of the cluster, or None if their content is not known.

    Raises:
        RouteUnavailable: this agent cannot run here.
        UsageError: the agent or Kubernetes rejects the inputs. The message contains its reason, never a value.
        CreateContainerConfigError: the pod needs a Secret that the cluster does not have.
    """
    require(agent, version)
    with ExitStack() as stack:
        stack.enter_context(harness.quiet())
        driver = stack.enter_context(harness.DRIVERS[agent](inputs))
        run, real_agent = _flow_run(version, run_config), driver.make()
        inputs = with_agent_env(inputs, real_agent)
        stack.enter_context(agent_errors.one_line_errors(agent, agent_errors.type_problem(inputs)))
        with harness.host_environment(agent, inputs.host):
            real_agent.deploy_flow(run)
        output = driver.entries()
        inputs = replace(inputs, facts=facts(real_agent, run, output[0]))
    return with_origins(agent, version, inputs, output, secrets)


def with_agent_env(inputs: AgentInputs, real_agent: Any) -> AgentInputs:
    """Add the variables in the configuration of the agent, which apply if there is no ``--env``."""
    if inputs.agent_env or not isinstance(real_agent.env_vars, Mapping) or not real_agent.env_vars:
        return inputs
    return replace(inputs, agent_env=dict(real_agent.env_vars), configured=True)


def with_origins(
    agent: str, version: str, inputs: AgentInputs, output: Output, secrets: Optional[ClusterSecrets]
) -> FlowEnvironment:
    """Return the environment that the real agent sent, with the origins that the model determines.

    Raises:
        CreateContainerConfigError: the pod needs a Secret that the cluster does not have.
    """
    expected, lost = model.entries(agent, version, inputs)
    known = {_key(entry): entry for entry in expected}
    variables, details = output
    entries = [known.get(_key(entry), entry) for entry in variables]
    notes = model.notes(agent, inputs)
    if agent == "kubernetes":
        env = kubernetes.in_pod(version, entries, lost, details.get("envFrom") or (), secrets, notes=notes)
        return FlowEnvironment(agent, version, env.variables.values(), env.lost, env.notes, real=True)
    return FlowEnvironment(agent, version, entries, lost, [*notes, *(details.get("notes") or ())], real=True)


def _key(entry: Entry) -> Tuple[str, Optional[str], str]:
    return entry.name, entry.value, entry.detail if entry.source is not None else ""


# -- inputs of an agent ------------------------------------------------------------------------------------------------


def _flow_run(version: str, run_config: Any) -> Any:
    """Return a flow run as the API sends it to an agent."""
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
    # Before 0.14 the run config is part of the flow.
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
    """Return a run config with variables: a UniversalRun, or the one of the agent, which can also have a template.

    Raises:
        RouteUnavailable: the installed Prefect has no run configs, or none of this kind.
    """
    if release_of(version) < rules.RUN_CONFIGS:
        raise RouteUnavailable(f"Prefect {version} has no run configs: they were added in 0.13.12")
    from prefect import run_configs

    if not template and universal:
        if not hasattr(run_configs, "UniversalRun"):
            raise RouteUnavailable(f"Prefect {version} has no UniversalRun: it was added in 0.14.0")
        return run_configs.UniversalRun(env=dict(env))
    more = {_TEMPLATES[agent]: dict(template)} if template else {}
    return getattr(run_configs, _RUN_CONFIGS[agent])(env=dict(env), **more)


def with_template(agent: str, run_config: Any, template: Mapping[str, Any], *, version: str) -> Any:
    """Return a copy of a run config with a template, or the run config itself if it has its own template.

    Raises:
        UsageError: it is not a run config, or it is for another agent.
    """
    require_run_config(agent, run_config)
    name = _TEMPLATES.get(agent, "")
    if not template or any(getattr(run_config, name + kind, None) for kind in ("", "_path", "_arn")):
        return run_config
    if type(run_config).__name__ == "UniversalRun":  # the agent itself converts it in the same way
        own = run_config_of(agent, run_config.env or {}, template, version=version)
        own.labels = run_config.labels
        return own
    changed = copy(run_config)
    setattr(changed, name, dict(template))
    return changed


def require_run_config(agent: str, run_config: Any) -> None:
    """Check that an agent accepts a run config.

    Raises:
        UsageError: it is not a run config, or it is for another agent.
    """
    from prefect.run_configs import RunConfig

    kind = type(run_config).__name__
    if not isinstance(run_config, RunConfig):
        raise UsageError(
            f"a run config must be a mapping of variables or one of prefect.run_configs, not {with_article(kind)}"
        )
    if kind not in ("UniversalRun", _RUN_CONFIGS[agent]):
        raise UsageError(
            f"{with_article(kind)} is for another agent: the {agent} agent needs {_RUN_CONFIGS[agent]} or UniversalRun"
        )
    agent_errors.require_sendable(run_config)


def facts(real_agent: Any, run: Any, entries: List[Entry]) -> rules.Facts:
    """Return the facts that the real agent knows, from which the model determines origins."""
    import prefect

    config = prefect.config
    key = getattr(real_agent, "flow_run_api_key", None)
    values = {entry.name: entry.value for entry in entries}
    return rules.Facts(
        backend=config.get("backend", "cloud"),
        api=config.cloud.api,
        api_key=key,
        tenant_id=real_agent.client.tenant_id if key else None,
        agent_labels=tuple(real_agent.labels),
        log_to_cloud=real_agent.log_to_cloud,
        level=config.logging.level,
        flow_run_id=run.id,
        flow_id=run.flow.id,
        image=values.get("PREFECT__CONTEXT__IMAGE") or "",
        folder=os.getcwd(),
        auth_token=config.cloud.agent.get("auth_token") or getattr(real_agent.client, "_api_token", None),
        server_port=str(config.get("server", {}).get("port", "4200")),
    )


def facts_of(environ: Mapping[str, str], labels: List[str]) -> rules.Facts:
    """Return the facts that a LocalAgent knows, from the environment of its flow run."""
    return rules.Facts(
        backend=environ[BACKEND],
        api=environ[CLOUD_API],
        api_key=environ.get(API_KEY),
        tenant_id=environ.get(TENANT_ID),
        agent_labels=tuple(labels),
        flow_run_id=environ[FLOW_RUN_ID],
        flow_id=environ[FLOW_ID],
        folder=os.getcwd(),
        auth_token=environ.get(AUTH_TOKEN),
    )
