"""How each kind of real agent is made and driven, with all that lies outside Prefect out of the way.

A LocalAgent's ``Popen`` is recorded instead of called; Docker, Kubernetes and ECS are small servers on loopback
(``stub_servers``). Whatever is changed for that is as before when the ``with`` block ends.
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
from pytest_flowsecrets.agents.environment import ABSENT, Entry, merged
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import FLOW_RUN_ID
from pytest_flowsecrets.resolution.masked_names import masked_name

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.model import Written

NAME = "flowsecrets"  # of the agent, and so of its logger
_CLASSES = {"local": "LocalAgent", "docker": "DockerAgent", "kubernetes": "KubernetesAgent", "ecs": "ECSAgent"}
_QUESTIONS = ("_verify_token", "_register_agent")  # which agents of before 0.13.12 ask the API as they are made
_PROXIES = [name for scheme in ("http", "https", "all") for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())]
Sent = Tuple[List[Entry], Mapping[str, Any]]  # the variables in order; the container of Kubernetes


class Driver:
    """How one kind of agent is made, and how what it sends is read."""

    def __init__(self, make: Callable[..., Any], entries: Callable[..., Sent]) -> None:
        self.make, self.entries = make, entries


@contextmanager
def local(written: Written, popen: Optional[Callable[..., Any]] = None) -> Iterator[Driver]:
    """A LocalAgent whose ``Popen`` is another one: by default one that starts nothing."""
    from prefect.agent.local import agent as module

    started: List[Mapping[str, str]] = []

    class Process:
        pid = 0

        def __init__(self, *_: Any, env: Mapping[str, Any], **__: Any) -> None:
            for name, text in env.items():
                problem = _refused_by_popen(name, text)
                if problem:
                    raise UsageError(f"the local agent cannot start the flow run: {masked_name(name)!r} {problem}")
            started.append(env)

    with ExitStack() as stack:
        stack.enter_context(_set(module, "Popen", popen or Process))
        for question in () if popen else _QUESTIONS:
            if hasattr(module.Agent, question):
                stack.enter_context(_set(module.Agent, question, lambda *_: ""))
        if not popen:
            stack.enter_context(_set(module.Agent.__init__.__globals__["Client"], "graphql", _no_tenant))
        yield Driver(partial(_agent, "local", written), lambda: (as_entries(started[-1]), {}))


def _refused_by_popen(name: str, text: Any) -> str:
    """Return why the real ``Popen`` raises TypeError or ValueError for a variable; an empty string if it does not."""
    if "=" in name:
        return "is not a name of a variable: write NAME = 'value', with the value in quotes"
    return "" if isinstance(text, str) else f"is a {agent_errors.kind_of(text)}: write text"


def _no_tenant(*_: Any, **__: Any) -> Any:
    """Answer what clients of 0.13 and 0.14 ask Prefect Server for as they are made; nothing else is asked here."""
    from prefect.utilities.graphql import GraphQLResult

    return GraphQLResult({"data": GraphQLResult({"tenant": []})})


@contextmanager
def _docker(written: Written) -> Iterator[Driver]:
    with stub_servers.serving(stub_servers.Docker()) as endpoint, _loopback():
        url = f"tcp://127.0.0.1:{endpoint.port}"

        def entries() -> Sent:
            pairs = [line.partition("=") for line in endpoint.body("create")["Env"]]
            return [
                Entry(name, text if equals else None, "forced", None, "" if equals else ABSENT)
                for name, equals, text in pairs
            ], {}

        yield Driver(partial(_agent, "docker", written, base_url=url, no_pull=True), entries)


@contextmanager
def _kubernetes(written: Written) -> Iterator[Driver]:
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
            """The agent reads where the cluster is when it is made, and never again."""
            with _loopback(KUBERNETES_SERVICE_HOST=None, KUBECONFIG=path), ExitStack() as stack:
                stack.enter_context(_set(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", path))
                stack.enter_context(_set(Configuration, "_default", None))
                return _agent("kubernetes", written, **more)

        def entries(run_id: str = "") -> Sent:
            container = next(
                each for each in map(kubernetes.container_of, endpoint.bodies("job")) if _is_of(each, run_id)
            )
            return [kubernetes.entry_of(each, "forced") for each in container["env"]], container

        yield Driver(make, entries)


def _is_of(container: Mapping[str, Any], run_id: str) -> bool:
    """Whether a container is that of this flow run, or of any."""
    return not run_id or {"name": FLOW_RUN_ID, "value": run_id} in container["env"]


@contextmanager
def _ecs(written: Written) -> Iterator[Driver]:
    import boto3

    with ExitStack() as stack:
        endpoint = stack.enter_context(stub_servers.serving(stub_servers.Ecs()))
        url = f"http://127.0.0.1:{endpoint.port}"
        stack.enter_context(_loopback(AWS_ENDPOINT_URL=url, **_NOT_OURS))
        if not _session:
            _session.append(boto3.session.Session())
        stack.enter_context(_set(boto3, "DEFAULT_SESSION", _session[0]))
        key = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "eu-west-1"}

        def entries() -> Sent:
            registered = endpoint.body("RegisterTaskDefinition")
            definition = registered["containerDefinitions"] if registered else None
            notes = [] if registered else ["what the task definition of this ARN holds is known only in AWS"]
            overrides = endpoint.body("RunTask")["overrides"]["containerOverrides"]
            sent = model.task_entries(definition, overrides)
            return merged([replace(entry, origin="forced") for entry in sent])[0], {"notes": notes}

        yield Driver(partial(_agent, "ecs", written, launch_type="EC2", **key), entries)


_session: List[Any] = []  # one of boto3 for all; making one takes longer than all the rest
_NOT_OURS = {
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


def _agent(kind: str, written: Written, **more: Any) -> Any:
    from importlib import import_module

    made = getattr(import_module(f"prefect.agent.{kind}"), _CLASSES[kind])
    return made(name=NAME, env_vars=dict(written.agent_env) or None, **more)


def configuration() -> bytes:
    """What an agent reads as it starts, as a digest; secrets of the context are none of it."""
    import prefect

    read = {name: value for name, value in prefect.config.items() if name != "context"}
    return sha256(repr(read).encode()).digest()


def configured_address() -> Optional[str]:
    """Where an agent listens that is not told an address; None where it does not."""
    import prefect

    address: Optional[str] = prefect.config.cloud.agent.get("agent_address")
    return address


def as_entries(texts: Mapping[str, str]) -> List[Entry]:
    """Variables that an agent has set, before it is known where they come from."""
    return [Entry(name, text, "forced") for name, text in texts.items()]


# -- the surroundings --------------------------------------------------------------------------------------------------


@contextmanager
def quiet() -> Iterator[None]:
    """Agents log on handlers of their own, and warn where they look for a cluster."""
    agent, cluster = logging.getLogger(NAME), logging.getLogger("prefect.kubernetes")
    before, level = list(agent.handlers), cluster.level
    agent.addHandler(logging.NullHandler())
    stream = logging.StreamHandler(open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - closed below
    agent.addHandler(stream)  # an agent adds one of its own only where there is none
    cluster.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        agent.handlers[:] = before
        stream.stream.close()
        cluster.setLevel(level)


@contextmanager
def _loopback(**variables: Optional[str]) -> Iterator[None]:
    """Let the clients of this block ask 127.0.0.1 directly, with these variables set, those of None removed."""
    direct: Dict[str, Optional[str]] = {**dict.fromkeys(_PROXIES), **variables}
    before = {name: os.environ.get(name) for name in direct}
    _environ(direct)
    try:
        yield
    finally:
        _environ(before)


@contextmanager
def hosted(agent: str, host: Mapping[str, Optional[str]]) -> Iterator[None]:
    """Let a LocalAgent have another environment, all of which it hands on; other agents hand nothing on."""
    gone = {name: None for name in os.environ if name not in host}
    before: Dict[str, Optional[str]] = {**dict.fromkeys(host), **os.environ}
    if agent == "local" and host != os.environ:
        _environ({**gone, **host})
    try:
        yield
    finally:
        _environ({name: text for name, text in before.items() if os.environ.get(name) != text})


def _environ(variables: Mapping[str, Optional[str]]) -> None:
    for name, text in variables.items():
        if text is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = text


@contextmanager
def _set(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
