"""The agents of one API: each is started when a flow run first needs it, and serves the further ones.

A real agent belongs to the API at which it registered: its key, its tenant, its id. So it is kept for as long as the
API of a fixture is, and no longer; where that is a session, for the session. It is kept by what ``prefect agent …
start`` was told: kind, ``--env`` and labels; where the configuration changes an operator would start it anew, and so
is it here.
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
from pytest_flowsecrets.agents.model import Written
from pytest_flowsecrets.errors import AgentFailed, UsageError

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.backend.runs.agent_process import AgentProcess
    from pytest_flowsecrets.backend.runs.process_tree import Processes

_Key = Tuple[Any, ...]


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


class Agent(NamedTuple):
    """One that is warm.

    Attributes:
        kind: ``local`` or ``kubernetes``.
        made: the real one.
        driver: how what it sends is read.
        working: what has to be so while it works.
    """

    kind: str
    made: Any
    driver: harness.Driver
    working: Callable[[], ContextManager[Any]]

    def poll(self, run_id: str) -> None:
        """Ask for work once, as ``start()`` does again and again, and deploy it.

        Raises:
            AgentFailed: it was not given the flow run.
            UsageError: it cannot deploy it.
        """
        deploy, deployed, refused = self.made.deploy_flow, [], {}

        def watched(flow_run: Any) -> Any:
            deployed.append(flow_run.id)
            try:
                return deploy(flow_run)
            except Exception as error:
                refused[flow_run.id] = error
                raise

        self.made.deploy_flow = watched
        try:
            with self.working(), ThreadPoolExecutor(1) as pool:
                self.made._submit_deploy_flow_run_jobs(executor=pool)  # noqa: SLF001
        finally:
            del self.made.deploy_flow
        if run_id in refused:
            told = agent_errors.told(refused[run_id])
            raise UsageError(f"the {self.kind} agent cannot deploy the flow run: {told}") from None
        if run_id not in deployed:
            raise AgentFailed(self.kind, "it was not given the flow run")


class Agents:
    """The warm agents of one API.

    Attributes:
        lock: held by whoever uses one.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self._kept: Dict[_Key, Agent] = {}
        self._stack = ExitStack()

    def get(self, deployment: Deployment, processes: Processes) -> Agent:
        """The agent of a deployment, which is started if there is none yet.

        Args:
            deployment: what it is told as it starts.
            processes: where what a LocalAgent starts is kept.

        Raises:
            AgentFailed: it cannot start.
        """
        told = (frozenset(deployment.agent_env.items()), frozenset(deployment.labels))
        key = (deployment.agent, *told, harness.configuration())
        if key not in self._kept:
            self._kept[key] = self._started(deployment, processes)
        return self._kept[key]

    def drop(self, agent: Agent) -> None:
        """Start another one for the next flow run: this one is not given any."""
        self._kept = {key: kept for key, kept in self._kept.items() if kept is not agent}

    def keep(self, process: AgentProcess) -> AgentProcess:
        """End an agent that is a process with the others."""
        self._stack.callback(process.close)
        return process

    def close(self) -> None:
        """End them, and what they have: the servers of loopback that stand for clusters."""
        self._kept.clear()
        self._stack.close()

    def _started(self, deployment: Deployment, processes: Processes) -> Agent:
        written, labels = Written(dict(os.environ), deployment.agent_env), list(deployment.labels)
        working: Callable[[], ContextManager[Any]] = nullcontext
        try:
            if deployment.agent == "local":
                working = partial(harness.local, written, popen=processes.start)
                with working() as driver:
                    made = driver.make(labels=labels, import_paths=import_paths(), hostname_label=False)
            else:
                driver = self._stack.enter_context(harness.DRIVERS[deployment.agent](written))
                made = driver.make(labels=labels)
            made.labels = labels  # where there are none it took those of the configuration
            made._setup_api_connection()  # noqa: SLF001 - `start()` does this, then takes over the process's signals
        except Exception as error:  # noqa: BLE001 - of many kinds, whose texts may hold what was sent
            raise AgentFailed(deployment.agent, type(error).__name__) from None
        return Agent(deployment.agent, made, driver, working)


def import_paths() -> List[str]:
    """Where this process finds modules and a fresh Python would not: tests, and what they test."""
    own = tuple(os.path.join(prefix, "") for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix})
    return [path for path in dict.fromkeys(map(os.path.abspath, sys.path)) if not path.startswith(own)]
