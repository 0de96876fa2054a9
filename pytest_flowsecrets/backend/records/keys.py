"""Who asks: keys of scope USER and RUNNER, and the tenants (teams) for which they are good.

A key is kept as a digest only and compared in constant time. What the real clients understand: no key, a wrong, an
expired or a revoked one, and a tenant that is not the key's, all give ``UNAUTHENTICATED``.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import uuid
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.backend.client_errors import ApiError, Unauthenticated

if TYPE_CHECKING:
    from datetime import datetime


# Random texts of API keys. Later fake APIs use those of closed ones again.
#
# The leak search masks each key until the run ends. With new keys for each test, its memory would grow with the
# number of tests.

_RESTING = 16  # texts of closed APIs; these are not reused yet, so that the next APIs refuse the keys of a closed one

_unused: Deque[str] = deque()  # the oldest first
os.register_at_fork(after_in_child=_unused.clear)  # a child must not take the texts that its parent takes


class KeyTexts:
    """The texts of the keys of one fake API."""

    def __init__(self) -> None:
        self._texts: List[str] = []
        self._released: List[str] = []

    def create(self) -> str:
        """Return a random text that no other fake API uses."""
        text = _unused.popleft() if len(_unused) > _RESTING else secrets.token_urlsafe(16)
        self._texts.append(text)
        return text

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the texts from other APIs while this one is entered, and release them at its end."""
        for text in self._released:
            if text in _unused:
                _unused.remove(text)
                self._texts.append(text)
        try:
            yield
        finally:
            self._released, self._texts = self._texts, []
            _unused.extend(self._released)


USER, RUNNER = "USER", "RUNNER"
TENANT_HEADER, AGENT_HEADER = "x-prefect-tenant-id", "x-prefect-agent-id"


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Attributes:
        tenant_id: the tenant that the request is about; None on Server, which has no keys and shows every tenant.
        scope: ``USER`` or ``RUNNER``; None on Server.
        key_id: the key's id, not the key.
        user_id: to whom the key belongs; a RUNNER key belongs to a service account.
        agent_id: the agent that says it sent this.
        tenant_ids: every tenant for which the key is good.
        refusal: why nothing that this caller asks for is carried out; None where its key is good.
    """

    tenant_id: Optional[str] = None
    scope: Optional[str] = None
    key_id: Optional[str] = None
    user_id: Optional[str] = None
    agent_id: Optional[str] = None
    tenant_ids: Tuple[str, ...] = ()
    refusal: Optional[ApiError] = None

    def require_user(self) -> None:
        """Check that the key is not that of an agent.

        Raises:
            Unauthenticated: it is.
        """
        if self.scope == RUNNER:
            raise Unauthenticated("AuthenticationError: Forbidden: a key of scope RUNNER may not do this")


class Issued(NamedTuple):
    """A new key, told this once."""

    id: str
    key: str

    def __repr__(self) -> str:
        return f"<Issued {self.id}>"


@dataclass(frozen=True)
class Key:
    """What is kept of a key: all but the key."""

    id: str
    name: str
    scope: str
    user_id: str
    tenant_ids: Tuple[str, ...]
    created: datetime
    expires_at: Optional[datetime]
    digest: bytes
    root: str = ""  # the id of the key that this was made of, as `switch_tenant` does for clients up to 0.15.13


class Keyring:
    """The keys of one API.

    Args:
        now: the clock; aware times in UTC.
        open_to_all: as Server is: whoever asks is answered, with or without a key.
    """

    def __init__(self, now: Callable[[], datetime], *, open_to_all: bool = False) -> None:
        self._now, self._open = now, open_to_all
        self._lock = threading.Lock()
        self.texts = KeyTexts()
        self._keys: Dict[str, Key] = {}

    def issue(  # noqa: PLR0913 - what a key is
        self,
        tenant_ids: Tuple[str, ...],
        scope: str,
        *,
        user_id: str,
        name: str = "",
        expires_at: Optional[datetime] = None,
        made_of: Optional[str] = None,
        text: Optional[str] = None,
    ) -> Issued:
        """Make a key; this is the only time that it is told. The first of its tenants is its default.

        One that is made of another key (its id) is good for no longer than that one. Its text is random by default.
        """
        text = self.texts.create() if text is None else text
        with self._lock:
            older = self._keys.get(made_of or "")
            root = (older and older.root) or made_of or ""
            key = Key(
                str(uuid.uuid4()), name, scope, user_id, tuple(tenant_ids), self._now(), expires_at, _digest(text), root
            )
            self._keys[key.id] = key
        return Issued(key.id, text)

    def revoke(self, key_id: str) -> bool:
        """Let a key be good for nothing from now on; whether there was one."""
        with self._lock:
            return self._keys.pop(key_id, None) is not None

    def revoke_text(self, text: str) -> bool:
        """As ``revoke``, by the key itself."""
        key = self._find(text) if isinstance(text, str) else None
        return key is not None and self.revoke(key.id)

    def admit(self, user_id: str, tenant_id: str) -> None:
        """Let the USER keys of a user be good for one tenant more."""
        with self._lock:
            for key in [key for key in self._keys.values() if key.user_id == user_id and key.scope == USER]:
                self._keys[key.id] = replace(key, tenant_ids=(*key.tenant_ids, tenant_id))

    def rows(self, tenant_id: str) -> List[Dict[str, Any]]:
        """The keys of a tenant, without the keys themselves."""
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
        """Who sent a request with these headers (names in lower case).

        Raises:
            Unauthenticated: no key, one that is not good (any more), or not for this tenant.
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
        """Check that a caller has a RUNNER key of a tenant, one that is good now.

        Raises:
            Unauthenticated: it has not.
        """
        with self._lock:
            key = self._keys.get(caller.key_id or "")
        if key is None or key.scope != RUNNER or tenant_id not in key.tenant_ids or self._has_ended(key):
            raise Unauthenticated("AuthenticationError: Forbidden: a secret's value needs a key of scope RUNNER")

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
        given, found = _digest(text), None
        with self._lock:
            keys = list(self._keys.values())
        for key in keys:  # all of them, so that the time tells nothing
            if hmac.compare_digest(key.digest, given):
                found = key
        return found

    def _has_ended(self, key: Key) -> bool:
        if key.expires_at is not None and self._now() >= key.expires_at:
            return True
        root = self._keys.get(key.root)
        return key.root != "" and (root is None or self._has_ended(root))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
