"""Signals whose handler raises: whenever they arrive, nothing of an isolation is left behind."""

from __future__ import annotations

import contextlib
import dis
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_flowsecrets import isolated_prefect
from pytest_flowsecrets.isolation import context_manager, guards, stack
from pytest_flowsecrets.isolation.environment.prefect_variables import current_variables
from pytest_flowsecrets.isolation.guards import deferred_signals
from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation
from pytest_flowsecrets.isolation.prefect1.loader import Loader
from tests.compat import needs_prefect

HERE = os.path.dirname(stack.__file__) + os.sep
ALONE = "FLOWSECRETS_SIGNALS_ALONE"
# An exception before an instruction where CPython itself raises none can damage the state of the interpreter.
alone = pytest.mark.skipif(ALONE not in os.environ, reason="run by test_signals_in_a_process_of_their_own")


class Interrupted(BaseException):
    """The exception that the signal handler raises."""


@pytest.fixture(autouse=True)
def handler():
    """Install a Python handler for SIGUSR1 that raises, like the one for Ctrl-C."""

    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield interrupt
    assert signal.getsignal(signal.SIGUSR1) is interrupt
    signal.signal(signal.SIGUSR1, before)


def state():
    """Return the state that must be restored."""
    values = [current_variables(), stack.depth(), [signal.getsignal(number) for number in signal.valid_signals()]]
    if "prefect" in sys.modules:
        prefect = sys.modules["prefect"]
        values += [
            prefect.config.get("context"),
            prefect.context.get("secrets"),
            id(prefect.context),
            id(prefect.config),
        ]
    return repr(values)


