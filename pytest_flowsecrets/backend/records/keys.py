"""Authentication: API keys of scope USER and RUNNER, and the tenants (teams) for which they are valid.

Only the digest of a key is stored, and it is compared in constant time. A missing, wrong, expired or revoked key and a
tenant without access all result in ``UNAUTHENTICATED``, which the real clients understand.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import uuid
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.backend.messages import ApiError, Unauthenticated
from pytest_flowsecrets.operating_system import register_at_fork

if TYPE_CHECKING:
    from datetime import datetime


USER, RUNNER = "USER", "RUNNER"
TENANT_HEADER, AGENT_HEADER = "x-prefect-tenant-id", "x-prefect-agent-id"


@dataclass(frozen=True)
class Caller:
    """The sender of a request.

    Attributes:
        tenant_id: the tenant of the request; None on Server, which has no keys and shows all tenants.
        scope: ``USER`` or ``RUNNER``; None on Server.
        key_id: the id of the key, not the key.
        user_id: the owner of the key; a RUNNER key belongs to a service account.
        agent_id: the id in the agent header, which is not verified.
        tenant_ids: all tenants for which the key is valid.
        refusal: the error that every operation of this caller gets; None if the key is valid.
    """

    tenant_id: Optional[str] = None
    scope: Optional[str] = None
    key_id: Optional[str] = None
    user_id: Optional[str] = None
    agent_id: Optional[str] = None
    tenant_ids: Tuple[str, ...] = ()
    refusal: Optional[ApiError] = None

    def require_user(self) -> None:
        """Check that the key does not have the scope RUNNER.

        Raises:
            Unauthenticated: it has.
        """
        if self.scope == RUNNER:
            raise Unauthenticated("AuthenticationError: Forbidden: a key of scope RUNNER may not do this")


class Issued(NamedTuple):
    """A new key. Its text is not available later."""

    id: str
    key: str

    def __repr__(self) -> str:
        return f"<Issued {self.id}>"


@dataclass(frozen=True)
class Key:
    """The data of a key, without its text."""

    id: str
    name: str
    scope: str
    user_id: str
    tenant_ids: Tuple[str, ...]
    created: datetime
    expires_at: Optional[datetime]
    digest: bytes
    root: str = ""  # the id of the key from which `switch_tenant` derived this one (clients up to 0.15.13)


# -- texts of keys -----------------------------------------------------------------------------------------------------

_RESERVED = 16  # the number of released texts that are not reused yet: the next APIs must reject keys of a closed one

unused_texts: Deque[str] = deque()  # oldest first
register_at_fork(after_in_child=unused_texts.clear)  # parent and child must not use the same texts


class KeyTexts:
    """The random texts of the keys of one fake API.

    Fake APIs reuse the texts of closed ones: the leak search masks each key until the run ends, so its memory would
    grow with the number of tests if each test had new keys.
    """

    def __init__(self) -> None:
        self._texts: List[str] = []
        self._released: List[str] = []

    def create(self) -> str:
        """Return a random text that no other fake API uses."""
        text = unused_texts.popleft() if len(unused_texts) > _RESERVED else secrets.token_urlsafe(16)
        self._texts.append(text)
        return text

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Reserve the texts for this API while it is entered, and release them when it is left."""
        for text in self._released:
            if text in unused_texts:
                unused_texts.remove(text)
                self._texts.append(text)
        try:
            yield
        finally:
            self._released, self._texts = self._texts, []
            unused_texts.extend(self._released)


# -- keys of one API ---------------------------------------------------------------------------------------------------


