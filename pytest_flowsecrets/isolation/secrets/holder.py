"""The interface of an isolation that its local secrets use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ContextManager, Dict, Iterable, List, Mapping, Optional, Protocol

if TYPE_CHECKING:
    from pytest_flowsecrets.errors import SecretChangedWarning
    from pytest_flowsecrets.isolation.home.private_home import PrefectHome
    from pytest_flowsecrets.isolation.prefect1.adapter import LegacyPrefect
    from pytest_flowsecrets.isolation.secrets.injector import Injector
    from pytest_flowsecrets.isolation.secrets.scheduled_changes import ScheduledChanges
    from pytest_flowsecrets.resolution.resolve import Resolution


class Changes(Protocol):
    """The values that a test has set, compared with those that a flow gets."""

    def record(self, values: Mapping[str, Any], *, in_file: bool = False, lenient: bool = False) -> None:
        """Remember values that the test has set."""

    def forget(self, names: Iterable[str]) -> None:
        """Forget secrets that the test has deleted."""

    def warnings_for(self, names: Iterable[str]) -> List[SecretChangedWarning]:
        """Return a warning for each of ``names`` whose value changes, unless it was reported before."""


class Holder(Protocol):
    """An isolation as its secrets see it. ``LegacyIsolation`` and ``RestIsolation`` implement it."""

    version: str
    home: PrefectHome
    scheduled_changes: ScheduledChanges

    def require_current(self) -> None:
        """Check that this is the innermost isolation."""

    def changing(self, *names: str) -> ContextManager[Any]:
        """Yield an object that changes the secrets ``names``, and apply the change to Prefect afterwards."""

    def reload(self, *names: str) -> None:
        """Load the whole configuration again and apply it."""

    def view(self) -> Dict[str, Any]:
        """Return the names and raw values of the secrets that this thread sees."""

    def read(self, name: str) -> Any:
        """Return the result of ``Secret(name).get()``."""

    def notes(self, name: str) -> List[str]:
        """Return a line for each hidden or kept variable of a secret."""

    def secret_name(self, name: str) -> str:
        """Return the name under which Prefect holds the secret that a test calls ``name``."""

    def by_prefect_name(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """Return secrets under the names that Prefect uses."""

    def explain(self, name: str) -> str:
        """Explain where a secret comes from and what changed its value. Values are masked."""

    def require_legacy(self, feature: str) -> Any:
        """Check that the installed Prefect has a feature of Prefect 0.5.5 to 1.4.1."""

    def use_local_secrets(self) -> bool:
        """Return the flag as ``Secret.get`` reads it."""


class LegacyHolder(Holder, Protocol):
    """An isolation of Prefect 0.5.5 to 1.4.1 as its model and the comparison of values see it."""

    legacy: Optional[LegacyPrefect]
    injector: Injector

    @property
    def loaded(self) -> Mapping[str, Any]:
        """The names and raw values of the secrets that Prefect has read from its files and variables."""

    def read_ignoring_flags(self, name: str) -> Any:
        """Return the result that ``Secret(name).get()`` has if flags and the current flow are ignored."""

    def model(self) -> Resolution:
        """Resolve the current files and variables with the model of ``resolution``."""
