"""Read the secrets and flags of an isolation from the real Prefect, or from the model if it is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from pytest_flowsecrets.errors import PrefectNotInstalled, SecretRejected
from pytest_flowsecrets.isolation.prefect1.adapter import SECRETS, LegacyPrefect
from pytest_flowsecrets.isolation.prefect1.config_tree import Tree, at
from pytest_flowsecrets.isolation.secrets import model
from pytest_flowsecrets.isolation.stack import Isolation

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.resolve import Resolution


class PrefectState(Isolation):
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

    def view(self) -> Dict[str, Any]:
        """Return the names and raw values of the secrets that this thread sees."""
        self.require_current()
        return self.legacy.context_secrets() if self.legacy else model.secrets_in(self.model())

    @property
    def loaded(self) -> Tree:
        """The names and raw values of the secrets that Prefect has read from its files and variables."""
        secrets = at(self._tree, SECRETS)
        return secrets if isinstance(secrets, Tree) else Tree()

    def read(self, name: str) -> Any:
        """Return the result of ``Secret(name).get()``."""
        return self.legacy.get(name) if self.legacy else model.secret_value(self.model(), name)

    def read_ignoring_flags(self, name: str) -> Any:
        """Return the result that ``Secret(name).get()`` has without flags and flow. The caller holds the lock."""
        return self.legacy.decode(name, self.view()[name]) if self.legacy else self.read(name)

    def model(self) -> Resolution:
        """Resolve the current files and variables with the model of ``resolution``."""
        self.require_current()
        return model.resolve_process(self.version)

    def _check_model(self, blamed: str) -> None:
        """Check that Prefect could load the current files and variables.

        Raises:
            SecretRejected: it could not. The error names ``blamed``.
        """
        failure = self.model().failure
        if failure is not None:
            raise SecretRejected(blamed, self.version, failure.type)

    def notes(self, name: str) -> List[str]:
        """Return a line for each hidden or kept variable of a secret."""
        return self._environment.notes(name, self.version)

    def secret_name(self, name: str) -> str:
        """Return the name of a secret, which Prefect does not change here."""
        return name

    def by_prefect_name(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """Return the same secrets."""
        return dict(values)

    def use_local_secrets(self) -> bool:
        """Return the flag as ``Secret.get`` reads it."""
        self.require_current()
        if self.legacy is None:
            return bool(self.model().config["cloud"]["use_local_secrets"])
        return bool(self.legacy.flag("cloud", "use_local_secrets"))
