"""The agents of one API. An agent starts with the first flow run that needs it, and is reused for later ones.

A real agent belongs to the API at which it registered, with its key, tenant and id. It therefore lives as long as the
API of the fixture, which can be a session. Agents are identified by the arguments of ``prefect agent … start`` (kind,
``--env`` and labels) and by Prefect's configuration: after a change of the configuration, an operator would restart the
agent, and this module starts a new one.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Dict, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.agents import agent_errors, harness
from pytest_flowsecrets.agents.model import AgentInputs
from pytest_flowsecrets.errors import AgentFailed, UsageError

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.backend.runs.agent_process import AgentProcess
    from pytest_flowsecrets.backend.runs.process_tree import Processes

_Key = Tuple[Any, ...]


@dataclass(frozen=True)
class Deployment:
    """The agent that deploys a flow run, and its options.

    Attributes:
        version: the installed release of Prefect.
        agent: ``local`` or ``kubernetes``.
        agent_env: the variables of ``--env``.
        labels: the labels of the agent.
        secrets: the Secrets of the cluster.
        template: the job template.
    """

    version: str
    agent: str = "local"
    agent_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    labels: List[str] = field(default_factory=list)
    secrets: Optional[ClusterSecrets] = None
    template: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Agent(NamedTuple):
    """A started agent.

    Attributes:
        kind: ``local`` or ``kubernetes``.
        real: the agent, an instance of Prefect's class.
        driver: reads the environment that the agent sends.
        patches: returns the context manager in which the agent must run.
    """

    kind: str
    real: Any
    driver: harness.Driver
    patches: Callable[[], ContextManager[Any]]

    def poll(self, run_id: str) -> None:
        """Poll the API once, as the loop of ``start()`` does, and deploy the flow run.

        Raises:
            AgentFailed: the API did not assign the flow run to the agent.
            UsageError: the agent cannot deploy the flow run.
        """
        deploy, deployed, errors = self.real.deploy_flow, [], {}

        def deploy_flow(flow_run: Any) -> Any:
            deployed.append(flow_run.id)
            try:
                return deploy(flow_run)
            except Exception as error:
                errors[flow_run.id] = error
                raise

        self.real.deploy_flow = deploy_flow
        try:
            with self.patches(), ThreadPoolExecutor(1) as pool:
                self.real._submit_deploy_flow_run_jobs(executor=pool)  # noqa: SLF001
        finally:
            del self.real.deploy_flow
        if run_id in errors:
            reason = agent_errors.describe_error(errors[run_id])
            raise UsageError(f"the {self.kind} agent cannot deploy the flow run: {reason}") from None
        if run_id not in deployed:
            raise AgentFailed(self.kind, "the API did not assign the flow run to it")


class Agents:
    """The started agents of one API.

    Attributes:
        lock: must be held while an agent is in use.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self._agents: Dict[_Key, Agent] = {}
        self._stack = ExitStack()

    def get(self, deployment: Deployment, processes: Processes) -> Agent:
        """Return the agent of a deployment. Start it if necessary.

        Args:
            deployment: the options of the agent.
            processes: the registry for the processes that a LocalAgent starts.

        Raises:
            AgentFailed: the agent cannot start.
        """
        options = (frozenset(deployment.agent_env.items()), frozenset(deployment.labels))
        key = (deployment.agent, *options, harness.configuration())
        if key not in self._agents:
            self._agents[key] = self._start(deployment, processes)
        return self._agents[key]

    def drop(self, agent: Agent) -> None:
        """Do not use an agent for further flow runs, because it did not get one."""
        self._agents = {key: entry for key, entry in self._agents.items() if entry is not agent}

    def add_process(self, process: AgentProcess) -> AgentProcess:
        """End an agent process together with the other agents."""
        self._stack.callback(process.close)
        return process

    def close(self) -> None:
        """End the agents, and the stub servers that replace clusters."""
        self._agents.clear()
        self._stack.close()

    def _start(self, deployment: Deployment, processes: Processes) -> Agent:
        written, labels = AgentInputs(dict(os.environ), deployment.agent_env), list(deployment.labels)
        patches: Callable[[], ContextManager[Any]] = nullcontext
        try:
            if deployment.agent == "local":
                patches = partial(harness.local, written, popen=processes.start)
                with patches() as driver:
                    real = driver.make(labels=labels, import_paths=import_paths(), hostname_label=False)
            else:
                driver = self._stack.enter_context(harness.DRIVERS[deployment.agent](written))
                real = driver.make(labels=labels)
            real.labels = labels  # without labels, the agent took those of the configuration
            real._setup_api_connection()  # noqa: SLF001 - `start()` does this, and then installs signal handlers
        except Exception as error:  # noqa: BLE001 - of any type; its text may contain parts of requests
            raise AgentFailed(deployment.agent, type(error).__name__) from None
        return Agent(deployment.agent, real, driver, patches)


def import_paths() -> List[str]:
    """Return the import paths that a new Python would not have: those of tests, and of the code under test."""
    own = tuple(os.path.join(prefix, "") for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix})
    return [path for path in dict.fromkeys(map(os.path.abspath, sys.path)) if not path.startswith(own)]
