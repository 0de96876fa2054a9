"""Signals whose handler raises, on Prefect 2.20 and 3: whenever they arrive, nothing of an isolation is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import prefect.context
import pytest
from prefect.settings import PREFECT_API_URL

from pytest_flowsecrets import isolated_prefect
from pytest_flowsecrets.isolation import context_manager, guards, stack
from pytest_flowsecrets.isolation.guards import deferred_signals
from pytest_flowsecrets.isolation.rest_isolation import RestIsolation
from tests.isolation.test_signals import ALONE, NAMES, Interrupted, Interrupter, alone, lock_is_free

CLASSES = (deferred_signals, context_manager.isolated_prefect, RestIsolation, stack.Isolation, guards.Owner)
OUTSIDE = {vars(kind)[name].__code__ for kind in CLASSES for name in NAMES if name in vars(kind)}


def state():
    """Return the state that must be restored."""
    context = prefect.context.GLOBAL_SETTINGS_CONTEXT
    return (
        id(context),
        id(context.settings),
        PREFECT_API_URL.value(),
        {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        stack.depth(),
        [signal.getsignal(number) for number in signal.valid_signals()],
    )


def interrupted(moment, codes=None):
    """Enter and exit an isolation, and send the signal at the given moment."""
    interrupter = Interrupter(moment, codes)
    raised, tracer = False, sys.gettrace()
    sys.settrace(interrupter)
    try:
        with isolated_prefect({"name": "text"}):
            pass
    except Interrupted:
        raised = True
    finally:
        sys.settrace(tracer)
    return interrupter, raised


def interrupt(*_):
    raise Interrupted


@alone
@pytest.mark.parametrize(("codes", "step"), [(None, 997), (OUTSIDE, 19)], ids=["everywhere", "where signals count"])
def test_at_any_moment_of_entering_and_leaving(codes, step):
    """A signal before any instruction raises its exception, and everything is restored."""
    previous = signal.signal(signal.SIGUSR1, interrupt)
    try:
        interrupted(-1)  # registers the block type, and loads the modules that only the first isolation needs
        before = state()
        instructions = interrupted(-1, codes)[0].count
        assert instructions > 10 * step
        for moment in range(1, instructions, step):
            interrupter, raised = interrupted(moment, codes)
            assert state() == before, (moment, interrupter.place)
            assert raised, (moment, interrupter.place)
            assert lock_is_free(), (moment, interrupter.place)
    finally:
        signal.signal(signal.SIGUSR1, previous)


@pytest.mark.slow
@pytest.mark.skipif(ALONE in os.environ, reason="this is that process")
def test_signals_in_a_process_of_their_own():
    """The tests that send a signal before a certain instruction pass in a process that nothing else traces."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:randomly", __file__]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, env={**environ, ALONE: "1"}, cwd=root, stdout=subprocess.PIPE, text=True, check=False, timeout=550
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
