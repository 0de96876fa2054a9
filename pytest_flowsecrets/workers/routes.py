"""The routes by which secrets reach flow runs of Prefect 2.20 and 3 in production, with one function each.

A flow of these versions reads a secret where it looks for it, so each route names its secrets as Prefect allows:
``my-token`` for a block, ``my_token`` for a variable, ``MY_TOKEN`` for an environment variable or a file. The blocks
and variables to which a template refers exist during the test, as in production.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.agents.manifests import texts_of
from pytest_flowsecrets.errors import UsageError, with_article
from pytest_flowsecrets.isolation.prefect3.blocks import BlockValueChanges
from pytest_flowsecrets.isolation.secrets.encoding import as_text, exact, is_unchanged
from pytest_flowsecrets.leaks.registry import register
from pytest_flowsecrets.workers import real_workers
from pytest_flowsecrets.workers.worker_environment import worker_environment

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.isolation.rest_isolation import RestIsolation

#: Every route with its variants. The first variant is the default.
ROUTES: Dict[str, Tuple[str, ...]] = {
    "block": ("",),
    "variable": ("",),
    "env": ("",),
    "job_variables": ("block", "variable", "env"),
    "pull_step": ("block", "variable", "env"),
    "job_template": ("secretKeyRef", "value", "envFrom"),
}
_OBJECT_NAME = "flowsecrets"  # the Kubernetes Secret that the job template refers to
_STEPS = "prefect.deployments.steps."
_WRITE_FILES = (
    "import os, sys; [open(name, 'w', encoding='utf-8', newline='').write(os.environ[name]) for name in sys.argv[1:] "
    "if name in os.environ]"
)

Texts = Dict[str, str]
Arrived = Dict[str, Tuple[str, Any]]  # by the name of the block, the expression that reads a secret, and its result


class _Delivery(NamedTuple):
    """What a route delivers, and where.

    Attributes:
        isolation: the isolation of the test.
        secrets: the values by the names of their blocks.
        cluster: the Secrets of the test's cluster.
    """

    isolation: RestIsolation
    secrets: Mapping[str, Any]
    cluster: ClusterSecrets

    @property
    def texts(self) -> Texts:
        """The secrets as an operator writes them into environment variables, by the names of the variables."""
        return {variable_name(name): as_text(name, value) for name, value in self.secrets.items()}


def variable_name(block: str) -> str:
    """Return the name of the environment variable for a secret, such as ``MY_TOKEN`` for ``my-token``."""
    return block.upper().replace("-", "_")


def deliver(
    route: str, variant: str, secrets: Mapping[str, Any], isolation: RestIsolation, cluster: ClusterSecrets
) -> None:
    """Deliver secrets to an isolation by one route.

    Args:
        route: the route.
        variant: one of its variants.
        secrets: names and values, as for ``@pytest.mark.secrets``.
        isolation: the isolation that gets the secrets. It undoes the delivery when it ends.
        cluster: the Secrets of the test's cluster.

    Raises:
        RouteUnavailable: a package is missing.
        FlowSecretsError: Prefect or the worker rejects a secret. The message holds names, never values.
    """
    values = isolation.by_prefect_name(secrets)
    for name, value in values.items():
        register(name, value)
    arrived = _DELIVERIES[route](variant, _Delivery(isolation, values, cluster))
    _check_exact(f"{route}:{variant}" if variant else route, values, arrived, isolation.version)
    changes = isolation.secrets.value_changes = RouteValueChanges(isolation.prefect, arrived)
    changes.record(values)


def _check_exact(route: str, values: Mapping[str, Any], arrived: Arrived, version: str) -> None:
    """Check that each ``exact`` text has arrived unchanged.

    Raises:
        UsageError: the route has changed one. The message does not contain the text.
    """
    for name, (expression, result) in arrived.items():
        value = values[name]
        if isinstance(value, exact) and not (isinstance(result, str) and result == value):
            kind = "another text" if isinstance(result, str) else with_article(type(result).__name__)
            raise UsageError(
                f"secret {name!r}: the route {route} cannot deliver exactly this text under Prefect {version}: "
                f"{expression} is {kind}; use the route env, or omit exact()"
            )


class RouteValueChanges(BlockValueChanges):
    """As ``BlockValueChanges``, but for secrets that a route has delivered to another place than a block.

    Args:
        prefect: the installed Prefect.
        arrived: by the name of the block, the expression with which the flow reads the secret, and its result.
    """

    def __init__(self, prefect: Any, arrived: Mapping[str, Tuple[str, Any]]) -> None:
        super().__init__(prefect)
        self._arrived = dict(arrived)

    def _difference(self, name: str) -> Optional[str]:
        if name not in self._arrived:
            return super()._difference(name)
        value = self._inputs[name]
        expression, result = self._arrived.pop(name)
        if is_unchanged(value, result):
            return None
        before, after = type(value).__name__, type(result).__name__
        return (
            f"Secret {name!r} under Prefect {self._prefect.version}: the test set {before}, {expression} is "
            f"{after if before != after else 'another ' + after}; set text, and convert it in the flow"
        )


def _block(_: str, delivery: _Delivery) -> Arrived:
    """Call ``Secret(value=…).save(name)``."""
    delivery.isolation.set_secrets(delivery.secrets)
    return {}


def _variable(_: str, delivery: _Delivery) -> Arrived:
    """Call ``Variable.set(name, value)``. Prefect 2.20 stores text only."""
    is_typed = delivery.isolation.prefect.release >= (3, 0, 0)
    values = {
        name.replace("-", "_"): value if is_typed else as_text(name, value) for name, value in delivery.secrets.items()
    }
    delivery.isolation.set_variables(values)
    names = {name: name.replace("-", "_") for name in delivery.secrets}
    return {name: (f"Variable.get({variable!r})", values[variable]) for name, variable in names.items()}


def _env(_: str, delivery: _Delivery) -> Arrived:
    """Set the variables as ``export NAME=…`` does, in the environment of the flow itself."""
    return _enter_environment(delivery, delivery.texts)


def _job_variables(variant: str, delivery: _Delivery) -> Arrived:
    """Use ``env`` in the ``job_variables`` of a deployment, and a process worker."""
    job_variables = {"env": _templates(variant, delivery)}
    if variant == "env":
        with _environment(delivery.texts):
            job_variables = real_workers.resolve_environment(job_variables)
    env = worker_environment("process", job_variables=job_variables)
    return _enter_environment(delivery, {name: env[name] for name in delivery.texts})


def _pull_step(variant: str, delivery: _Delivery) -> Arrived:
    """Run pull steps that write each secret into a file of the working directory."""
    resources = delivery.isolation.resources
    folder = resources.enter_context(tempfile.TemporaryDirectory(dir=delivery.isolation.home.path))
    resources.callback(os.chdir, os.getcwd())
    templates = _templates(variant, delivery)
    script = " ".join(map(shlex.quote, [sys.executable, "-c", _WRITE_FILES, *templates]))
    step: Dict[str, Any] = {"script": script, "directory": folder, "env": templates, "stream_output": False}
    steps: List[Dict[str, Any]] = [
        {f"{_STEPS}run_shell_script": step},
        {f"{_STEPS}set_working_directory": {"directory": folder}},
    ]
    with _environment(delivery.texts if variant == "env" else {}):
        real_workers.run_pull_steps(steps)
    for name in delivery.secrets:
        if not os.path.exists(variable_name(name)):
            raise UsageError(
                f"secret {name!r}: Prefect {delivery.isolation.version} drops {variable_name(name)} from the pull step"
                ", because its value contains a template that cannot be resolved; use the route env"
            )
    return {name: (f"the file {variable_name(name)}", _read(variable_name(name))) for name in delivery.secrets}


def _job_template(variant: str, delivery: _Delivery) -> Arrived:
    """Use the base job template of a Kubernetes work pool, with plain values, ``secretKeyRef`` or ``envFrom``."""
    template = real_workers.default_template("kubernetes")
    container = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"][0]
    container.update(_container_env(variant, delivery))
    env = worker_environment("kubernetes", job_template=template, cluster_secrets=delivery.cluster)
    return _enter_environment(delivery, {name: env[name] for name in delivery.texts})


def _container_env(variant: str, delivery: _Delivery) -> Dict[str, Any]:
    """Return the environment part of a container, and create the Kubernetes Secret that it refers to."""
    texts = delivery.texts
    if variant == "value":
        return {"env": [{"name": name, "value": text} for name, text in texts.items()]}
    delivery.cluster[_OBJECT_NAME] = texts
    if variant == "envFrom":
        return {"envFrom": [{"secretRef": {"name": _OBJECT_NAME}}]}
    references = {name: {"secretKeyRef": {"name": _OBJECT_NAME, "key": name}} for name in texts}
    return {"env": [{"name": name, "valueFrom": reference} for name, reference in references.items()]}


def _templates(variant: str, delivery: _Delivery) -> Texts:
    """Return environment variables with templates, and store what the templates refer to."""
    if variant == "block":
        delivery.isolation.set_secrets(delivery.secrets)
        # A worker inserts the stored value. The one for `Secret.load` may have quotes, or be no text.
        texts = {name: str(value) for name, value in delivery.secrets.items() if isinstance(value, exact)}
        delivery.isolation.set_stored_texts(texts)
        return {variable_name(name): f"{{{{ prefect.blocks.secret.{name} }}}}" for name in delivery.secrets}
    if variant == "variable":
        texts = {name.replace("-", "_"): as_text(name, value) for name, value in delivery.secrets.items()}
        delivery.isolation.set_variables(texts)
        return {name.upper(): f"{{{{ prefect.variables.{name} }}}}" for name in texts}
    return {name: f"{{{{ ${name} }}}}" for name in delivery.texts}


def _enter_environment(delivery: _Delivery, variables: Mapping[str, str]) -> Arrived:
    delivery.isolation.resources.enter_context(_environment(variables))
    names = {name: variable_name(name) for name in delivery.secrets}
    return {name: (f"os.environ[{variable!r}]", variables[variable]) for name, variable in names.items()}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables inside the ``with`` block.

    Raises:
        UsageError: a process cannot have one of them.
    """
    texts = texts_of("this route", variables)
    before = {name: os.environ.get(name) for name in texts}
    os.environ.update(texts)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


def _read(path: str) -> str:
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


_DELIVERIES: Dict[str, Callable[[str, _Delivery], Arrived]] = {
    "block": _block,
    "variable": _variable,
    "env": _env,
    "job_variables": _job_variables,
    "pull_step": _pull_step,
    "job_template": _job_template,
}
