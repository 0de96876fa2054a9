"""The environment that an agent of Prefect 0.5.5 to 1.4.1 gives to a flow run, by the real agent or by the model."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from pytest_flowsecrets import versions
from pytest_flowsecrets.agents import (
    agent_errors,
    kubernetes,
    machine_config,
    manifests,
    model,
    rules,
)
from pytest_flowsecrets.agents.cluster import require_cluster
from pytest_flowsecrets.agents.manifests import texts_of
from pytest_flowsecrets.agents.model import AgentInputs
from pytest_flowsecrets.errors import UsageError, with_article
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.manifests import Template
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment


def agent_environment(  # noqa: PLR0913 - one for each place
    agent: str = "local",
    *,
    run_config: Any = None,
    agent_env: Optional[Mapping[str, str]] = None,
    job_template: Optional[Template] = None,
    task_definition: Optional[Template] = None,
    cluster_secrets: Optional[ClusterSecrets] = None,
    host_env: Optional[Mapping[str, str]] = None,
    prefect_version: Optional[str] = None,
    host_files: Optional[Mapping[str, str]] = None,
) -> FlowEnvironment:
    """Return the environment that a flow run gets from an agent, each variable with its origin.

    The agent of the installed Prefect creates it. Without Prefect, or for another version, the model does. Outside of
    an isolated test it is created in a new isolation, so settings of the developer have no effect.

    The arguments are those of the public ``flow_environment`` on Prefect 0.5.5 to 1.4.1.

    Raises:
        UsageError: an argument is not valid. The message contains names, never values.
        RouteUnavailable: the agent of the installed Prefect cannot run here.
        CreateContainerConfigError: the pod needs a Secret or a key that ``cluster_secrets`` does not have.
    """
    from pytest_flowsecrets.isolation.prefect1.paths import this_machine
    from pytest_flowsecrets.resolution.resolve import resolve

    _require_arguments(agent, prefect_version, cluster_secrets)
    template = _template(agent, job_template, task_definition) or {}
    inputs = AgentInputs(texts_of("host_env", host_env), texts_of("agent_env", agent_env), template=template)
    installed = versions.installed_version()
    version = _require_version(prefect_version or installed or versions.DEFAULT_VERSION, inputs)
    if installed is None or prefect_version not in (None, installed):
        environ, layers = machine_config.host_configuration(host_env, host_files)
        inputs = replace(inputs, host=environ, run_env=_run_env(run_config))
        resolution = resolve(layers, environ, version, machine=this_machine())
        inputs = machine_config.with_configuration(agent, inputs, resolution)
        return model.model_environment(agent, version, inputs, cluster_secrets)
    with ExitStack() as stack:
        machine_config.isolate(stack, host_env, host_files)
        if host_env is None:
            inputs = replace(inputs, host=dict(os.environ))
        return _from_real_agent(agent, installed, inputs, run_config, cluster_secrets)


def _require_arguments(agent: str, prefect_version: Any, cluster_secrets: Any) -> None:
    rules.require_agent(agent)
    if prefect_version is not None and not isinstance(prefect_version, str):
        raise UsageError(
            f"prefect_version must be a string such as '1.4.1', not {with_article(type(prefect_version).__name__)}"
        )
    require_cluster(cluster_secrets)


def _require_version(version: str, inputs: AgentInputs) -> str:
    """Return a known release, and check that its ``--env`` accepts the variables."""
    from pytest_flowsecrets.resolution.dialects import dialect_for

    release = dialect_for(version).version
    names = rules.refused_options(release, inputs.agent_env)
    if names:
        raise UsageError(rules.equals_in_option(release, names))
    return release


def _from_real_agent(
    agent: str, version: str, inputs: AgentInputs, run_config: Any, secrets: Optional[ClusterSecrets]
) -> FlowEnvironment:
    from pytest_flowsecrets.agents import real_agents

    real_agents.require(agent, version)
    if run_config is not None and not isinstance(run_config, Mapping):
        run_config = real_agents.with_template(agent, run_config, inputs.template, version=version)
        inputs = replace(
            inputs,
            run_env=run_config.env or {},
            template=_template_of(agent, run_config),
            overrides=_run_task_overrides(run_config),
            working_dir=getattr(run_config, "working_dir", None),
        )
    elif run_config is not None or inputs.template:
        inputs = replace(inputs, run_env=texts_of("run_config", run_config))
        universal = release_of(version) >= rules.UNIVERSAL
        run_config = real_agents.run_config_of(
            agent, inputs.run_env, inputs.template, version=version, universal=universal
        )
    return real_agents.real_environment(agent, version, inputs, run_config, secrets)


def _template(agent: str, job: Optional[Template], task: Optional[Template]) -> Optional[Dict[str, Any]]:
    for user, source, what in (("kubernetes", job, "job template"), ("ecs", task, "task definition")):
        if source is not None:
            if agent != user:
                raise UsageError(f"a {what} is for the {user} agent, not for the {agent} agent")
            return _validate_template(agent, manifests.load_one(source, what))
    return None


def _validate_template(agent: str, template: Dict[str, Any]) -> Dict[str, Any]:
    if agent == "kubernetes":
        return kubernetes.validate_template(template)
    manifests.require(template, manifests.TASK, "the task definition")
    manifests.require_json(template, "the task definition")
    for key in template:
        if not isinstance(key, str):
            raise UsageError(f"the task definition has a key that is {with_article(type(key).__name__)}, not a string")
    return template


def _run_task_overrides(run_config: Any) -> Mapping[str, Any]:
    overrides = getattr(run_config, "run_task_kwargs", None) or {}
    manifests.require(overrides, manifests.RUN_TASK, "run_task_kwargs")
    return dict(overrides)


def _template_of(agent: str, run_config: Any) -> Mapping[str, Any]:
    """Return the template of a run config, which may be a path."""
    name = {"kubernetes": "job_template", "ecs": "task_definition"}.get(agent, "")
    path = getattr(run_config, f"{name}_path", None)
    own = getattr(run_config, name, None) or (path and agent_errors.path_here(path))
    return {} if own is None else _validate_template(agent, manifests.load_one(own, name.replace("_", " ")))


def _run_env(run_config: Any) -> Mapping[str, str]:
    if run_config is not None and not isinstance(run_config, Mapping):
        raise UsageError("without this version of Prefect, run_config must be a mapping of variables")
    return texts_of("run_config", run_config)
