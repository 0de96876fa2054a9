"""The ``threading.local`` of every living thread."""

from __future__ import annotations

import threading

from pytest_flowsecrets.isolation.prefect1.live_state import thread_states


class Local(threading.local):
    def __init__(self):
        self.born = threading.get_ident()


def test_all_living_threads_are_found_and_dead_ones_are_not():
    """The result holds the current thread first, all living threads, and no dead ones."""
    local = Local()
    go, ready = threading.Event(), threading.Barrier(3)

    def run():
        local.mine = True
        ready.wait()
        go.wait()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    ready.wait()
    states = thread_states(local)
    assert states[0] is local.__dict__
    assert {state["born"] for state in states} == {threading.get_ident(), *(thread.ident for thread in threads)}
    states[1]["seen"] = "from outside"
    go.set()
    for thread in threads:
        thread.join()
    del states
    assert [state["born"] for state in thread_states(local)] == [threading.get_ident()]


def test_a_thread_that_has_not_touched_it_has_no_state():
    """A thread gets its state from the class at its first access."""
    local = Local()
    assert len(thread_states(local)) == 1


def test_where_the_interpreter_keeps_them_elsewhere():
    """With an unknown interpreter, only the state of the current thread is returned."""

    class Other:
        pass

    other = Other()
    other.a = 1
    assert thread_states(other) == [{"a": 1}]
