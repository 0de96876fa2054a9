"""Frozen time that a test moves, for this package, Prefect and everything else in this process."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import pickle
import subprocess
import sys
import threading
import time

import pytest

from pytest_flowsecrets import FlowClock, UsageError, frozen_clock
from pytest_flowsecrets.clock import now
from tests.compat import VERSION, dask_executor, executors, needs_prefect

UTC = dt.timezone.utc
START = dt.datetime(2026, 1, 31, 7, tzinfo=UTC)


@pytest.fixture
def clock():
    with frozen_clock(START) as clock:
        yield clock


# -- the clock itself --------------------------------------------------------------------------------------------------


def test_time_stands_still(clock):
    """``datetime`` and ``time`` stand still until the clock is moved."""
    observations = [dt.datetime.now(UTC), time.time()]
    time.sleep(0.01)
    assert [dt.datetime.now(UTC), time.time()] == observations == [START, START.timestamp()]


def test_it_is_now_by_default():
    """The clock starts at the current microsecond by default; afterwards, time is real."""
    before = now()
    with frozen_clock() as clock:
        assert before <= clock.now <= before + dt.timedelta(seconds=60)
    assert before < now() < before + dt.timedelta(seconds=60)


@pytest.mark.parametrize("delta", [90, 90.0, dt.timedelta(minutes=1.5)])
def test_tick(clock, delta):
    """``tick()`` takes seconds or a timedelta, by default one second."""
    assert clock.tick(delta) == clock.now == START + dt.timedelta(seconds=90)
    assert clock.tick() == now() == START + dt.timedelta(seconds=91)


@pytest.mark.parametrize(
    "when",
    [
        START,
        START.replace(tzinfo=None),
        START.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30))),
        "2026-01-31T07:00",
        "2026-01-31T07:00:00Z",
        "2026-01-31T08:00:00+01:00",
        "2026-01-31 07:00:00.000000",
    ],
)
def test_move_to(clock, when):
    """``move_to()`` takes times in any zone, in UTC by default, and can move the clock back."""
    clock.tick(3600)
    assert clock.move_to(when) == clock.now == START


@pytest.mark.parametrize("when", [dt.date(2027, 2, 3), "2027-02-03"])
def test_move_to_a_day(clock, when):
    """A date means the start of the day."""
    assert clock.move_to(when) == dt.datetime(2027, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize("when", ["tomorrow", "", 1.0, None, "2026-13-01", "0001-01-01T00:00:00+10:00"])
def test_what_is_no_time(clock, when):
    """``move_to()`` rejects an invalid time and leaves the clock unchanged."""
    with pytest.raises(UsageError):
        clock.move_to(when)
    assert clock.now == START


@pytest.mark.parametrize("delta", ["1", None, True, float("nan"), 1e300, 1e12, -1, dt.timedelta(seconds=-1)])
def test_what_does_not_pass(clock, delta):
    """``tick()`` rejects an invalid or negative delta and leaves the clock unchanged."""
    with pytest.raises(UsageError):
        clock.tick(delta)
    assert clock.now == START


def test_plain_times(clock):
    """The clock returns plain aware datetimes in UTC, not freezegun's class."""
    for moment in (clock.now, now(), clock.tick(), clock.move_to("2030-01-01")):
        assert type(moment) is type(START)
        assert moment.tzinfo is UTC
    assert repr(clock) == "<FlowClock 2030-01-01 00:00:00+00:00>"


def test_a_clock_that_has_ended():
    """It says so; what time it is can be asked all the same."""
    with frozen_clock() as clock:
        pass
    for move in (clock.tick, lambda: clock.move_to(START)):
        with pytest.raises(UsageError, match="this clock has ended"):
            move()
    assert clock.now != START


