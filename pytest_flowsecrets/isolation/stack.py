"""The stack of isolations of the real Prefect.

An isolation belongs to the process, not to a thread, because threads share ``os.environ`` and flow runs start threads.
Isolations can be nested and exited in any order. To exit one that is not the innermost first exits those inside it.

Every thread may read and change the secrets of the innermost isolation. Changes happen one after another. The module
``guards.lock`` decides which threads may enter an isolation.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence

from pytest_flowsecrets.errors import FlowSecretsError, IsolationEnded
from pytest_flowsecrets.isolation.env_overlays import EnvOverlays, Variables
from pytest_flowsecrets.isolation.environment.prefect_variables import PrefectVariables, current_variables
from pytest_flowsecrets.isolation.guards import lock
from pytest_flowsecrets.isolation.guards.forkserver import ForkServers
from pytest_flowsecrets.isolation.guards.signals import deferred_signals
from pytest_flowsecrets.isolation.home.private_home import PrefectHome, file_savepoint, homes
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
from pytest_flowsecrets.isolation.secrets.injector import Injector
from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets
from pytest_flowsecrets.isolation.secrets.scheduled_changes import ScheduledChanges
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.names import PREFIX
from pytest_flowsecrets.versions import DEFAULT_VERSION

if TYPE_CHECKING:
    from pathlib import Path


_entered: List[Isolation] = []


def depth() -> int:
    """Return the number of active isolations."""
    return len(_entered)


def current() -> Optional[Isolation]:
    """Return the innermost isolation, or None if there is none."""
    return _entered[-1] if _entered else None


def _owners() -> List[lock.Owner]:
    return [isolation.owner for isolation in _entered]


def unwind(to: int = 0) -> None:
    """Exit isolations until only ``to`` are active. At the end of a run, this is the safety net."""
    with lock.lock:
        while len(_entered) > to:
            _entered[-1].exit()


class Isolation(PrefectState):
    """One isolation. Call ``enter`` and ``exit`` only once.

    Args:
        version: the Prefect version whose rules apply if Prefect is not installed.
        of_test: whether the isolation belongs to a whole test. Other threads may then nest isolations inside it.

    Attributes:
        api: the fake API of the route ``cloud``.
        resources: resources that are closed just before the isolation ends.
    """

    _outside: PrefectSnapshot
    home: PrefectHome
    secrets: LocalSecrets
    injector: Injector

    def __init__(self, version: str = DEFAULT_VERSION, *, of_test: bool = False) -> None:
        self.legacy: Optional[LegacyPrefect] = None
        self.version = version
        self._environment = PrefectVariables()
        self._forkservers = ForkServers()
        self._guard = CloudGuard()
        self._tree = Tree()
        self._overlays = EnvOverlays()
        self.api: Any = None
        self.resources = ExitStack()
        self.scheduled_changes = ScheduledChanges(lock.lock, self._set_if_current)
        self.owner = lock.Owner(of_test=of_test)
        self._undo = ExitStack()

    # -- enter and exit -----------------------------------------------------------------------------------------------

    def enter(self, secrets: Mapping[str, Any]) -> None:
        """Hide the developer's configuration and set ``secrets``. If that fails, everything is restored.

        Raises:
            UsageError: another thread does not exit its own isolation.
        """
        while not self._enter_in_turn(secrets):
            self.owner.wait_for_turn(_owners)

    def _enter_in_turn(self, secrets: Mapping[str, Any]) -> bool:
        try:
            with deferred_signals(), lock.lock:
                if not self.owner.may_enter(_owners()):
                    return False
                self._import_prefect_unisolated()
                self._enter(secrets)
        except BaseException:  # also from a deferred signal
            self.exit()
            raise
        return True

    def _import_prefect_unisolated(self) -> None:
        """Import Prefect with the developer's own configuration, which is restored when the isolation ends."""
        try:
            self.legacy = find_prefect()
        except FlowSecretsError:
            raise
        except Exception:  # noqa: BLE001, S110 - the developer's config may be broken; the isolation ignores it
            pass

    def _enter(self, secrets: Mapping[str, Any]) -> None:
        hidden: Dict[str, str] = {}
        for outer in _entered:
            hidden.update(outer.injector.variables)
        self._root = homes.acquire()
        self._undo.callback(homes.release, self._root)
        self._undo.callback(self._environment.exit)
        self._undo.callback(self._forkservers.exit)
        self._undo.callback(_entered.remove, self)
        _entered.append(self)
        self._environment.enter(str(self._root), hidden)
        self._forkservers.enter()
        self.injector = Injector(self._root, self.version)
        self._enter_prefect()
        self._undo.callback(self.scheduled_changes.end)
        self.injector = Injector(self._root, self.version)
        self.home = PrefectHome(self._root, self.writing)
        self.resources.enter_context(registry.folder(self.home.path))
        self.secrets = LocalSecrets(self)
        self.injector.set_secrets(secrets)
        self.secrets.value_changes.record(secrets)
        self.reload(*secrets)

    def _enter_prefect(self) -> None:
        self.legacy = find_prefect()
        if self.legacy:
            self.version = self.legacy.version
            self._outside = PrefectSnapshot(self.legacy)
            self._undo.callback(lambda: self._outside.restore())  # noqa: PLW0108 - `suspended` replaces the snapshot
            self._undo.callback(self._guard.exit)
            self._guard.enter()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Restore the state from before this innermost isolation inside the ``with`` block. Changes there persist."""
        resuming = ExitStack()
        try:
            with deferred_signals(), lock.lock:
                self.require_current()
                self._suspend(resuming)
            yield
        finally:
            try:
                self._resume(resuming)
            except BaseException:  # a signal may have arrived before the call began
                self._resume(resuming)
                raise

    def _suspend(self, resuming: ExitStack) -> None:
        variables, inside = current_variables(), PrefectSnapshot(self.legacy) if self.legacy else None
        if inside:
            self._guard.exit()
            resuming.callback(self._guard.enter)
            self._outside.restore()
            resuming.callback(self._restore, inside)
        self._forkservers.exit()
        resuming.callback(self._forkservers.enter)
        self._environment.exit()
        resuming.callback(self._environment.resume, variables)
        _entered.remove(self)
        resuming.callback(_entered.append, self)

    def _restore(self, inside: PrefectSnapshot) -> None:
        self._outside = PrefectSnapshot(self.require_prefect("suspended"))
        inside.restore()

    @staticmethod
    def _resume(resuming: ExitStack) -> None:
        with deferred_signals(), lock.lock:
            resuming.close()

    def exit(self) -> None:
        """Restore the state from before ``enter``, after exiting all inner isolations. A second call does nothing."""
        try:
            self._exit()
        except BaseException:  # a signal may have arrived before the call began
            self._exit()
            raise

    def _exit(self) -> None:
        with deferred_signals(), lock.lock:
            if self not in _entered:
                return
            unwind(_entered.index(self) + 1)
            try:
                self.resources.close()
            finally:
                self._undo.close()  # runs every callback, even if one of them fails
                lock.isolation_exited.notify_all()

    def sweep(self) -> None:
        """Call ``PrefectVariables.sweep``, after ``exit`` and after the teardown of everything that is older."""
        if hasattr(self, "injector"):  # otherwise `enter` failed early
            self._environment.sweep(self.injector.variables)

    def require_current(self) -> None:
        """Check that this is the innermost isolation.

        Raises:
            IsolationEnded: this isolation has ended, or another one is inside it.
        """
        if self not in _entered:
            raise IsolationEnded("this isolation has ended: use local_secrets and prefect_home only in their own test")
        if _entered[-1] is not self:
            raise IsolationEnded("another isolation is active inside this one: use its secrets, or exit it first")

    # -- changes ------------------------------------------------------------------------------------------------------

    @contextmanager
    def changing(self, *names: str) -> Iterator[Injector]:
        """Yield the injector for a change of ``names``, then apply the change to Prefect. If that fails, undo it."""
        with deferred_signals(), lock.lock:
            self.require_current()
            undo = self.injector.savepoint()
            try:
                yield self.injector
                self._refresh(names)
            except BaseException:
                if self in _entered:  # an isolation that has ended in the meantime restores nothing
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
            with deferred_signals(), lock.lock:
                if self in _entered:
                    unwind(_entered.index(self) + 1)
                    self._overlays.pop(self.injector, overlay)
                    self._refresh(())

    @contextmanager
    def writing(self, target: Path, content: Dict[str, Any], strict: bool) -> Iterator[None]:  # noqa: FBT001
        """Apply a config file to Prefect after its write in the ``with`` block. If ``strict``, undo a failed write."""
        with deferred_signals(), lock.lock:
            self.require_current()
            if not strict:
                self.require_prefect("strict=False")
            undo, restore_file = self.injector.savepoint(), file_savepoint(target)
            try:
                yield
                self.injector.use_private_file(target.name)
                self._refresh((), blamed=str(target), strict=strict)
            except BaseException:
                if strict and self in _entered:
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
        with deferred_signals(), lock.lock:
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

    def _set_if_current(self, name: str, value: Any) -> bool:
        if current() is not self:
            return False  # tried again when this is the innermost isolation
        self.secrets[name] = value
        return True


def _describe(names: Sequence[str]) -> str:
    return "secret " + ", ".join(map(repr, names)) if names else "the current settings"
