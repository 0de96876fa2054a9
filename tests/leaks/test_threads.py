"""Threads that print and register values at the same time, and additions that are interrupted."""

from __future__ import annotations

import os
import random
import string
import sys
import threading

import pytest

from pytest_flowsecrets.leaks.mask import masker
from pytest_flowsecrets.leaks.mask.redactor import Redactor
from pytest_flowsecrets.leaks.registry import SecretRegistry
from pytest_flowsecrets.leaks.search import finder, skeleton_tables
from pytest_flowsecrets.leaks.search.finder import Finder

LETTERS = string.ascii_letters + string.digits
VALUE = "aB3dE6gH9jK2mN5pQ8sT"


@pytest.fixture
def registry(monkeypatch):
    """Return a registry of the test, which all maskers use."""
    mine = SecretRegistry()
    mine.listen()
    monkeypatch.setattr(masker, "registry", mine)
    return mine


@pytest.fixture
def frequent_switches():
    """Let threads take turns much more often than usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def values(seed, count=30):
    """Return names with values, which are in all tables of the index."""
    chance = random.Random(seed)
    kinds = (LETTERS, 20), (string.digits + "-+*/ä", 12), (LETTERS, 6), ("!?-+*/", 6)
    return [(f"NAME_{n}", "".join(chance.choices(kinds[n % 4][0], k=kinds[n % 4][1]))) for n in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_values_registered_while_a_thread_prints(registry, frequent_switches, seed):
    """Each registered value is masked with its own name in each thread at once."""
    mine, known, wrong, stop = masker.Masker(), [], [], threading.Event()

    def check(name, value):
        shown, _ = mine.clean_live(f"{value}\n", "")
        if shown != f"[secret {name}]\n" or mine.clean(f"{value}\n", "log") != shown:
            wrong.append((name, shown))

    def print_known():
        while not stop.is_set():
            for each in known[-3:]:
                check(*each)

    threads = [threading.Thread(target=print_known) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for name, value in values(seed):
            registry.register(name, value)
            known.append((name, value))
            check(name, value)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for each in known:
        check(*each)
    assert not wrong
    assert not mine.faults


def test_values_registered_in_many_threads(registry, frequent_switches):
    """The version of the registry counts each change, whichever threads make them."""

    def register(number):
        for place in range(200):
            registry.register("NAME", f"value {place} of {number}")

    threads = [threading.Thread(target=register, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.version == len(registry) == 800


def test_a_text_that_is_clean_for_an_earlier_version(registry, monkeypatch):
    """A text is searched again if another thread registers a value during the search and masks another text."""
    registry.register("OTHER", "another value 123")
    mine, search = masker.Masker(), Redactor.redact

    def redact(self, text, masked=None):
        shown = search(self, text, masked)
        registry.register("LATE", VALUE)
        assert mine.redactor is self
        return shown

    monkeypatch.setattr(Redactor, "redact", redact)
    mine.clean(f"it is {VALUE}", "log")
    assert mine.clean(f"it is {VALUE}", "log") == "it is [secret LATE]"


def test_a_second_redactor(registry, monkeypatch):
    """A thread that creates a redactor while another one does so misses no value."""
    registry.register("NAME", VALUE)
    mine, update, first = masker.Masker(), Redactor.update, [True]

    def update_after_another(self, new):
        if first and first.pop():
            thread = threading.Thread(target=mine.clean, args=("another text", "log"))
            thread.start()
            thread.join()
        update(self, new)

    monkeypatch.setattr(Redactor, "update", update_after_another)
    assert mine.clean(VALUE, "log") == "[secret NAME]"


@pytest.mark.parametrize("method", ["_add_window", "_add_slices"])
def test_an_interrupted_addition(monkeypatch, method):
    """A value whose addition was interrupted is found with its own name after the next one."""
    mine = Finder({"another value 123": ("OTHER",)})
    with monkeypatch.context() as patch:
        patch.setattr(skeleton_tables.Table, method, lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            mine.update({VALUE: ("A",)})
    mine.update({"a third value 456": ("THIRD",), VALUE: ("A",)})
    assert {match.names for match in mine.find(f"{VALUE} {VALUE[4:18]}")} == {("A",)}
    assert [match.names for match in mine.find("a third value 456")] == [("THIRD",)]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python 3.12, about threads
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_while_another_thread_searches():
    """A forked child can search, although a thread of its parent held the lock."""
    mine = Finder({VALUE: ("A",)})
    held, done = threading.Event(), threading.Event()

    def hold():
        with finder._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        try:
            is_free = finder._lock.acquire(blocking=False)
            os._exit(0 if is_free and mine.find(VALUE) else 1)
        finally:
            os._exit(1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
