"""Ids, times and durations as texts."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest

from pytest_flowsecrets.backend.records.tables import read_interval, read_time, read_uuid, write_interval

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

UTC = timezone.utc


OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=OFFSETS))
def test_what_datetime_writes_is_read(moment):
    """``read_time`` reads what ``datetime.isoformat`` writes, with any offset."""
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        return
    assert read_time(moment.isoformat()) == expected


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2022-01-31", datetime(2022, 1, 31, tzinfo=UTC)),
        ("2022-01-31T12:30", datetime(2022, 1, 31, 12, 30, tzinfo=UTC)),
        ("2022-01-31 12:30:01.5", datetime(2022, 1, 31, 12, 30, 1, 500_000, tzinfo=UTC)),
        ("2022-01-31t12:30:01,123456789z", datetime(2022, 1, 31, 12, 30, 1, 123_456, tzinfo=UTC)),
        ("2022-01-31T12:30:00+0130", datetime(2022, 1, 31, 11, tzinfo=UTC)),
        ("2022-01-31T12:30:00-01", datetime(2022, 1, 31, 13, 30, tzinfo=UTC)),
        (" 2022-01-31T12:30:00 +00:00 ", datetime(2022, 1, 31, 12, 30, tzinfo=UTC)),
    ],
)
def test_times(text, moment):
    """``read_time`` reads the formats of databases and clients; without an offset, the time is in UTC."""
    assert read_time(text) == moment
    assert read_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    ["", "today", "2022-02-30", "2022-01-31T25:00", "0001-01-01T00:00+10:00", "2022-01-31T12:00+99:99", 5, None, []],
)
def test_what_is_no_time(value):
    """``read_time`` rejects invalid times without quoting them."""
    with pytest.raises(ValueError) as caught:
        read_time(value)
    assert str(caught.value).startswith(("expected a time", "the time does not exist"))


@pytest.mark.parametrize(
    "text",
    [
        "835db11c-d8c1-47b1-b443-00bd056712fd",
        "{835DB11CD8C147B1B44300BD056712FD}",
        "urn:uuid:835db11c-d8c1-47b1-b443-00bd056712fd",
    ],
)
def test_ids(text):
    """``read_uuid`` reads all spellings of an id."""
    assert read_uuid(text) == "835db11c-d8c1-47b1-b443-00bd056712fd"


@pytest.mark.parametrize("value", ["", "835db11c", 5, None, [], {}])
def test_what_is_no_id(value):
    """``read_uuid`` rejects invalid ids without quoting them."""
    with pytest.raises(ValueError, match="expected 32 hexadecimal digits"):
        read_uuid(value)


@given(st.timedeltas())
def test_lengths_of_time_come_back(length):
    """``read_interval`` reads what ``write_interval`` writes."""
    assert math.isclose(read_interval(write_interval(length)).total_seconds(), length.total_seconds(), abs_tol=1e-3)


@pytest.mark.parametrize(
    ("value", "length", "text"),
    [
        ("00:01:30", timedelta(seconds=90), "00:01:30"),
        ("-100:00:00.25", -timedelta(hours=100, milliseconds=250), "-100:00:00.25"),
        (5, timedelta(seconds=5), "00:00:05"),
        (0.5, timedelta(seconds=0.5), "00:00:00.5"),
    ],
)
def test_lengths_of_time(value, length, text):
    """``read_interval`` reads PostgreSQL's format, and numbers as seconds."""
    assert read_interval(value) == length
    assert write_interval(length) == text


@pytest.mark.parametrize("value", ["", "1 day", None, [], "00:99"])
def test_what_is_no_length_of_time(value):
    """``read_interval`` rejects invalid durations without quoting them."""
    with pytest.raises(ValueError, match="expected a duration"):
        read_interval(value)
