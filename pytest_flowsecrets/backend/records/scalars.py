"""The scalars of the schema: uuid, timestamptz and jsonb of the tables; UUID, DateTime and JSON of other types.

The errors do not contain the value.
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
    """Parse an id, and return its canonical form."""
    try:
        return str(uuid.UUID(value))
    except (ValueError, TypeError, AttributeError):
        raise ValueError("expected 32 hexadecimal digits") from None


def read_time(value: Any) -> datetime:
    """Parse a time, and return it in UTC. A time without an offset is in UTC, as in the real database."""
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError("expected a time such as 2022-01-31T12:00:00+00:00")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    micro = int((match[7] or "0").ljust(6, "0")[:6])
    try:
        local = datetime(year, month, day, hour, minute, second, micro, _offset(match[8]))
        return local.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError("the time does not exist") from None


def _offset(text: Optional[str]) -> timezone:
    if not text or text in "Zz":
        return timezone.utc
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def read_interval(value: Any) -> timedelta:
    """Parse a duration: ``HH:MM:SS``, or a number of seconds."""
    if isinstance(value, (int, float)):
        return timedelta(seconds=value)
    match = re.fullmatch(r"(-?)(\d+):(\d\d):(\d\d(?:\.\d+)?)", value) if isinstance(value, str) else None
    if not match:
        raise ValueError("expected a duration such as 00:01:30")
    duration = timedelta(hours=int(match[2]), minutes=int(match[3]), seconds=float(match[4]))
    return -duration if match[1] else duration


def read_json(value: Any) -> Any:
    """Return a JSON value. Reject infinity and NaN, which are not JSON; 1e999 in a document becomes infinity."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, float) and not isfinite(part):
            raise ValueError("expected finite numbers")
        pending.extend(part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())
    return value


def write_json(value: Any) -> Any:
    """Return a JSON value unchanged: the response is JSON."""
    return value


def write_interval(value: timedelta) -> str:
    """Format a duration as ``HH:MM:SS``, with a fraction if necessary."""
    seconds, rest = divmod(abs(value), timedelta(seconds=1))
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    fraction = f".{rest.microseconds:06}".rstrip("0") if rest else ""
    return ("-" if value < timedelta(0) else "") + text + fraction


Codec = Tuple[Callable[[Any], Any], Callable[[Any], Any]]
_TIMES: Codec = (read_time, datetime.isoformat)
_IDS: Codec = (read_uuid, str)
_ANY: Codec = (read_json, write_json)
CODECS: Mapping[str, Codec] = {
    "uuid": _IDS,
    "UUID": _IDS,
    "timestamptz": _TIMES,
    "DateTime": _TIMES,
    "jsonb": _ANY,
    "JSON": _ANY,
    "interval": (read_interval, write_interval),
}
