"""Threads: changes happen one after another, and isolations of different threads take turns."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import threading

import pytest

from pytest_flowsecrets import IsolationEnded, UsageError, isolated_prefect
from pytest_flowsecrets.isolation import guards, stack
from pytest_flowsecrets.isolation.environment.prefect_variables import current_variables
from tests.compat import variable_secret

pytestmark = pytest.mark.filterwarnings("ignore::pytest_flowsecrets.SecretChangedWarning")
VALUES = [
    "plain",
    "0000",
    "42",
    "true",
    "pa$HOME",
    "~",
    "a\nb",
    '{"a": 1}',
    42,
    None,
    {"a": [1, "x"]},
    [True],
    "x" * 2_000,
]


def in_threads(*functions):
    """Run functions in parallel, and return the exceptions that they raise, in order."""
    failures = []
    start = threading.Barrier(len(functions))

    def run(function):
        start.wait()
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - handed over to the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.slow
def test_no_change_is_lost():
    """Threads that set all kinds of secrets at once find their own values, and all values exist at the end."""

    def work(number):
        for turn in range(25):
            name = variable_secret(f"T{number}_{turn}")
            value = VALUES[(number + turn) % len(VALUES)]
            secrets[name] = value
            shared[name] = secrets[name]
            secrets.setenv("contended", VALUES[turn % 5])
            if turn % 7 == 0:
                del secrets[name]
                del shared[name]

    shared = {}
    with isolated_prefect() as secrets:
        assert not in_threads(*(lambda number=number: work(number) for number in range(4)))
        assert {name: secrets[name] for name in secrets if name != "contended"} == shared


@pytest.mark.slow
def test_no_plain_secret_is_lost_to_a_number_with_leading_zeros():
    """One thread sets ``0000`` repeatedly, and none of the 40 secrets of another thread is lost."""
    names = [variable_secret(f"PLAIN_{number}") for number in range(40)]

    def numbers():
        while not ended.is_set():
            secrets["port"] = "0000"

    def plain():
        try:
            for name in names:
                secrets[name] = f"value of {name}"
        finally:
            ended.set()

    with isolated_prefect() as secrets:
        for _ in range(5):
            ended = threading.Event()
            assert not in_threads(numbers, plain)
            assert {name: secrets.get(name) for name in names} == {name: f"value of {name}" for name in names}
            assert set(secrets) <= {*names, "port"}
            secrets.clear()


@pytest.mark.slow
def test_nothing_is_left_by_a_thread_that_goes_on():
    """A thread that sets values during the exit gets IsolationEnded and leaves no variable."""
    before, home = current_variables(), os.environ["HOME"]
    for _ in range(100):
        manager = isolated_prefect()
        secrets = manager.__enter__()
        working = threading.Event()

        def work(secrets=secrets, working=working):
            for turn in range(10_000):
                secrets["0"] = VALUES[turn % 6]
                working.set()

        def leave(manager=manager, working=working):
            assert working.wait(60)
            manager.__exit__(None, None, None)

        assert [type(failure) for failure in in_threads(work, leave)] == [IsolationEnded]
        assert current_variables() == before
        assert os.environ["HOME"] == home
        assert stack.depth() == 0


@pytest.mark.slow
def test_isolations_of_threads_take_turns():
    """Each thread sees only its own values, also in nested isolations."""
    before = current_variables()

    def work(number):
        source = random.Random(number)
        for _ in range(60):
            value = source.choice(VALUES[:5]) + str(number)
            with isolated_prefect({"name": value}) as secrets:
                assert sorted(secrets) == ["name"]
                expected = secrets["name"]
                with isolated_prefect({"inner": f"inner of {number}"}) as inner:
                    assert dict(inner) == {"inner": f"inner of {number}"}
                assert secrets["name"] == expected
                assert str(number) in str(expected)

    assert not in_threads(*(lambda number=number: work(number) for number in range(3)))
    assert current_variables() == before
    assert stack.depth() == 0


def test_a_thread_that_never_gets_its_turn(monkeypatch):
    """An error names the other thread and the rule if a thread waits too long."""
    monkeypatch.setattr(guards, "MAX_WAIT", 0.05)
    with isolated_prefect():
        failures = in_threads(lambda: isolated_prefect().__enter__())
    assert [type(failure) for failure in failures] == [UsageError]
    assert "MainThread has had an isolation" in str(failures[0])
    assert "take turns" in str(failures[0])
    assert stack.depth() == 0


def test_threads_nest_in_the_isolation_of_a_test(local_secrets):
    """Threads nest in the isolation of a test that waits for them, and take turns with each other."""
    local_secrets["outer"] = "of the test"

    def work(number):
        for _ in range(10):
            with isolated_prefect({"name": f"value of {number}"}) as secrets:
                assert dict(secrets) == {"name": f"value of {number}"}

    assert not in_threads(*(lambda number=number: work(number) for number in range(3)))
    assert dict(local_secrets) == {"outer": "of the test"}


def test_a_thread_that_has_ended_keeps_nobody_waiting():
    """The isolation of an ended thread does not block others. It ends with the next older one or the run."""
    before = stack.depth()
    assert not in_threads(lambda: isolated_prefect({"left": "open"}).__enter__())
    with isolated_prefect({"name": "value"}) as secrets:
        assert dict(secrets) == {"name": "value"}
    stack.unwind(before)


@pytest.mark.slow
def test_warnings_are_about_the_own_value():
    """A warning compares the value that its own thread has set."""
    wrong = []

    def plain():
        for turn in range(200):
            secrets["name"] = f"plain {turn}"

    def numbers():
        for turn in range(200):
            secrets["other"] = f"also plain {turn}"

    with isolated_prefect() as secrets, pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_flowsecrets.isolation.secrets.local_secrets.warn_user", wrong.append)
        assert not in_threads(plain, numbers, plain)
    assert not wrong


FORK = """
import os, signal, threading
from pytest_flowsecrets import isolated_prefect

