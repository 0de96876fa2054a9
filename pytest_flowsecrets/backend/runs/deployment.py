"""Deploy flow runs with the real agent, which registers, polls the API, and starts the process of the run.

The agent runs in this process (``agents.harness``); the flow run has its own process. A LocalAgent starts it with
``Popen``. The Kubernetes agent creates a job. This module then replaces the kubelet: it starts the command of the job
with the environment of the pod, on top of that of an image (``_image``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from pytest_flowsecrets.agents import agent_errors, harness, real_agents
from pytest_flowsecrets.agents.cluster import ClusterSecrets
from pytest_flowsecrets.agents.manifests import texts_of
from pytest_flowsecrets.agents.model import AgentInputs
from pytest_flowsecrets.backend.runs.warm_agents import import_paths
from pytest_flowsecrets.errors import AgentFailed, RouteUnavailable, UsageError
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment
    from pytest_flowsecrets.backend.runs.agent_process import AgentProcess
    from pytest_flowsecrets.backend.runs.flow_run import Api
    from pytest_flowsecrets.backend.runs.process_tree import Processes
    from pytest_flowsecrets.backend.runs.warm_agents import Agents, Deployment

AGENTS = ("local", "kubernetes")
_IMAGE_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")


def require(agent: str, version: str) -> None:
    """Check that this package can start flow runs of an agent.

    Raises:
        UsageError: the agent does not exist, or this package cannot start its flow runs.
        RouteUnavailable: the installed Prefect is too old, or a package is missing.
    """
    real_agents.require(agent, version)
    if agent not in AGENTS:
        raise UsageError(f"run() supports the agents {', '.join(AGENTS)}; for {agent} use flow_environment")
    if release_of(version) < (0, 15, 0):
        raise RouteUnavailable(f"real flow runs require Prefect 0.15.0 or later, and {version} is installed")


def deploy(deployment: Deployment, run: Any, warm: Agents, processes: Processes) -> FlowEnvironment:
    """Let the agent deploy a flow run that waits in the API.

    Args:
        deployment: the agent and its options.
        run: the flow run in the form that agents receive, with its ids and its run config.
        warm: the agents of the API.
        processes: the registry for the started process.

    Returns:
        The environment of the flow run, with origins.

    Raises:
        AgentFailed: the agent could not start.
        CreateContainerConfigError: the pod needs a Secret or key that the cluster does not have.
    """
    run_env = (run.run_config.env if run.run_config is not None else None) or {}
    written = AgentInputs(dict(os.environ), deployment.agent_env, run_env, deployment.template)
    with harness.quiet(), warm.lock:
        agent = warm.get(deployment, processes)
        try:
            agent.poll(run.id)
        except AgentFailed:
            warm.drop(agent)
            raise
        if deployment.agent == "local":
            sent: harness.Output = harness.as_entries(processes.environ(run.id) or {}), {}
        else:
            sent = agent.driver.entries(run.id)
    written = replace(written, facts=real_agents.facts(agent.real, run, sent[0]))
    secrets = ClusterSecrets() if deployment.secrets is None else deployment.secrets
    env = real_agents.with_origins(deployment.agent, deployment.version, written, sent, secrets)
    if deployment.agent == "kubernetes":
        _start_pod(sent[1]["args"], env, processes)
    return env


def start_agent(
    api: Api, env: Optional[Mapping[str, str]], labels: Sequence[str], address: Optional[str]
) -> AgentProcess:
    """Start a LocalAgent as a process: see ``FakeApi.agent``.

    Raises:
        FlowSecretsError: see ``FakeApi.agent``.
    """
    from pytest_flowsecrets.backend.runs.agent_process import AgentProcess

    require("local", api.isolation.require_prefect(f"{type(api).__name__}.agent()").version)
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise UsageError("labels must be a list of texts")
    variables = texts_of("env", env)
    with api.isolation.overlay(api.agent_variables()):
        agent_errors.require_free(address or harness.configured_address())
        return api.agents.add_process(AgentProcess(variables, labels, import_paths(), address))


def deploy_by(agent: AgentProcess, api: Api, run: Any, timeout: float) -> FlowEnvironment:
    """Let an agent process deploy a flow run that waits in the API.

    Args:
        agent: the agent.
        api: the API of the agent.
        run: the flow run in the form that agents receive.
        timeout: seconds.

    Raises:
        AgentFailed: the agent has exited, or does not take the flow run.
        UsageError: the agent cannot deploy the flow run, or belongs to another API.
    """
    store = api.world.store
    if store.get("agent", agent.id) is None:
        raise UsageError("this agent belongs to another API: use one that .agent() of this API returned")
    if not set(run.labels) <= set(agent.labels) or bool(run.labels) != bool(agent.labels):
        raise UsageError(
            f"an agent with the labels {agent.labels} does not get a flow run with the labels {run.labels}: an agent "
            "needs all labels of the run, and an agent with labels gets no runs without; set the labels in run_config"
        )
    sent = agent.deploy(run.id, timeout)
    run_env = (run.run_config.env if run.run_config is not None else None) or {}
    written = AgentInputs(agent.host, agent.env, run_env, facts=real_agents.facts_of(sent, agent.labels))
    return real_agents.with_origins("local", api.isolation.version, written, (harness.as_entries(sent), {}), None)


def _start_pod(command: List[str], env: FlowEnvironment, processes: Processes) -> None:
    home = tempfile.mkdtemp(
        prefix="pod-", dir=os.path.expanduser("~")
    )  # in the home of the isolation, which deletes it
    streams: Dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    processes.start([sys.executable, "-m", *command], env={**_image(home), **env}, cwd=home, **streams)


def _image(home: str) -> Dict[str, str]:
    """Return the variables of an image: home, search paths of programs and modules, language; nothing of Prefect."""
    variables = {
        name: text for name, text in os.environ.items() if name in _IMAGE_VARIABLES or name.startswith("COVERAGE_")
    }
    return {**variables, "HOME": home, "PYTHONPATH": os.pathsep.join(import_paths())}
