"""A flow run deployed by the real agent: it has registered, asks the API for work, and starts what runs the flow.

The agent is made and driven in this process (``agents.harness``); what it starts is a process of its own. A
LocalAgent calls ``Popen`` for it. The agent of Kubernetes creates a job, and in place of the kubelet the job's command
is started here, with exactly the environment that the pod would have over that of an image (``_image``).
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
from pytest_flowsecrets.agents.flow_environment import texts_of
from pytest_flowsecrets.agents.model import Written
from pytest_flowsecrets.backend.runs.warm_agents import import_paths
from pytest_flowsecrets.errors import AgentFailed, RouteUnavailable, UsageError
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.environment import FlowEnvironment
    from pytest_flowsecrets.backend.runs.agent_process import AgentProcess
    from pytest_flowsecrets.backend.runs.api import Api
    from pytest_flowsecrets.backend.runs.process_tree import Processes
    from pytest_flowsecrets.backend.runs.warm_agents import Agents, Deployment

AGENTS = ("local", "kubernetes")
_OF_AN_IMAGE = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")


def require(agent: str, version: str) -> None:
    """Check that flow runs of this agent can be started here.

    Raises:
        UsageError: there is no such agent, or it starts nothing here.
        RouteUnavailable: the installed Prefect is too old, or a package is missing.
    """
    real_agents.require(agent, version)
    if agent not in AGENTS:
        raise UsageError(f"flow runs are started by the agents {', '.join(AGENTS)}; for {agent} use flow_environment")
    if release_of(version) < (0, 15, 0):
        raise RouteUnavailable(f"real flow runs are for Prefect 0.15.0 and later, and {version} is installed")


def deploy(deployment: Deployment, run: Any, warm: Agents, processes: Processes) -> FlowEnvironment:
    """Let the agent deploy a flow run that waits in the API.

    Args:
        deployment: by whom.
        run: the flow run as agents see it, for its ids and its run config.
        warm: the agents of the API.
        processes: where what is started is kept.

    Returns:
        The environment of the flow run, with origins.

    Raises:
        AgentFailed: the agent could not start.
        CreateContainerConfigError: the pod needs a Secret or key that the cluster does not have.
    """
    run_env = (run.run_config.env if run.run_config is not None else None) or {}
    written = Written(dict(os.environ), deployment.agent_env, run_env, deployment.template)
    with harness.quiet(), warm.lock:
        agent = warm.get(deployment, processes)
        try:
            agent.poll(run.id)
        except AgentFailed:
            warm.drop(agent)
            raise
        if deployment.agent == "local":
            sent: harness.Sent = harness.as_entries(processes.environ(run.id) or {}), {}
        else:
            sent = agent.driver.entries(run.id)
    written = replace(written, facts=real_agents.facts(agent.made, run, sent[0]))
    secrets = ClusterSecrets() if deployment.secrets is None else deployment.secrets
    env = real_agents.with_origins(deployment.agent, deployment.version, written, sent, secrets)
    if deployment.agent == "kubernetes":
        _start_pod(sent[1]["args"], env, processes)
    return env


def started(api: Api, env: Optional[Mapping[str, str]], labels: Sequence[str], address: Optional[str]) -> AgentProcess:
    """Start a LocalAgent as a process.

    Raises:
        FlowSecretsError: see ``FakeApi.agent``.
    """
    from pytest_flowsecrets.backend.runs.agent_process import AgentProcess

    require("local", api.isolation.require_prefect(f"{type(api).__name__}.agent()").version)
    if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
        raise UsageError("labels is a list of texts")
    given = texts_of("env", env)
    with api.isolation.overlay(api.agent_variables()):
        agent_errors.require_free(address or harness.configured_address())
        return api.agents.keep(AgentProcess(given, labels, import_paths(), address))


def deploy_by(agent: AgentProcess, api: Api, run: Any, timeout: float) -> FlowEnvironment:
    """Let an agent that is a process deploy a flow run that waits in the API.

    Args:
        agent: the agent.
        api: its API.
        run: the flow run as agents see it.
        timeout: seconds that it may take.

    Raises:
        AgentFailed: it has ended, or does not take the flow run.
        UsageError: it cannot deploy it, or is the agent of another API.
    """
    store = api.world.store
    if store.get("agent", agent.id) is None:
        raise UsageError("this agent asks another API: take the one of .agent() of this API")
    if not set(run.labels) <= set(agent.labels) or bool(run.labels) != bool(agent.labels):
        raise UsageError(
            f"an agent with the labels {agent.labels} is not given a flow run with the labels {run.labels}: it needs "
            "all of them, and one that has labels is not given runs without; see run_config"
        )
    sent = agent.deploy(run.id, timeout)
    run_env = (run.run_config.env if run.run_config is not None else None) or {}
    written = Written(agent.host, agent.env, run_env, facts=real_agents.facts_of(sent, agent.labels))
    return real_agents.with_origins("local", api.isolation.version, written, (harness.as_entries(sent), {}), None)


def _start_pod(command: List[str], env: FlowEnvironment, processes: Processes) -> None:
    home = tempfile.mkdtemp(prefix="pod-", dir=os.path.expanduser("~"))  # the isolation's, which goes with it
    nowhere: Dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    processes.start([sys.executable, "-m", *command], env={**_image(home), **env}, cwd=home, **nowhere)


def _image(home: str) -> Dict[str, str]:
    """What an image brings: its own home, where to find programs and modules, the language; and nothing of Prefect."""
    kept = {name: text for name, text in os.environ.items() if name in _OF_AN_IMAGE or name.startswith("COVERAGE_")}
    return {**kept, "HOME": home, "PYTHONPATH": os.pathsep.join(import_paths())}
