"""The tables that clients can query, and the scalars of their columns; ``schema`` generates the query types from them.

Columns are written as ``name:scalar``, relations to one row as ``name`` or ``name:table.own_column``, and relations to
many rows as ``name:table.their_column``. Every row also has an id, two timestamps and the id of its tenant. No table
has a column for the value of a secret, so secrets are write-only.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from math import isfinite
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

Link = Tuple[str, str]
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s?(Z|[+-]\d\d:?(?:\d\d)?)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Table:
    """A table."""

    name: str
    columns: Mapping[str, str]
    """The scalar of each column."""
    one: Mapping[str, Link] = field(default_factory=dict)
    """For each relation to one row: the other table, and the column of this table with the id."""
    many: Mapping[str, Link] = field(default_factory=dict)
    """For each relation to many rows: the other table, and its column with the id of this row."""
    cloud: bool = False
    """Whether Prefect Server lacks the table."""


def _table(name: str, columns: str, *, one: str = "", many: str = "", cloud: bool = False) -> Table:
    base = "id:uuid created:timestamptz updated:timestamptz tenant_id:uuid "
    return Table(name, dict(_pair(text) for text in (base + columns).split()), _ones(one), _many(many), cloud)


def _ones(text: str) -> Dict[str, Link]:
    return {
        name: _link(link) if link else (name, f"{name}_id")
        for name, _, link in (t.partition(":") for t in text.split())
    }


def _many(text: str) -> Dict[str, Link]:
    return {name: _link(link) for name, link in map(_pair, text.split())}


def _pair(text: str) -> Tuple[str, str]:
    left, _, right = text.partition(":")
    return left, right


def _link(text: str) -> Link:
    table, _, column = text.partition(".")
    return table, column


_STATE = (
    "timestamp:timestamptz state:String message:String result:jsonb start_time:timestamptz "
    "serialized_state:jsonb version:Int "
)
_RUN = (
    "name:String version:Int heartbeat:timestamptz state:String state_id:uuid state_timestamp:timestamptz "
    "state_message:String state_result:jsonb state_start_time:timestamptz serialized_state:jsonb "
    "start_time:timestamptz end_time:timestamptz duration:interval times_resurrected:Int "
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        _table(
            "tenant",
            "name:String slug:String info:jsonb settings:jsonb",
            many="projects:project.tenant_id flows:flow.tenant_id agents:agent.tenant_id",
        ),
        _table(
            "project",
            "name:String description:String",
            one="tenant",
            many="flows:flow.project_id",
        ),
        _table(
            "flow_group",
            "name:String labels:jsonb settings:jsonb schedule:jsonb default_parameters:jsonb "
            "run_config:jsonb description:String",
            one="tenant",
            many="flows:flow.flow_group_id",
        ),
        _table(
            "flow",
            "project_id:uuid flow_group_id:uuid version_group_id:String name:String version:Int archived:Boolean "
            "core_version:String description:String environment:jsonb parameters:jsonb schedule:jsonb "
            "is_schedule_active:Boolean schedule_is_active:Boolean serialized_flow:jsonb settings:jsonb "
            "storage:jsonb run_config:jsonb",
            one="tenant project flow_group",
            many="tasks:task.flow_id edges:edge.flow_id flow_runs:flow_run.flow_id",
        ),
        _table(
            "task",
            "flow_id:uuid name:String slug:String type:String description:String tags:jsonb mapped:Boolean "
            "max_retries:Int retry_delay:interval trigger:String cache_key:String auto_generated:Boolean",
            one="flow",
            many="task_runs:task_run.task_id upstream_edges:edge.downstream_task_id "
            "downstream_edges:edge.upstream_task_id",
        ),
        _table(
            "edge",
            "flow_id:uuid upstream_task_id:uuid downstream_task_id:uuid key:String mapped:Boolean",
            one="flow upstream_task:task.upstream_task_id downstream_task:task.downstream_task_id",
        ),
        _table(
            "flow_run",
            _RUN + "flow_id:uuid agent_id:uuid parameters:jsonb context:jsonb labels:jsonb run_config:jsonb "
            "scheduled_start_time:timestamptz auto_scheduled:Boolean idempotency_key:String created_by_user_id:uuid",
            one="tenant flow agent current_state:flow_run_state.state_id",
            many="task_runs:task_run.flow_run_id states:flow_run_state.flow_run_id logs:log.flow_run_id",
        ),
        _table("flow_run_state", _STATE + "flow_run_id:uuid", one="flow_run"),
        _table(
            "task_run",
            _RUN + "flow_run_id:uuid task_id:uuid map_index:Int cache_key:String run_count:Int",
            one="tenant task flow_run current_state:task_run_state.state_id",
            many="states:task_run_state.task_run_id logs:log.task_run_id artifacts:task_run_artifact.task_run_id",
        ),
        _table("task_run_state", _STATE + "task_run_id:uuid", one="task_run"),
        _table("task_run_artifact", "task_run_id:uuid kind:String data:jsonb", one="task_run"),
        _table(
            "log",
            "flow_run_id:uuid task_run_id:uuid timestamp:timestamptz name:String level:String "
            "message:String info:jsonb",
            one="flow_run task_run",
        ),
        _table(
            "agent",
            "name:String type:String labels:jsonb core_version:String last_queried:timestamptz agent_config_id:uuid",
            one="agent_config",
            many="flow_runs:flow_run.agent_id",
        ),
        _table("agent_config", "name:String settings:jsonb", cloud=True),
        _table("key_value", "key:String value:jsonb", cloud=True),
        _table("task_tag_limit", "tag:String limit:Int", cloud=True),
        _table("secret", "name:String", cloud=True),
        _table("api_token", "name:String scope:String", cloud=True),
        _table(
            "user",
            "username:String email:String first_name:String last_name:String default_membership_id:uuid",
            one="default_membership:membership.default_membership_id",
            many="memberships:membership.user_id",
            cloud=True,
        ),
        _table("membership", "user_id:uuid", one="tenant user", cloud=True),
    )
}


def tables(backend: str) -> Dict[str, Table]:
    """Return the tables of ``cloud`` or ``server``, without relations to tables that the backend lacks."""
    available = {name: table for name, table in TABLES.items() if backend == "cloud" or not table.cloud}
    return {name: _without_links(table, available) for name, table in available.items()}


def _without_links(table: Table, available: Mapping[str, Table]) -> Table:
    one, many = (
        {name: link for name, link in links.items() if link[0] in available} for links in (table.one, table.many)
    )
    return Table(table.name, table.columns, one, many, table.cloud)


# -- scalars: uuid, timestamptz, jsonb of tables; UUID, DateTime, JSON of others; no error contains the value ----------


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
