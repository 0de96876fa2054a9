"""Calls of ``time.sleep`` that a test does not wait for."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_flowsecrets.clock import intercept_sleep, module_of


def sleep_in(module, seconds):
    """Call ``time.sleep`` as a module does."""
    exec("import time; time.sleep(seconds)", {"__name__": module, "seconds": seconds})


def taking(module, calls):
    """Return a handler for the sleep calls of one module, and the list of calls that it was asked about."""

    def handler(caller, seconds):
        calls.append((module_of(caller), seconds))
        return module_of(caller) == module

    return handler


def test_naps_of_some_modules_only():
    """A call that no handler accepts sleeps."""
    calls = []
    with intercept_sleep(taking("a", calls)):
        start = time.monotonic()
        sleep_in("a", 60)
        assert time.monotonic() - start < 5
        start = time.monotonic()
        sleep_in("b", 0.05)
        assert time.monotonic() - start >= 0.05
    assert [nap for nap in calls if nap[0] in "ab"] == [("a", 60), ("b", 0.05)]  # threads of other tests may also sleep


def test_the_last_is_asked_first():
    """The newest handler is asked first, and the others only if it does not handle the call."""
    outer, inner = [], []
    with intercept_sleep(taking("a", outer)), intercept_sleep(taking("b", inner)):
        sleep_in("b", 60)
        sleep_in("a", 60)
    assert (outer, inner) == ([("a", 60)], [("b", 60), ("a", 60)])


def test_afterwards():
    """At the end, the previous ``time.sleep`` is restored, also one that a test has patched."""
    with intercept_sleep(lambda *_: False):
        pass  # removes a patch that remains below that of another test
    real = time.sleep
    slept = []
    time.sleep = slept.append
    try:
        with intercept_sleep(lambda *_: False):
            time.sleep(60)
        assert time.sleep == slept.append
    finally:
        time.sleep = real
    assert slept == [60]
    with intercept_sleep(lambda *_: False), intercept_sleep(lambda *_: False):
        assert time.sleep is not real
    assert time.sleep is real


@pytest.mark.parametrize("inside", [True, False])
def test_patched_on_top(monkeypatch, inside):
    """A later patch by a test stays until the test removes it, and then ``time.sleep`` sleeps."""
    slept = []
    with intercept_sleep(lambda *_: False):
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
    with intercept_sleep(taking("a", slept)):
        sleep_in("a", 60)


def test_threads():
    """Calls in threads are handled too."""
    with intercept_sleep(taking("a", [])):
        thread = threading.Thread(target=sleep_in, args=("a", 60))
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
