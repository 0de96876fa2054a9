"""The stack of isolations of the real Prefect.

An isolation belongs to the process, not to a thread, because threads share ``os.environ`` and flow runs start threads.
Isolations can be nested and exited in any order. To exit one that is not the innermost first exits those inside it.

Every thread may read and change the secrets of the innermost isolation. Changes happen one after another. The module
``guards`` decides which threads may enter an isolation.

What an isolation does to Prefect depends on the line of Prefect. ``legacy_isolation`` is for Prefect 0.5.5 to 1.4.1,
``rest_isolation`` for 2.20 and 3. ``context_manager.new_isolation`` chooses one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional

from pytest_flowsecrets.errors import FlowSecretsError, IsolationEnded
from pytest_flowsecrets.isolation import guards
from pytest_flowsecrets.isolation.environment.prefect_variables import PrefectVariables, current_variables
from pytest_flowsecrets.isolation.guards import ForkServers, deferred_signals
from pytest_flowsecrets.isolation.home.private_home import PrefectHome, homes
from pytest_flowsecrets.isolation.secrets.scheduled_changes import ScheduledChanges

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets
    from pytest_flowsecrets.resolution.display import Mask


_entered: List[Isolation] = []


def depth() -> int:
    """Return the number of active isolations."""
    return len(_entered)


def current() -> Optional[Isolation]:
    """Return the innermost isolation, or None if there is none."""
    return _entered[-1] if _entered else None


def _owners() -> List[guards.Owner]:
    return [isolation.owner for isolation in _entered]


def unwind(to: int = 0) -> None:
    """Exit isolations until only ``to`` are active. At the end of a run, this is the safety net."""
    with guards.lock:
        while len(_entered) > to:
            _entered[-1].exit()


class Isolation(ABC):
    """One isolation. Call ``enter`` and ``exit`` only once.

    Args:
        version: the Prefect version whose rules apply if Prefect is not installed.
        of_test: whether the isolation belongs to a whole test. Other threads may then nest isolations inside it.

    Attributes:
        version: the version of Prefect.
        api: the fake API that the test uses, if there is one.
        home: the private home of Prefect.
        resources: resources that are closed just before the isolation ends.
        secrets: the secrets of the isolation, as a mapping.
    """

    home: PrefectHome
    secrets: LocalSecrets
    _root: Path

    def __init__(self, version: str, *, of_test: bool = False) -> None:
        self.version = version
        self._environment = PrefectVariables()
        self._forkservers = ForkServers()
        self.api: Any = None
        self.resources = ExitStack()
        self.scheduled_changes = ScheduledChanges(guards.lock, self._set_if_current)
        self.owner = guards.Owner(of_test=of_test)
        self._undo = ExitStack()

    # -- what depends on the line of Prefect --------------------------------------------------------------------------

    @property
    @abstractmethod
    def variables(self) -> Mapping[str, str]:
        """The variables that this isolation has set in ``os.environ``."""

    @abstractmethod
    def _import_prefect(self) -> None:
        """Import Prefect with the developer's own configuration, which is restored when the isolation ends."""

    @abstractmethod
    def _enter_prefect(self, secrets: Mapping[str, Any]) -> None:
        """Isolate Prefect and set ``secrets``. The developer's variables are hidden already."""

    @abstractmethod
    def _suspend_prefect(self, resuming: ExitStack) -> None:
        """Restore Prefect's state from before this isolation, until ``resuming`` is closed."""

    @abstractmethod
    def require_prefect(self, wanted_by: str) -> Any:
        """Return an object with the imported package ``prefect`` as ``.package``.

        Args:
            wanted_by: the feature that needs Prefect, for the error message.

        Raises:
            PrefectNotInstalled: Prefect is not installed.
        """

    @abstractmethod
    def set_variables(self, values: Mapping[str, Any]) -> None:
        """Set variables of Prefect 2.20 or 3.

        Raises:
            UsageError: another Prefect is installed, or none, or a name or a value is not valid for a variable.
        """

    @abstractmethod
    def require_legacy(self, feature: str) -> Any:
        """Return this isolation if it is a ``LegacyIsolation``: Prefect is 0.5.5 to 1.4.1, or not installed.

        Raises:
            UsageError: it is not. The error names the feature.
        """

    @abstractmethod
    def explanation(self, name: str, mask: Mask) -> Dict[str, Any]:
        """Return the explanation of a secret as plain data, with the keys of ``flowsecrets explain --json``.

        Args:
            name: the name of a secret, which need not exist.
            mask: determines how values are shown.
        """

    @property
    def hidden_variables(self) -> Mapping[str, str]:
        """The names of the variables that this isolation hides, with the code that has set them."""
        return self._environment.hidden

    def notes(self, name: str) -> List[str]:
        """Return a line for each hidden or kept variable of a secret."""
        return self._environment.notes(name, self.version)

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
            with deferred_signals(), guards.lock:
                if not self.owner.may_enter(_owners()):
                    return False
                self._import_unisolated()
                self._enter(secrets)
        except BaseException:  # also from a deferred signal
            self.exit()
            raise
        return True

    def _import_unisolated(self) -> None:
        try:
            self._import_prefect()
        except FlowSecretsError:
            raise
        except Exception:  # noqa: BLE001, S110 - the developer's config may be broken; the isolation ignores it
            pass

    def _enter(self, secrets: Mapping[str, Any]) -> None:
        hidden: Dict[str, str] = {}
        for outer in _entered:
            hidden.update(outer.variables)
        self._root = homes.acquire()
        self._undo.callback(homes.release, self._root)
        self._undo.callback(self._environment.exit)
        self._undo.callback(self._forkservers.exit)
        self._undo.callback(_entered.remove, self)
        _entered.append(self)
        self._environment.enter(str(self._root), hidden)
        self._forkservers.enter()
        self._enter_prefect(secrets)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Restore the state from before this innermost isolation inside the ``with`` block. Changes there persist."""
        resuming = ExitStack()
        try:
            with deferred_signals(), guards.lock:
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
        variables = current_variables()
        self._suspend_prefect(resuming)
        self._forkservers.exit()
        resuming.callback(self._forkservers.enter)
        self._environment.exit()
        resuming.callback(self._environment.resume, variables)
        _entered.remove(self)
        resuming.callback(_entered.append, self)

    @staticmethod
    def _resume(resuming: ExitStack) -> None:
        with deferred_signals(), guards.lock:
            resuming.close()

    def exit(self) -> None:
        """Restore the state from before ``enter``, after exiting all inner isolations. A second call does nothing."""
        try:
            self._exit()
        except BaseException:  # a signal may have arrived before the call began
            self._exit()
            raise

    def _exit(self) -> None:
        with deferred_signals(), guards.lock:
            if not self.active:
                return
            self.exit_inner()
            try:
                self.resources.close()
            finally:
                self._undo.close()  # runs every callback, even if one of them fails
                guards.isolation_exited.notify_all()

    @property
    def active(self) -> bool:
        """Whether this isolation has begun and has not ended."""
        return self in _entered

    def exit_inner(self) -> None:
        """Exit all isolations inside this one."""
        unwind(_entered.index(self) + 1)

    def sweep(self) -> None:
        """Call ``PrefectVariables.sweep``, after ``exit`` and after the teardown of everything that is older."""
        self._environment.sweep(self.variables)

    def require_current(self) -> None:
        """Check that this is the innermost isolation.

        Raises:
            IsolationEnded: this isolation has ended, or another one is inside it.
        """
        if not self.active:
            raise IsolationEnded("this isolation has ended: use local_secrets and prefect_home only in their own test")
        if _entered[-1] is not self:
            raise IsolationEnded("another isolation is active inside this one: use its secrets, or exit it first")

    def _set_if_current(self, name: str, value: Any) -> bool:
        if current() is not self:
            return False  # tried again when this is the innermost isolation
        self.secrets[name] = value
        return True
