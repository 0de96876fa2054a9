"""The vault: write-only secrets that can be set, listed and compared, and that flow runs can read."""

from __future__ import annotations

import copy
import gc
import pickle
import traceback
from datetime import datetime, timedelta, timezone

import pytest

from pytest_flowsecrets.backend.messages import ApiError, BadInput, Unauthenticated
from pytest_flowsecrets.backend.records.keys import Caller
from pytest_flowsecrets.backend.records.secret_store import SecretValue, Vault
from pytest_flowsecrets.errors import UsageError

CANARY = "c4n4ry-9f3b7a61"
START = datetime(2022, 5, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
AGENT = Caller("team", "RUNNER", "key-id")


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def vault(clock):
    """A vault from which only AGENT can read."""

    def admit(tenant_id, caller):
        if caller is not AGENT:
            raise Unauthenticated
        return ["run-id"]

    return Vault(clock, admit)


# -- set and list ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["x", "", 42, 4.2, -0.0, True, None, [], {}, [1, {"a": None}], "\ud800", 10**50], ids=repr
)
def test_read_returns_any_json_value_unchanged(vault, value):
    """``read`` returns a value with the same type and contents."""
    vault.put("team", "X", value)
    result = vault.read("team", "X", AGENT)
    assert (result, type(result), repr(result)) == (value, type(value), repr(value))


def test_put_overwrites(vault, clock):
    """``put`` replaces the value and the time of update; id and time of creation stay the same."""
    vault.put("team", "X", "old")
    (before,) = vault.rows("team")
    clock.now += HOUR
    vault.put("team", "X", "new")
    (after,) = vault.rows("team")
    assert vault.holds("team", "X", "new")
    assert not vault.holds("team", "X", "old")
    assert after == {**before, "updated": START + HOUR}


def test_names_are_exact(vault):
    """The vault does not change names, and lists them in the order of creation."""
    names = ["b", "B", " b ", "b.c", "ß", "my secret", "😀"]
    for name in names:
        vault.put("team", name, name)
    assert vault.names("team") == names
    assert all(vault.holds("team", name, name) for name in names)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_put_rejects_invalid_names(vault, name):
    """``put`` rejects an empty name and a NUL character, and stores nothing."""
    with pytest.raises(BadInput, match="not be empty or contain a NUL character"):
        vault.put("team", name, "x")
    assert vault.names("team") == []


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1, 2}, b"x", {"a": object}], ids=["nan", "inf", "set", "bytes", "object"]
)
def test_put_rejects_values_that_are_not_json(vault, value):
    """``put`` rejects a value that is not JSON, names its type, and keeps the previous value."""
    vault.put("team", "X", "old")
    with pytest.raises(
        BadInput, match=f"secret 'X': a value must be JSON data .*, not {type(value).__name__}"
    ) as caught:
        vault.put("team", "X", value)
    assert str(caught.value).endswith(" that contains other types") is isinstance(value, dict)
    assert vault.holds("team", "X", "old")