class Keyring:
    """The keys of one API.

    Args:
        now: a function that returns the current time: aware, in UTC.
        open_to_all: accept requests without a key, as Server does.
    """

    def __init__(self, now: Callable[[], datetime], *, open_to_all: bool = False) -> None:
        self._now, self._open = now, open_to_all
        self._lock = threading.Lock()
        self.texts = KeyTexts()
        self._keys: Dict[str, Key] = {}

    def issue(  # noqa: PLR0913 - keyword arguments, one for each property of a key
        self,
        tenant_ids: Tuple[str, ...],
        scope: str,
        *,
        user_id: str,
        name: str = "",
        expires_at: Optional[datetime] = None,
        parent_id: Optional[str] = None,
        text: Optional[str] = None,
    ) -> Issued:
        """Create a key. Only the return value contains its text.

        Args:
            tenant_ids: the tenants for which it is valid; the first one is the default.
            scope: ``USER`` or ``RUNNER``.
            user_id: its owner.
            name: its name.
            expires_at: the time from which on it is not valid.
            parent_id: the id of the key from which it is derived, and with which it ceases to be valid.
            text: the key itself, by default a random text.
        """
        text = self.texts.create() if text is None else text
        with self._lock:
            parent = self._keys.get(parent_id or "")
            root = (parent and parent.root) or parent_id or ""
            key = Key(
                str(uuid.uuid4()), name, scope, user_id, tuple(tenant_ids), self._now(), expires_at, _digest(text), root
            )
            self._keys[key.id] = key
        return Issued(key.id, text)

    def revoke(self, key_id: str) -> bool:
        """Revoke a key by its id, and return whether it existed."""
        with self._lock:
            return self._keys.pop(key_id, None) is not None

    def revoke_text(self, text: str) -> bool:
        """Revoke a key by its text, and return whether it existed."""
        key = self._find(text) if isinstance(text, str) else None
        return key is not None and self.revoke(key.id)

    def admit(self, user_id: str, tenant_id: str) -> None:
        """Extend the USER keys of a user to another tenant."""
        with self._lock:
            for key in [key for key in self._keys.values() if key.user_id == user_id and key.scope == USER]:
                self._keys[key.id] = replace(key, tenant_ids=(*key.tenant_ids, tenant_id))

    def rows(self, tenant_id: str) -> List[Dict[str, Any]]:
        """Return the data of a tenant's keys, without their texts."""
        with self._lock:
            keys = list(self._keys.values())
        return [
            {
                "id": key.id,
                "name": key.name,
                "user_id": key.user_id,
                "tenant_id": key.tenant_ids[0],
                "scope": key.scope,
                "created": key.created,
                "expires_at": key.expires_at,
            }
            for key in keys
            if not key.root and tenant_id in key.tenant_ids
        ]

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return the sender of a request with these headers (names in lower case).

        Raises:
            Unauthenticated: the key is missing, not valid, or not valid for the tenant.
        """
        agent_id = headers.get(AGENT_HEADER)
        if self._open:
            return Caller(agent_id=agent_id)
        key = self._presented(headers.get("authorization"))
        tenant_id = headers.get(TENANT_HEADER) or key.tenant_ids[0]
        if tenant_id not in key.tenant_ids:
            raise Unauthenticated
        return Caller(tenant_id, key.scope, key.id, key.user_id, agent_id, key.tenant_ids)

    def require_runner(self, caller: Caller, tenant_id: str) -> None:
        """Check that a caller has a valid RUNNER key of a tenant.

        Raises:
            Unauthenticated: it has none.
        """
        with self._lock:
            key = self._keys.get(caller.key_id or "")
        if key is None or key.scope != RUNNER or tenant_id not in key.tenant_ids or self._has_ended(key):
            raise Unauthenticated("AuthenticationError: Forbidden: reading a secret requires a key of scope RUNNER")

    def _presented(self, header: Optional[str]) -> Key:
        if header is None:
            raise Unauthenticated
        kind, _, text = header.partition(" ")
        if kind.lower() != "bearer" or not text.strip():
            raise Unauthenticated("Malformed Authorization header")
        key = self._find(text.strip())
        if key is None or self._has_ended(key):
            raise Unauthenticated
        return key

    def _find(self, text: str) -> Optional[Key]:
        digest, match = _digest(text), None
        with self._lock:
            keys = list(self._keys.values())
        for key in keys:  # all of them: the duration must not depend on the key
            if hmac.compare_digest(key.digest, digest):
                match = key
        return match

    def _has_ended(self, key: Key) -> bool:
        if key.expires_at is not None and self._now() >= key.expires_at:
            return True
        root = self._keys.get(key.root)
        return key.root != "" and (root is None or self._has_ended(root))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
