"""``prefect_cloud.secrets``: the secrets of one tenant, as its people see them; no way leads to a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, List, NoReturn, Optional, Tuple

from pytest_flowsecrets.backend.client_errors import BadInput
from pytest_flowsecrets.clock import as_moment
from pytest_flowsecrets.errors import UsageError, WriteOnlySecret
from pytest_flowsecrets.isolation.safe_errors import hide_arguments
from pytest_flowsecrets.isolation.secrets.encoding import validate_name

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.records.secret_store import Read, Vault
    from pytest_flowsecrets.clock import When


class CloudSecrets:
    """The secrets of one tenant of a fake Prefect Cloud.

    They can be set, named, deleted and compared with a value. What a flow run reads, it reads through the API.
    """

    def __init__(self, vault: Vault, tenant_id: str) -> None:
        self._vault, self._tenant_id = vault, tenant_id

    def __repr__(self) -> str:
        return f"<CloudSecrets {sorted(self)}>"

    @hide_arguments
    def set(self, name: str, value: Any, *, expires_at: Optional[When] = None) -> None:
        """Set a secret, or overwrite it with all that was planned for it, as ``Client.set_secret`` does.

        Args:
            name: as it is, case and spaces included.
            value: any JSON value.
            expires_at: from then on, by the API's clock, there is no such secret: a datetime, a date or a text in the
                ISO format; what says no time zone is in UTC.

        Raises:
            UsageError: the name is empty or no text, the value no JSON data, or ``expires_at`` no time.
        """
        try:
            self._vault.put(self._tenant_id, validate_name(name), value, expires_at=_moment(expires_at))
        except BadInput as error:
            raise UsageError(str(error)) from None

    @hide_arguments
    def rotate(self, name: str, value: Any, *, at: Optional[When] = None) -> None:
        """Give a secret another value, at once or from a later time on (``at``, written as ``expires_at`` of ``set``).

        Raises:
            UsageError: there is no such secret, the value is no JSON data, or ``at`` no time.
        """
        try:
            self._vault.rotate(self._tenant_id, validate_name(name), value, at=_moment(at))
        except BadInput as error:
            raise UsageError(str(error)) from None

    def delete(self, name: str) -> None:
        """Remove a secret.

        Raises:
            KeyError: there is none of that name.
        """
        if not self._vault.delete(self._tenant_id, name):
            raise KeyError(name)

    def names(self) -> List[str]:
        """The names, in the order in which the secrets were first set."""
        return self._vault.names(self._tenant_id)

    @hide_arguments
    def holds(self, name: str, value: Any) -> bool:
        """Whether a secret is exactly this JSON value now: 1, 1.0 and True are three values, the order of keys is none.

        Compared in constant time.

        Raises:
            UsageError: the value is no JSON data.
        """
        try:
            return self._vault.holds(self._tenant_id, validate_name(name), value)
        except BadInput as error:
            raise UsageError(str(error)) from None

    @property
    def reads(self) -> Tuple[Read, ...]:
        """Each time that a flow run was given a secret of this tenant, oldest first, with name, time, key and runs."""
        return tuple(read for read in self._vault.reads if read.tenant_id == self._tenant_id)

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __len__(self) -> int:
        return len(self.names())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __getitem__(self, name: str) -> NoReturn:
        raise WriteOnlySecret(name)

    @hide_arguments
    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)


def _moment(when: Optional[When]) -> Optional[datetime]:
    return None if when is None else as_moment(when)
