"""The scalars of both halves of the API: uuid, timestamptz, jsonb of the tables; UUID, DateTime, JSON of the rest.

No error here says what the value was.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timedelta, timezone
from math import isfinite
from typing import Any, Callable, Mapping, Optional, Tuple

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s?(Z|[+-]\d\d:?(?:\d\d)?)?",
    re.IGNORECASE,
)


def read_uuid(value: Any) -> str:
    """An id in the usual spelling."""
    try:
        return str(uuid.UUID(value))
    except (ValueError, TypeError, AttributeError):
        raise ValueError("expected 32 hexadecimal digits") from None


def read_time(value: Any) -> datetime:
    """A moment in UTC. Without an offset it is meant in UTC, as the real database takes it."""
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError("expected a time such as 2022-01-31T12:00:00+00:00")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    micro = int((found[7] or "0").ljust(6, "0")[:6])
    try:
        local = datetime(year, month, day, hour, minute, second, micro, _offset(found[8]))
        return local.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError("there is no such time") from None


def _offset(text: Optional[str]) -> timezone:
    if not text or text in "Zz":
        return timezone.utc
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def read_interval(value: Any) -> timedelta:
    """A length of time: ``HH:MM:SS``, or a number of seconds."""
    if isinstance(value, (int, float)):
        return timedelta(seconds=value)
    found = re.fullmatch(r"(-?)(\d+):(\d\d):(\d\d(?:\.\d+)?)", value) if isinstance(value, str) else None
    if not found:
        raise ValueError("expected a length of time such as 00:01:30")
    length = timedelta(hours=int(found[2]), minutes=int(found[3]), seconds=float(found[4]))
    return -length if found[1] else length


def read_json(value: Any) -> Any:
    """Anything that JSON can say: a number too large for Python to read has become NaN or infinite."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, float) and not isfinite(one):
            raise ValueError("expected numbers that are finite")
        left.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
    return value


def as_it_is(value: Any) -> Any:
    """What JSON can say needs no writing."""
    return value


def write_interval(value: timedelta) -> str:
    """``HH:MM:SS``, with a fraction only where there is one."""
    seconds, rest = divmod(abs(value), timedelta(seconds=1))
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    fraction = f".{rest.microseconds:06}".rstrip("0") if rest else ""
    return ("-" if value < timedelta(0) else "") + text + fraction


Codec = Tuple[Callable[[Any], Any], Callable[[Any], Any]]
_TIMES: Codec = (read_time, datetime.isoformat)
_IDS: Codec = (read_uuid, str)
_ANY: Codec = (read_json, as_it_is)
CODECS: Mapping[str, Codec] = {
    "uuid": _IDS,
    "UUID": _IDS,
    "timestamptz": _TIMES,
    "DateTime": _TIMES,
    "jsonb": _ANY,
    "JSON": _ANY,
    "interval": (read_interval, write_interval),
}
