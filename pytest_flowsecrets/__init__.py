"""Give real Prefect flows their secrets in tests.

Nothing is imported until a name is used, so that having the package installed costs a test run nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.cloud import FakeCloud, FakeServer
    from pytest_flowsecrets.backend.cloud_secrets import CloudSecrets
    from pytest_flowsecrets.backend.faults import Fault, FaultedOperation, Faults
    from pytest_flowsecrets.backend.journal import RecordedRequest, Requests
    from pytest_flowsecrets.backend.tenants import Tenant
    from pytest_flowsecrets.clock import FlowClock, frozen_clock
    from pytest_flowsecrets.errors import (
        CloudUnreachable,
        ConfigSyntaxError,
        FlowSecretsError,
        IsolationEnded,
        PrefectNotInstalled,
        SecretChangedWarning,
        SecretReceived,
        SecretRejected,
        TomlDialectWarning,
        UnsupportedPrefect,
        UsageError,
        WriteOnlySecret,
    )
    from pytest_flowsecrets.isolation.home import PrefectHome
    from pytest_flowsecrets.isolation.secrets import LocalSecrets
    from pytest_flowsecrets.isolation.stack import isolated_prefect

__all__ = [
    "CloudSecrets",
    "CloudUnreachable",
    "ConfigSyntaxError",
    "FakeCloud",
    "FakeServer",
    "Fault",
    "FaultedOperation",
    "Faults",
    "FlowClock",
    "FlowSecretsError",
    "IsolationEnded",
    "LocalSecrets",
    "PrefectHome",
    "PrefectNotInstalled",
    "RecordedRequest",
    "Requests",
    "SecretChangedWarning",
    "SecretReceived",
    "SecretRejected",
    "Tenant",
    "TomlDialectWarning",
    "UnsupportedPrefect",
    "UsageError",
    "WriteOnlySecret",
    "frozen_clock",
    "isolated_prefect",
]

_HOMES = {
    "CloudSecrets": "pytest_flowsecrets.backend.cloud_secrets",
    "FakeCloud": "pytest_flowsecrets.backend.cloud",
    "FakeServer": "pytest_flowsecrets.backend.cloud",
    "Fault": "pytest_flowsecrets.backend.faults",
    "FaultedOperation": "pytest_flowsecrets.backend.faults",
    "Faults": "pytest_flowsecrets.backend.faults",
    "RecordedRequest": "pytest_flowsecrets.backend.journal",
    "Requests": "pytest_flowsecrets.backend.journal",
    "Tenant": "pytest_flowsecrets.backend.tenants",
    "FlowClock": "pytest_flowsecrets.clock",
    "frozen_clock": "pytest_flowsecrets.clock",
    "LocalSecrets": "pytest_flowsecrets.isolation.secrets",
    "PrefectHome": "pytest_flowsecrets.isolation.home",
    "isolated_prefect": "pytest_flowsecrets.isolation.stack",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "pytest_flowsecrets.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
