"""The common part of ``FakeCloud`` and ``FakeServer``: a fake API for the real Prefect in this process tree.

Both are context managers. They join the active isolation (of a test, or of ``isolated_prefect``) or enter one of their
own, and set the variables that an operator would set: backend, address, key, tenant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Union
from urllib.parse import urlsplit

from pytest_flowsecrets.backend.client import make_client, skip_retry_waits, without_proxy
from pytest_flowsecrets.backend.graphql_service import GraphqlService
from pytest_flowsecrets.backend.http.server import mount, unmount
from pytest_flowsecrets.backend.runs.process_tree import Processes
from pytest_flowsecrets.backend.runs.warm_agents import Agents
from pytest_flowsecrets.errors import SecretReceived, UsageError
from pytest_flowsecrets.isolation import stack
from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation
from pytest_flowsecrets.isolation.prefect1.prefect_errors import marshmallow_explained
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
    from pytest_flowsecrets.isolation.legacy_isolation import Variables
    from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets

# What the APIs of Prefect 2.20 and 3 offer, and these do not.
_OF_REST = frozenset({"blocks", "flow_runs", "task_runs", "logs", "events", "write_only", "require_auth"})

# What to use instead of an attribute of these APIs on Prefect 2.20 and 3.
_INSTEAD = {
    "run": "call the flow, or run its deployment with a worker or flow.serve()",
    "agent": "start a worker, or call flow.serve()",
    "client": "use prefect.get_client()",
    "client_for": "use prefect.get_client()",
    "environ": "use os.environ, which child processes inherit",
    "local_secrets": "use the fixture local_secrets",
}


def describe_legacy_attribute(class_name: str, name: str) -> str:
    """Return the error message for an attribute that only these APIs have, or an empty text for another name.

    The APIs of Prefect 2.20 and 3 raise it if a test uses such an attribute.

    Args:
        class_name: ``FakeCloud`` or ``FakeServer``.
        name: the name of the attribute.
    """
    if name.startswith("_"):
        return ""
    import pytest_flowsecrets

    if name not in dir(getattr(pytest_flowsecrets, class_name)):
        return ""
    instead = f": on Prefect 2.20 and 3, {_INSTEAD[name]}" if name in _INSTEAD else ", not for the installed Prefect"
    return f".{name} of this API is for Prefect 0.5.5 to 1.4.1{instead}"


class FakeApi(ABC):
    """The base class of ``FakeCloud`` and ``FakeServer``."""

    backend = ""

    def __init__(self) -> None:
        self.world = GraphqlService(self.backend)
        self._url = ""
        self._isolation: Optional[LegacyIsolation] = None
        self._steps = ExitStack()
        self.processes, self.agents = Processes(), Agents()

    if not TYPE_CHECKING:  # with `__getattr__`, type checkers would accept any name

        def __getattr__(self, name: str) -> Any:
            kind = type(self).__name__
            if name in _OF_REST:
                raise UsageError(f"{kind}.{name} needs Prefect 2.20 or 3, and this API is that of 0.5.5 to 1.4.1")
            raise AttributeError(f"{kind!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {f'at {self._url}' if self._url else '(not entered)'}>"

    def __enter__(self) -> Self:
        if self._isolation is not None:
            raise UsageError(f"this {type(self).__name__} is already entered: create another one")
        with ExitStack() as steps:
            outer = stack.current()
            isolation = outer.require_legacy(type(self).__name__) if outer else LegacyIsolation()
            if outer is None:
                isolation.enter({})
                steps.callback(isolation.exit)
            self._isolation = isolation
            steps.callback(self._reset)
            steps.enter_context(self.world.keyring.texts.in_use())
            self._url = mount(self.world)
            steps.callback(unmount, self.world)
            steps.enter_context(registry.searchable(self.world.journal.search))
            steps.callback(self.agents.close)
            steps.callback(self.processes.close)
            steps.enter_context(without_proxy())
            steps.enter_context(skip_retry_waits(urlsplit(self._url).path))
            steps.enter_context(isolation.overlay(self._variables()))
            self._steps = steps.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._steps.close()

    def _reset(self) -> None:
        self._isolation, self._url = None, ""

    @abstractmethod
    def _variables(self) -> Variables:
        """Return the variables that configure Prefect for this API."""

    @property
    def url(self) -> str:
        """The address, as for ``PREFECT__CLOUD__API``. It cannot be guessed.

        Raises:
            UsageError: the API is not entered.
        """
        self.isolation  # noqa: B018 - raises if the API is not entered
        return self._url

    @property
    def isolation(self) -> LegacyIsolation:
        """The isolation in which the API is entered.

        Raises:
            UsageError: the API is not entered.
        """
        if self._isolation is None:
            raise UsageError(f"this {type(self).__name__} is not entered: use it in a with statement")
        return self._isolation

    @property
    def innermost(self) -> LegacyIsolation:
        """The active isolation. It belongs to a test, for example, if the API is entered for the class of the test.

        Raises:
            UsageError: the API is not entered.
        """
        own = self.isolation
        innermost = stack.current()
        return innermost.require_legacy(type(self).__name__) if innermost else own

    @property
    def local_secrets(self) -> LocalSecrets:
        """The local secrets of the active isolation, like the fixture of that name."""
        return self.innermost.secrets

    @property
    def environ(self) -> Dict[str, str]:
        """A copy of the variables that a child process needs for this API, for ``env={**os.environ, **…}``."""
        return self.isolation.secrets.environ

    @property
    def requests(self) -> Requests:
        """The requests that the API received, oldest first, with operation, caller and duration, but without values."""
        return self.world.journal.requests

    @property
    def faults(self) -> Faults:
        """The faults with which the API answers the next operations."""
        return self.world.faults

    def client_for(self, key: Optional[str], tenant_id: Optional[str]) -> Any:
        """Return a new ``prefect.Client`` of the installed Prefect with a key and a tenant.

        Raises:
            PrefectNotInstalled: Prefect is not installed.
        """
        self.isolation.require_prefect(f"the client of {type(self).__name__}")
        return make_client(self.url, key, tenant_id)

    @hide_arguments
    def assert_never_received(self, *names: str) -> None:
        """Assert that the API received the values of these secrets only in the mutations that set them.

        The check searches all requests (flows, also compressed ones, parameters, run configs, states, logs, artifacts
        and so on) for all encodings of the values. It includes the API's secrets with that name in all tenants, and
        the local secret.

        Args:
            names: the names of the secrets, at least one.

        Raises:
            SecretReceived: the API received a value; the error lists the places.
            UsageError: there is no name, a secret does not exist, or the first requests have been discarded.
        """
        if not names:
            raise UsageError("assert_never_received needs the name of at least one secret")
        for name in names:
            finders = self._finders(name)
            if not finders:
                raise UsageError(f"there is no secret {name!r}, neither in the API nor locally, so nothing was checked")
            places = self.world.journal.search(any_of(finders))
            if places:
                raise SecretReceived(name, _describe(places))
        if self.requests.forgotten:
            raise UsageError(
                f"the contents of the first {self.requests.forgotten} requests have been discarded and cannot be "
                "checked: assert earlier, and call requests.clear() afterwards"
            )

    @property
    @abstractmethod
    def client(self) -> Any:
        """A new ``prefect.Client`` of the installed Prefect."""

    def agent_variables(self) -> Variables:
        """Return the variables that configure an agent for this API."""
        return {}

    @hide_arguments
    def run(  # noqa: PLR0913 - keyword arguments, one for each option of a flow run
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
        """Run a flow as in production, with the real client, a real agent and a real process (Prefect 0.15.0 or later).

        Args:
            flow: the flow. Without a storage it gets ``Local``, without a run config ``UniversalRun``.
            parameters: the parameters of the flow run.
            run_config: the run config of the flow run, or a mapping of variables for ``UniversalRun(env=…)``.
            context: the context of the flow run.
            agent: ``local``, or ``kubernetes`` to start the command of the job with the environment of the pod, or an
                agent that ``agent()`` returned.
            agent_env: the variables of ``prefect agent … start --env NAME=value``.
            job_template: the Kubernetes job template, as a mapping or the path of a YAML file.
            cluster_secrets: the Kubernetes Secrets for ``secretKeyRef`` and ``envFrom``.
            in_process: run the real ``prefect execute flow-run`` in this process, without an agent and without pickle.
            timeout: the seconds after which the process is killed. A run in this process has no timeout.
            storage: a replacement for the flow's storage: ``"local"`` to store the flow in the home of the test, with
                the ``secrets`` and labels of its own storage; or a Prefect storage, which may then access the network.
                A run in this process does not load the flow from its storage, but loads the ``secrets`` of the storage.

        Raises:
            FlowRunTimeout: the run took too long; ``.run`` contains its state.
            AgentFailed: the agent could not start.
            CreateContainerConfigError: the pod needs a Secret or key that ``cluster_secrets`` does not have.
            RouteUnavailable: the installed Prefect is older, or a package is missing.
            UsageError: an argument is not valid, or the flow's storage is on the network and ``storage`` does not
                permit it.
            IncompatibleMarshmallow: Prefect cannot serialize the flow with the installed marshmallow.
        """
        from pytest_flowsecrets.backend.runs.runner import RunRequest, execute_run

        request = RunRequest(
            parameters=parameters,
            run_config=run_config,
            context=context,
            agent=agent,
            agent_env=agent_env,
            job_template=job_template,
            cluster_secrets=cluster_secrets,
            in_process=in_process,
            timeout=timeout,
            storage=storage,
        )
        with marshmallow_explained():
            return execute_run(self, flow, request)

    @hide_arguments
    def agent(
        self, *, env: Optional[Mapping[str, str]] = None, labels: Sequence[str] = (), address: Optional[str] = None
    ) -> AgentProcess:
        """Start ``prefect agent local start`` as a process (Prefect 0.15.0 or later). It ends with the API or earlier.

        Args:
            env: the variables of ``--env``.
            labels: the labels of ``--label``.
            address: the URL of ``--agent-address``, where the agent serves its health check; not required.

        Raises:
            AgentFailed: the agent exited at its start; the error has its exit status and its masked output.
            RouteUnavailable: the installed Prefect is older.
            UsageError: an argument is not valid.
        """
        from pytest_flowsecrets.backend.runs.deployment import start_agent

        return start_agent(self, env, labels, address)

    def _finders(self, name: str) -> List[Callable[[str], bool]]:
        local = self.local_secrets
        return [finder(forms_of(local[name]))] if name in local else []


def _describe(places: Sequence[Place]) -> List[str]:
    """Describe each place with its operation. Omit texts that contain a more exact place, such as JSON in a text."""
    exact = [
        place
        for place in {(id(place.request), place.where): place for place in places}.values()
        if not any(
            other.request is place.request and other.where.startswith((f"{place.where}.", f"{place.where}["))
            for other in places
        )
    ]
    return [f"{', '.join(place.request.fields) or 'no operation'}: {place.where}" for place in exact]
