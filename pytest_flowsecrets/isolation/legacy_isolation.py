"""An isolation of Prefect 0.5.5 to 1.4.1. Without Prefect, a model of it answers."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation import guards
from pytest_flowsecrets.isolation.guards import deferred_signals
from pytest_flowsecrets.isolation.home.private_home import PrefectHome, file_savepoint
from pytest_flowsecrets.isolation.legacy_state import LegacyState
from pytest_flowsecrets.isolation.prefect1.adapter import LegacyPrefect, find_prefect
from pytest_flowsecrets.isolation.prefect1.config_tree import Tree
from pytest_flowsecrets.isolation.prefect1.live_state import PrefectSnapshot
from pytest_flowsecrets.isolation.prefect1.network import CloudGuard, block_default_address
from pytest_flowsecrets.isolation.prefect1.prefect_errors import check_delivery, load_errors_explained
from pytest_flowsecrets.isolation.secrets.injector import Injector
from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets
from pytest_flowsecrets.isolation.secrets.value_changes import ValueChanges
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.versions import DEFAULT_VERSION

if TYPE_CHECKING:
    from pathlib import Path


Variables = Mapping[str, Optional[str]]
Overlay = Dict[str, Optional[str]]


class LegacyIsolation(LegacyState):
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
            self._outside = PrefectSnapshot(self.legacy.live)
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
            inside = PrefectSnapshot(self.legacy.live)
            self._guard.exit()
            resuming.callback(self._guard.enter)
            self._outside.restore()
            resuming.callback(self._restore, inside)

    def _restore(self, inside: PrefectSnapshot) -> None:
        self._outside = PrefectSnapshot(self.require_prefect("suspended").live)
        inside.restore()

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
            self._environment.keep_home()
            block_default_address(legacy.loader, self.injector.set_variable)
            tree = legacy.loader.load()
        registry.register_settings(tree)
        return tree


def _describe(names: Sequence[str]) -> str:
    return "secret " + ", ".join(map(repr, names)) if names else "the current settings"


class EnvOverlays:
    """Temporary environment variables of an isolation, such as those of a fake API or of a flow run.

    Overlays are stacked and can be removed in any order. The topmost overlay of a variable decides its value. If the
    test itself sets the variable, the value of the test stays. A value of None hides the variable.
    """

    def __init__(self) -> None:
        self._overlays: List[Overlay] = []
        self._applied: Overlay = {}
        self._underlying: Dict[str, Tuple[Optional[str], bool]] = {}  # the text, and whether the isolation has set it

    def push(self, injector: Injector, variables: Variables) -> Overlay:
        """Add an overlay on top of the others, and return it for ``pop``."""
        overlay = dict(variables)
        for name, text in overlay.items():
            self._sync(injector, name)
            self._apply(injector, name, text)
        self._overlays.append(overlay)
        return overlay

    def pop(self, injector: Injector, overlay: Overlay) -> None:
        """Remove an overlay from any position."""
        for name in list(overlay):
            self._sync(injector, name)
        self._overlays = [other for other in self._overlays if other is not overlay]
        for name in overlay:
            self._apply(injector, name, self._effective(name))
            if not self._has_overlay(name) and not self._underlying[name][1]:
                injector.variables.pop(name, None)  # the variable belongs to the run or the test again

    def _sync(self, injector: Injector, name: str) -> None:
        """Remember the underlying value of a variable. If the test has set it, drop the variable from all overlays."""
        text = os.environ.get(name)
        if not self._has_overlay(name) or text != self._applied[name]:
            for overlay in self._overlays:
                overlay.pop(name, None)
            self._underlying[name] = text, name in injector.variables

    def _has_overlay(self, name: str) -> bool:
        return any(name in overlay for overlay in self._overlays)

    def _effective(self, name: str) -> Optional[str]:
        return next(
            (overlay[name] for overlay in reversed(self._overlays) if name in overlay), self._underlying[name][0]
        )

    def _apply(self, injector: Injector, name: str, text: Optional[str]) -> None:
        self._applied[name] = text
        if text is None:
            injector.unset_variable(name)
        else:
            injector.set_variable(name, text)
