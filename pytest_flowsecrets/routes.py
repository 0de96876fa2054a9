"""The roads that secrets take in production, one function each: ``@pytest.mark.secret_routes``.

Each takes an isolation that holds no secret and brings the secrets there by this road alone. What agents make of it is
made by the real agents, and the test then has the environment that the flow run would have, but for two things: which
runner classes a flow run uses and whether it sends its logs (``_OF_THE_RUN``), for the test calls ``flow.run()``
itself, and ``PYTHONPATH``. Variables of the machine that Prefect does not read stay: they stand for those of the image.
"""

from __future__ import annotations

import os
import warnings
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Tuple

from pytest_flowsecrets.agents.flow_environment import flow_environment
from pytest_flowsecrets.agents.rules import equals_in_option, refused_options
from pytest_flowsecrets.errors import PrefectNotInstalled, RouteUnavailable, UsageError
from pytest_flowsecrets.isolation.environment.prefect_variables import PREFIX, SECRETS_PREFIX
from pytest_flowsecrets.isolation.secrets.encoding import as_text
from pytest_flowsecrets.isolation.secrets.value_changes import ValueChanges

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.environment import FlowEnvironment
    from pytest_flowsecrets.isolation.stack import Isolation

#: Every road with its variants, the first being what the bare name means.
ROUTES: Dict[str, Tuple[str, ...]] = {
    "context": ("",),
    "config_file": ("raw", "interpolated"),
    "env": ("",),
    "agent": ("local", "host", "docker", "kubernetes", "ecs"),
    "run_config": ("universal", "local", "docker", "kubernetes", "ecs"),
    "job_template": ("secretKeyRef", "value", "envFrom"),
    "cloud": ("",),
}
_OF_THE_RUN = (
    "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS",
    "PREFECT__ENGINE__TASK_RUNNER__DEFAULT_CLASS",
    "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS",
    "PREFECT__LOGGING__LOG_TO_CLOUD",
)
_OBJECT = "flowsecrets"  # the Kubernetes Secret that the job template refers to

Texts = Dict[str, str]


def validate_routes(routes: Iterable[Any]) -> List[str]:
    """The routes that a mark names; ``all`` stands for each of them once.

    Raises:
        UsageError: there is none of such a name, or none at all.
    """
    named = [route for each in routes for route in (ROUTES if each == "all" else [each])]
    if not named:
        raise UsageError(f"the secret_routes mark needs routes: {_choices()}")
    for route in named:
        road, _, variant = route.partition(":") if isinstance(route, str) else (route, "", "")
        if not isinstance(route, str) or road not in ROUTES or (variant and variant not in ROUTES[road]):
            raise UsageError(f"{route!r} is no route; {_near(route)}choose of {_choices()}")
    return list(dict.fromkeys(named))


def _near(route: Any) -> str:
    """Suggest what a name that is no route may stand for: a variant, or a route that is spelled alike."""
    variants = [f"{road}:{route}" for road, names in ROUTES.items() if route and route in names]
    near = variants or get_close_matches(str(route), ROUTES, n=1)
    return f"did you mean {' or '.join(near)}? Else " if near else ""


def _choices() -> str:
    names = [road + (f" (:{', :'.join(variants)})" if variants[0] else "") for road, variants in ROUTES.items()]
    return ", ".join(["all", *names])


def deliver(route: str, secrets: Mapping[str, Any], isolation: Isolation, cluster: ClusterSecrets) -> None:
    """Bring secrets into an isolation by one road.

    Args:
        route: the road, with ``:variant`` or without.
        secrets: names and values, as for ``@pytest.mark.secrets``.
        isolation: where to; it holds what has to be undone.
        cluster: the Secrets of the test's cluster.

    Raises:
        RouteUnavailable: the installed Prefect has no such road, or a package is missing.
        FlowSecretsError: something on the road refuses; names, never values.
    """
    road, _, variant = route.partition(":")
    try:
        _ROADS[road](variant or ROUTES[road][0], secrets, isolation, cluster)
        isolation.secrets.value_changes = ValueChanges(isolation)
        if road != "cloud":
            isolation.secrets.value_changes.record(secrets, in_file=road == "config_file", lenient=True)
    except PrefectNotInstalled as error:
        raise RouteUnavailable(str(error)) from None


# -- in this process ---------------------------------------------------------------------------------------------------


def _context(_: str, secrets: Mapping[str, Any], isolation: Isolation, __: ClusterSecrets) -> None:
    """``prefect.context.setdefault("secrets", {})``, then ``prefect.context.secrets["KEY"] = "VALUE"``.

    In a process without secrets ``config`` has no table of them; the isolation's empty one would be shared by all
    threads, and up to 0.14.1 brought back at the end of every ``with prefect.context(…)``.
    """
    prefect = isolation.require_prefect("the route context").package
    prefect.config.context.pop("secrets", None)
    prefect.context.pop("secrets", None)
    prefect.context.setdefault("secrets", {})
    for name, value in secrets.items():
        prefect.context.secrets[name] = value


