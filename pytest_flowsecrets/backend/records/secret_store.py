"""Cloud's secrets. They can be set, named, compared with a value, and read by a running flow; nothing else.

Write-only is kept by what is stored, not only by what is offered. A value lies here sealed with a key that no attribute
leads to, beside a keyed digest of it. ``holds`` compares digests, in constant time; only ``read`` gives a value out,
after ``admit`` has looked at who asks; ``finder`` keeps the one it looks for in a closure, while it looks. So no repr,
``vars()``, pickle, copy, debugger's or pytest's view of local variables shows a value.
"""

from __future__ import annotations

import hmac
import json
import threading
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

from pytest_flowsecrets.backend.client_errors import ApiError, BadInput
from pytest_flowsecrets.backend.records.sealed_values import Admit, locksmith
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.leaks.registry import registry

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_flowsecrets.backend.records.keys import Caller

KEPT = 10_000  # of the reads that are remembered
MISSING = "No value found for the requested key"  # `Secret.get` makes its KeyError of exactly this (0.11.3 on)


class Read(NamedTuple):
    """One time that a flow run was given a secret.

    Attributes:
        name: of the secret.
        at: when, by the clock of the API (UTC).
        tenant_id: whose secret.
        key_id: the RUNNER key that asked.
        flow_run_ids: the flow runs of the tenant that were Running then.
    """

    name: str
    at: datetime
    tenant_id: str
    key_id: Optional[str]
    flow_run_ids: Tuple[str, ...]


class Version(NamedTuple):
    """What a secret is from some time on."""

    since: datetime
    sealed: bytes
    digest: bytes


class Entry:
    """A secret of one tenant: its versions, oldest first, and when it ends."""

    __slots__ = ("created", "expires_at", "id", "name", "versions")

    def __init__(self, name: str, created: datetime) -> None:
        self.id, self.name, self.created = str(uuid.uuid4()), name, created
        self.versions: List[Version] = []
        self.expires_at: Optional[datetime] = None

    def at(self, moment: datetime) -> Optional[Version]:
        """The version that counts at a moment; None once the secret has expired."""
        if self.expires_at is not None and moment >= self.expires_at:
            return None
        begun = [version for version in self.versions if version.since <= moment]
        return begun[-1] if begun else self.versions[0]  # a clock that was moved back


