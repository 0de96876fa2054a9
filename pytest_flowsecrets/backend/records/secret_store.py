"""Cloud's secrets: write-only storage for all tenants of one fake API.

The store offers no getter. ``holds`` compares digests in constant time. Only ``read`` returns a value, after ``admit``
has checked the caller. Each value lies in a ``SecretValue``, so no repr, ``vars()``, pickle, copy, debugger view or
pytest view of local variables shows it by accident. Code in this process that sets out to get a value can get it:
see ``SecretValue``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

from pytest_flowsecrets.backend.messages import ApiError, BadInput
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.leaks.search.finder import finder, forms_of
from pytest_flowsecrets.report import api_events

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.records.keys import Caller

# Return the ids of the flow runs for which a caller may read the secrets of a tenant, or raise Unauthenticated.
Admit = Callable[[str, "Caller"], Sequence[str]]

MAX_READS = 10_000  # older reads are discarded
MISSING = "No value found for the requested key"  # from 0.11.3 on, `Secret.get` turns exactly this text into a KeyError


class SecretValue:
    """A JSON value that its repr, ``vars()``, pickle, copy and format do not show.

    This prevents accidents: values in tracebacks, logs, reports and debuggers. It does not protect the value from code
    that wants it. Code in this process can call ``reveal``, follow the references of the garbage collector, or read
    the memory; so can a process that may trace this one.
    """

    __slots__ = ("_digest", "_json")

    def __init__(self, text: bytes, digest: bytes) -> None:
        self._json, self._digest = text, digest

    def __repr__(self) -> str:
        return "<SecretValue>"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a secret value can neither be pickled nor copied: it is write-only")

    def reveal(self) -> Any:
        """Return the value."""
        return json.loads(self._json)

    def has_digest(self, digest: bytes) -> bool:
        """Compare the digest of the value with another one, in constant time."""
        return hmac.compare_digest(self._digest, digest)


class Read(NamedTuple):
    """One read of a secret by a flow run.

    Attributes:
        name: the name of the secret.
        at: the time on the clock of the API (UTC).
        tenant_id: the tenant that owns the secret.
        key_id: the id of the RUNNER key that the caller used.
        flow_run_ids: the flow runs of the tenant that were Submitted or Running at that time.
    """

    name: str
    at: datetime
    tenant_id: str
    key_id: Optional[str]
    flow_run_ids: Tuple[str, ...]


class Version(NamedTuple):
    """The value of a secret from a point in time on."""

    since: datetime
    value: SecretValue


class Entry:
    """A secret of one tenant: its versions, oldest first, and its expiry."""

    __slots__ = ("created", "expires_at", "id", "name", "versions")

    def __init__(self, name: str, created: datetime) -> None:
        self.id, self.name, self.created = str(uuid.uuid4()), name, created
        self.versions: List[Version] = []
        self.expires_at: Optional[datetime] = None

    def at(self, moment: datetime) -> Optional[Version]:
        """Return the version that is current at a point in time, or None if the secret has expired."""
        if self.expires_at is not None and moment >= self.expires_at:
            return None
        started = [version for version in self.versions if version.since <= moment]
        return started[-1] if started else self.versions[0]  # after the clock was moved back


class Vault:
    """The secrets of all tenants of one API.

    Args:
        now: a function that returns the current time: aware, in UTC.
        admit: a function that checks who may read.
    """

    def __init__(self, now: Callable[[], datetime], admit: Admit) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._tenants: Dict[str, Dict[str, Entry]] = {}
        self._reads: Deque[Read] = deque(maxlen=MAX_READS)
        self._admit = admit
        self._digest_key = secrets.token_bytes(32)  # without it, a digest would confirm a guess

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a vault can neither be pickled nor copied: its secrets are write-only")

    # -- setting -------------------------------------------------------------------------------------------------------

    def put(self, tenant_id: str, name: str, value: Any, *, expires_at: Optional[datetime] = None) -> None:
        """Set a secret. If it exists, replace its value and expiry, and cancel its planned rotations.

        Args:
            tenant_id: the tenant that owns the secret.
            name: case and spaces count; not empty, no NUL character.
            value: any JSON value, including null.
            expires_at: the time at which the secret ceases to exist.

        Raises:
            BadInput: the name or the value is not valid.
        """
        fresh = self._version(_require_valid_name(name), value, self._now())
        with self._lock:
            entries = self._tenants.setdefault(tenant_id, {})
            if self._current(tenant_id, name) is None:
                entries.pop(name, None)
            entry = entries.setdefault(name, Entry(name, fresh.since))
            entry.versions, entry.expires_at = [fresh], expires_at
        api_events.emit("write", name)

    def rotate(self, tenant_id: str, name: str, value: Any, *, at: Optional[datetime] = None) -> None:
        """Change the value of a secret, now or at a later time. Several changes can be planned.

        Raises:
            UsageError: the secret does not exist.
            BadInput: the value is not JSON data.
        """
        now = self._now()
        fresh = self._version(name, value, max(at or now, now))
        with self._lock:
            if self._current(tenant_id, name) is None:
                raise UsageError(f"there is no secret {name!r} to rotate: set it first")
            entry = self._tenants[tenant_id][name]
            entry.versions = sorted(
                [*entry.versions, fresh], key=lambda version: version.since
            )  # of equal times, the last
        api_events.emit("write", name, note="a rotation")

    def delete(self, tenant_id: str, name: str) -> bool:
        """Delete a secret, and return whether it existed."""
        with self._lock:
            existed = self._current(tenant_id, name) is not None
            self._tenants.get(tenant_id, {}).pop(name, None)
        if existed:
            api_events.emit("delete", name)
        return existed

    def _version(self, name: str, value: Any, since: datetime) -> Version:
        text, canonical = _serialize(name, value)
        registry.register(name, value)
        return Version(since, SecretValue(text, self._digest(canonical)))

    def _digest(self, data: bytes) -> bytes:
        return hmac.new(self._digest_key, data, hashlib.sha256).digest()

    # -- queries that return no value ----------------------------------------------------------------------------------

    def rows(self, tenant_id: str) -> List[Dict[str, Any]]:
        """Return the columns that GraphQL can query for each secret, in the order of creation."""
        with self._lock:
            current = [(entry, self._current(tenant_id, entry.name)) for entry in self._entries(tenant_id)]
        return [
            {
                "id": entry.id,
                "name": entry.name,
                "tenant_id": tenant_id,
                "created": entry.created,
                "updated": version.since,
            }
            for entry, version in current
            if version is not None
        ]

    def names(self, tenant_id: str) -> List[str]:
        """Return the names of the secrets, in the order of creation."""
        return [row["name"] for row in self.rows(tenant_id)]

    def holds(self, tenant_id: str, name: str, value: Any) -> bool:
        """Return whether a secret currently has exactly this JSON value.

        1, 1.0 and true are three different values. The order of keys is ignored. The duration depends only on the
        argument.
        """
        digest = self._digest(_serialize(name, value)[1])
        with self._lock:
            version = self._current(tenant_id, name)
        return version is not None and version.value.has_digest(digest)

    def finder(self, tenant_id: str, name: str) -> Optional[Callable[[str], bool]]:
        """Return a function that tests whether a text contains a past, current or planned value in any encoding.

        Return None if the secret does not exist.
        """
        with self._lock:
            entry = self._tenants.get(tenant_id, {}).get(name)
            values = [version.value for version in entry.versions] if entry else []
        return finder([text for value in values for text in forms_of(value.reveal())]) if values else None

    @property
    def reads(self) -> Tuple[Read, ...]:
        """The last 10,000 reads of secrets by flow runs, oldest first."""
        with self._lock:
            return tuple(self._reads)

    def _entries(self, tenant_id: str) -> List[Entry]:
        return list(self._tenants.get(tenant_id, {}).values())

    def _current(self, tenant_id: str, name: str) -> Optional[Version]:
        entry = self._tenants.get(tenant_id, {}).get(name)
        return entry.at(self._now()) if entry is not None else None

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, tenant_id: str, name: str, caller: Caller) -> Any:
        """Return the value, for a RUNNER key of the tenant while one of its flow runs is Submitted or Running.

        Raises:
            Unauthenticated: the caller may not read secrets, or no flow run is Submitted or Running.
            ApiError: the secret does not exist.
        """
        runs = self._admit(tenant_id, caller)
        with self._lock:
            version = self._current(tenant_id, name)
            if version is None:
                raise ApiError(MISSING)
            self._reads.append(Read(name, self._now(), tenant_id, caller.key_id, tuple(runs)))
        return version.value.reveal()


def _require_valid_name(name: str) -> str:
    if not name or "\0" in name:
        raise BadInput("the name of a secret must not be empty or contain a NUL character")
    return name


def _serialize(name: str, value: Any) -> Tuple[bytes, bytes]:
    """Return a value as JSON text, and as canonical JSON text, which does not depend on the order of keys."""
    try:
        plain = json.dumps(value, allow_nan=False)
        canonical = json.dumps(value, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        kind = "a value that is nested too deeply"
    except (TypeError, ValueError):
        kind = type(value).__name__ + (" that contains other types" if isinstance(value, (list, tuple, dict)) else "")
    else:
        return plain.encode(), canonical.encode()
    del value
    raise BadInput(
        f"secret {name!r}: a value must be JSON data (text, finite number, bool, None, list, dict), not {kind}"
    )
