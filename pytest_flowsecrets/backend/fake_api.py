"""A fake Prefect API that the real Prefect of this process and its children talks to: what Cloud and Server share.

Both are context managers. They join the isolation that counts (a test's, an ``isolated_prefect``), or enter one of
their own, and give it the variables that an operator would set: backend, address, key, tenant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Union
from urllib.parse import urlsplit

from pytest_flowsecrets.backend.client import impatient, make_client, without_proxy
from pytest_flowsecrets.backend.http.server import mount, unmount
from pytest_flowsecrets.backend.runs.process_tree import Processes
from pytest_flowsecrets.backend.runs.warm_agents import Agents
from pytest_flowsecrets.backend.service import World
from pytest_flowsecrets.errors import SecretReceived, UsageError
from pytest_flowsecrets.isolation import stack
from pytest_flowsecrets.isolation.prefect1.marshmallow import marshmallow_explained
from pytest_flowsecrets.isolation.safe_errors import hide_arguments
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.leaks.search.finder import any_of, finder, forms_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.backend.faults import Faults
    from pytest_flowsecrets.backend.request_log import Place, Requests
    from pytest_flowsecrets.backend.runs.agent_process import AgentProcess
    from pytest_flowsecrets.backend.runs.flow_run import FlowRun
    from pytest_flowsecrets.isolation.env_overlays import Variables
    from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets
    from pytest_flowsecrets.isolation.stack import Isolation


class FakeApi(ABC):
    """What ``FakeCloud`` and ``FakeServer`` have in common."""

    backend = ""

    def __init__(self) -> None:
        self.world = World(self.backend)
        self._url = ""
        self._isolation: Optional[Isolation] = None
        self._steps = ExitStack()
        self.processes, self.agents = Processes(), Agents()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._url or 'no address: it is not entered'}>"

    def __enter__(self) -> Self:
        if self._isolation is not None:
            raise UsageError(f"this {type(self).__name__} is entered already: make another one")
        with ExitStack() as steps:
            isolation = stack.current()
            if isolation is None:
                isolation = stack.Isolation()
                isolation.enter({})
                steps.callback(isolation.exit)
            self._isolation = isolation
            steps.callback(self._forget)
            steps.enter_context(self.world.keyring.texts.in_use())
            self._url = mount(self.world)
            steps.callback(unmount, self.world)
            steps.enter_context(registry.searchable(self.world.journal.search))
            steps.callback(self.agents.close)
            steps.callback(self.processes.close)
            steps.enter_context(without_proxy())
            steps.enter_context(impatient(urlsplit(self._url).path))
            steps.enter_context(isolation.overlay(self._variables()))
            self._steps = steps.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._steps.close()

    def _forget(self) -> None:
        self._isolation, self._url = None, ""

    @abstractmethod
    def _variables(self) -> Variables:
        """The variables by which Prefect talks to it."""

    @property
    def url(self) -> str:
        """The address, for ``PREFECT__CLOUD__API``; nobody can guess it.

        Raises:
            UsageError: this is not entered.
        """
        self.isolation  # noqa: B018 - it checks
        return self._url

    @property
    def isolation(self) -> Isolation:
        """The isolation in which the real Prefect talks to this API."""
        if self._isolation is None:
            raise UsageError(f"this {type(self).__name__} is not entered: use it in a with statement")
        return self._isolation

    @property
    def innermost(self) -> Isolation:
        """The isolation that counts now, a test's with a marker, where this was entered for its whole class, say.

        Raises:
            UsageError: this is not entered.
        """
        own = self.isolation
        return stack.current() or own

    @property
    def local_secrets(self) -> LocalSecrets:
        """The local secrets of the isolation that counts, as the fixture of that name."""
        return self.innermost.secrets

    @property
    def environ(self) -> Dict[str, str]:
        """Copy of the variables by which a child process talks to this API, for ``env={**os.environ, **…}``."""
        return self.isolation.secrets.environ

    @property
    def requests(self) -> Requests:
        """Every request that the API was sent, oldest first, with kind, fields, key, tenant, duration; no values."""
        return self.world.journal.requests

    @property
    def faults(self) -> Faults:
        """Faults with which the API answers the next operations."""
        return self.world.faults

    def client_for(self, key: Optional[str], tenant_id: Optional[str]) -> Any:
        """A new ``prefect.Client`` of the installed Prefect with this key and tenant.

        Raises:
            PrefectNotInstalled: there is none.
        """
        self.isolation.require_prefect(f"the client of {type(self).__name__}")
        return make_client(self.url, key, tenant_id)

    @hide_arguments
    def assert_never_received(self, *names: str) -> None:
        """Check that the API was sent the values of these secrets by nothing but the mutations that set them.

        They are looked for in everything that was sent (flows, compressed ones too, parameters, run configs, states,
        logs, artifacts, …), in every form. The values are those of the API's secrets of that name, in any tenant, and
        of the local secret.

        Raises:
            SecretReceived: the API was; with the places.
            UsageError: no secret is named, there is none of that name, or so much was sent that the first of it is no
                longer kept.
        """
        if not names:
            raise UsageError("assert_never_received looks for the secrets that it is told: name at least one")
        for name in names:
            finders = self._finders(name)
            if not finders:
                raise UsageError(f"there is no secret {name!r}, in the API or locally: nothing could be looked for")
            places = self.world.journal.search(any_of(finders))
            if places:
                raise SecretReceived(name, _told(places))
        if self.requests.forgotten:
            raise UsageError(
                f"what the first {self.requests.forgotten} requests sent is no longer kept, so nothing can be said of "
                "it: assert earlier, and call requests.clear() then"
            )

    @property
    @abstractmethod
    def client(self) -> Any:
        """A new ``prefect.Client`` of the installed Prefect."""

    def agent_variables(self) -> Variables:
        """The variables by which an agent talks to this API."""
        return {}

    @hide_arguments
    def run(  # noqa: PLR0913 - what a flow run is
        self,
        flow: Any,
        *,
        parameters: Optional[Mapping[str, Any]] = None,
        run_config: Any = None,
        context: Optional[Mapping[str, Any]] = None,
        agent: Union[str, AgentProcess] = "local",
        agent_env: Optional[Mapping[str, str]] = None,
        job_template: Any = None,
        cluster_secrets: Optional[ClusterSecrets] = None,
        in_process: bool = False,
        timeout: float = 60.0,
        storage: Any = None,
    ) -> FlowRun:
        """Run a flow as production does, from Prefect 0.15.0 on: real client, real agent, a real process.

        Args:
            flow: a flow; without storage it gets ``Local``, without a run config ``UniversalRun``.
            parameters: of the flow run.
            run_config: of this flow run, or a mapping of variables, which stands for ``UniversalRun(env=…)``.
            context: of this flow run.
            agent: ``local``, or ``kubernetes``: the command of the job is started with the environment of the pod. Or
                what ``agent()`` gave.
            agent_env: variables of ``prefect agent … start --env NAME=value``.
            job_template: of Kubernetes, as a mapping or the path of a YAML file.
            cluster_secrets: what ``secretKeyRef`` and ``envFrom`` refer to.
            in_process: run it by the real CloudFlowRunner in this process; no agent, no pickle.
            timeout: seconds after which the process is ended; one in this process has no such limit.
            storage: instead of the flow's own: ``"local"`` to store it in the home of the test, with ``secrets`` and
                labels of its own storage; or a storage of Prefect's, which may then reach the network. A run in_process
                uses no storage.

        Raises:
            FlowRunTimeout: it took too long; ``.run`` has what is known.
            AgentFailed: the agent could not start.
            CreateContainerConfigError: the pod needs a Secret or key that ``cluster_secrets`` does not have.
            RouteUnavailable: the installed Prefect is older, or a package is missing.
            UsageError: an argument is wrong, or the flow's storage is on the network and ``storage`` does not say so.
            IncompatibleMarshmallow: Prefect cannot serialize the flow with the installed marshmallow.
        """
        from pytest_flowsecrets.backend.runs.runner import Order, carry_out

        order = Order(
            parameters,
            run_config,
            context,
            agent,
            agent_env,
            job_template,
            cluster_secrets,
            in_process,
            timeout,
            storage,
        )
        with marshmallow_explained():
            return carry_out(self, flow, order)

    @hide_arguments
    def agent(
        self, *, env: Optional[Mapping[str, str]] = None, labels: Sequence[str] = (), address: Optional[str] = None
    ) -> AgentProcess:
        """Start ``prefect agent local start`` as a process, from Prefect 0.15.0 on; at the latest it ends with this.

        Args:
            env: variables of its ``--env``.
            labels: those of its ``--label``.
            address: its ``--agent-address``, a URL with the port where it tells of its health; it needs none.

        Raises:
            AgentFailed: it has died at its start; with its exit status and what it printed, masked.
            RouteUnavailable: the installed Prefect is older.
            UsageError: an argument is wrong.
        """
        from pytest_flowsecrets.backend.runs.deployment import started

        return started(self, env, labels, address)

    def _finders(self, name: str) -> List[Callable[[str], bool]]:
        local = self.local_secrets
        return [finder(forms_of(local[name]))] if name in local else []


def _told(places: Sequence[Place]) -> List[str]:
    """Each place with its operation; not the texts in which a more exact place lies (JSON in a text, a packed flow)."""
    exact = [
        place
        for place in {(id(place.request), place.where): place for place in places}.values()
        if not any(
            other.request is place.request and other.where.startswith((f"{place.where}.", f"{place.where}["))
            for other in places
        )
    ]
    return [f"{', '.join(place.request.fields) or 'no operation'}: {place.where}" for place in exact]
