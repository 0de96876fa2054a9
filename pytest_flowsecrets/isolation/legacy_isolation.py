"""An isolation of Prefect 0.5.5 to 1.4.1. Without Prefect, a model of it answers."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Optional, Sequence

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation import guards
from pytest_flowsecrets.isolation.env_overlays import EnvOverlays, Variables
from pytest_flowsecrets.isolation.guards import deferred_signals
from pytest_flowsecrets.isolation.home.private_home import PrefectHome, file_savepoint
from pytest_flowsecrets.isolation.prefect1.adapter import (
    LegacyPrefect,
    check_delivery,
    find_prefect,
    load_errors_explained,
)
from pytest_flowsecrets.isolation.prefect1.config_tree import Tree
from pytest_flowsecrets.isolation.prefect1.network import UNREACHABLE, CloudGuard
from pytest_flowsecrets.isolation.prefect1.snapshot import PrefectSnapshot
from pytest_flowsecrets.isolation.prefect_state import PrefectState
from pytest_flowsecrets.isolation.secrets import model
from pytest_flowsecrets.isolation.secrets.injector import Injector
from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets
from pytest_flowsecrets.isolation.secrets.value_changes import ValueChanges
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.names import PREFIX
from pytest_flowsecrets.versions import DEFAULT_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.resolution.display import Mask


class LegacyIsolation(PrefectState):
    """One isolation. Call ``enter`` and ``exit`` only once.

    Args:
        version: the Prefect version whose rules apply if Prefect is not installed.
        of_test: whether the isolation belongs to a whole test. Other threads may then nest isolations inside it.

    Attributes:
        legacy: the real Prefect, or None if it is not installed.
        injector: writes the secrets to variables and files.
    """

    _outside: PrefectSnapshot
    injector: Injector

    def __init__(self, version: str = DEFAULT_VERSION, *, of_test: bool = False) -> None:
        super().__init__(version, of_test=of_test)
        self.legacy: Optional[LegacyPrefect] = None
        self._guard = CloudGuard()
        self._tree = Tree()
        self._overlays = EnvOverlays()

    # -- enter and suspend --------------------------------------------------------------------------------------------

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that this isolation has set in ``os.environ``. There are none if ``enter`` failed early."""
        return self.injector.variables if hasattr(self, "injector") else {}

    def require_legacy(self, feature: str) -> LegacyIsolation:  # noqa: ARG002 - every feature is available
        """Return this isolation."""
        return self

    def set_variables(self, values: Mapping[str, Any]) -> None:  # noqa: ARG002 - the signature
        """Raise an error: this line of Prefect has no variables.

        Raises:
            UsageError: always.
        """
        installed = f"Prefect {self.version} is" if self.legacy else "no Prefect is"
        raise UsageError(f"the variables marker needs Prefect 2.20 or 3, and {installed} installed")

    def _import_prefect(self) -> None:
        self.legacy = find_prefect()

    def _enter_prefect(self, secrets: Mapping[str, Any]) -> None:
        self.injector = Injector(self._root, self.version)
        self.legacy = find_prefect()
        if self.legacy:
            self.version = self.legacy.version
            self._outside = PrefectSnapshot(self.legacy)
            self._undo.callback(lambda: self._outside.restore())  # noqa: PLW0108 - `suspended` replaces the snapshot
            self._undo.callback(self._guard.exit)
            self._guard.enter()
        self._undo.callback(self.scheduled_changes.end)
        self.injector = Injector(self._root, self.version)
        self.home = PrefectHome(self._root, self.writing)
        self.resources.enter_context(registry.folder(self.home.path))
        self.secrets = LocalSecrets(self, ValueChanges(self))
        self.injector.set_secrets(secrets)
        self.secrets.value_changes.record(secrets)
        self.reload(*secrets)

    def _suspend_prefect(self, resuming: ExitStack) -> None:
        if self.legacy:
            inside = PrefectSnapshot(self.legacy)
            self._guard.exit()
            resuming.callback(self._guard.enter)
            self._outside.restore()
            resuming.callback(self._restore, inside)

    def _restore(self, inside: PrefectSnapshot) -> None:
        self._outside = PrefectSnapshot(self.require_prefect("suspended"))
        inside.restore()

    def explain(self, name: str) -> str:
        """Explain where a secret comes from and what changed its value. Values are masked."""
        return "\n".join([model.explain_secret(self, name), *self.notes(name)])

    def explanation(self, name: str, mask: Mask) -> Dict[str, Any]:
        """Return the explanation of a secret as plain data, with the keys of ``flowsecrets explain --json``."""
        data = model.explanation(self, name, mask)
        return {**data, "notes": [*data["notes"], *(note.strip() for note in self.notes(name))]}

    # -- changes ------------------------------------------------------------------------------------------------------

    @contextmanager
    def changing(self, *names: str) -> Iterator[Injector]:
        """Yield the injector for a change of ``names``, then apply the change to Prefect. If that fails, undo it."""
        with deferred_signals(), guards.lock:
            self.require_current()
            undo = self.injector.savepoint()
            try:
                yield self.injector
                self._refresh(names)
            except BaseException:
                if self.active:  # an isolation that has ended in the meantime restores nothing
                    undo()
                raise

    @contextmanager
    def overlay(self, variables: Variables) -> Iterator[None]:
        """Set or (with None) remove variables inside the ``with`` block. Such blocks may overlap in any order.

        At the end of the block, all inner isolations are exited. If this isolation has ended, nothing happens.
        """
        with self.changing() as injector:
            overlay = self._overlays.push(injector, variables)
        try:
            yield
        finally:
            with deferred_signals(), guards.lock:
                if self.active:
                    self.exit_inner()
                    self._overlays.pop(self.injector, overlay)
                    self._refresh(())

    @contextmanager
    def writing(self, target: Path, content: Dict[str, Any], strict: bool) -> Iterator[None]:  # noqa: FBT001
        """Apply a config file to Prefect after its write in the ``with`` block. If ``strict``, undo a failed write."""
        with deferred_signals(), guards.lock:
            self.require_current()
            if not strict:
                self.require_prefect("strict=False")
            undo, restore_file = self.injector.savepoint(), file_savepoint(target)
            try:
                yield
                self.injector.use_private_file(target.name)
                self._refresh((), blamed=str(target), strict=strict)
            except BaseException:
                if strict and self.active:
                    restore_file()
                    undo()
                raise
            self.secrets.compare_file(content)

    def _refresh(self, names: Sequence[str], *, blamed: str = "", strict: bool = True) -> None:
        self._sync()
        if self.legacy is None:
            self._check_model(blamed or _describe(names))
            return
        tree = self._load(self.legacy, blamed or _describe(names), strict=strict)
        check_delivery(tree, names, self.injector.defines)
        self.legacy.apply_changes(self._tree, tree, *names)
        self._tree = tree

    def _sync(self) -> None:
        self.injector.sync()
        self._forkservers.renew()

    def reload(self, *names: str) -> None:
        """Load the whole configuration and apply it. ``names`` are the secrets to name if Prefect cannot load it."""
        with deferred_signals(), guards.lock:
            self.require_current()
            self._sync()
            if self.legacy is None:
                self._check_model(_describe(names))
                return
            self._tree = self._load(self.legacy, _describe(names))
            self.legacy.apply(self._tree)

    def _load(self, legacy: LegacyPrefect, blamed: str, *, strict: bool = True) -> Tree:
        with load_errors_explained(blamed, legacy.version, strict=strict):
            self._set_address(legacy)
            tree = legacy.loader.load()
        registry.register_settings(tree)
        return tree

    def _set_address(self, legacy: LegacyPrefect) -> None:
        """Replace the default address of Cloud by an unreachable one, unless the test or its files set the address."""
        self._environment.keep_home()
        variable = f"{PREFIX}CLOUD__{legacy.loader.cloud_key.upper()}"
        if os.environ.get(variable, UNREACHABLE) == UNREACHABLE:
            os.environ.pop(variable, None)
            if not legacy.loader.is_set_in_files("cloud", legacy.loader.cloud_key):
                self.injector.set_variable(variable, UNREACHABLE)


def _describe(names: Sequence[str]) -> str:
    return "secret " + ", ".join(map(repr, names)) if names else "the current settings"
