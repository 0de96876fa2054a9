"""A harness that creates and drives each kind of real agent, without anything outside of Prefect.

The ``Popen`` of a LocalAgent is recorded, not called. Docker, Kubernetes and ECS are small servers on the loopback
interface (``stub_servers``). All changes are undone at the end of the ``with`` block.
"""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from pytest_flowsecrets.agents import agent_errors, kubernetes, model, stub_servers
from pytest_flowsecrets.agents.variable_origins import ABSENT, Entry, merge_entries
from pytest_flowsecrets.errors import UsageError, with_article
from pytest_flowsecrets.names import FLOW_RUN_ID
from pytest_flowsecrets.resolution.shown_names import masked_name

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.model import AgentInputs

NAME = "flowsecrets"  # the name of the agent and of its logger
_CLASSES = {"local": "LocalAgent", "docker": "DockerAgent", "kubernetes": "KubernetesAgent", "ecs": "ECSAgent"}
_API_CALLS = ("_verify_token", "_register_agent")  # agents before 0.13.12 make these calls during construction
_PROXIES = [name for scheme in ("http", "https", "all") for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())]
Output = Tuple[List[Entry], Mapping[str, Any]]  # the variables in order; the container of Kubernetes


class Driver:
    """The functions that create one kind of agent, and that read what it sends."""

    def __init__(self, make: Callable[..., Any], entries: Callable[..., Output]) -> None:
        self.make, self.entries = make, entries


@contextmanager
def local(inputs: AgentInputs, popen: Optional[Callable[..., Any]] = None) -> Iterator[Driver]:
    """Provide a LocalAgent with another ``Popen``, by default one that starts nothing."""
    from prefect.agent.local import agent as module

    environments: List[Mapping[str, str]] = []

    class Process:
        pid = 0

        def __init__(self, *_: Any, env: Mapping[str, Any], **__: Any) -> None:
            for name, text in env.items():
                problem = _popen_problem(name, text)
                if problem:
                    raise UsageError(f"the local agent cannot start the flow run: {masked_name(name)!r} {problem}")
            environments.append(env)

    with ExitStack() as stack:
        stack.enter_context(_set(module, "Popen", popen or Process))
        for call in () if popen else _API_CALLS:
            if hasattr(module.Agent, call):
                stack.enter_context(_set(module.Agent, call, lambda *_: ""))
        if not popen:
            stack.enter_context(_set(module.Agent.__init__.__globals__["Client"], "graphql", _no_tenant))
        yield Driver(partial(_agent, "local", inputs), lambda: (as_entries(environments[-1]), {}))


def _popen_problem(name: str, text: Any) -> str:
    """Return why the real ``Popen`` raises TypeError or ValueError for a variable, or an empty string."""
    if "=" in name:
        return "is not a valid variable name: write NAME = 'value', with the value in quotes"
    return "" if isinstance(text, str) else f"is {with_article(agent_errors.kind_of(text))}: write text in quotes"


def _no_tenant(*_: Any, **__: Any) -> Any:
    """Answer the query for the tenant, the only one that clients of 0.13 and 0.14 send during construction."""
    from prefect.utilities.graphql import GraphQLResult

    return GraphQLResult({"data": GraphQLResult({"tenant": []})})


@contextmanager
def _docker(inputs: AgentInputs) -> Iterator[Driver]:
    with stub_servers.serving(stub_servers.Docker()) as endpoint, _loopback():
        url = f"tcp://127.0.0.1:{endpoint.port}"

        def entries() -> Output:
            pairs = [line.partition("=") for line in endpoint.body("create")["Env"]]
            return [
                Entry(name, text if equals else None, "forced", None, "" if equals else ABSENT)
                for name, equals, text in pairs
            ], {}

        yield Driver(partial(_agent, "docker", inputs, base_url=url, no_pull=True), entries)


