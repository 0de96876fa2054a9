"""The routes of ``@pytest.mark.secret_routes`` by which secrets reach flow runs in production, with one function each.

Each function takes an isolation without secrets and delivers the secrets by its route alone. Where agents are involved,
the real agents create the environment of the flow run, and the test gets that environment. Two parts are left out: the
variables of ``_RUN_ONLY``, because the test calls ``flow.run()`` itself, and ``PYTHONPATH``. Variables of this machine
that Prefect does not read are kept. They represent the variables of the image.
"""

from __future__ import annotations

import os
import warnings
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Tuple

from pytest_flowsecrets.agents.flow_environment import flow_environment
from pytest_flowsecrets.agents.rules import equals_in_option, refused_options
from pytest_flowsecrets.errors import PrefectNotInstalled, RouteUnavailable, UsageError
from pytest_flowsecrets.isolation.secrets.encoding import as_text
from pytest_flowsecrets.isolation.secrets.value_changes import ValueChanges
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment
    from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation

#: Every route with its variants. The first variant is the default.
ROUTES: Dict[str, Tuple[str, ...]] = {
    "context": ("",),
    "config_file": ("raw", "interpolated"),
    "env": ("",),
    "agent": ("local", "host", "docker", "kubernetes", "ecs"),
    "run_config": ("universal", "local", "docker", "kubernetes", "ecs"),
    "job_template": ("secretKeyRef", "value", "envFrom"),
    "cloud": ("",),
}
_RUN_ONLY = (
    "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS",
    "PREFECT__ENGINE__TASK_RUNNER__DEFAULT_CLASS",
    "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS",
    "PREFECT__LOGGING__LOG_TO_CLOUD",
)
_OBJECT_NAME = "flowsecrets"  # the Secret that the job template refers to

Texts = Dict[str, str]


def validate_routes(routes: Iterable[Any]) -> List[str]:
    """Return the routes that a marker names, without duplicates. ``all`` stands for every route.

    Raises:
        UsageError: a name is not a route, or there are no names.
    """
    names = [name for argument in routes for name in (ROUTES if argument == "all" else [argument])]
    if not names:
        raise UsageError(f"the secret_routes mark needs routes: {_choices()}")
    for name in names:
        if not _is_route(name):
            raise UsageError(f"{name!r} is not a route; {_suggestion(name)}choose from {_choices()}")
    return list(dict.fromkeys(names))


def _is_route(name: Any) -> bool:
    if not isinstance(name, str):
        return False
    route, _, variant = name.partition(":")
    return route in ROUTES and (not variant or variant in ROUTES[route])


def _suggestion(name: Any) -> str:
    """Suggest a route for a name that is not one: a variant of that name, or a route with a similar name."""
    variants = [f"{route}:{name}" for route, variants in ROUTES.items() if name and name in variants]
    similar = variants or get_close_matches(str(name), ROUTES, n=1)
    return f"did you mean {' or '.join(similar)}? Otherwise " if similar else ""


def _choices() -> str:
    names = [route + (f" (:{', :'.join(variants)})" if variants[0] else "") for route, variants in ROUTES.items()]
    return ", ".join(["all", *names])


def deliver(route: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, cluster: ClusterSecrets) -> None:
    """Deliver secrets to an isolation by one route.

    Args:
        route: the route, with or without ``:variant``.
        secrets: names and values, as for ``@pytest.mark.secrets``.
        isolation: the isolation that gets the secrets. It undoes the delivery when it ends.
        cluster: the Secrets of the test's cluster.

    Raises:
        RouteUnavailable: the installed Prefect does not have this route, or a package is missing.
        FlowSecretsError: Prefect or the agent rejects a secret. The message holds names, never values.
    """
    name, _, variant = route.partition(":")
    try:
        _DELIVERIES[name](variant or ROUTES[name][0], secrets, isolation, cluster)
        isolation.secrets.value_changes = ValueChanges(isolation)
        if name != "cloud":
            isolation.secrets.value_changes.record(secrets, in_file=name == "config_file", lenient=True)
    except PrefectNotInstalled as error:
        raise RouteUnavailable(str(error)) from None


# -- in this process ---------------------------------------------------------------------------------------------------


def _context(_: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, __: ClusterSecrets) -> None:
    """Call ``prefect.context.setdefault("secrets", {})``, then set ``prefect.context.secrets["KEY"] = "VALUE"``.

    In a process without secrets, ``config`` has no table of secrets. The isolation's empty table is removed first,
    because all threads would share it, and because Prefect up to 0.14.1 restores it after ``with prefect.context(…)``.
    """
    prefect = isolation.require_prefect("the route context").package
    prefect.config.context.pop("secrets", None)
    prefect.context.pop("secrets", None)
    prefect.context.setdefault("secrets", {})
    for name, value in secrets.items():
        prefect.context.secrets[name] = value


