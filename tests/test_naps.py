"""Naps that a test need not sleep through."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_flowsecrets.clock import sleep_patch


def sleep_in(module, seconds):
    """Call ``time.sleep`` as a module would."""
    exec("import time; time.sleep(seconds)", {"__name__": module, "seconds": seconds})


def taking(module, told):
    """A handler of the naps of one module, which tells what it was asked about."""

    def handler(caller, seconds):
        told.append((sleep_patch.module_of(caller), seconds))
        return sleep_patch.module_of(caller) == module

    return handler


def test_naps_of_some_modules_only():
    """Others sleep; whoever does not handle one is asked and says so."""
    told = []
    with sleep_patch.intercept_sleep(taking("a", told)):
        start = time.monotonic()
        sleep_in("a", 60)
        assert time.monotonic() - start < 5
        start = time.monotonic()
        sleep_in("b", 0.05)
        assert time.monotonic() - start >= 0.05
    assert [nap for nap in told if nap[0] in "ab"] == [("a", 60), ("b", 0.05)]  # threads of other tests may nap, too


def test_the_last_is_asked_first():
    """And the others only if it does not handle the nap."""
    outer, inner = [], []
    with sleep_patch.intercept_sleep(taking("a", outer)), sleep_patch.intercept_sleep(taking("b", inner)):
        sleep_in("b", 60)
        sleep_in("a", 60)
    assert (outer, inner) == ([("a", 60)], [("b", 60), ("a", 60)])


def test_afterwards():
    """``time.sleep`` is the one that was there before, also one that a test had put there."""
    with sleep_patch.intercept_sleep(lambda *_: False):
        pass  # takes away what stays where another test had put theirs on top of it
    real = time.sleep
    slept = []
    time.sleep = slept.append
    try:
        with sleep_patch.intercept_sleep(lambda *_: False):
            time.sleep(60)
        assert time.sleep == slept.append
    finally:
        time.sleep = real
    assert slept == [60]
    with sleep_patch.intercept_sleep(lambda *_: False), sleep_patch.intercept_sleep(lambda *_: False):
        assert time.sleep is not real
    assert time.sleep is real


@pytest.mark.parametrize("inside", [True, False])
def test_patched_on_top(monkeypatch, inside):
    """What a test puts on top of it stays, until the test takes it off; then sleeping is sleeping."""
    slept = []
    with sleep_patch.intercept_sleep(lambda *_: False):
        monkeypatch.setattr(time, "sleep", slept.append)
        time.sleep(60)
        if inside:
            monkeypatch.undo()
    if not inside:
        assert time.sleep == slept.append
        monkeypatch.undo()
    start = time.monotonic()
    time.sleep(0.02)
    assert time.monotonic() - start >= 0.02
    assert slept == [60]
    with sleep_patch.intercept_sleep(taking("a", slept)):
        sleep_in("a", 60)


def test_threads():
    """They nap as well."""
    with sleep_patch.intercept_sleep(taking("a", [])):
        thread = threading.Thread(target=sleep_in, args=("a", 60))
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
