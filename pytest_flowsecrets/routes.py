"""The routes of ``@pytest.mark.secret_routes`` by which secrets reach flow runs in production, with one function each.

Prefect 2.20 and 3 have other routes: see ``workers.routes``. Each function here takes an isolation without secrets and
delivers the secrets by its route alone. Where agents are involved, the real agents create the environment of the flow
run, and the test gets that environment. Two parts are left out: the variables of ``_RUN_ONLY``, because the test calls
``flow.run()`` itself, and ``PYTHONPATH``. Variables of this machine that Prefect does not read are kept. They represent
the variables of the image.
"""

from __future__ import annotations

import json
import os
import warnings
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Tuple, cast

from pytest_flowsecrets.agents.agent_environment import agent_environment
from pytest_flowsecrets.agents.rules import equals_in_option, refused_options
from pytest_flowsecrets.errors import PrefectNotInstalled, RouteUnavailable, UsageError
from pytest_flowsecrets.isolation.secrets.encoding import as_text, exact
from pytest_flowsecrets.isolation.secrets.injector import write_exactly
from pytest_flowsecrets.isolation.secrets.value_changes import ValueChanges
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX
from pytest_flowsecrets.resolution import secret_get
from pytest_flowsecrets.resolution.dialects import dialect_for
from pytest_flowsecrets.versions import installed_version, uses_rest_api

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment
    from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation
    from pytest_flowsecrets.isolation.rest_isolation import RestIsolation
    from pytest_flowsecrets.isolation.stack import Isolation

#: Every route of Prefect 0.5.5 to 1.4.1 with its variants. The first variant is the default.
ROUTES: Dict[str, Tuple[str, ...]] = {
    "context": ("",),
    "config_file": ("raw", "interpolated"),
    "env": ("",),
    "agent": ("local", "host", "docker", "kubernetes", "ecs"),
    "run_config": ("universal", "local", "docker", "kubernetes", "ecs"),
    "job_template": ("secretKeyRef", "value", "envFrom"),
    "cloud": ("",),
}
# Routes of the other line of Prefect, with the route that takes its place.
_INSTEAD = {
    "context": "block",
    "config_file": "block",
    "agent": "job_variables",
    "run_config": "job_variables",
    "cloud": "block",
    "block": "cloud",
    "variable": "config_file",
    "job_variables": "run_config",
    "pull_step": "env",
}
_RUN_ONLY = (
    "PREFECT__ENGINE__FLOW_RUNNER__DEFAULT_CLASS",
    "PREFECT__ENGINE__TASK_RUNNER__DEFAULT_CLASS",
    "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS",
    "PREFECT__LOGGING__LOG_TO_CLOUD",
)
_OBJECT_NAME = "flowsecrets"  # the Secret that the job template refers to

Texts = Dict[str, str]


def available_routes() -> Mapping[str, Tuple[str, ...]]:
    """Return every route of the installed line of Prefect with its variants; without Prefect, of 0.5.5 to 1.4.1."""
    if not uses_rest_api():
        return ROUTES
    from pytest_flowsecrets.workers.routes import ROUTES as REST_ROUTES

    return REST_ROUTES


def validate_routes(names: Iterable[Any]) -> List[str]:
    """Return the routes that a marker names, without duplicates. ``all`` stands for every route.

    Raises:
        UsageError: a name is not a route of the installed Prefect, or there are no names.
    """
    routes = available_routes()
    chosen = [route for name in names for route in (routes if name == "all" else [name])]
    if not chosen:
        raise UsageError(f"the secret_routes marker needs routes: {_choices()}")
    for name in chosen:
        if not _is_route(name, routes):
            raise UsageError(_no_route(name))
    return list(dict.fromkeys(chosen))


def _is_route(name: Any, routes: Mapping[str, Tuple[str, ...]]) -> bool:
    if not isinstance(name, str):
        return False
    route, _, variant = name.partition(":")
    return route in routes and (not variant or variant in routes[route])


