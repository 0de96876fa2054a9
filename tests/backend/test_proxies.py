"""This machine in ``no_proxy``: while it is needed, and not a moment longer."""

from __future__ import annotations

import os

import pytest

from pytest_flowsecrets.backend import client
from pytest_flowsecrets.backend.client import without_proxy

OURS = "127.0.0.1,localhost"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Names no proxy, and is as before afterwards, whatever a test does."""
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
    """Beside what was there, which comes back."""
    if before is not None:
        monkeypatch.setenv("no_proxy", before)
    with without_proxy():
        assert said() == (inside, OURS)
    assert said() == (before, None)


@pytest.mark.parametrize("order", ["the first first", "the last first"])
@pytest.mark.parametrize("between", [None, "mine"])
def test_any_order(monkeypatch, order, between):
    """The machine is named as long as one is entered; at the end all is as before."""
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
    """Whoever has never left leaves when the garbage is collected, and takes nothing from those who came later."""
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
    """It is the test's own."""
    with without_proxy():
        monkeypatch.setenv("no_proxy", "mine")
    assert said() == ("mine", None)


@pytest.mark.parametrize(("proxy", "inside"), [(None, None), ("HTTP_PROXY", OURS)])
def test_on_macos(monkeypatch, proxy, inside):
    """Only beside a proxy of the environment: alone it would hide the proxies of the system."""
    monkeypatch.setattr(client.sys, "platform", "darwin")
    if proxy:
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    with without_proxy():
        assert said() == (inside, inside)
