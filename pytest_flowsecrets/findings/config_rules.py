"""FS015: a configuration with which nothing works, for a reason that no other rule has told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Optional

from pytest_flowsecrets.findings.model import Finding, where, written
from pytest_flowsecrets.resolution.layers import Origin, type_name
from pytest_flowsecrets.resolution.resolve import Resolution, resolve

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect

_ADVICE = "write tables where tables belong: [context.secrets] in config.toml, one variable for each secret"


def whole_findings(resolution: Resolution) -> Iterator[Finding]:
    """Say that ``import prefect``, or every ``Secret.get()``, fails.

    Args:
        resolution: a resolution about which no rule has found an error.
    """
    message = _trouble(resolution)
    if message is None:
        return
    versions = where(lambda row: _trouble(_again(resolution, row)) == message)
    yield Finding("FS015", "error", "", _origin(resolution), message, versions, _ADVICE)


def _trouble(resolution: Resolution) -> Optional[str]:
    failure = resolution.failure
    if failure is not None:
        unread = any(layer.failure for layer in resolution.layers)  # told by the rules about files
        return None if unread else f"import prefect fails ({failure.type}: {failure.safe_message})"
    if resolution.secrets is None or isinstance(resolution.secrets, dict):
        return None
    return f"context.secrets is no table but {type_name(resolution.secrets)}: Secret.get() fails for every name"


def _again(resolution: Resolution, row: Dialect) -> Resolution:
    layers = [layer for layer in resolution.layers if layer.kind != "defaults"]
    return resolve(layers, resolution.environ, row, machine=resolution.machine)


def _origin(resolution: Resolution) -> Origin:
    """Where the trouble was written: what the error names, else the first line about ``context``, else the file."""
    origins = [slot.origin for slot in written(resolution)]
    told = resolution.failure.where if resolution.failure is not None else ""
    near = [origin for origin in origins if told == str(origin)] or [
        origin for origin in origins if origin.key[:1] == ("context",)
    ]
    return (near or origins)[0]