def _no_route(name: Any) -> str:
    """Describe a name that is not a route of the installed Prefect."""
    route = str(name).partition(":")[0]
    if isinstance(name, str) and route in _INSTEAD and route not in available_routes():
        line = "0.5.5 to 1.4.1" if uses_rest_api() else "2.20 and 3"
        installed = f"Prefect {installed_version()}" if installed_version() else "no Prefect"
        return f"{name!r} is a route of Prefect {line}, and {installed} is installed: use {_INSTEAD[route]!r} instead"
    return f"{name!r} is not a route; {_suggestion(name)}choose from {_choices()}"


def _suggestion(name: Any) -> str:
    """Suggest a route for a name that is not one: a variant of that name, or a route with a similar name."""
    routes = available_routes()
    variants = [f"{route}:{name}" for route, variants in routes.items() if name and name in variants]
    similar = variants or get_close_matches(str(name), routes, n=1)
    return f"did you mean {' or '.join(similar)}? Otherwise " if similar else ""


def _choices() -> str:
    routes = available_routes().items()
    names = [route + (f" (:{', :'.join(variants)})" if variants[0] else "") for route, variants in routes]
    return ", ".join(["all", *names])


def deliver(route: str, secrets: Mapping[str, Any], isolation: Isolation, cluster: ClusterSecrets) -> None:
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
    variant = variant or available_routes()[name][0]
    if uses_rest_api():
        from pytest_flowsecrets.workers.routes import deliver as deliver_by_worker

        deliver_by_worker(name, variant, secrets, cast("RestIsolation", isolation), cluster)
        return
    try:
        _deliver(name, variant, secrets, isolation.require_legacy("this route"), cluster)
    except PrefectNotInstalled as error:
        raise RouteUnavailable(str(error)) from None


def _deliver(
    name: str, variant: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, cluster: ClusterSecrets
) -> None:
    written = {key: _exact(name, key, value, isolation.version) for key, value in secrets.items()}
    _DELIVERIES[name](variant, written, isolation, cluster)
    isolation.secrets.value_changes = ValueChanges(isolation)
    if name != "cloud":
        isolation.secrets.value_changes.record(secrets, in_file=name == "config_file", lenient=True)


def _exact(route: str, name: str, value: Any, version: str) -> Any:
    """Return the text to write on a route so that a flow gets an ``exact`` value; other values unchanged."""
    if not isinstance(value, exact):
        return value
    if route in ("context", "cloud"):
        is_decoded = route == "context" or dialect_for(version).lookup.context_first
        is_changed = is_decoded and secret_get.decode_json(str(value)).value != value
        return json.dumps(value) if is_changed else str(value)
    text, in_file = write_exactly(name, value, version, in_file=route == "config_file")
    if in_file and route != "config_file":
        raise RouteUnavailable(f"no variable gives a flow the exact text of secret {name!r} under Prefect {version}")
    return text


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
        _apply(agent_environment("local"), isolation)
    else:
        _apply(agent_environment(variant, agent_env=_variables(secrets)), isolation)


def _run_config(variant: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, _: ClusterSecrets) -> None:
    """Use ``UniversalRun(env=…)`` with a LocalAgent, or the run config of another agent with that agent."""
    version = isolation.require_prefect("the route run_config").version
    from pytest_flowsecrets.agents import real_agents

    agent = "local" if variant == "universal" else variant
    real_agents.require(agent, version)
    is_universal = variant == "universal"
    run_config = real_agents.run_config_of(agent, _variables(secrets), {}, version=version, universal=is_universal)
    _apply(agent_environment(agent, run_config=run_config), isolation)


def _job_template(
    variant: str, secrets: Mapping[str, Any], isolation: LegacyIsolation, cluster: ClusterSecrets
) -> None:
    """Use a job template with plain values, ``secretKeyRef`` or ``envFrom``, and the Kubernetes agent."""
    isolation.require_prefect("the route job_template")
    container = {"name": "flow", **_container_env(variant, secrets, cluster)}
    template = {"spec": {"template": {"spec": {"containers": [container]}}}}
    _apply(agent_environment("kubernetes", job_template=template, cluster_secrets=cluster), isolation)


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
    isolation.resources.enter_context(cloud.flow_run())


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