held, forking = threading.Event(), threading.Event()

def change():
    with secrets._isolation.changing("name") as injector:
        held.set()
        forking.wait(60)
        injector.set_secrets({"name": "of the thread"})

with isolated_prefect() as secrets:
    os.register_at_fork(before=forking.set)
    thread = threading.Thread(target=change)
    thread.start()
    held.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        assert secrets["name"] == "of the thread"
        secrets["name"] = "of the child"
        os._exit(0 if secrets["name"] == "of the child" else 1)
    thread.join()
    print(os.waitpid(child, 0)[1], secrets["name"])
"""


@pytest.mark.slow
def test_a_fork_while_another_thread_changes_a_secret():
    """The fork waits until the change is complete, and the child can change secrets."""
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=120)
    assert (result.stdout, result.returncode) == ("0 of the thread\n", 0), result.stderr


def lock_once():
    assert guards.lock.acquire(timeout=30)
    guards.lock.release()


@pytest.mark.slow
def test_a_change_that_nobody_finishes():
    """A change that is garbage-collected after its isolation restores no variable and releases the lock."""
    before = current_variables()
    with isolated_prefect({"A": "sekret"}) as secrets:
        change = secrets._isolation.changing("B")
        change.__enter__()
    assert current_variables() == before
    del change
    gc.collect()
    assert current_variables() == before
    assert not in_threads(lock_once)


@pytest.mark.slow
def test_a_write_that_nobody_finishes(tmp_path):
    """The file of an ended isolation is not written again."""
    before, target = current_variables(), tmp_path / "config.toml"
    target.write_text("[former]")
    with isolated_prefect({"A": "sekret"}) as secrets:
        write = secrets._isolation.writing(target, {}, True)
        write.__enter__()
        target.unlink()
    del write
    gc.collect()
    assert current_variables() == before
    assert not target.exists()