class Interrupter:
    """Sends a signal before a certain instruction of the package's isolation modules.

    Args:
        moment: number of the instruction; -1 for none.
        codes: the functions whose instructions count; None for all.
    """

    def __init__(self, moment: int, codes=None) -> None:
        self.codes = codes
        self.moment = moment
        self.count = 0
        self.place = ""

    def __call__(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(HERE):
            return None
        if self.codes and frame.f_code not in self.codes:
            return self
        frame.f_trace_opcodes = True
        if event == "opcode" and not unprotected(frame):
            self.count += 1
            if self.count == self.moment:
                self.place = f"{frame.f_code.co_name}:{frame.f_lineno}"
                signal.raise_signal(signal.SIGUSR1)
        return self


NAMES = (
    "__enter__",
    "__exit__",
    "enter",
    "exit",
    "_exit",
    "_replace",
    "_put_back",
    "_note",
    "may_enter",
    "_enter_in_turn",
)


def unprotected(frame):
    """Before the ``try`` of ``__exit__`` and at the ``return`` of ``__enter__``, where CPython handles no signal either.

    It does once at the start of ``__exit__`` from 3.11 on; nothing in Python can be done about that.
    """
    leaving = frame.f_code is context_manager.isolated_prefect.__exit__.__code__ and (frame.f_lineno or 0) <= FIRST_LINE
    returning = dis.opname[frame.f_code.co_code[frame.f_lasti]].startswith("RETURN")
    return leaving or (returning and frame.f_code is context_manager.isolated_prefect.__enter__.__code__)


FIRST_LINE = context_manager.isolated_prefect.__exit__.__code__.co_firstlineno + 1


def interrupted(moment, codes=None):
    """Enter and exit an isolation, and send the signal at the given moment."""
    interrupter = Interrupter(moment, codes)
    raised, tracer = False, sys.gettrace()
    sys.settrace(interrupter)
    try:
        with isolated_prefect({"name": "0042"}):
            pass
    except Interrupted:
        raised = True
    finally:
        sys.settrace(tracer)  # for example that of coverage
    return interrupter, raised


CLASSES = (deferred_signals, context_manager.isolated_prefect, LegacyIsolation, stack.Isolation, guards.Owner)
OUTSIDE = {vars(kind)[name].__code__ for kind in CLASSES for name in NAMES if name in vars(kind)}


@alone
@pytest.mark.parametrize(("codes", "step"), [(None, 1499), (OUTSIDE, 19)], ids=["everywhere", "where signals count"])
def test_at_any_moment_of_entering_and_leaving(codes, step):
    """A signal before any instruction raises its exception, and everything is restored."""
    interrupted(-1)  # imports Prefect, and the modules that only the first isolation loads
    before = state()
    instructions = interrupted(-1, codes)[0].count
    for moment in range(1, instructions, step):
        interrupter, raised = interrupted(moment, codes)
        assert state() == before, (moment, interrupter.place)
        assert raised, (moment, interrupter.place)
        assert lock_is_free(), (moment, interrupter.place)


@pytest.mark.slow
@pytest.mark.skipif(ALONE in os.environ, reason="this is that process")
def test_signals_in_a_process_of_their_own():
    """The tests that send a signal before a certain instruction pass in a process that nothing else traces."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", __file__]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, env={**environ, ALONE: "1"}, cwd=root, stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout


def test_held_back_signals_are_handled_afterwards(handler):
    """Deferred signals run their own handlers in order of arrival, until one of them raises."""
    steps = []
    with pytest.raises(Interrupted), deferred_signals():
        signal.raise_signal(signal.SIGUSR1)
        steps.append("work")
    assert steps == ["work"]
    assert signal.getsignal(signal.SIGUSR1) is handler


def test_another_handler_of_the_block_stays(handler):
    """A handler that the block installs is not overwritten."""
    with deferred_signals():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    signal.signal(signal.SIGUSR1, handler)


def test_other_threads_have_no_handlers():
    """In other threads, signals are not deferred, and nothing fails."""
    failures = []

    def run():
        try:
            with deferred_signals():
                assert signal.getsignal(signal.SIGUSR1).__name__ == "interrupt"
        except BaseException as error:  # noqa: BLE001 - handed over to the test
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failures


class SignalAt:
    """Sends a signal once, before a certain instruction of one function."""

    def __init__(self, code, moment: int = 1) -> None:
        self.code, self.moment, self.count = code, moment, 0

    def __call__(self, frame, event, _):
        if frame.f_code is not self.code:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self.count += 1
            if self.count == self.moment:
                signal.raise_signal(signal.SIGUSR1)
        return self

    def during(self, action):
        """Run the action and return the error of the signal's handler, or None."""
        sys._getframe().f_trace_opcodes = True  # CPython 3.12 sends these events only if a frame requests them now
        sys.settrace(self)
        try:
            action()
        except Interrupted as error:
            return error
        finally:
            sys.settrace(None)
        return None


def lock_is_free():
    """Return whether another thread can change secrets."""
    results = []

    def attempt():
        results.append(guards.lock.acquire(blocking=False))
        if results == [True]:
            guards.lock.release()

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return results == [True]


@alone
@pytest.mark.parametrize("method", ["__enter__", "__exit__"])
def test_at_any_moment_of_beginning_or_ending_a_change(method):
    """The secret is set or not set, and the lock is free, even while the error is still referenced."""
    code = vars(contextlib._GeneratorContextManager)[method].__code__
    with isolated_prefect({"a": "before"}) as secrets:
        everything = SignalAt(code, -1)
        everything.during(lambda: secrets.update(a="before"))
        assert everything.count
        for moment in range(1, everything.count + 1):
            error = SignalAt(code, moment).during(lambda: secrets.update(a="after"))
            assert error, moment
            assert lock_is_free(), moment
            assert secrets["a"] in ("before", "after")
            secrets["a"] = "before"


@alone
@needs_prefect
@pytest.mark.parametrize("kind", [TimeoutError, ValueError, KeyError])
def test_an_error_of_a_handler_is_no_refusal_of_prefect(kind):
    """An error of a handler is raised unchanged, and the change is complete."""

    def interrupt(*_):
        raise kind("of the handler")

    former = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with isolated_prefect() as secrets:
            for change in (lambda: secrets.update(a="1x"), secrets.reload, lambda: secrets.write_config("")):
                with pytest.raises(kind, match="of the handler"):
                    SignalAt(Loader.load.__code__).during(change)
            assert secrets["a"] == "1x"
    finally:
        signal.signal(signal.SIGUSR1, former)


@alone
@pytest.mark.parametrize("method", ["exit", "resume"])
def test_a_signal_while_an_isolation_is_suspended_or_resumed(method):
    """The isolation continues, and everything is restored at its end."""
    with isolated_prefect():
        pass  # imports Prefect, whose state counts
    before = state()
    with isolated_prefect({"a": "value"}) as secrets:
        isolation = stack.current()
        home = os.environ["HOME"]

        def suspend():
            with isolation.suspended():
                pass

        assert SignalAt(getattr(type(isolation._environment), method).__code__).during(suspend)
        assert stack.current() is isolation
        assert os.environ["HOME"] == home
        assert dict(secrets) == {"a": "value"}
    assert state() == before


@alone
def test_a_signal_before_an_isolation_is_resumed():
    """The isolation resumes although a signal arrives before that begins."""
    with isolated_prefect({"a": "value"}) as secrets:
        isolation = stack.current()

        def suspend():
            with isolation.suspended():
                pass

        assert SignalAt(type(isolation)._resume.__code__).during(suspend)
        assert stack.current() is isolation
        assert dict(secrets) == {"a": "value"}
