"""API keys: what each key permits, and the errors of the others."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta, timezone

import pytest

from pytest_flowsecrets.backend.messages import Unauthenticated
from pytest_flowsecrets.backend.records import keys as key_texts
from pytest_flowsecrets.backend.records.keys import RUNNER, USER, Caller, Keyring

START = datetime(2022, 5, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def now():
    return [START]


@pytest.fixture
def ring(now):
    return Keyring(lambda: now[0])


def headers(key, **others):
    return {"authorization": f"Bearer {key}", **{f"x-prefect-{name}-id": text for name, text in others.items()}}


def test_a_good_key(ring):
    """A valid key identifies the caller, its scope and its tenants."""
    issued = ring.issue(("team", "other"), USER, user_id="me")
    caller = ring.caller(headers(issued.key, agent="agent-id"))
    assert caller == Caller("team", USER, issued.id, "me", "agent-id", ("team", "other"))
    assert ring.caller(headers(issued.key, tenant="other")).tenant_id == "other"
    caller.require_user()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "Unauthenticated"),
        ("", "Malformed Authorization header"),
        ("Bearer", "Malformed Authorization header"),
        ("Bearer  ", "Malformed Authorization header"),
        ("Basic abc", "Malformed Authorization header"),
        ("Bearer wrong", "Unauthenticated"),
        ("Bearer \ud800", "Unauthenticated"),
    ],
)
def test_what_is_no_key(ring, header, message):
    """A missing, malformed or unknown key raises Unauthenticated."""
    ring.issue(("team",), USER, user_id="me")
    with pytest.raises(Unauthenticated, match=f"^{message}$") as caught:
        ring.caller({} if header is None else {"authorization": header})
    assert caught.value.extensions == {"code": "UNAUTHENTICATED"}


def test_a_revoked_key(ring):
    """A revoked key is not valid any more."""
    issued = ring.issue(("team",), USER, user_id="me")
    assert ring.revoke(issued.id) is True
    assert ring.revoke(issued.id) is False
    assert ring.revoke_text(issued.key) is False
    for nothing in (None, 5, b"x", [issued.key]):
        assert ring.revoke_text(nothing) is False
    with pytest.raises(Unauthenticated):
        ring.caller(headers(issued.key))


def test_an_expired_key(ring, now):
    """A key is valid until its expiry."""
    issued = ring.issue(("team",), RUNNER, user_id="agent", expires_at=START + timedelta(hours=1))
    caller = ring.caller(headers(issued.key))
    ring.require_runner(caller, "team")
    now[0] += timedelta(hours=1)
    with pytest.raises(Unauthenticated):
        ring.caller(headers(issued.key))
    with pytest.raises(Unauthenticated):
        ring.require_runner(caller, "team")


@pytest.mark.parametrize("ends", ["revoked", "expired"])
def test_what_was_made_of_a_key(ring, now, ends):
    """Tokens derived from a key (clients up to 0.15.13) end with that key at the latest."""
    issued = ring.issue(("team",), RUNNER, user_id="me", expires_at=START + timedelta(hours=1))
    first = ring.issue(("team",), RUNNER, user_id="me", parent_id=issued.id, expires_at=START + timedelta(minutes=1))
    second = ring.issue(("team",), RUNNER, user_id="me", parent_id=first.id)
    now[0] = START + timedelta(minutes=2)
    caller = ring.caller(headers(second.key))
    ring.require_runner(caller, "team")
    assert [row["id"] for row in ring.rows("team")] == [issued.id]
    if ends == "revoked":
        ring.revoke(issued.id)
    else:
        now[0] = START + timedelta(hours=1)
    for token in (issued, first, second):
        with pytest.raises(Unauthenticated):
            ring.caller(headers(token.key))
    with pytest.raises(Unauthenticated):
        ring.require_runner(caller, "team")


def test_another_tenant(ring):
    """A key without access to the tenant raises Unauthenticated, like a wrong key."""
    mine, _ = ring.issue(("team",), USER, user_id="me"), ring.issue(("other",), USER, user_id="you")
    with pytest.raises(Unauthenticated):
        ring.caller(headers(mine.key, tenant="other"))


def test_a_tenant_more(ring):
    """``admit`` extends the USER keys of one user to a tenant, and no other keys."""
    mine = ring.issue(("team",), USER, user_id="me")
    agents = ring.issue(("team",), RUNNER, user_id="me")
    ring.admit("me", "other")
    assert ring.caller(headers(mine.key)).tenant_ids == ("team", "other")
    assert ring.caller(headers(agents.key)).tenant_ids == ("team",)


def test_scopes(ring):
    """``require_user`` and ``require_runner`` accept only keys with the right scope and tenant."""
    user = ring.caller(headers(ring.issue(("team",), USER, user_id="me").key))
    agent = ring.caller(headers(ring.issue(("team",), RUNNER, user_id="agent").key))
    ring.require_runner(agent, "team")
    with pytest.raises(Unauthenticated, match="a key of scope RUNNER may not do this"):
        agent.require_user()
    for caller, tenant in ((user, "team"), (agent, "other"), (Caller("team", RUNNER), "team")):
        with pytest.raises(Unauthenticated, match="requires a key of scope RUNNER"):
            ring.require_runner(caller, tenant)


def test_server_asks_for_no_key():
    """Server accepts all requests, with or without a key, and identifies no caller."""
    ring = Keyring(lambda: START, open_to_all=True)
    assert ring.caller({}) == Caller()
    assert ring.caller(headers("any", agent="agent-id")) == Caller(agent_id="agent-id")


def test_rows_tell_no_key(ring):
    """``rows`` returns the data of keys without their texts, and omits derived tokens."""
    issued = ring.issue(("team",), USER, user_id="me", name="laptop")
    ring.issue(("team",), USER, user_id="me", parent_id="x")
    ring.issue(("other",), USER, user_id="you")
    (row,) = ring.rows("team")
    assert (row["id"], row["name"], row["scope"], row["expires_at"]) == (issued.id, "laptop", USER, None)
    assert issued.key not in repr((row, issued, vars(ring)))


def test_a_run_of_many_apis_has_few_keys(monkeypatch):
    """APIs reuse the keys of closed APIs; APIs that are open at the same time have different keys."""
    monkeypatch.setattr(key_texts, "unused_texts", deque())  # without those of the tests before
    texts = set()
    for _ in range(50):
        first, second = Keyring(lambda: START), Keyring(lambda: START)
        with first.texts.in_use(), second.texts.in_use():
            keys = [
                ring.issue(("team",), scope, user_id="me").key for ring in (first, second) for scope in (USER, RUNNER)
            ]
        assert len({*keys}) == 4
        texts |= {*keys}
    assert len(texts) <= 16 + 2 * 4


def test_the_next_api_refuses_the_keys_of_a_closed_one():
    """An API rejects the keys of the API before, because they are not reused immediately."""
    closed = Keyring(lambda: START)
    with closed.texts.in_use():
        keys = [closed.issue(("team",), USER, user_id="me").key for _ in range(4)]
    following = Keyring(lambda: START)
    with following.texts.in_use():
        assert following.issue(("team",), USER, user_id="me").key not in keys
        for key in keys:
            with pytest.raises(Unauthenticated):
                following.caller(headers(key))


def test_an_api_that_is_entered_again_has_its_keys_to_itself():
    """Other APIs do not use the keys of an API that is entered again."""
    ring, texts = Keyring(lambda: START), []
    with ring.texts.in_use():
        key = ring.issue(("team",), USER, user_id="me").key
    with ring.texts.in_use():
        for _ in range(10):
            other = Keyring(lambda: START)
            with other.texts.in_use():
                texts += [other.issue(("team",), USER, user_id="me").key for _ in range(5)]
        assert ring.caller(headers(key)).user_id == "me"
    assert key not in texts


def test_an_api_does_not_take_back_a_key_that_another_uses():
    """An API that is entered again does not reclaim a key that another API uses now."""
    first, others, texts = Keyring(lambda: START), [], []
    with first.texts.in_use():
        key = first.issue(("team",), USER, user_id="me").key
    while key not in texts:  # 17 rest at most
        others.append(Keyring(lambda: START))
        with others[-1].texts.in_use():
            texts += [others[-1].issue(("team",), USER, user_id="me").key for _ in range(5)]
            if key in texts:
                with first.texts.in_use():
                    pass
                assert key not in [others[-1].texts.create() for _ in range(30)]


def test_revoked_texts_are_not_reused_by_their_keyring(ring):
    """A keyring does not reuse the text of a revoked key."""
    issued = ring.issue(("team",), USER, user_id="me")
    assert ring.revoke(issued.id)
    assert issued.key not in [ring.issue(("team",), USER, user_id="me").key for _ in range(40)]
    with pytest.raises(Unauthenticated):
        ring.caller(headers(issued.key))
