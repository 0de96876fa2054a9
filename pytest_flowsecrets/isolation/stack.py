"""Isolations of the real Prefect: entered, nested, left in any order, and a last net under them.

An isolation belongs to the process, not to a thread: threads share ``os.environ``, and the flow runs that are tested
start threads of their own. Isolations stand on a stack; leaving one that is not on top leaves those above it first.

Every thread may read and change the secrets of the isolation on top; changes happen one after another. Which
threads may enter isolations, ``guards.lock`` says.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence

from pytest_flowsecrets.errors import FlowSecretsError, IsolationEnded, PrefectNotInstalled, SecretRejected
from pytest_flowsecrets.isolation.env_overlays import EnvOverlays, Variables
from pytest_flowsecrets.isolation.environment.prefect_variables import PrefectVariables, current_variables
from pytest_flowsecrets.isolation.guards import lock
from pytest_flowsecrets.isolation.guards.forkserver import ForkServers
from pytest_flowsecrets.isolation.guards.signals import deferred_signals
from pytest_flowsecrets.isolation.home.private_home import PrefectHome, homes, write_private
from pytest_flowsecrets.isolation.prefect1.adapter import (
    LegacyPrefect,
    find_prefect,
    refusals_explained,
    require_delivered,
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
    """How many isolations are entered."""
    return len(_entered)


def current() -> Optional[Isolation]:
    """The isolation that counts now; None outside of every one."""
    return _entered[-1] if _entered else None


def _owners() -> List[lock.Owner]:
    return [isolation.owner for isolation in _entered]


def unwind(to: int = 0) -> None:
    """Leave isolations until only ``to`` are entered: the last net under a run."""
    with lock.lock:
        while len(_entered) > to:
            _entered[-1].exit()


class Isolation(PrefectState):
    """One isolation. ``enter`` and ``exit`` are for once.

    Args:
        version: the Prefect version whose rules count where Prefect is not installed.
        of_test: whether it is the isolation of a whole test, in which those of other threads may nest.
    """

    _captured: PrefectSnapshot
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
        self.api: Any = None  # the fake API by which a route brings the secrets
        self.resources = ExitStack()  # what lives as long as the isolation and ends just before it
        self.scheduled_changes = ScheduledChanges(lock.lock, self._set_if_current)
        self.owner = lock.Owner(of_test=of_test)
        self._undo = ExitStack()

    # -- in and out ---------------------------------------------------------------------------------------------------

    def enter(self, secrets: Mapping[str, Any]) -> None:
        """Hide what is the developer's, give ``secrets``. If that fails, everything is as it was before.

        Raises:
            UsageError: another thread does not leave its own isolation.
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
        except BaseException:  # also of a signal that was held back
            self.exit()
            raise
        return True

    def _import_prefect_unisolated(self) -> None:
        """Import Prefect in the developer's own surroundings, so that these come back when the isolation ends."""
        try:
            self.legacy = find_prefect()
        except FlowSecretsError:
            raise
        except Exception:  # noqa: BLE001, S110 - their config may be broken; inside the isolation it does not count
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
            self._captured = PrefectSnapshot(self.legacy)
            self._undo.callback(lambda: self._captured.restore())  # noqa: PLW0108 - `suspended` replaces it
            self._undo.callback(self._guard.exit)
            self._guard.enter()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Bring back for a while what was before this isolation, which is the one on top; changes meanwhile stay."""
        resuming = ExitStack()
        try:
            with deferred_signals(), lock.lock:
                self.require_current()
                self._suspend(resuming)
            yield
        finally:
            try:
                self._resume(resuming)
            except BaseException:  # a signal may have come before the work was begun
                self._resume(resuming)
                raise

    def _suspend(self, resuming: ExitStack) -> None:
        variables, inside = current_variables(), PrefectSnapshot(self.legacy) if self.legacy else None
        if inside:
            self._guard.exit()
            resuming.callback(self._guard.enter)
            self._captured.restore()
            resuming.callback(self._restore, inside)
        self._forkservers.exit()
        resuming.callback(self._forkservers.enter)
        self._environment.exit()
        resuming.callback(self._environment.resume, variables)
        _entered.remove(self)
        resuming.callback(_entered.append, self)

    def _restore(self, inside: PrefectSnapshot) -> None:
        self._captured = PrefectSnapshot(self.require_prefect("suspended"))
        inside.restore()

    @staticmethod
    def _resume(resuming: ExitStack) -> None:
        with deferred_signals(), lock.lock:
            resuming.close()

    def exit(self) -> None:
        """Bring back what was before ``enter``; isolations entered since are left first. A second call does nothing."""
        try:
            self._exit()
        except BaseException:  # a signal may have come before the work was begun
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
                self._undo.close()  # each of them, whatever the test has done to the one before
                lock.isolation_exited.notify_all()

    def sweep(self) -> None:
        """After ``exit`` and after everything that is older: see ``PrefectVariables.sweep``."""
        if hasattr(self, "injector"):  # else entering failed early
            self._environment.sweep(self.injector.variables)

    def require_current(self) -> None:
        """Check that this is the isolation that counts now.

        Raises:
            IsolationEnded: it has been left, or another one was entered since.
        """
        if self not in _entered:
            raise IsolationEnded(
                "this isolation has ended: use local_secrets and prefect_home within their own test only"
            )
        if _entered[-1] is not self:
            raise IsolationEnded("another isolation has been entered since: use its own secrets, or leave it first")

    # -- changes ------------------------------------------------------------------------------------------------------

    @contextmanager
    def changing(self, *names: str) -> Iterator[Injector]:
        """Change the injector of the secrets ``names``, then let Prefect see it; a refused change is undone."""
        with deferred_signals(), lock.lock:
            self.require_current()
            undo = self.injector.savepoint()
            try:
                yield self.injector
                self._refresh(names)
            except BaseException:
                if self in _entered:  # an isolation that ended meanwhile brings nothing back
                    undo()
                raise

    @contextmanager
    def overlay(self, variables: Variables) -> Iterator[None]:
        """Have these variables (None: have them not) for a while; such times may overlap in any way.

        At the end, isolations that were entered since are left first; nothing happens if this one has ended.
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
        """Around the write of a config file: let Prefect see it; if it refuses and that is ``strict``, undo it."""
        with deferred_signals(), lock.lock:
            self.require_current()
            if not strict:
                self.require_prefect("strict=False")
            former = target.read_bytes() if target.exists() else None
            undo = self.injector.savepoint()
            try:
                yield
                self.injector.use_private_file(target.name)
                self._refresh((), blamed=str(target), strict=strict)
            except BaseException:
                if strict and self in _entered:
                    if former is None:
                        with suppress(FileNotFoundError, NotADirectoryError):
                            target.unlink()
                    else:
                        write_private(target, former)
                    undo()
                raise
            self.secrets.compare_file(content)

    def _refresh(self, names: Sequence[str], *, blamed: str = "", strict: bool = True) -> None:
        self._sync()
        if self.legacy is None:
            self._check_model(blamed or _describe(names))
            return
        tree = self._load(self.legacy, blamed or _describe(names), strict=strict)
        require_delivered(tree, names, self.injector.defines)
        self.legacy.apply_changes(self._tree, tree, *names)
        self._tree = tree

    def _sync(self) -> None:
        self.injector.sync()
        self._forkservers.renew()

    def _check_model(self, blamed: str) -> None:
        failure = self.model().failure
        if failure is not None:
            raise SecretRejected(blamed, self.version, failure.type)

    def reload(self, *names: str) -> None:
        """Load and put in place everything; ``names`` are the secrets to be blamed if Prefect refuses."""
        with deferred_signals(), lock.lock:
            self.require_current()
            self._sync()
            if self.legacy is None:
                self._check_model(_describe(names))
                return
            self._tree = self._load(self.legacy, _describe(names))
            self.legacy.apply(self._tree)

    def _load(self, legacy: LegacyPrefect, blamed: str, *, strict: bool = True) -> Tree:
        with refusals_explained(blamed, legacy.version, strict=strict):
            self._set_address(legacy)
            tree = legacy.loader.load()
        registry.register_settings(tree)
        return tree

    def _set_address(self, legacy: LegacyPrefect) -> None:
        """Let the default address of Cloud lead nowhere, unless the test or its files say another one."""
        self._environment.keep_home()
        variable = f"{PREFIX}CLOUD__{legacy.loader.cloud_key.upper()}"
        if os.environ.get(variable, UNREACHABLE) == UNREACHABLE:
            os.environ.pop(variable, None)
            if not legacy.loader.is_set_in_files("cloud", legacy.loader.cloud_key):
                self.injector.set_variable(variable, UNREACHABLE)

    def _set_if_current(self, name: str, value: Any) -> bool:
        if current() is not self:
            return False  # it is covered; its turn comes when it counts again
        self.secrets[name] = value
        return True

    def require_prefect(self, wanted_by: str) -> LegacyPrefect:
        """The real Prefect.

        Raises:
            PrefectNotInstalled: there is none.
        """
        if self.legacy is None:
            raise PrefectNotInstalled(wanted_by)
        return self.legacy


def _describe(names: Sequence[str]) -> str:
    return "secret " + ", ".join(map(repr, names)) if names else "what is set now"
