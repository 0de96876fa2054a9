"""A flow run deployed by the real agent: it registers, asks the API for work, and starts what runs the flow.

The agent is made and driven in this process, which is what keeps it warm; what it starts is a process of its own. A
LocalAgent calls ``Popen`` for it. The agent of Kubernetes creates a job, and in place of the kubelet the job's command
is started here, with exactly the environment that the pod would have over that of an image (``_image``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from pytest_flowsecrets.errors import AgentFailed, RouteUnavailable, UsageError
from pytest_flowsecrets.routes import agents, drivers
from pytest_flowsecrets.routes.agent_rules import release
from pytest_flowsecrets.routes.cluster import ClusterSecrets
from pytest_flowsecrets.routes.model import Written

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.processes import Processes
    from pytest_flowsecrets.routes.environment import FlowEnvironment

AGENTS = ("local", "kubernetes")
_OF_AN_IMAGE = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")


@dataclass(frozen=True)
class Deployment:
    """By whom a flow run is deployed.

    Attributes:
        version: the installed release of Prefect.
        agent: ``local`` or ``kubernetes``.
        agent_env: its ``--env``.
        labels: those that the agent has.
        secrets: the Secrets of the cluster.
        template: the job template that counts.
    """

    version: str
    agent: str = "local"
    agent_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    labels: List[str] = field(default_factory=list)
    secrets: Optional[ClusterSecrets] = None
    template: Mapping[str, Any] = field(default_factory=dict, repr=False)


def require(agent: str, version: str) -> None:
    """Check that flow runs of this agent can be started here.

    Raises:
        UsageError: there is no such agent, or it starts nothing here.
        RouteUnavailable: the installed Prefect is too old, or a package is missing.
    """
    agents.require(agent, version)
    if agent not in AGENTS:
        raise UsageError(f"flow runs are started by the agents {', '.join(AGENTS)}; for {agent} use flow_environment")
    if release(version) < (0, 15, 0):
        raise RouteUnavailable(f"real flow runs are for Prefect 0.15.0 and later, and {version} is installed")


def deploy(deployment: Deployment, run: Any, processes: Processes) -> FlowEnvironment:
    """Let the agent deploy a flow run that waits in the API.

    Args:
        deployment: by whom.
        run: the flow run as agents see it, for its ids and its run config.
        processes: where what is started is kept.

    Returns:
        The environment of the flow run, with origins.

    Raises:
        AgentFailed: the agent could not start.
        CreateContainerConfigError: the pod needs a Secret or key that the cluster does not have.
    """
    run_env = (run.run_config.env if run.run_config is not None else None) or {}
    written = Written(dict(os.environ), deployment.agent_env, run_env, deployment.template)
    with ExitStack() as stack:
        stack.enter_context(drivers.quiet())
        if deployment.agent == "local":
            driver = stack.enter_context(drivers.local(written, popen=processes.start))
            made = _started(driver, deployment, import_paths=import_paths(), hostname_label=False)
            _poll(made, deployment.agent, run.id)
            sent: drivers.Sent = drivers.as_entries(processes.environ(run.id) or {}), {}
        else:
            driver = stack.enter_context(drivers.DRIVERS[deployment.agent](written))
            made = _started(driver, deployment)
            _poll(made, deployment.agent, run.id)
            sent = driver.entries()
    written = replace(written, facts=agents.facts(made, run, sent[0]))
    secrets = ClusterSecrets() if deployment.secrets is None else deployment.secrets
    env = agents.with_origins(deployment.agent, deployment.version, written, sent, secrets)
    if deployment.agent == "kubernetes":
        _start_pod(sent[1]["args"], env, processes)
    return env


def _start_pod(command: List[str], env: FlowEnvironment, processes: Processes) -> None:
    home = tempfile.mkdtemp(prefix="pod-", dir=os.path.expanduser("~"))  # the isolation's, which goes with it
    nowhere: Dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    processes.start([sys.executable, "-m", *command], env={**_image(home), **env}, cwd=home, **nowhere)


def _started(driver: drivers.Driver, deployment: Deployment, **more: Any) -> Any:
    try:
        made = driver.make(labels=deployment.labels, **more)
        made.labels = list(deployment.labels)  # where there are none it took those of the configuration
        made._setup_api_connection()  # noqa: SLF001 - `start()` does this, then takes over the process's signals
    except Exception as error:  # noqa: BLE001 - of many kinds, whose texts may hold what was sent
        raise AgentFailed(deployment.agent, type(error).__name__) from None
    return made


def _poll(made: Any, agent: str, run_id: str) -> None:
    """Ask for work once, as ``start()`` does again and again, and deploy it."""
    deploy, deployed, refused = made.deploy_flow, [], []

    def watched(flow_run: Any) -> Any:
        deployed.append(flow_run.id)
        try:
            return deploy(flow_run)
        except Exception as error:
            refused.append(error)
            raise

    made.deploy_flow = watched
    with ThreadPoolExecutor(1) as pool:
        made._submit_deploy_flow_run_jobs(executor=pool)  # noqa: SLF001
    for error in refused:
        raise UsageError(f"the {agent} agent cannot deploy the flow run: {agents.told(error)}") from None
    if run_id not in deployed:
        raise AgentFailed(agent, "it was not given the flow run")


def import_paths() -> List[str]:
    """Where this process finds modules and a fresh Python would not: tests, and what they test."""
    own = tuple(os.path.join(prefix, "") for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix})
    return [path for path in dict.fromkeys(map(os.path.abspath, sys.path)) if not path.startswith(own)]


def _image(home: str) -> Dict[str, str]:
    """What an image brings: its own home, where to find programs and modules, the language; and nothing of Prefect."""
    kept = {name: text for name, text in os.environ.items() if name in _OF_AN_IMAGE or name.startswith("COVERAGE_")}
    return {**kept, "HOME": home, "PYTHONPATH": os.pathsep.join(import_paths())}
