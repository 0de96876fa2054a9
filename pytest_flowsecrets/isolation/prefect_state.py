"""What Prefect holds in this process, or would hold: secrets and flags, read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from pytest_flowsecrets.isolation.prefect1.adapter import SECRETS, LegacyPrefect
from pytest_flowsecrets.isolation.prefect1.config_tree import Tree, at
from pytest_flowsecrets.isolation.secrets import model

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.environment.prefect_variables import PrefectVariables
    from pytest_flowsecrets.resolution.resolve import Resolution


class PrefectState(ABC):
    """The reading half of an isolation.

    Attributes:
        legacy: the real Prefect; None where none is installed.
        version: its version, or that whose rules count instead.
    """

    legacy: Optional[LegacyPrefect]
    version: str
    _tree: Tree
    _environment: PrefectVariables

    @abstractmethod
    def require_current(self) -> None:
        """Check that this is the isolation that counts now.

        Raises:
            IsolationEnded: it has been left, or another one was entered since.
        """

    def view(self) -> Dict[str, Any]:
        """Names and raw values of the secrets that this thread sees."""
        self.require_current()
        return self.legacy.context_secrets() if self.legacy else model.secrets_in(self.model())

    @property
    def loaded(self) -> Tree:
        """Names and raw values of the secrets that Prefect has read from its files and variables."""
        secrets = at(self._tree, SECRETS)
        return secrets if isinstance(secrets, Tree) else Tree()

    def read(self, name: str) -> Any:
        """What ``Secret(name).get()`` gives."""
        return self.legacy.get(name) if self.legacy else model.secret_value(self.model(), name)

    def read_ignoring_flags(self, name: str) -> Any:
        """What ``Secret(name).get()`` would give, whatever flags and flow say; with the lock held."""
        return self.legacy.decode(name, self.view()[name]) if self.legacy else self.read(name)

    def model(self) -> Resolution:
        """What files and variables come to by the model of ``resolution``."""
        self.require_current()
        return model.resolve_process(self.version)

    def notes(self, name: str) -> List[str]:
        """Return what was hidden and kept of the variables for a secret, in words."""
        return self._environment.notes(name, self.version)

    def use_local_secrets(self) -> bool:
        """The flag as ``Secret.get`` reads it."""
        self.require_current()
        if self.legacy is None:
            return bool(self.model().config["cloud"]["use_local_secrets"])
        return bool(self.legacy.flag("cloud", "use_local_secrets"))