def _config_file(variant: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, _: ClusterSecrets) -> None:
    """Write ``[context.secrets]`` of ``~/.prefect/config.toml``: the texts, or ``$NAME`` of variables with them."""
    texts: Dict[str, Any] = _as_texts(secrets)
    if variant == "interpolated":
        variables = {name: f"FLOWSECRETS_TEXT_{number}" for number, name in enumerate(texts, 1)}
        isolation.resources.enter_context(isolation.overlay({variables[name]: texts[name] for name in texts}))
        texts = {name: f"${variable}" for name, variable in variables.items()}
    else:
        scalars = {name: value for name, value in secrets.items() if isinstance(value, (bool, int, float))}
        texts.update(scalars)  # TOML has these types
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the texts; `deliver` compares the values of the test
        isolation.home.write_config({"context": {"secrets": texts}})


def _env(_: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, __: ClusterSecrets) -> None:
    """Set the variables as ``export PREFECT__CONTEXT__SECRETS__KEY=…`` does."""
    isolation.resources.enter_context(isolation.overlay(_variables(secrets)))


# -- by an agent -------------------------------------------------------------------------------------------------------


def _agent(variant: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, _: ClusterSecrets) -> None:
    """Use ``prefect agent … start --env``, or the environment in which a LocalAgent starts (``host``)."""
    version = isolation.require_prefect("the route agent").version
    rejected = refused_options(version, _variables(secrets))
    if rejected and variant != "host":
        raise RouteUnavailable(equals_in_option(version, rejected))
    if variant == "host":
        isolation.resources.enter_context(isolation.overlay(_variables(secrets)))
        _apply(flow_environment("local"), isolation)
    else:
        _apply(flow_environment(variant, agent_env=_variables(secrets)), isolation)


def _run_config(variant: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, _: ClusterSecrets) -> None:
    """Use ``UniversalRun(env=…)`` with a LocalAgent, or the run config of another agent with that agent."""
    version = isolation.require_prefect("the route run_config").version
    from pytest_flowsecrets.agents import real_agents

    agent = "local" if variant == "universal" else variant
    real_agents.require(agent, version)
    is_universal = variant == "universal"
    run_config = real_agents.run_config_of(agent, _variables(secrets), {}, version=version, universal=is_universal)
    _apply(flow_environment(agent, run_config=run_config), isolation)


def _job_template(
    variant: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, cluster: ClusterSecrets
) -> None:
    """Use a job template with plain values, ``secretKeyRef`` or ``envFrom``, and the Kubernetes agent."""
    isolation.require_prefect("the route job_template")
    container = {"name": "flow", **_container_env(variant, secrets, cluster)}
    template = {"spec": {"template": {"spec": {"containers": [container]}}}}
    _apply(flow_environment("kubernetes", job_template=template, cluster_secrets=cluster), isolation)


def _container_env(variant: str, secrets: Mapping[str, Any], cluster: ClusterSecrets) -> Dict[str, Any]:
    """Return the environment part of a container, and create the Kubernetes Secret that it refers to."""
    variables = _variables(secrets)
    if variant == "value":
        return {"env": [{"name": name, "value": text} for name, text in variables.items()]}
    if variant == "envFrom":
        cluster[_OBJECT_NAME] = _as_texts(secrets)
        return {"envFrom": [{"prefix": SECRETS_PREFIX, "secretRef": {"name": _OBJECT_NAME}}]}
    keys = {name: f"secret-{number}" for number, name in enumerate(variables, 1)}
    cluster[_OBJECT_NAME] = {keys[name]: text for name, text in variables.items()}
    references = {name: {"secretKeyRef": {"name": _OBJECT_NAME, "key": key}} for name, key in keys.items()}
    return {"env": [{"name": name, "valueFrom": reference} for name, reference in references.items()]}


def _cloud(_: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, __: ClusterSecrets) -> None:
    """Call ``client.set_secret``, and put the test into a flow run that is Running, where ``secret_value`` works."""
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud

    isolation.require_prefect("the route cloud")
    cloud = isolation.api = isolation.resources.enter_context(FakeCloud())
    client = cloud.client
    for name, value in secrets.items():
        client.set_secret(name, value)
    isolation.resources.enter_context(cloud.executing())


def _apply(env: FlowEnvironment, isolation: LegacyIsolation) -> None:
    """Give this process the environment of a flow run."""
    variables: Dict[str, Any] = {name: env[name] for name in env if name not in (*_RUN_ONLY, "PYTHONPATH")}
    removed = [name for name in os.environ if name.startswith(PREFIX) and name not in env]
    isolation.resources.enter_context(isolation.overlay({**dict.fromkeys(removed), **variables}))


def _variables(secrets: Mapping[str, Any]) -> Texts:
    return {SECRETS_PREFIX + name: text for name, text in _as_texts(secrets).items()}


def _as_texts(secrets: Mapping[str, Any]) -> Texts:
    """Return secrets as an operator writes them: texts unchanged, everything else as JSON."""
    return {name: as_text(name, value) for name, value in secrets.items()}


_DELIVERIES: Dict[str, Callable[..., None]] = {
    "context": _context,
    "config_file": _config_file,
    "env": _env,
    "agent": _agent,
    "run_config": _run_config,
    "job_template": _job_template,
    "cloud": _cloud,
}