def _config_file(variant: str, secrets: Mapping[str, Any], isolation: Isolation, _: ClusterSecrets) -> None:
    """``[context.secrets]`` of ``~/.prefect/config.toml``: the texts, or ``$NAME`` of variables that hold them."""
    texts: Dict[str, Any] = _written(secrets)
    if variant == "interpolated":
        variables = {name: f"FLOWSECRETS_TEXT_{number}" for number, name in enumerate(texts, 1)}
        isolation.resources.enter_context(isolation.overlay({variables[name]: texts[name] for name in texts}))
        texts = {name: f"${variable}" for name, variable in variables.items()}
    else:
        plain = {name: value for name, value in secrets.items() if isinstance(value, (bool, int, float))}
        texts.update(plain)  # as TOML has them
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is written; what the test gave is compared below
        isolation.home.write_config({"context": {"secrets": texts}})


def _env(_: str, secrets: Mapping[str, Any], isolation: Isolation, __: ClusterSecrets) -> None:
    """``export PREFECT__CONTEXT__SECRETS__KEY=…``."""
    isolation.resources.enter_context(isolation.overlay(_variables(secrets)))


# -- by an agent -------------------------------------------------------------------------------------------------------


def _agent(variant: str, secrets: Mapping[str, Any], isolation: Isolation, _: ClusterSecrets) -> None:
    """``prefect agent … start --env``; or the environment in which a LocalAgent was started."""
    version = isolation.require_prefect("the route agent").version
    refused = refused_options(version, _variables(secrets))
    if refused and variant != "host":
        raise RouteUnavailable(equals_in_option(version, refused))
    if variant == "host":
        isolation.resources.enter_context(isolation.overlay(_variables(secrets)))
        _apply(flow_environment("local"), isolation)
    else:
        _apply(flow_environment(variant, agent_env=_variables(secrets)), isolation)


def _run_config(variant: str, secrets: Mapping[str, Any], isolation: Isolation, _: ClusterSecrets) -> None:
    """``UniversalRun(env=…)`` with a LocalAgent, or the run config of another agent with that one."""
    version = isolation.require_prefect("the route run_config").version
    from pytest_flowsecrets.agents import real_agents

    agent = "local" if variant == "universal" else variant
    real_agents.require(agent, version)
    made = real_agents.run_config_of(agent, _variables(secrets), {}, version=version, universal=variant == "universal")
    _apply(flow_environment(agent, run_config=made), isolation)


def _job_template(variant: str, secrets: Mapping[str, Any], isolation: Isolation, cluster: ClusterSecrets) -> None:
    """A job template with plain values, with ``secretKeyRef`` or with ``envFrom``, and the Kubernetes agent."""
    isolation.require_prefect("the route job_template")
    variables = _variables(secrets)
    if variant == "envFrom":
        cluster[_OBJECT] = _written(secrets)
        container: Dict[str, Any] = {"envFrom": [{"prefix": SECRETS_PREFIX, "secretRef": {"name": _OBJECT}}]}
    elif variant == "value":
        container = {"env": [{"name": name, "value": text} for name, text in variables.items()]}
    else:
        keys = {name: f"secret-{number}" for number, name in enumerate(variables, 1)}
        cluster[_OBJECT] = {keys[name]: text for name, text in variables.items()}
        references = {name: {"secretKeyRef": {"name": _OBJECT, "key": key}} for name, key in keys.items()}
        container = {"env": [{"name": name, "valueFrom": reference} for name, reference in references.items()]}
    template = {"spec": {"template": {"spec": {"containers": [{"name": "flow", **container}]}}}}
    _apply(flow_environment("kubernetes", job_template=template, cluster_secrets=cluster), isolation)


def _cloud(_: str, secrets: Mapping[str, Any], isolation: Isolation, __: ClusterSecrets) -> None:
    """``client.set_secret``, read by ``secret_value`` in a flow run that is Running."""
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud

    isolation.require_prefect("the route cloud")
    cloud = isolation.api = isolation.resources.enter_context(FakeCloud())
    client = cloud.client
    for name, value in secrets.items():
        client.set_secret(name, value)
    isolation.resources.enter_context(cloud.executing())


def _apply(env: FlowEnvironment, isolation: Isolation) -> None:
    """Let this process have the environment of a flow run."""
    given: Dict[str, Any] = {name: env[name] for name in env if name not in (*_OF_THE_RUN, "PYTHONPATH")}
    gone = [name for name in os.environ if name.startswith(PREFIX) and name not in env]
    isolation.resources.enter_context(isolation.overlay({**dict.fromkeys(gone), **given}))


def _variables(secrets: Mapping[str, Any]) -> Texts:
    return {SECRETS_PREFIX + name: text for name, text in _written(secrets).items()}


def _written(secrets: Mapping[str, Any]) -> Texts:
    """Secrets as an operator writes them: texts as they are, everything else as JSON."""
    return {name: as_text(name, value) for name, value in secrets.items()}


_ROADS: Dict[str, Callable[..., None]] = {
    "context": _context,
    "config_file": _config_file,
    "env": _env,
    "agent": _agent,
    "run_config": _run_config,
    "job_template": _job_template,
    "cloud": _cloud,
}
