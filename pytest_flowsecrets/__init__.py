"""Set secrets for flows of the real Prefect in tests.

The package imports a module only when one of its names is used, so that an unused installation does not slow down a
test run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets as ClusterSecrets
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment as FlowEnvironment
    from pytest_flowsecrets.backend.cassettes.player import Player as Player
    from pytest_flowsecrets.backend.cassettes.player import replay as replay
    from pytest_flowsecrets.backend.cloud_secrets import CloudSecrets as CloudSecrets
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud as FakeCloud
    from pytest_flowsecrets.backend.fake_cloud import FakeServer as FakeServer
    from pytest_flowsecrets.backend.fault_matching import FaultedOperation as FaultedOperation
    from pytest_flowsecrets.backend.faults import Fault as Fault
    from pytest_flowsecrets.backend.faults import Faults as Faults
    from pytest_flowsecrets.backend.request_log import RecordedRequest as RecordedRequest
    from pytest_flowsecrets.backend.request_log import Requests as Requests
    from pytest_flowsecrets.backend.rest.fake_server import RestCloud as RestCloud
    from pytest_flowsecrets.backend.rest.fake_server import RestServer as RestServer
    from pytest_flowsecrets.backend.runs.agent_process import AgentProcess as AgentProcess
    from pytest_flowsecrets.backend.runs.flow_run import FlowRun as FlowRun
    from pytest_flowsecrets.backend.runs.flow_run import Log as Log
    from pytest_flowsecrets.backend.tenant import Tenant as Tenant
    from pytest_flowsecrets.clock import FlowClock as FlowClock
    from pytest_flowsecrets.clock import frozen_clock as frozen_clock
    from pytest_flowsecrets.errors import AgentFailed as AgentFailed
    from pytest_flowsecrets.errors import CloudUnreachable as CloudUnreachable
    from pytest_flowsecrets.errors import ConfigSyntaxError as ConfigSyntaxError
    from pytest_flowsecrets.errors import CreateContainerConfigError as CreateContainerConfigError
    from pytest_flowsecrets.errors import FlowRunTimeout as FlowRunTimeout
    from pytest_flowsecrets.errors import FlowSecretsError as FlowSecretsError
    from pytest_flowsecrets.errors import IncompatibleMarshmallow as IncompatibleMarshmallow
    from pytest_flowsecrets.errors import IsolationEnded as IsolationEnded
    from pytest_flowsecrets.errors import PrefectNotInstalled as PrefectNotInstalled
    from pytest_flowsecrets.errors import RouteUnavailable as RouteUnavailable
    from pytest_flowsecrets.errors import SecretChangedWarning as SecretChangedWarning
    from pytest_flowsecrets.errors import SecretNotFound as SecretNotFound
    from pytest_flowsecrets.errors import SecretReceived as SecretReceived
    from pytest_flowsecrets.errors import SecretRejected as SecretRejected
    from pytest_flowsecrets.errors import TomlDialectWarning as TomlDialectWarning
    from pytest_flowsecrets.errors import UnsupportedPrefect as UnsupportedPrefect
    from pytest_flowsecrets.errors import UsageError as UsageError
    from pytest_flowsecrets.errors import WriteOnlySecret as WriteOnlySecret
    from pytest_flowsecrets.isolation.context_manager import isolated_prefect as isolated_prefect
    from pytest_flowsecrets.isolation.home.private_home import PrefectHome as PrefectHome
    from pytest_flowsecrets.isolation.secrets.encoding import exact as exact
    from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets as LocalSecrets
    from pytest_flowsecrets.leaks.findings import Leak as Leak
    from pytest_flowsecrets.leaks.secret_leaks import SecretLeaks as SecretLeaks
    from pytest_flowsecrets.workers.flow_environment import flow_environment as flow_environment

# The modules that define the public names. For type checkers, the imports above define the same names.
_EXPORTS = {
    "agents.cluster": "ClusterSecrets",
    "agents.variable_origins": "FlowEnvironment",
    "backend.cassettes.player": "Player replay",
    "backend.cloud_secrets": "CloudSecrets",
    "backend.fake_cloud": "FakeCloud FakeServer",
    "backend.fault_matching": "FaultedOperation",
    "backend.faults": "Fault Faults",
    "backend.request_log": "RecordedRequest Requests",
    "backend.rest.fake_server": "RestCloud RestServer",
    "backend.runs.agent_process": "AgentProcess",
    "backend.runs.flow_run": "FlowRun Log",
    "backend.tenant": "Tenant",
    "clock": "FlowClock frozen_clock",
    "errors": (
        "AgentFailed CloudUnreachable ConfigSyntaxError CreateContainerConfigError "
        "FlowRunTimeout FlowSecretsError IncompatibleMarshmallow IsolationEnded "
        "PrefectNotInstalled RouteUnavailable SecretChangedWarning SecretNotFound "
        "SecretReceived SecretRejected TomlDialectWarning UnsupportedPrefect UsageError "
        "WriteOnlySecret"
    ),
    "isolation.context_manager": "isolated_prefect",
    "isolation.home.private_home": "PrefectHome",
    "isolation.secrets.encoding": "exact",
    "isolation.secrets.local_secrets": "LocalSecrets",
    "leaks.findings": "Leak",
    "leaks.secret_leaks": "SecretLeaks",
    "workers.flow_environment": "flow_environment",
}
_HOMES = {name: module for module, names in _EXPORTS.items() for name in names.split()}
__all__ = sorted(_HOMES)  # noqa: PLE0605 - type checkers use the imports above


def _keep_bytecode() -> None:
    """Load the modules of this package from their cached bytecode, also in pytest.

    pytest rewrites the assertions of every installed plugin. With ``PYTHONDONTWRITEBYTECODE``, which many container
    images set, it therefore compiles each module again in every run. This package has no assertions to rewrite.
    """
    import sys

    if "_pytest.assertion.rewrite" in sys.modules:
        from importlib.machinery import ModuleSpec, PathFinder

        class Finder:
            """Finds the modules of this package before the hook of pytest does."""

            @staticmethod
            def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
                return PathFinder.find_spec(name, path, target) if name.startswith(f"{__name__}.") else None

        sys.meta_path.insert(0, Finder)


_keep_bytecode()


if not TYPE_CHECKING:  # with `__getattr__`, type checkers would accept any name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