def test_nested(clock):
    """Inside a nested clock, the inner one is used; afterwards, the outer one is unchanged."""
    with frozen_clock("2030-01-01") as inner:
        assert isinstance(inner, FlowClock)
        assert inner.tick() == now() == dt.datetime(2030, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert clock.now == START


def test_a_decorator():
    """``frozen_clock`` works as a decorator."""

    @frozen_clock("2030-01-01")
    def year():
        return now().year

    assert (year(), now().year == 2030) == (2030, False)


def test_afterwards_everything_is_as_before():
    """The original functions are restored, also after an error."""
    before = dt.datetime, dt.date, time.time, time.sleep, time.monotonic
    with pytest.raises(ZeroDivisionError), frozen_clock():
        raise ZeroDivisionError
    assert (dt.datetime, dt.date, time.time, time.sleep, time.monotonic) == before


def test_all_threads_see_it(clock):
    """All threads see the frozen time, including older ones."""
    requests, answered, observations = threading.Event(), threading.Event(), []

    def work():
        while requests.wait(5) and not answered.is_set():
            observations.append(now())
            requests.clear()
            answered.set()

    thread = threading.Thread(target=work)
    thread.start()
    clock.tick()
    requests.set()
    assert answered.wait(5)
    requests.set()
    thread.join()
    assert observations == [clock.now]


def test_many_ticks_at_a_time(clock):
    """Concurrent ticks are not lost."""
    threads = [threading.Thread(target=lambda: [clock.tick() for _ in range(100)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now == START + dt.timedelta(seconds=800)


def test_event_loops_go_on(clock):
    """``asyncio.sleep`` and timeouts use the real time."""

    async def work():
        await asyncio.wait_for(asyncio.sleep(0.01), 5)
        return now()

    assert asyncio.run(work()) == START


def test_children_are_not_frozen(clock):
    """A child process sees the real time, although the parent's time is frozen."""
    real = time.clock_gettime  # freezegun does not replace it
    before = real(time.CLOCK_REALTIME)
    child = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"], capture_output=True, text=True, check=True
    )
    assert before <= float(child.stdout) <= real(time.CLOCK_REALTIME)
    assert time.time() == START.timestamp()


# -- Prefect's clock ---------------------------------------------------------------------------------------------------


@needs_prefect
def test_pendulum(clock):
    """pendulum 2 and 3 return the frozen time; the class is unchanged."""
    import pendulum

    assert pendulum.now("utc") == pendulum.now("Asia/Tokyo") == pendulum.now() == START
    assert pendulum.today("utc").isoformat()[:10] == "2026-01-31"
    assert clock.move_to(pendulum.now("utc").add(hours=1)) == pendulum.now("utc") == START + dt.timedelta(hours=1)
    assert pickle.loads(pickle.dumps(pendulum.now("utc"))) == clock.now
    assert isinstance(pendulum.now(), dt.datetime)


@needs_prefect
def test_context_dates(clock):
    """The dates in ``prefect.context`` of a flow run are those of the frozen time."""
    import prefect

    observations = []

    @prefect.task
    def look():
        observations.append({name: prefect.context.get(name) for name in ("date", "today", "yesterday", "tomorrow")})

    with prefect.Flow("dates") as flow:
        look()
    assert flow.run().is_successful()
    assert observations[0].pop("date") == START
    assert observations == [{"today": "2026-01-31", "yesterday": "2026-01-30", "tomorrow": "2026-02-01"}]


@needs_prefect
def test_schedules(clock):
    """The next events of a schedule are relative to the frozen time."""
    import pendulum
    from prefect.schedules import IntervalSchedule

    start = pendulum.datetime(2026, 1, 1, tz="UTC")
    assert IntervalSchedule(start_date=start, interval=dt.timedelta(days=1)).next(1) == [
        dt.datetime(2026, 2, 1, tzinfo=UTC)
    ]


@needs_prefect
def test_a_flow_on_its_schedule(clock):
    """``flow.run()`` of a scheduled flow moves the clock instead of waiting."""
    import pendulum
    import prefect
    from prefect.schedules import IntervalSchedule

    observations = []

    @prefect.task
    def look():
        observations.append(pendulum.now("utc"))

    start, end = (pendulum.datetime(2026, 1, day, tz="UTC") for day in (1, 3))
    clock.move_to(start.subtract(hours=1))
    hourly = IntervalSchedule(start_date=start, interval=dt.timedelta(days=1), end_date=end)
    with prefect.Flow("hourly", schedule=hourly) as flow:
        look()
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    flow.run()
    assert time.clock_gettime(time.CLOCK_MONOTONIC) - began < 10
    assert [moment.day for moment in observations] == [1, 2, 3]


def retrying(work):
    import prefect

    @prefect.task(max_retries=1, retry_delay=dt.timedelta(minutes=10))
    def try_it():
        return work()

    with prefect.Flow("retries") as flow:
        try_it()
    return flow


@needs_prefect
def test_retries(clock):
    """The delay before a retry moves the clock instead of waiting."""
    observations = []

    def work():
        observations.append(now())
        assert len(observations) > 1

    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    logging.disable(logging.CRITICAL)
    assert retrying(work).run().is_successful()
    logging.disable(logging.NOTSET)
    assert time.clock_gettime(time.CLOCK_MONOTONIC) - began < 10
    assert dt.timedelta(minutes=10) <= observations[1] - observations[0] < dt.timedelta(minutes=11)


@pytest.mark.slow
@needs_prefect
@pytest.mark.skipif(VERSION is not None and VERSION < (1, 0), reason="once is enough: a cluster takes seconds")
def test_dask(clock):
    """A Dask cluster of threads starts, works and ends while time is frozen."""
    state = retrying(now).run(executor=dask_executor(processes=False))
    assert [task_state.result for task_state in state.result.values()] == [START]


@needs_prefect
@pytest.mark.skipif(VERSION is not None and VERSION < (0, 6, 1), reason="LocalDaskExecutor came with 0.6.1")
def test_threads_of_an_executor(clock):
    """Tasks in threads of an executor see the same time."""
    observations = []
    executor = executors().LocalDaskExecutor(scheduler="threads")
    assert retrying(lambda: observations.append(now())).run(executor=executor).is_successful()
    assert observations == [START]


@pytest.mark.slow
@needs_prefect
def test_prefect_is_imported_before_time_is_frozen():
    """``frozen_clock`` imports Prefect first, so its classes do not inherit from frozen ones."""
    code = """
from pytest_flowsecrets import frozen_clock
with frozen_clock("2030-01-01"):
    import prefect, pendulum
    assert pendulum.now("utc").year == 2030
assert [one.__module__ for one in pendulum.DateTime.__mro__ if "freezegun" in one.__module__] == []
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


# -- in pytest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["flow_clock, monkeypatch", "monkeypatch, flow_clock"])
def test_monkeypatch(run_tests, arguments):
    """monkeypatch restores its patches inside frozen time, in any order of the fixtures."""
    result = run_tests(
        f"""
import datetime, time

real = time.time, time.sleep, datetime.datetime, datetime.date

def test_it({arguments}):
    start = flow_clock.now
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(time, "time", lambda: 1.0)
    monkeypatch.setattr(datetime, "datetime", datetime.datetime)
    assert (time.sleep(1), time.time()) == (None, 1.0)
    assert flow_clock.tick(1) == start + datetime.timedelta(seconds=1)

def test_afterwards():
    assert (time.time, time.sleep, datetime.datetime, datetime.date) == real
"""
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("arguments", ["flow_clock, freezer", "freezer, flow_clock"])
def test_freezer(run_tests, arguments):
    """The fixture of pytest-freezer and ``flow_clock`` move the same time, in any order."""
    pytest.importorskip("pytest_freezer")
    result = run_tests(
        f"""
import datetime, time
real = time.time, time.sleep, datetime.datetime

def test_it({arguments}):
    for year, clock in ((2030, freezer), (2040, flow_clock), (2050, freezer)):
        clock.move_to(f"{{year}}-01-01")
        assert datetime.datetime.now().year == flow_clock.now.year == year

def test_afterwards():
    assert (time.time, time.sleep, datetime.datetime) == real
""",
        plugins=["pytest_freezer"],
    )
    result.assert_outcomes(passed=2)


def test_the_fixture(run_tests):
    """``flow_clock`` starts at the current time, and only this fixture imports freezegun."""
    result = run_tests(
        """
import datetime, sys

def test_without():
    assert "freezegun" not in sys.modules

def test_with(flow_clock):
    start = flow_clock.now
    assert abs((start - flow_clock.move_to("2030-01-01")).days) > 30
    assert datetime.datetime.now().year == 2030

def test_after():
    assert datetime.datetime.now().year != 2030
"""
    )
    result.assert_outcomes(passed=3)
