"""Read secrets, flags and explanations from the real Prefect 0.5.5 to 1.4.1, or from the model if it is not installed.

The model of ``resolution`` provides the explanations in any case. If Prefect is installed, the values always come from
Prefect itself.
"""

from __future__ import annotations

import builtins
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple, Type

from pytest_flowsecrets.errors import PrefectNotInstalled, SecretRejected
from pytest_flowsecrets.isolation.prefect1.adapter import SECRETS, LegacyPrefect
from pytest_flowsecrets.isolation.prefect1.config_tree import MISSING, Tree, at
from pytest_flowsecrets.isolation.prefect1.paths import config_files, missing_files, this_machine
from pytest_flowsecrets.isolation.secrets.encoding import to_builtin
from pytest_flowsecrets.isolation.stack import Isolation

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.explain import Explanation
    from pytest_flowsecrets.resolution.display import Mask
    from pytest_flowsecrets.resolution.layers import Failure, Layer
    from pytest_flowsecrets.resolution.resolve import Resolution

_REJECTED = (
    "a file or variable was changed after Prefect had read it, and now import prefect fails with {}: "
    "undo the change, or call local_secrets.reload() to get the error"
)
_LATE = (
    "its variable or file was changed after Prefect had read it, so the flow does not see the change: "
    "call local_secrets.reload()"
)


class LegacyState(Isolation):
    """The part of an isolation that reads.

    Attributes:
        legacy: the real Prefect, or None if it is not installed.
        version: the version of Prefect, or the version whose rules the model applies.
    """

    legacy: Optional[LegacyPrefect]
    _tree: Tree

    def require_prefect(self, wanted_by: str) -> LegacyPrefect:
        """Return the real Prefect.

        Args:
            wanted_by: the feature that needs Prefect, for the error message.

        Raises:
            PrefectNotInstalled: Prefect is not installed.
        """
        if self.legacy is None:
            raise PrefectNotInstalled(wanted_by)
        return self.legacy

    def secret_name(self, name: str) -> str:
        """Return the name of a secret, which Prefect does not change here."""
        return name

    def by_prefect_name(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """Return the same secrets."""
        return dict(values)

    # -- values -------------------------------------------------------------------------------------------------------

    def view(self) -> Dict[str, Any]:
        """Return the names and raw values of the secrets that this thread sees."""
        self.require_current()
        return self.legacy.context_secrets() if self.legacy else secrets_in(self.model())

    def read(self, name: str) -> Any:
        """Return the result of ``Secret(name).get()``."""
        return self.legacy.get(name) if self.legacy else secret_value(self.model(), name)

    def read_ignoring_flags(self, name: str, raw: Any) -> Any:
        """Return the result that ``Secret(name).get()`` has for a raw value without flags and flow.

        The caller holds the lock.
        """
        return self.legacy.decode(name, raw) if self.legacy else self.read(name)

    def use_local_secrets(self) -> bool:
        """Return the flag as ``Secret.get`` reads it."""
        self.require_current()
        if self.legacy is None:
            return bool(self.model().config["cloud"]["use_local_secrets"])
        return bool(self.legacy.flag("cloud", "use_local_secrets"))

    # -- the model ----------------------------------------------------------------------------------------------------

    def model(self) -> Resolution:
        """Resolve the current files and variables with the model of ``resolution``."""
        self.require_current()
        return resolve_process(self.version)

    def _check_model(self, blamed: str) -> None:
        """Check that Prefect could load the current files and variables.

        Raises:
            SecretRejected: it could not. The error names ``blamed``.
        """
        failure = self.model().failure
        if failure is not None:
            raise SecretRejected(blamed, self.version, failure.type)

    def explain(self, name: str) -> str:
        """Explain what ``Secret(name).get()`` does now in this thread, and why. Values are masked."""
        from pytest_flowsecrets.resolution.display import Mask, one_line

        explanation, note = self._explanation(name)
        notes = [one_line(f"  note    {note}")] if note else []
        return "\n".join([explanation.text(Mask()), *notes, *self.notes(name)])

    def explanation(self, name: str, mask: Mask) -> Dict[str, Any]:
        """Return the explanation of a secret as plain data, with the keys of ``flowsecrets explain --json``."""
        explanation, note = self._explanation(name)
        notes = [*filter(None, [note]), *(each.strip() for each in self.notes(name))]
        return {**explanation.as_dict(mask), "notes": notes}

    def _explanation(self, name: str) -> Tuple[Explanation, str]:
        """Return the explanation of a secret, and a note if Prefect has not read a change."""
        from pytest_flowsecrets.findings.engine import findings
        from pytest_flowsecrets.findings.explain import explain

        resolution, note = self._live_resolution(name)
        return explain(resolution, name, [*findings(resolution), *missing_files()]), note

    def _live_resolution(self, name: str) -> Tuple[Resolution, str]:
        """Return the state of the running Prefect.

        If files or variables have changed since Prefect read them, a note recommends ``reload()``.
        """
        from pytest_flowsecrets.resolution.display import Mask
        from pytest_flowsecrets.resolution.resolve import resolve

        resolution = self.model()
        if self.legacy is None:
            return resolution, ""
        view, note = to_builtin(self.view()), ""
        if resolution.failure is not None:
            note = _REJECTED.format(Mask().failure(resolution.failure))
            resolution = resolve([], {}, self.version, context=view, machine=this_machine())
        elif not _same_in(view, secrets_in(resolution), name):
            note = _LATE if _same_in(view, to_builtin(self._loaded()), name) else ""
            resolution = resolve_process(self.version, view)
        _use_live_state(resolution, self.legacy)
        return resolution, note

    def _loaded(self) -> Tree:
        """Return the names and raw values of the secrets that Prefect has read from its files and variables."""
        secrets = at(self._tree, SECRETS)
        return secrets if isinstance(secrets, Tree) else Tree()


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
