"""Resolve the files and variables of an isolation with the model of ``resolution``.

The model provides explanations, and the values of secrets if Prefect is not installed. If Prefect is installed, the
values always come from Prefect itself.
"""

from __future__ import annotations

import builtins
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple, Type

from pytest_flowsecrets.errors import PrefectNotInstalled
from pytest_flowsecrets.isolation.prefect1.config_tree import MISSING
from pytest_flowsecrets.isolation.prefect1.paths import config_files, missing_files, this_machine
from pytest_flowsecrets.isolation.secrets.encoding import to_builtin

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.prefect1.adapter import LegacyPrefect
    from pytest_flowsecrets.isolation.secrets.holder import LegacyHolder
    from pytest_flowsecrets.resolution.display import Mask
    from pytest_flowsecrets.resolution.layers import Failure, Layer
    from pytest_flowsecrets.resolution.resolve import Resolution

_REJECTED = (
    "  note    a file or variable was changed after Prefect had read it, and now import prefect fails with {}: "
    "undo the change, or call local_secrets.reload() to get the error"
)
_LATE = (
    "  note    its variable or file was changed after Prefect had read it, so the flow does not see the change: "
    "call local_secrets.reload()"
)


def resolve_process(version: str, context: Optional[Mapping[str, Any]] = None) -> Resolution:
    """Resolve ``os.environ`` and the current config files with the rules of a version.

    Args:
        version: the version of Prefect.
        context: the secrets in ``prefect.context``, if they differ from those of the configuration.
    """
    from pytest_flowsecrets.resolution.resolve import resolve

    layers = [_layer(Path(path).read_bytes(), kind, path) for kind, path in config_files(version=version)]
    return resolve(layers, dict(os.environ), version, context=context, machine=this_machine())


@lru_cache(maxsize=4)
def _layer(text: bytes, kind: str, place: str) -> Layer:
    """Read a file. The result is cached: a large file takes seconds, and each read of a secret needs it."""
    from pytest_flowsecrets.resolution.toml_reader import read_layer

    return read_layer(text, kind, place)


def secrets_in(resolution: Resolution) -> Dict[str, Any]:
    """Return the names and raw values of the secrets, as in ``prefect.context``."""
    return {name: to_builtin(resolution.secrets[name]) for name in resolution.names}


def secret_value(resolution: Resolution, name: str) -> Any:
    """Return the result of ``Secret(name).get()``.

    Raises:
        Exception: an error of the type that Prefect raises.
        PrefectNotInstalled: Prefect would send a request to Prefect Cloud.
    """
    outcome = resolution.get(name)
    if outcome.error is not None:
        raise _exception(outcome.error)
    if outcome.kind == "cloud":
        raise PrefectNotInstalled(f"reading {name!r} from Prefect Cloud")
    return to_builtin(outcome.value)


def _exception(failure: Failure) -> Exception:
    kind: Type[Exception] = getattr(builtins, failure.type, ValueError)
    if not issubclass(kind, UnicodeError):
        return kind(failure.safe_message)
    data = b"" if kind is UnicodeDecodeError else ""
    subclass = type(kind.__name__, (kind,), {"__str__": lambda error: error.reason})
    return subclass("utf-8", data, 0, 0, failure.safe_message)  # type: ignore[no-any-return]


def explain_secret(isolation: LegacyHolder, name: str) -> str:
    """Explain what ``Secret(name).get()`` does now in this thread."""
    from pytest_flowsecrets.resolution.display import one_line

    resolution, note = _live_resolution(isolation, name)
    text = describe(resolution, name)
    return f"{text}\n{one_line(note)}" if note else text


def explanation(isolation: LegacyHolder, name: str, mask: Mask) -> Dict[str, Any]:
    """Return the explanation of ``explain_secret`` as plain data, with a list of notes."""
    from pytest_flowsecrets.findings.engine import findings
    from pytest_flowsecrets.findings.explain import explain

    resolution, note = _live_resolution(isolation, name)
    data = explain(resolution, name, [*findings(resolution), *missing_files()]).as_dict(mask)
    return {**data, "notes": [note.replace("  note", "", 1).strip()] if note else []}


def _live_resolution(isolation: LegacyHolder, name: str) -> Tuple[Resolution, str]:
    """Return the state of the running Prefect.

    If files or variables have changed since Prefect read them, a note recommends ``reload()``.
    """
    from pytest_flowsecrets.resolution.display import Mask
    from pytest_flowsecrets.resolution.resolve import resolve

    resolution = isolation.model()
    if isolation.legacy is None:
        return resolution, ""
    view, note = to_builtin(isolation.view()), ""
    if resolution.failure is not None:
        note = _REJECTED.format(Mask().failure(resolution.failure))
        resolution = resolve([], {}, isolation.version, context=view, machine=this_machine())
    elif not _same_in(view, secrets_in(resolution), name):
        note = _LATE if _same_in(view, to_builtin(isolation.loaded), name) else ""
        resolution = resolve_process(isolation.version, view)
    _use_live_state(resolution, isolation.legacy)
    return resolution, note


def _use_live_state(resolution: Resolution, legacy: LegacyPrefect) -> None:
    """Apply the flags of the running Prefect to a resolution, and also its secrets if they are not a table."""
    package = legacy.package
    resolution.building = legacy.is_building()
    for settings, live in ((resolution.config, package.config), (resolution.context, package.context)):
        settings.update({key: to_builtin(live[key]) for key in ("cloud", "backend", "config") if key in live})
    secrets = package.context.get("secrets", {})
    if not hasattr(secrets, "keys"):
        resolution.context["secrets"] = secrets


def _same_in(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> bool:
    first, second = one.get(name, MISSING), other.get(name, MISSING)
    return type(first) is type(second) and bool(first == second)


def describe(resolution: Resolution, name: str) -> str:
    """Return the explanation of a secret as text with masked values."""
    from pytest_flowsecrets.findings.engine import findings
    from pytest_flowsecrets.findings.explain import explain
    from pytest_flowsecrets.resolution.display import Mask

    return explain(resolution, name, [*findings(resolution), *missing_files()]).text(Mask())
