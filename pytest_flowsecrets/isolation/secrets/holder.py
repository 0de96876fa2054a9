"""The interface of an isolation that its local secrets use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ContextManager, Dict, List, Mapping, Optional, Protocol

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.home.private_home import PrefectHome
    from pytest_flowsecrets.isolation.prefect1.adapter import LegacyPrefect
    from pytest_flowsecrets.isolation.secrets.injector import Injector
    from pytest_flowsecrets.isolation.secrets.scheduled_changes import ScheduledChanges
    from pytest_flowsecrets.resolution.resolve import Resolution


class Holder(Protocol):
    """An isolation as its secrets see it. ``stack.Isolation`` implements it."""

    version: str
    legacy: Optional[LegacyPrefect]
    home: PrefectHome
    injector: Injector
    scheduled_changes: ScheduledChanges

    @property
    def loaded(self) -> Mapping[str, Any]:
        """The names and raw values of the secrets that Prefect has read from its files and variables."""

    def require_current(self) -> None:
        """Check that this is the innermost isolation."""

    def changing(self, *names: str) -> ContextManager[Injector]:
        """Yield the injector for a change of the secrets ``names``, and apply the change to Prefect afterwards."""

    def reload(self, *names: str) -> None:
        """Load the whole configuration again and apply it."""

    def view(self) -> Dict[str, Any]:
        """Return the names and raw values of the secrets that this thread sees."""

    def read(self, name: str) -> Any:
        """Return the result of ``Secret(name).get()``."""

    def read_ignoring_flags(self, name: str) -> Any:
        """Return the result that ``Secret(name).get()`` has if flags and the current flow are ignored."""

    def model(self) -> Resolution:
        """Resolve the current files and variables with the model of ``resolution``."""

    def notes(self, name: str) -> List[str]:
        """Return a line for each hidden or kept variable of a secret."""

    def use_local_secrets(self) -> bool:
        """Return the flag as ``Secret.get`` reads it."""
