"""``local_secrets.rotate``: a local secret that changes at a given time, for flows, threads and the real clock."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from pytest_flowsecrets import UsageError, clock, isolated_prefect
from pytest_flowsecrets.isolation import stack
from pytest_flowsecrets.isolation.secrets import scheduled_changes
from tests.compat import needs_prefect


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def watchers():
    return [thread for thread in threading.enumerate() if thread.name == "flowsecrets-rotation"]


def test_at_once(local_secrets):
    """Without a time, or with a past one, the secret changes immediately."""
    before = set(watchers())  # the threads of other tests, which are about to end
    local_secrets["X"] = "a"
    local_secrets.rotate("X", "b")
    assert local_secrets["X"] == "b"
    local_secrets.rotate("X", "c", at="2020-01-01")
    assert local_secrets["X"] == "c"
    assert set(watchers()) <= before


def test_when_the_clock_is_moved(local_secrets, flow_clock):
    """Changes apply in the order of their times when the clock reaches them."""
    local_secrets["X"] = "a"
    start = flow_clock.now
    local_secrets.rotate("X", "c", at=start + timedelta(hours=2))
    local_secrets.rotate("X", "b", at=start + timedelta(hours=1))
    flow_clock.tick(3599)
    assert local_secrets["X"] == "a"
    flow_clock.tick(1)
    assert local_secrets["X"] == "b"
    flow_clock.move_to(start + timedelta(hours=5))
    assert local_secrets["X"] == "c"


def test_several_at_once(local_secrets, flow_clock):
    """If the clock jumps over several changes, the last one applies."""
    local_secrets.update(X="a", Y="a")
    for hours, value in ((1, "b"), (2, "c")):
        for name in ("X", "Y"):
            local_secrets.rotate(name, value, at=flow_clock.now + timedelta(hours=hours))
    flow_clock.tick(timedelta(days=1))
    assert dict(local_secrets) == {"X": "c", "Y": "c"}


def test_by_the_real_clock(local_secrets):
    """A thread checks the real clock until the isolation ends."""
    local_secrets["X"] = "a"
    local_secrets.rotate("X", "b", at=clock.now() + timedelta(seconds=0.2))
    assert local_secrets["X"] == "a"
    wait_for(lambda: local_secrets["X"] == "b")
    wait_for(lambda: len(watchers()) == 1)


@needs_prefect
def test_a_flow_with_retries_sees_the_new_one(local_secrets, flow_clock):
    """A flow gets the old value before the change and the new value in the retry."""
    import prefect
    from prefect.client import Secret

    results = []

    @prefect.task(max_retries=2, retry_delay=timedelta(minutes=10))
    def read():
        results.append(Secret("X").get())
        if len(results) < 3:
            raise ValueError

    with prefect.Flow("retries") as flow:
        read()
    local_secrets["X"] = "a"
    local_secrets.rotate("X", "b", at=flow_clock.now + timedelta(minutes=15))
    assert flow.run().is_successful()
    assert results == ["a", "a", "b"]


def test_the_end_of_an_isolation_ends_its_plans(flow_clock):
    """After the isolation, no change is applied and no thread is left."""
    with isolated_prefect({"X": "a"}) as secrets:
        secrets.rotate("X", "b", at=flow_clock.now + timedelta(hours=1))
        assert clock.move_callbacks
    assert clock.move_callbacks == []
    flow_clock.tick(timedelta(hours=2))
    wait_for(lambda: not watchers())


def test_under_another_isolation(local_secrets, flow_clock):
    """A due change waits until its isolation is the innermost one again."""
    local_secrets["X"] = "a"
    local_secrets.rotate("X", "b", at=flow_clock.now + timedelta(hours=1))
    with isolated_prefect({"X": "inner"}) as inner:
        flow_clock.tick(timedelta(hours=2))
        assert inner["X"] == "inner"
    flow_clock.tick()
    assert local_secrets["X"] == "b"


def test_refused(local_secrets):
    """`rotate` rejects an unknown name, a wrong value and a wrong time, and schedules nothing."""
    with pytest.raises(KeyError, match="X"):
        local_secrets.rotate("X", "b")
    local_secrets["X"] = "a"
    with pytest.raises(UsageError, match="the value must be text or JSON data") as caught:
        local_secrets.rotate("X", {"hunter2"}, at="2099-01-01")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(UsageError, match="is not a valid time"):
        local_secrets.rotate("X", "b", at="tomorrow")
    assert stack.current().scheduled_changes._pending == []


def test_a_plan_shows_no_value():
    """The repr of a scheduled change shows only the name and the time."""
    assert repr(scheduled_changes.ScheduledChange(clock.now(), "X", "hunter2")).startswith(
        "<ScheduledChange for 'X' at 20"
    )


def test_the_clock_of_cloud_and_the_local_one(prefect_cloud, local_secrets, flow_clock):
    """Cloud and local secrets use the same clock: both rotate at the same time, and one expires."""
    at = flow_clock.now + timedelta(hours=1)
    for secrets in (prefect_cloud.secrets, local_secrets):
        secrets["X"] = "a"
        secrets.rotate("X", "b", at=at)
    prefect_cloud.secrets.set("Y", "y", expires_at=at)
    assert (prefect_cloud.secrets.holds("X", "a"), local_secrets["X"], "Y" in prefect_cloud.secrets) == (
        True,
        "a",
        True,
    )
    flow_clock.move_to(at)
    assert (prefect_cloud.secrets.holds("X", "b"), local_secrets["X"], "Y" in prefect_cloud.secrets) == (
        True,
        "b",
        False,
    )
