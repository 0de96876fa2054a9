"""Give real Prefect flows their secrets in tests.

Nothing is imported until a name is used, so that having the package installed costs a test run nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_flowsecrets.clock import FlowClock, frozen_clock
    from pytest_flowsecrets.errors import (
        CloudUnreachable,
        ConfigSyntaxError,
        FlowSecretsError,
        IsolationEnded,
        PrefectNotInstalled,
        SecretChangedWarning,
        SecretRejected,
        TomlDialectWarning,
        UnsupportedPrefect,
        UsageError,
    )
    from pytest_flowsecrets.isolation.home import PrefectHome
    from pytest_flowsecrets.isolation.secrets import LocalSecrets
    from pytest_flowsecrets.isolation.stack import isolated_prefect

__all__ = [
    "CloudUnreachable",
    "ConfigSyntaxError",
    "FlowClock",
    "FlowSecretsError",
    "IsolationEnded",
    "LocalSecrets",
    "PrefectHome",
    "PrefectNotInstalled",
    "SecretChangedWarning",
    "SecretRejected",
    "TomlDialectWarning",
    "UnsupportedPrefect",
    "UsageError",
    "frozen_clock",
    "isolated_prefect",
]

_HOMES = {
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
