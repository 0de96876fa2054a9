"""The vault: secrets that can be set, named, compared and, by a running flow, read."""

from __future__ import annotations

import copy
import gc
import pickle
import traceback
from datetime import datetime, timedelta, timezone

import pytest

from pytest_flowsecrets.backend.client_errors import ApiError, BadInput, Unauthenticated
from pytest_flowsecrets.backend.records.keys import Caller
from pytest_flowsecrets.backend.records.secret_store import Vault
from pytest_flowsecrets.errors import UsageError

CANARY = "c4n4ry-9f3b7a61"
START = datetime(2022, 5, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
AGENT = Caller("team", "RUNNER", "key-id")


class Clock:
    """Time that a test moves."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def vault(clock):
    """A vault that lets AGENT read."""

    def admit(tenant_id, caller):
        if caller is not AGENT:
            raise Unauthenticated
        return ["run-id"]

    return Vault(clock, admit)


# -- setting and naming ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["x", "", 42, 4.2, -0.0, True, None, [], {}, [1, {"a": None}], "\ud800", 10**50], ids=repr
)
def test_any_json_value_comes_back_as_it_was(vault, value):
    """To whom may read; type and contents are the same."""
    vault.put("team", "X", value)
    got = vault.read("team", "X", AGENT)
    assert (got, type(got), repr(got)) == (value, type(value), repr(value))


def test_setting_again_overwrites(vault, clock):
    """Value and time of change; the secret stays the same one, with its time of creation."""
    vault.put("team", "X", "old")
    (before,) = vault.rows("team")
    clock.now += HOUR
    vault.put("team", "X", "new")
    (after,) = vault.rows("team")
    assert vault.holds("team", "X", "new")
    assert not vault.holds("team", "X", "old")
    assert after == {**before, "updated": START + HOUR}


def test_names_are_exact(vault):
    """Neither case nor spaces nor dots are changed; the order is that of creation."""
    names = ["b", "B", " b ", "b.c", "ß", "my secret", "😀"]
    for name in names:
        vault.put("team", name, name)
    assert vault.names("team") == names
    assert all(vault.holds("team", name, name) for name in names)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_names_that_no_secret_can_have(vault, name):
    """Are refused, and nothing is stored."""
    with pytest.raises(BadInput, match="not empty and holds no NUL"):
        vault.put("team", name, "x")
    assert vault.names("team") == []


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1, 2}, b"x", {"a": object}], ids=["nan", "inf", "set", "bytes", "object"]
)
def test_values_that_are_no_json(vault, value):
    """Are refused by type; what was there stays."""
    vault.put("team", "X", "old")
    with pytest.raises(BadInput, match=f"secret 'X': a value is JSON data .*, not {type(value).__name__}") as caught:
        vault.put("team", "X", value)
    assert str(caught.value).endswith(" that holds something else") is isinstance(value, dict)
    assert vault.holds("team", "X", "old")


@pytest.mark.slow
def test_values_that_are_nested_too_deeply(vault):
    """Are refused as well, without a word of what is in them."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadInput, match=r"not what is nested so deeply$"):
        vault.put("team", "X", deep)


def test_tenants_do_not_meet(vault):
    """The same name is another secret in another team, and no name of one is seen by the other."""
    vault.put("team", "X", "x")
    vault.put("other", "X", "y")
    vault.put("other", "Y", "y")
    assert vault.names("team") == ["X"]
    assert vault.holds("team", "X", "x")
    assert not vault.holds("team", "Y", "y")
    assert vault.delete("team", "Y") is False
    assert vault.names("other") == ["X", "Y"]


def test_delete(vault):
    """The secret is gone; whether there was one is told."""
    vault.put("team", "X", "x")
    assert vault.delete("team", "X") is True
    assert vault.delete("team", "X") is False
    assert vault.names("team") == []
    with pytest.raises(ApiError, match=r"^No value found for the requested key$"):
        vault.read("team", "X", AGENT)


# -- comparing ---------------------------------------------------------------------------------------------------------


def test_holds_tells_types_apart(vault):
    """1, 1.0, True, "1" and null are five values; objects are the same whatever the order of their keys."""
    values = [1, 1.0, True, "1", None, [1], 0, False, "", [], {}]
    for value in values:
        vault.put("team", "X", value)
        assert [vault.holds("team", "X", other) for other in values] == [other is value for other in values]
    vault.put("team", "X", {"a": 1, "b": [1, 2]})
    assert vault.holds("team", "X", {"b": [1, 2], "a": 1})
    assert not vault.holds("team", "X", {"b": [2, 1], "a": 1})


def test_holds_of_what_is_not_there(vault):
    """Is False, for every value."""
    assert not vault.holds("team", "X", None)
    assert not vault.holds("team", "X", "")


def test_holds_of_no_json(vault):
    """Is refused."""
    with pytest.raises(BadInput, match=r"not set$"):
        vault.holds("team", "X", {1})


# -- time --------------------------------------------------------------------------------------------------------------


def test_expiry(vault, clock):
    """From that moment on there is no such secret; setting it again makes a new one."""
    vault.put("team", "X", "x", expires_at=START + HOUR)
    (before,) = vault.rows("team")
    clock.now = START + HOUR - timedelta(microseconds=1)
    assert vault.holds("team", "X", "x")
    clock.now = START + HOUR
    assert vault.names("team") == []
    assert not vault.holds("team", "X", "x")
    with pytest.raises(ApiError, match="No value found"):
        vault.read("team", "X", AGENT)
    assert vault.delete("team", "X") is False
    vault.put("team", "X", "y")
    (after,) = vault.rows("team")
    assert after["id"] != before["id"]
    assert after["created"] == START + HOUR


def test_rotation(vault, clock):
    """The old value before, the new one from that moment on; two can be planned."""
    vault.put("team", "X", "a")
    vault.rotate("team", "X", "c", at=START + 2 * HOUR)
    vault.rotate("team", "X", "lost", at=START + HOUR)
    vault.rotate("team", "X", "b", at=START + HOUR)
    found = []
    for hours in range(4):
        clock.now = START + hours * HOUR
        found.append(vault.read("team", "X", AGENT))
    assert found == ["a", "b", "c", "c"]
    assert vault.rows("team")[0]["updated"] == START + 2 * HOUR


def test_rotation_at_once(vault):
    """Without a time, or with one that has passed."""
    vault.put("team", "X", "a")
    vault.rotate("team", "X", "b")
    assert vault.holds("team", "X", "b")
    vault.rotate("team", "X", "c", at=START - HOUR)
    assert vault.holds("team", "X", "c")


def test_setting_forgets_what_was_planned(vault, clock):
    """Rotation and expiry."""
    vault.put("team", "X", "a", expires_at=START + HOUR)
    vault.rotate("team", "X", "b", at=START + HOUR)
    vault.put("team", "X", "c")
    clock.now += 2 * HOUR
    assert vault.holds("team", "X", "c")


def test_rotation_of_what_is_not_there(vault, clock):
    """Is refused, also after expiry."""
    with pytest.raises(UsageError, match="there is no secret 'X' to rotate: set it first"):
        vault.rotate("team", "X", "x")
    vault.put("team", "X", "x", expires_at=START + HOUR)
    clock.now += HOUR
    with pytest.raises(UsageError, match="there is no secret 'X'"):
        vault.rotate("team", "X", "x")


def test_a_clock_that_goes_back(vault, clock):
    """The oldest value counts."""
    vault.put("team", "X", "x")
    clock.now -= HOUR
    assert vault.holds("team", "X", "x")


# -- reading -----------------------------------------------------------------------------------------------------------


def test_reads_are_told(vault, clock):
    """Name, time, tenant, key and runs, for each that got a value; not for those that did not."""
    vault.put("team", "X", "x")
    vault.read("team", "X", AGENT)
    clock.now += HOUR
    vault.read("team", "X", AGENT)
    for name, caller in (("Y", AGENT), ("X", Caller("team", "USER"))):
        with pytest.raises(ApiError):
            vault.read("team", name, caller)
    assert [(read.name, read.at, read.tenant_id, read.key_id, read.flow_run_ids) for read in vault.reads] == [
        ("X", START, "team", "key-id", ("run-id",)),
        ("X", START + HOUR, "team", "key-id", ("run-id",)),
    ]


def test_who_may_not_read_learns_nothing(vault):
    """Whether the secret is there makes no difference."""
    vault.put("team", "X", "x")
    told = set()
    for name in ("X", "Y"):
        with pytest.raises(Unauthenticated) as caught:
            vault.read("team", name, Caller("team", "USER"))
        told.add(str(caught.value))
    assert len(told) == 1


# -- write-only --------------------------------------------------------------------------------------------------------


def reachable(start):
    """Everything that the garbage collector can name from an object, modules and types aside."""
    seen, todo = {}, [start]
    while todo:
        value = todo.pop()
        if id(value) in seen or isinstance(value, (type(gc), type)):
            continue
        seen[id(value)] = value
        if not (isinstance(value, dict) and "__builtins__" in value):  # the globals of a module
            todo += gc.get_referents(value)
            if isinstance(value, (str, bytes, int, float)):
                continue
    return seen.values()


def test_no_object_that_hangs_on_a_vault_is_a_value(vault):
    """Not by attributes, slots, closures or containers: there are only sealed bytes and digests."""
    vault.put("team", "X", CANARY)
    vault.put("team", "X", {"deep": [CANARY]})
    vault.rotate("team", "X", CANARY + "!")
    vault.holds("team", "X", CANARY)
    assert vault.finder("team", "X")(CANARY)
    vault.read("team", "X", AGENT)
    found = [value for value in reachable(vault) if isinstance(value, (str, bytes))]
    assert len(found) > 30
    for value in found:
        text = value if isinstance(value, str) else value.decode("latin-1")
        assert CANARY not in text
        assert CANARY.encode().hex() not in text


def test_reachable_would_find_one(vault):
    """The search of the test before can fail."""
    vault.put("team", "X", "x")
    vault.extra = lambda value=CANARY: value
    assert CANARY in [value for value in reachable(vault) if isinstance(value, str)]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_no_copies(vault, copied):
    """Neither copied nor pickled."""
    vault.put("team", "X", CANARY)
    with pytest.raises(TypeError, match="neither be pickled nor copied"):
        copied(vault)


def test_tracebacks_show_no_value(vault):
    """The local variables of the frames below the caller's hold no value that was refused."""
    refused = {"a": CANARY, "b": object()}
    with pytest.raises(BadInput) as caught:
        vault.holds("team", "X", refused)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "test_tracebacks_show_no_value" in shown
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    deepest = frames[-1].f_locals
    assert CANARY not in repr(deepest)


def test_a_sealed_value_is_of_use_to_its_tenant_only(vault):
    """What was put into another tenant's secret by hand is not opened."""
    vault.put("team", "X", CANARY)
    vault.put("other", "X", "x")
    vault._tenants["team"]["X"].versions, stolen = vault._tenants["other"]["X"].versions, None
    assert stolen is None
    with pytest.raises(ValueError):
        vault.read("team", "X", AGENT)
