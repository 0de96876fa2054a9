"""Give real Prefect flows their secrets in tests.

Nothing is imported until a name is used, so that having the package installed costs a test run nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.environment import FlowEnvironment
    from pytest_flowsecrets.agents.flow_environment import flow_environment
    from pytest_flowsecrets.backend.cloud_secrets import CloudSecrets
    from pytest_flowsecrets.backend.fake_cloud import FakeCloud, FakeServer
    from pytest_flowsecrets.backend.fault_matching import FaultedOperation
    from pytest_flowsecrets.backend.faults import Fault, Faults
    from pytest_flowsecrets.backend.request_log import RecordedRequest, Requests
    from pytest_flowsecrets.backend.runs.agent_process import AgentProcess
    from pytest_flowsecrets.backend.runs.flow_run import FlowRun, Log
    from pytest_flowsecrets.backend.tenant import Tenant
    from pytest_flowsecrets.clock import FlowClock, frozen_clock
    from pytest_flowsecrets.errors import (
        AgentFailed,
        CloudUnreachable,
        ConfigSyntaxError,
        CreateContainerConfigError,
        FlowRunTimeout,
        FlowSecretsError,
        IncompatibleMarshmallow,
        IsolationEnded,
        PrefectNotInstalled,
        RouteUnavailable,
        SecretChangedWarning,
        SecretReceived,
        SecretRejected,
        TomlDialectWarning,
        UnsupportedPrefect,
        UsageError,
        WriteOnlySecret,
    )
    from pytest_flowsecrets.isolation.context_manager import isolated_prefect
    from pytest_flowsecrets.isolation.home.private_home import PrefectHome
    from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets

__all__ = [
    "AgentFailed",
    "AgentProcess",
    "CloudSecrets",
    "CloudUnreachable",
    "ClusterSecrets",
    "ConfigSyntaxError",
    "CreateContainerConfigError",
    "FakeCloud",
    "FakeServer",
    "Fault",
    "FaultedOperation",
    "Faults",
    "FlowClock",
    "FlowEnvironment",
    "FlowRun",
    "FlowRunTimeout",
    "FlowSecretsError",
    "IncompatibleMarshmallow",
    "IsolationEnded",
    "LocalSecrets",
    "Log",
    "PrefectHome",
    "PrefectNotInstalled",
    "RecordedRequest",
    "Requests",
    "RouteUnavailable",
    "SecretChangedWarning",
    "SecretReceived",
    "SecretRejected",
    "Tenant",
    "TomlDialectWarning",
    "UnsupportedPrefect",
    "UsageError",
    "WriteOnlySecret",
    "flow_environment",
    "frozen_clock",
    "isolated_prefect",
]

_HOMES = {
    "AgentProcess": "pytest_flowsecrets.backend.runs.agent_process",
    "CloudSecrets": "pytest_flowsecrets.backend.cloud_secrets",
    "FakeCloud": "pytest_flowsecrets.backend.fake_cloud",
    "FakeServer": "pytest_flowsecrets.backend.fake_cloud",
    "Fault": "pytest_flowsecrets.backend.faults",
    "FaultedOperation": "pytest_flowsecrets.backend.fault_matching",
    "Faults": "pytest_flowsecrets.backend.faults",
    "RecordedRequest": "pytest_flowsecrets.backend.request_log",
    "Requests": "pytest_flowsecrets.backend.request_log",
    "Tenant": "pytest_flowsecrets.backend.tenant",
    "FlowClock": "pytest_flowsecrets.clock",
    "frozen_clock": "pytest_flowsecrets.clock",
    "LocalSecrets": "pytest_flowsecrets.isolation.secrets.local_secrets",
    "PrefectHome": "pytest_flowsecrets.isolation.home.private_home",
    "isolated_prefect": "pytest_flowsecrets.isolation.context_manager",
    "ClusterSecrets": "pytest_flowsecrets.agents.cluster",
    "FlowRun": "pytest_flowsecrets.backend.runs.flow_run",
    "Log": "pytest_flowsecrets.backend.runs.flow_run",
    "FlowEnvironment": "pytest_flowsecrets.agents.environment",
    "flow_environment": "pytest_flowsecrets.agents.flow_environment",
}


def _keep_bytecode() -> None:
    """Load the modules of this package from their cached bytecode, under pytest too.

    pytest rewrites the assertions of every installed plugin. It compiles each module anew in each run where
    ``PYTHONDONTWRITEBYTECODE`` is set, as in many container images. This package has no assertions to rewrite.
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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "pytest_flowsecrets.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