class Vault:
    """The secrets of all tenants of one API.

    Args:
        now: the clock; aware times in UTC.
        admit: who may read.
    """

    def __init__(self, now: Callable[[], datetime], admit: Admit) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._tenants: Dict[str, Dict[str, Entry]] = {}
        self._reads: Deque[Read] = deque(maxlen=KEPT)
        self._digest, self._seal, self._reveal, self._spot = locksmith(admit)

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a vault can neither be pickled nor copied: its secrets are write-only")

    # -- setting -------------------------------------------------------------------------------------------------------

    def put(self, tenant_id: str, name: str, value: Any, *, expires_at: Optional[datetime] = None) -> None:
        """Set a secret, or overwrite it: value, expiry and planned rotations.

        Args:
            tenant_id: whose secret.
            name: taken as it is, case and spaces included; not empty, no NUL.
            value: any JSON value, null included.
            expires_at: from then on there is no such secret.

        Raises:
            BadInput: name or value cannot be a secret's.
        """
        fresh = self._version(tenant_id, _checked(name), value, self._now())
        with self._lock:
            entries = self._tenants.setdefault(tenant_id, {})
            if self._current(tenant_id, name) is None:
                entries.pop(name, None)
            entry = entries.setdefault(name, Entry(name, fresh.since))
            entry.versions, entry.expires_at = [fresh], expires_at

    def rotate(self, tenant_id: str, name: str, value: Any, *, at: Optional[datetime] = None) -> None:
        """Let a secret that exists have another value, at once or from a later time on; several can be planned.

        Raises:
            UsageError: there is no such secret.
            BadInput: the value is not JSON data.
        """
        now = self._now()
        fresh = self._version(tenant_id, name, value, max(at or now, now))
        with self._lock:
            if self._current(tenant_id, name) is None:
                raise UsageError(f"there is no secret {name!r} to rotate: set it first")
            entry = self._tenants[tenant_id][name]
            entry.versions = sorted([*entry.versions, fresh], key=lambda version: version.since)  # the last one counts

    def delete(self, tenant_id: str, name: str) -> bool:
        """Remove a secret; whether there was one."""
        with self._lock:
            there = self._current(tenant_id, name) is not None
            self._tenants.get(tenant_id, {}).pop(name, None)
            return there

    def _version(self, tenant_id: str, name: str, value: Any, since: datetime) -> Version:
        text, canonical = _texts(name, value)
        registry.register(name, value)
        return Version(since, self._seal(tenant_id, text), self._digest(canonical))

    # -- looking, without values ---------------------------------------------------------------------------------------

    def rows(self, tenant_id: str) -> List[Dict[str, Any]]:
        """What can be queried: id, name, tenant_id, created, updated of each secret, in the order of their creation."""
        with self._lock:
            found = [(entry, self._current(tenant_id, entry.name)) for entry in self._entries(tenant_id)]
        return [
            {
                "id": entry.id,
                "name": entry.name,
                "tenant_id": tenant_id,
                "created": entry.created,
                "updated": version.since,
            }
            for entry, version in found
            if version is not None
        ]

    def names(self, tenant_id: str) -> List[str]:
        """The names of the secrets, in the order of their creation."""
        return [row["name"] for row in self.rows(tenant_id)]

    def holds(self, tenant_id: str, name: str, value: Any) -> bool:
        """Whether a secret is exactly this JSON value now; 1, 1.0 and true are three, the order of keys is none.

        The time that it takes depends on the given value only.
        """
        given = self._digest(_texts(name, value)[1])
        with self._lock:
            version = self._current(tenant_id, name)
        held = version.digest if version is not None else bytes(len(given))
        return hmac.compare_digest(held, given)

    def finder(self, tenant_id: str, name: str) -> Optional[Callable[[str], bool]]:
        """A function that says whether a text holds the value, or one that it had or will have, in any form.

        None where there is no such secret.
        """
        with self._lock:
            entry = self._tenants.get(tenant_id, {}).get(name)
            return self._spot(tenant_id, [version.sealed for version in entry.versions]) if entry else None

    @property
    def reads(self) -> Tuple[Read, ...]:
        """Every time that a flow run was given a secret, oldest first; the last 10,000 of them."""
        with self._lock:
            return tuple(self._reads)

    def _entries(self, tenant_id: str) -> List[Entry]:
        return list(self._tenants.get(tenant_id, {}).values())

    def _current(self, tenant_id: str, name: str) -> Optional[Version]:
        entry = self._tenants.get(tenant_id, {}).get(name)
        return entry.at(self._now()) if entry is not None else None

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, tenant_id: str, name: str, caller: Caller) -> Any:
        """The value, for a key of scope RUNNER while a flow run of its tenant is Running.

        Raises:
            Unauthenticated: this caller may not read, or not now.
            ApiError: there is no such secret.
        """

        def take(runs: Sequence[str]) -> bytes:
            with self._lock:
                version = self._current(tenant_id, name)
                if version is None:
                    raise ApiError(MISSING)
                self._reads.append(Read(name, self._now(), tenant_id, caller.key_id, tuple(runs)))
                return version.sealed

        return self._reveal(tenant_id, caller, take)


def _checked(name: str) -> str:
    if not name or "\0" in name:
        raise BadInput("the name of a secret is text that is not empty and holds no NUL")
    return name


def _texts(name: str, value: Any) -> Tuple[bytes, bytes]:
    """A value as JSON: as it is, and in the one form that is the same for all ways of writing it."""
    try:
        plain = json.dumps(value, allow_nan=False)
        canonical = json.dumps(value, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        kind = "what is nested so deeply"
    except (TypeError, ValueError):
        kind = type(value).__name__ + (" that holds something else" if isinstance(value, (list, tuple, dict)) else "")
    else:
        return plain.encode(), canonical.encode()
    del value
    raise BadInput(f"secret {name!r}: a value is JSON data (text, finite number, bool, None, list, dict), not {kind}")
