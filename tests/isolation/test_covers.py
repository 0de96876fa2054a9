"""Temporary environment variables of an isolation, which overlap and end in any order."""

from __future__ import annotations

import os
from itertools import permutations

import pytest

from pytest_flowsecrets import IsolationEnded, SecretRejected, isolated_prefect
from pytest_flowsecrets.isolation import stack

BACKEND, OTHER = "PREFECT__BACKEND", "PREFECT__CLOUD__OTHER"


@pytest.fixture
def isolation(flowsecrets_isolation):
    return flowsecrets_isolation


def values(*names):
    return tuple(os.environ.get(name) for name in names)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_left_in_any_order(isolation, order):
    """The topmost remaining overlay decides, and the original values are restored at the end."""
    os.environ[OTHER] = "test's own"
    before = values(BACKEND, OTHER), dict(isolation.injector.variables)
    overlays = [{BACKEND: "a", OTHER: "a"}, {BACKEND: "b"}, {BACKEND: None, OTHER: "c"}]
    entered = [isolation.overlay(overlay) for overlay in overlays]
    for overlay in entered:
        overlay.__enter__()
    assert values(BACKEND, OTHER) == (None, "c")
    left = set(range(3))
    for number in order:
        entered[number].__exit__(None, None, None)
        left.discard(number)
        texts = [
            next((overlays[n][name] for n in sorted(left, reverse=True) if name in overlays[n]), None)
            for name in (BACKEND, OTHER)
        ]
        assert values(BACKEND) == (texts[0],)
        assert values(OTHER) == ((texts[1] if left - {1} else "test's own"),)
    assert (values(BACKEND, OTHER), dict(isolation.injector.variables)) == before


def test_what_the_test_sets_stays(isolation, local_secrets):
    """A variable that the test sets stays after its overlays end. A later overlay hides it temporarily."""
    local_secrets.use_local_secrets = True
    flag = "PREFECT__CLOUD__USE_LOCAL_SECRETS"
    with isolation.overlay({flag: "false"}):
        assert not local_secrets.use_local_secrets
        os.environ[flag] = "TRUE"
        with isolation.overlay({flag: "false"}):
            assert values(flag) == ("false",)
        assert values(flag) == ("TRUE",)
    assert values(flag) == ("TRUE",)
    with isolation.overlay({flag: "false"}):
        pass
    assert values(flag) == ("TRUE",)


def test_a_later_isolation_is_left_first(isolation):
    """The end of an overlay exits the isolations that began inside it."""
    overlay = isolation.overlay({BACKEND: "server"})
    overlay.__enter__()
    inner = isolated_prefect()
    secrets = inner.__enter__()
    assert values(BACKEND) == (None,)
    overlay.__exit__(None, None, None)
    assert stack.current() is isolation
    with pytest.raises(IsolationEnded):
        len(secrets)
    inner.__exit__(None, None, None)


def test_an_isolation_that_has_ended():
    """The overlays of an ended isolation are removed, and the end of their blocks does nothing."""
    assert stack.current() is None
    with isolated_prefect():
        isolation = stack.current()
        overlay = isolation.overlay({BACKEND: "server"})
        overlay.__enter__()
        assert values(BACKEND) == ("server",)
    os.environ[BACKEND] = "mine"
    try:
        overlay.__exit__(None, None, None)
        assert values(BACKEND) == ("mine",)
    finally:
        del os.environ[BACKEND]


def test_refused(isolation):
    """If Prefect cannot load with an overlay, nothing changes, and later overlays work."""
    name = "PREFECT__CONTEXT"
    with pytest.raises(SecretRejected), isolation.overlay({name: "x", BACKEND: "server"}):
        pass
    assert values(name, BACKEND) == (None, None)
    with isolation.overlay({BACKEND: "cloud"}):
        assert values(name, BACKEND) == (None, "cloud")
    assert values(name, BACKEND) == (None, None)
