"""``prefect_cloud.secrets``: the write-only view of the secrets of one tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, List, NoReturn, Optional, Tuple

from pytest_flowsecrets.backend.messages import BadInput
from pytest_flowsecrets.clock import as_moment
from pytest_flowsecrets.errors import SecretNotFound, UsageError, WriteOnlySecret
from pytest_flowsecrets.isolation.safe_errors import hide_arguments
from pytest_flowsecrets.isolation.secrets.encoding import validate_name
from pytest_flowsecrets.resolution.shown_names import nearest_name

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.records.secret_store import Read, Vault
    from pytest_flowsecrets.clock import When


class CloudSecrets:
    """The secrets of one tenant of a fake Prefect Cloud.

    You can set, list and delete secrets, and compare them with a value. Flow runs read them through the API.
    """

    def __init__(self, vault: Vault, tenant_id: str) -> None:
        self._vault, self._tenant_id = vault, tenant_id

    def __repr__(self) -> str:
        return f"<CloudSecrets {sorted(self)}>"

    @hide_arguments
    def set(self, name: str, value: Any, *, expires_at: Optional[When] = None) -> None:
        """Set a secret, as ``Client.set_secret`` does. If it exists, also cancel its expiry and planned rotations.

        Args:
            name: the name; case and spaces count.
            value: any JSON value.
            expires_at: the time on the API's clock at which the secret ceases to exist: a datetime, a date or a text
                in ISO format, in UTC unless it has a time zone.

        Raises:
            UsageError: the name is empty or not a text, the value is not JSON data, or ``expires_at`` is not a valid
                time.
        """
        try:
            self._vault.put(self._tenant_id, validate_name(name), value, expires_at=_moment(expires_at))
        except BadInput as error:
            raise UsageError(str(error)) from None

    @hide_arguments
    def rotate(self, name: str, value: Any, *, at: Optional[When] = None) -> None:
        """Change the value of a secret, now or at a later time.

        Args:
            name: the name of an existing secret.
            value: any JSON value.
            at: the time of the change, in a format that ``set`` accepts for ``expires_at``; None for now.

        Raises:
            UsageError: the secret does not exist, the value is not JSON data, or ``at`` is not a valid time.
        """
        try:
            self._vault.rotate(self._tenant_id, validate_name(name), value, at=_moment(at))
        except BadInput as error:
            raise UsageError(str(error)) from None

    def delete(self, name: str) -> None:
        """Delete a secret.

        Raises:
            SecretNotFound: the secret does not exist. It is also a KeyError.
        """
        if not self._vault.delete(self._tenant_id, name):
            near = nearest_name(name, self.names())
            raise SecretNotFound(name, near.name if near else "", "cloud")

    def names(self) -> List[str]:
        """Return the names, in the order in which the secrets were first set."""
        return self._vault.names(self._tenant_id)

    @hide_arguments
    def holds(self, name: str, value: Any) -> bool:
        """Return whether a secret currently has exactly this JSON value.

        1, 1.0 and True are three different values. The order of keys is ignored. The comparison takes constant time.

        Raises:
            UsageError: the value is not JSON data.
        """
        try:
            return self._vault.holds(self._tenant_id, validate_name(name), value)
        except BadInput as error:
            raise UsageError(str(error)) from None

    @property
    def reads(self) -> Tuple[Read, ...]:
        """The reads of this tenant's secrets by flow runs, oldest first, each with name, time, key and flow runs."""
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
