"""``flow_environment``: asked for by tests, scripts and the command line; by the real agent, or by the model."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Union

from pytest_flowsecrets.agents import (
    agent_errors,
    kubernetes,
    machine_config,
    manifests,
    model,
    rules,
    validation,
)
from pytest_flowsecrets.agents.cluster import ClusterSecrets
from pytest_flowsecrets.agents.model import Written
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.environment import FlowEnvironment

Template = Union[str, "os.PathLike[str]", Mapping[str, Any]]


def flow_environment(  # noqa: PLR0913 - what is written where
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
    """The environment that a flow run would get, each variable with its origin.

    Made by the installed Prefect's own agent; without Prefect, or for another version, by the model. Outside of a test
    of ours it is made in an isolation of its own, so that nothing of the developer's gets in.

    Args:
        agent: ``local``, ``docker``, ``kubernetes`` or ``ecs``.
        run_config: a run config of Prefect's, or a mapping of variables, which stands for ``UniversalRun(env=…)``.
        agent_env: variables of ``prefect agent … start --env NAME=value``.
        job_template: of a Kubernetes job, as a mapping or the path of a YAML file.
        task_definition: of an ECS task, likewise.
        cluster_secrets: what ``secretKeyRef`` and ``envFrom`` refer to; without, those are ``unresolved``.
        host_env: the environment of the agent itself, whose ``PREFECT__`` variables configure it; default: that of
            this process.
        prefect_version: the release; default: the installed one, else 1.4.1.
        host_files: paths of the agent's own ``config.toml`` (``user``) and ``backend.toml`` (``backend``); default:
            those that Prefect reads here.

    Raises:
        UsageError: an argument is wrong; names, never values.
        RouteUnavailable: the agent of the installed Prefect cannot run here.
        CreateContainerConfigError: the pod needs a Secret or key that ``cluster_secrets`` does not have.
    """
    rules.require_agent(agent)
    if prefect_version is not None and not isinstance(prefect_version, str):
        raise UsageError(f"prefect_version is text such as '1.4.1', not a {type(prefect_version).__name__}")
    if not isinstance(cluster_secrets, (ClusterSecrets, type(None))):
        raise UsageError(f"cluster_secrets is a ClusterSecrets, not a {type(cluster_secrets).__name__}")
    from pytest_flowsecrets.isolation.prefect1.paths import this_machine
    from pytest_flowsecrets.resolution.dialects import dialect_for
    from pytest_flowsecrets.resolution.resolve import resolve
    from pytest_flowsecrets.versions import DEFAULT_VERSION, installed_version

    template = _template(agent, job_template, task_definition) or {}
    written = Written(texts_of("host_env", host_env), texts_of("agent_env", agent_env), template=template)
    installed = installed_version()
    version = dialect_for(prefect_version or installed or DEFAULT_VERSION).version
    refused = rules.refused_options(version, written.agent_env)
    if refused:
        raise UsageError(rules.equals_in_option(version, refused))
    if installed is None or prefect_version not in (None, installed):
        host, layers = machine_config.of_host(host_env, host_files)
        written = replace(written, host=host, run_env=_run_env(run_config))
        written = machine_config.configured(agent, written, resolve(layers, host, version, machine=this_machine()))
        return model.modelled(agent, version, written, cluster_secrets)
    with ExitStack() as stack:
        machine_config.isolate(stack, host_env, host_files)
        if host_env is None:
            written = replace(written, host=dict(os.environ))
        return _real(agent, installed, written, run_config, cluster_secrets)


def _real(
    agent: str, version: str, written: Written, run_config: Any, secrets: Optional[ClusterSecrets]
) -> FlowEnvironment:
    from pytest_flowsecrets.agents import real_agents

    real_agents.require(agent, version)
    if run_config is not None and not isinstance(run_config, Mapping):
        run_config = real_agents.with_template(agent, run_config, written.template, version=version)
        written = replace(
            written,
            run_env=run_config.env or {},
            template=_template_of(agent, run_config),
            overrides=_overrides(run_config),
            working_dir=getattr(run_config, "working_dir", None),
        )
    elif run_config is not None or written.template:
        written = replace(written, run_env=texts_of("run_config", run_config))
        universal = release_of(version) >= rules.UNIVERSAL
        run_config = real_agents.run_config_of(
            agent, written.run_env, written.template, version=version, universal=universal
        )
    return real_agents.real(agent, version, written, run_config, secrets)


def _template(agent: str, job: Optional[Template], task: Optional[Template]) -> Optional[Dict[str, Any]]:
    for wanted, source, what in (("kubernetes", job, "job template"), ("ecs", task, "task definition")):
        if source is not None:
            if agent != wanted:
                raise UsageError(f"a {what} is for the {wanted} agent, not for the {agent} agent")
            return _accepted(agent, manifests.load_one(source, what))
    return None


def _accepted(agent: str, template: Dict[str, Any]) -> Dict[str, Any]:
    if agent == "kubernetes":
        return kubernetes.accepted(template)
    validation.require(template, validation.TASK, "the task definition")
    validation.require_json(template, "the task definition")
    for key in template:
        if not isinstance(key, str):
            raise UsageError(f"the task definition has a key that is a {type(key).__name__} and no text")
    return template


def _overrides(run_config: Any) -> Mapping[str, Any]:
    found = getattr(run_config, "run_task_kwargs", None) or {}
    validation.require(found, validation.RUN_TASK, "run_task_kwargs")
    return dict(found)


def _template_of(agent: str, run_config: Any) -> Mapping[str, Any]:
    """The template of a run config, which it may have by path."""
    name = {"kubernetes": "job_template", "ecs": "task_definition"}.get(agent, "")
    path = getattr(run_config, f"{name}_path", None)
    own = getattr(run_config, name, None) or (path and agent_errors.path_here(path))
    return {} if own is None else _accepted(agent, manifests.load_one(own, name.replace("_", " ")))


def _run_env(run_config: Any) -> Mapping[str, str]:
    if run_config is not None and not isinstance(run_config, Mapping):
        raise UsageError("without this Prefect a run config is given as a mapping of its variables")
    return texts_of("run_config", run_config)


def texts_of(what: str, texts: Optional[Mapping[str, str]]) -> Mapping[str, str]:
    """Variables, checked.

    Args:
        what: the argument, for the error.
        texts: its value.

    Raises:
        UsageError: it is no mapping of texts, or no process can have such a variable; names, never values.
    """
    if not isinstance(texts, (Mapping, type(None))):
        raise UsageError(f"{what} is a mapping of names to texts, not {type(texts).__name__}")
    for name, text in (texts or {}).items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise UsageError(f"{what}: {name!r} is a {type(text).__name__}, and a variable is text: put it in quotes")
        if not name or "=" in name or "\0" in name + text:
            raise UsageError(
                f"{what}: {name!r} cannot be set: a name is not empty, holds no '=', and nothing holds NUL"
            )
    return dict(texts or {})