@pytest.mark.slow
def test_put_rejects_values_that_are_nested_too_deeply(vault):
    """``put`` rejects a value that exceeds Python's recursion limit, without quoting it."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadInput, match=r"not a value that is nested too deeply$"):
        vault.put("team", "X", deep)


def test_tenants_are_separate(vault):
    """Each tenant has its own secrets, and no access to those of other tenants."""
    vault.put("team", "X", "x")
    vault.put("other", "X", "y")
    vault.put("other", "Y", "y")
    assert vault.names("team") == ["X"]
    assert vault.holds("team", "X", "x")
    assert not vault.holds("team", "Y", "y")
    assert vault.delete("team", "Y") is False
    assert vault.names("other") == ["X", "Y"]


def test_delete(vault):
    """``delete`` removes a secret, and returns whether it existed."""
    vault.put("team", "X", "x")
    assert vault.delete("team", "X") is True
    assert vault.delete("team", "X") is False
    assert vault.names("team") == []
    with pytest.raises(ApiError, match=r"^No value found for the requested key$"):
        vault.read("team", "X", AGENT)


# -- compare -----------------------------------------------------------------------------------------------------------


def test_holds_distinguishes_types(vault):
    """``holds`` distinguishes 1, 1.0, True, "1" and null, and ignores the order of keys."""
    values = [1, 1.0, True, "1", None, [1], 0, False, "", [], {}]
    for value in values:
        vault.put("team", "X", value)
        assert [vault.holds("team", "X", other) for other in values] == [other is value for other in values]
    vault.put("team", "X", {"a": 1, "b": [1, 2]})
    assert vault.holds("team", "X", {"b": [1, 2], "a": 1})
    assert not vault.holds("team", "X", {"b": [2, 1], "a": 1})


def test_holds_of_a_missing_secret(vault):
    """``holds`` returns False for a secret that does not exist."""
    assert not vault.holds("team", "X", None)
    assert not vault.holds("team", "X", "")


def test_holds_rejects_values_that_are_not_json(vault):
    """``holds`` rejects a value that is not JSON."""
    with pytest.raises(BadInput, match=r"not set$"):
        vault.holds("team", "X", {1})


# -- time --------------------------------------------------------------------------------------------------------------


def test_expiry(vault, clock):
    """A secret ceases to exist at its expiry; setting it again creates a new one."""
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
    """Planned values take effect at their times; of two with the same time, the later plan wins."""
    vault.put("team", "X", "a")
    vault.rotate("team", "X", "c", at=START + 2 * HOUR)
    vault.rotate("team", "X", "lost", at=START + HOUR)
    vault.rotate("team", "X", "b", at=START + HOUR)
    values = []
    for hours in range(4):
        clock.now = START + hours * HOUR
        values.append(vault.read("team", "X", AGENT))
    assert values == ["a", "b", "c", "c"]
    assert vault.rows("team")[0]["updated"] == START + 2 * HOUR


def test_immediate_rotation(vault):
    """Without a time or with a past one, ``rotate`` takes effect immediately."""
    vault.put("team", "X", "a")
    vault.rotate("team", "X", "b")
    assert vault.holds("team", "X", "b")
    vault.rotate("team", "X", "c", at=START - HOUR)
    assert vault.holds("team", "X", "c")


def test_put_cancels_plans(vault, clock):
    """``put`` cancels planned rotations and the expiry."""
    vault.put("team", "X", "a", expires_at=START + HOUR)
    vault.rotate("team", "X", "b", at=START + HOUR)
    vault.put("team", "X", "c")
    clock.now += 2 * HOUR
    assert vault.holds("team", "X", "c")


def test_rotation_of_a_missing_secret(vault, clock):
    """``rotate`` rejects a secret that does not exist or has expired."""
    with pytest.raises(UsageError, match="there is no secret 'X' to rotate: set it first"):
        vault.rotate("team", "X", "x")
    vault.put("team", "X", "x", expires_at=START + HOUR)
    clock.now += HOUR
    with pytest.raises(UsageError, match="there is no secret 'X'"):
        vault.rotate("team", "X", "x")


def test_a_clock_that_goes_back(vault, clock):
    """Before the time of the first value, a secret has its first value."""
    vault.put("team", "X", "x")
    clock.now -= HOUR
    assert vault.holds("team", "X", "x")


# -- read --------------------------------------------------------------------------------------------------------------


def test_reads_are_recorded(vault, clock):
    """``reads`` lists successful reads only, each with name, time, tenant, key and runs."""
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


def test_errors_do_not_reveal_whether_a_secret_exists(vault):
    """A caller without permission gets the same error for existing and missing secrets."""
    vault.put("team", "X", "x")
    messages = set()
    for name in ("X", "Y"):
        with pytest.raises(Unauthenticated) as caught:
            vault.read("team", name, Caller("team", "USER"))
        messages.add(str(caught.value))
    assert len(messages) == 1


# -- write-only --------------------------------------------------------------------------------------------------------


def reachable(start):
    """Return all objects that the garbage collector can reach, except modules, types and contents of secret values."""
    visited, pending = {}, [start]
    while pending:
        value = pending.pop()
        if id(value) in visited or isinstance(value, (type(gc), type)):
            continue
        visited[id(value)] = value
        is_module_globals = isinstance(value, dict) and "__builtins__" in value
        if not is_module_globals and not isinstance(value, SecretValue):
            pending += gc.get_referents(value)
    return visited.values()


def test_only_secret_values_contain_a_value(vault):
    """No attribute, slot, closure or container of a vault contains a value, except inside a ``SecretValue``."""
    vault.put("team", "X", CANARY)
    vault.put("team", "X", {"deep": [CANARY]})
    vault.rotate("team", "X", CANARY + "!")
    vault.holds("team", "X", CANARY)
    assert vault.finder("team", "X")(CANARY)
    vault.read("team", "X", AGENT)
    objects = list(reachable(vault))
    assert sum(isinstance(value, SecretValue) for value in objects) == 2
    texts = [value for value in objects if isinstance(value, (str, bytes))]
    assert "X" in texts
    for value in texts:
        text = value if isinstance(value, str) else value.decode("latin-1")
        assert CANARY not in text
        assert CANARY.encode().hex() not in text


def test_reachable_finds_a_value(vault):
    """``reachable`` finds a value in a closure, so the previous test can fail."""
    vault.put("team", "X", "x")
    vault.extra = lambda value=CANARY: value
    assert CANARY in [value for value in reachable(vault) if isinstance(value, str)]


@pytest.fixture
def value():
    return SecretValue(f'["{CANARY}"]'.encode(), b"digest")


@pytest.mark.parametrize("show", [repr, str, "{0}".format, "{0!r}".format, lambda value: repr([value])])
def test_texts_of_a_secret_value(value, show):
    """Neither repr nor str nor format of a secret value contains the value, also not inside a container."""
    assert show(value) in ("<SecretValue>", "[<SecretValue>]")
    assert value.reveal() == [CANARY]


def test_attributes_of_a_secret_value(value):
    """A secret value has no ``__dict__``, so ``vars()`` and tools that show attributes do not find the value."""
    with pytest.raises(TypeError):
        vars(value)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_secrets_cannot_be_copied(vault, value, duplicate):
    """Neither a vault nor a secret value can be copied or pickled."""
    vault.put("team", "X", CANARY)
    for source in (vault, value, [value]):
        if source == [value] and duplicate is copy.copy:
            continue  # a shallow copy of a list contains the same object
        with pytest.raises(TypeError, match="neither be pickled nor copied"):
            duplicate(source)


def test_tracebacks_show_no_value(vault):
    """The local variables of the innermost frame of an error do not contain the rejected value."""
    invalid = {"a": CANARY, "b": object()}
    with pytest.raises(BadInput) as caught:
        vault.holds("team", "X", invalid)
    output = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "test_tracebacks_show_no_value" in output
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert CANARY not in repr(frames[-1].f_locals)
