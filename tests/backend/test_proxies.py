"""``no_proxy`` names this machine while an API is entered, and not longer."""

from __future__ import annotations

import os

import pytest

from pytest_flowsecrets.backend import client
from pytest_flowsecrets.backend.client import without_proxy

OURS = "127.0.0.1,localhost"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment without proxies, which is restored after the test."""
    for name in [*os.environ, "no_proxy", "NO_PROXY"]:
        if name.lower().endswith("_proxy"):
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)


def said():
    return os.environ.get("no_proxy"), os.environ.get("NO_PROXY")


@pytest.mark.parametrize(
    ("before", "inside"),
    [(None, OURS), ("", OURS), ("intranet", f"intranet,{OURS}"), (f"{OURS},x", f"{OURS},x")],
)
def test_this_machine_is_named(monkeypatch, before, inside):
    """This machine is added to the existing value, which is restored."""
    if before is not None:
        monkeypatch.setenv("no_proxy", before)
    with without_proxy():
        assert said() == (inside, OURS)
    assert said() == (before, None)


@pytest.mark.parametrize("order", ["the first first", "the last first"])
@pytest.mark.parametrize("between", [None, "mine"])
def test_any_order(monkeypatch, order, between):
    """The machine is named while any context is entered, whatever the order of leaving."""
    first, last = without_proxy(), without_proxy()
    first.__enter__()
    if between:
        monkeypatch.setenv("no_proxy", between)
    last.__enter__()
    assert said() == (f"mine,{OURS}" if between else OURS, OURS)
    one, other = (first, last) if order == "the first first" else (last, first)
    one.__exit__(None, None, None)
    assert said()[1] == OURS
    other.__exit__(None, None, None)
    assert said() == (between, None)


@pytest.mark.parametrize("before", [None, "mine"])
def test_somebody_who_was_forgotten(monkeypatch, before):
    """An abandoned context is left by the garbage collector, and does not affect later ones."""
    forgotten, mine = without_proxy(), without_proxy()
    forgotten.__enter__()
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name)
    if before:
        monkeypatch.setenv("no_proxy", before)
    mine.__enter__()
    forgotten.__exit__(None, None, None)
    assert said() == (f"mine,{OURS}" if before else OURS, OURS)
    mine.__exit__(None, None, None)
    assert said() == (before, None)


def test_what_is_said_inside_stays(monkeypatch):
    """A value that the test sets inside stays."""
    with without_proxy():
        monkeypatch.setenv("no_proxy", "mine")
    assert said() == ("mine", None)


@pytest.mark.parametrize(("proxy", "inside"), [(None, None), ("HTTP_PROXY", OURS)])
def test_on_macos(monkeypatch, proxy, inside):
    """On macOS, ``no_proxy`` is only set beside a proxy variable, because alone it would hide the system's proxies."""
    monkeypatch.setattr(client.sys, "platform", "darwin")
    if proxy:
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    with without_proxy():
        assert said() == (inside, inside)
