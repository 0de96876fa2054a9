"""Values under lock and key: sealed, compared by digest, looked for in texts, and revealed to whom `admit` lets.

The keys lie in closures, where no attribute leads.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Sequence

from pytest_flowsecrets.leaks.search.finder import finder, forms_of

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.keys import Caller

# Who may read (tenant, caller): the ids of the flow runs that go on there, or an exception.
Admit = Callable[[str, "Caller"], Sequence[str]]
# What a lock that is opened gives: the sealed bytes, for the flow runs that may read.
Take = Callable[[Sequence[str]], bytes]


class Locks(NamedTuple):
    """What can be done with values: see `locksmith`."""

    digest: Callable[[bytes], bytes]
    seal: Callable[[str, bytes], bytes]
    reveal: Callable[[str, Caller, Take], Any]
    spot: Callable[[str, Sequence[bytes]], Callable[[str], bool]]


def locksmith(admit: Admit) -> Locks:
    """Functions that digest, seal, reveal and find values, with keys of their own; to reveal, ``admit`` is asked."""
    lock, stamp = secrets.token_bytes(32), secrets.token_bytes(32)

    def digest(data: bytes) -> bytes:
        return hmac.new(stamp, data, hashlib.sha256).digest()

    def mixed(tenant_id: str, data: bytes, nonce: bytes) -> bytes:
        stream = hashlib.shake_256(lock + nonce + tenant_id.encode()).digest(len(data))
        return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(data), "big")

    def seal(tenant_id: str, data: bytes) -> bytes:
        nonce = secrets.token_bytes(16)
        return nonce + mixed(tenant_id, data, nonce)

    def unseal(tenant_id: str, sealed: bytes) -> Any:
        return json.loads(mixed(tenant_id, sealed[16:], sealed[:16]))

    def reveal(tenant_id: str, caller: Caller, take: Take) -> Any:
        return unseal(tenant_id, take(admit(tenant_id, caller)))

    def spot(tenant_id: str, sealed: Sequence[bytes]) -> Callable[[str], bool]:
        return finder([text for one in sealed for text in forms_of(unseal(tenant_id, one))])

    return Locks(digest, seal, reveal, spot)