@contextmanager
def _kubernetes(inputs: AgentInputs) -> Iterator[Driver]:
    import tempfile

    from kubernetes.client import Configuration
    from kubernetes.config import kube_config

    with ExitStack() as stack:
        endpoint = stack.enter_context(stub_servers.serving(stub_servers.Kubernetes()))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="flowsecrets-"))
        path = os.path.join(folder, "config")
        with open(path, "w", encoding="utf-8") as file:
            file.write(_KUBE_CONFIG.format(port=endpoint.port))

        def make(**more: Any) -> Any:
            """Create the agent, which reads the address of the cluster only during construction."""
            with _loopback(KUBERNETES_SERVICE_HOST=None, KUBECONFIG=path), ExitStack() as stack:
                stack.enter_context(_set(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", path))
                stack.enter_context(_set(Configuration, "_default", None))
                return _agent("kubernetes", inputs, **more)

        def entries(run_id: str = "") -> Output:
            container = next(
                each for each in map(kubernetes.container_of, endpoint.bodies("job")) if _is_of(each, run_id)
            )
            return [kubernetes.entry_of(each, "forced") for each in container["env"]], container

        yield Driver(make, entries)


def _is_of(container: Mapping[str, Any], run_id: str) -> bool:
    """Return whether a container belongs to this flow run; without an id, any container does."""
    return not run_id or {"name": FLOW_RUN_ID, "value": run_id} in container["env"]


@contextmanager
def _ecs(inputs: AgentInputs) -> Iterator[Driver]:
    import boto3

    with ExitStack() as stack:
        endpoint = stack.enter_context(stub_servers.serving(stub_servers.Ecs()))
        url = f"http://127.0.0.1:{endpoint.port}"
        stack.enter_context(_loopback(AWS_ENDPOINT_URL=url, **_NO_AWS_CONFIG))
        if not _session:
            _session.append(boto3.session.Session())
        stack.enter_context(_set(boto3, "DEFAULT_SESSION", _session[0]))
        key = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "eu-west-1"}

        def entries() -> Output:
            registered = endpoint.body("RegisterTaskDefinition")
            definition = registered["containerDefinitions"] if registered else None
            notes = [] if registered else ["the content of the task definition with this ARN is known only in AWS"]
            overrides = endpoint.body("RunTask")["overrides"]["containerOverrides"]
            variables = model.task_entries(definition, overrides)
            return merge_entries([replace(entry, origin="forced") for entry in variables])[0], {"notes": notes}

        yield Driver(partial(_agent, "ecs", inputs, launch_type="EC2", **key), entries)


_session: List[Any] = []  # one boto3 session for all agents, because it takes long to create
_NO_AWS_CONFIG = {
    "AWS_PROFILE": None,
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": None,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
DRIVERS = {"local": local, "docker": _docker, "kubernetes": _kubernetes, "ecs": _ecs}

_KUBE_CONFIG = """\
apiVersion: v1
kind: Config
current-context: flowsecrets
clusters: [{{name: flowsecrets, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: flowsecrets, context: {{cluster: flowsecrets, user: flowsecrets}}}}]
users: [{{name: flowsecrets, user: {{}}}}]
"""


def _agent(kind: str, inputs: AgentInputs, **more: Any) -> Any:
    from importlib import import_module

    agent_class = getattr(import_module(f"prefect.agent.{kind}"), _CLASSES[kind])
    return agent_class(name=NAME, env_vars=dict(inputs.agent_env) or None, **more)


def configuration() -> bytes:
    """Return a digest of the configuration that an agent reads at its start, which excludes secrets in the context."""
    import prefect

    settings = {name: value for name, value in prefect.config.items() if name != "context"}
    return sha256(repr(settings).encode()).digest()


def configured_address() -> Optional[str]:
    """Return the default address of an agent, or None if it does not listen by default."""
    import prefect

    address: Optional[str] = prefect.config.cloud.agent.get("agent_address")
    return address


def as_entries(texts: Mapping[str, str]) -> List[Entry]:
    """Return variables that an agent sends as entries, whose origins are not known yet."""
    return [Entry(name, text, "forced") for name, text in texts.items()]


# -- environment -------------------------------------------------------------------------------------------------------


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the log of agents, who add their own handlers, and their warnings about the search for a cluster."""
    agent, cluster = logging.getLogger(NAME), logging.getLogger("prefect.kubernetes")
    handlers, level = list(agent.handlers), cluster.level
    agent.addHandler(logging.NullHandler())
    stream = logging.StreamHandler(open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - closed below
    agent.addHandler(stream)  # an agent adds its own handler only if there is none
    cluster.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        agent.handlers[:] = handlers
        stream.stream.close()
        cluster.setLevel(level)


@contextmanager
def _loopback(**variables: Optional[str]) -> Iterator[None]:
    """Connect clients to 127.0.0.1 without a proxy, and set these variables; a value of None removes a variable."""
    changes: Dict[str, Optional[str]] = {**dict.fromkeys(_PROXIES), **variables}
    saved = {name: os.environ.get(name) for name in changes}
    _update_environ(changes)
    try:
        yield
    finally:
        _update_environ(saved)


@contextmanager
def host_environment(agent: str, host: Mapping[str, Optional[str]]) -> Iterator[None]:
    """Give a LocalAgent another environment, which it passes on. Other agents do not pass theirs on."""
    removed = {name: None for name in os.environ if name not in host}
    saved: Dict[str, Optional[str]] = {**dict.fromkeys(host), **os.environ}
    if agent == "local" and host != os.environ:
        _update_environ({**removed, **host})
    try:
        yield
    finally:
        _update_environ({name: text for name, text in saved.items() if os.environ.get(name) != text})


def _update_environ(variables: Mapping[str, Optional[str]]) -> None:
    for name, text in variables.items():
        if text is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = text


@contextmanager
def _set(owner: Any, name: str, value: Any) -> Iterator[None]:
    saved = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, saved)
