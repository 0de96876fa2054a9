"""What local secrets need of the isolation that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ContextManager, Dict, List, Mapping, Optional, Protocol

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.home.private_home import PrefectHome
    from pytest_flowsecrets.isolation.prefect1.adapter import LegacyPrefect
    from pytest_flowsecrets.isolation.secrets.injector import Injector
    from pytest_flowsecrets.isolation.secrets.scheduled_changes import ScheduledChanges
    from pytest_flowsecrets.resolution.resolve import Resolution


class Holder(Protocol):
    """An isolation as its secrets see it; ``stack.Isolation`` is one."""

    version: str
    legacy: Optional[LegacyPrefect]
    home: PrefectHome
    injector: Injector
    scheduled_changes: ScheduledChanges

    @property
    def loaded(self) -> Mapping[str, Any]:
        """Names and raw values of the secrets that Prefect has read from its files and variables."""

    def require_current(self) -> None:
        """Check that this is the isolation that counts now."""

    def changing(self, *names: str) -> ContextManager[Injector]:
        """Change the injector of the secrets ``names``, then let Prefect see it."""

    def reload(self, *names: str) -> None:
        """Load and put in place everything."""

    def view(self) -> Dict[str, Any]:
        """Names and raw values of the secrets that this thread sees."""

    def read(self, name: str) -> Any:
        """What ``Secret(name).get()`` gives."""

    def read_ignoring_flags(self, name: str) -> Any:
        """What ``Secret(name).get()`` would give, whatever flags and flow say."""

    def model(self) -> Resolution:
        """What files and variables come to by the model of ``resolution``."""

    def notes(self, name: str) -> List[str]:
        """What was hidden and kept of the variables for a secret."""

    def use_local_secrets(self) -> bool:
        """The flag as ``Secret.get`` reads it."""
