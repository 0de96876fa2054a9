"""Registration of a flow: convert the serialized flow of a client to rows."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from pytest_flowsecrets.backend.messages import BadInput

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.records.store import Row, Store

_MAX_FLOW = 64 * 1024 * 1024  # bytes of a decompressed flow


def decompress(text: str) -> Any:
    """Return the JSON value of a compressed string.

    Raises:
        BadInput: the text is not a compressed JSON value, or the value is too large.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(text, validate=True))) as file:
            data = file.read(_MAX_FLOW + 1)
        if len(data) > _MAX_FLOW:
            raise BadInput(f"a flow of more than {_MAX_FLOW} bytes is too large")
        return json.loads(data)
    except (binascii.Error, OSError, EOFError, ValueError, zlib.error, RecursionError):
        raise BadInput("a compressed flow must be JSON, compressed with gzip and encoded in base64") from None


def validate_flow(serialized: Any) -> Mapping[str, Any]:
    """Check the parts of a serialized flow that this API relies on, and return the flow.

    Raises:
        BadInput: the flow is not a mapping with a name, or its parameters are not a list.
    """
    flow = _mapping(serialized, "a flow")
    if not isinstance(flow.get("name"), str):
        raise BadInput("the name of a flow must be text")
    if not isinstance(flow.get("parameters"), (list, type(None))):
        raise BadInput("the parameters of a flow must be a list")
    return flow


def core_version(flow: Mapping[str, Any]) -> Optional[str]:
    """Return the version of Prefect that serialized a flow, or None."""
    parts = (flow.get("environment"), flow.get("storage"), flow)
    versions = [part.get("__version__") for part in parts if isinstance(part, Mapping)]
    return next((version for version in versions if isinstance(version, str)), None)


def register(store: Store, flow: Row, tasks: Any, edges: Any) -> None:
    """Add tasks and edges to a flow. Existing tasks are not changed.

    Raises:
        BadInput: a task or edge is not a mapping, or an edge connects tasks that do not exist.
    """
    known = {task["slug"]: task["id"] for task in store.linked("task", "flow_id", flow["id"])}
    for task in _mappings(tasks, "a task"):
        row = _task(flow, task)
        if row["slug"] not in known:
            known[row["slug"]] = store.add("task", **row)["id"]
    for edge in _mappings(edges, "an edge"):
        added = store.add("edge", **_edge(flow, edge, known))
        if added["mapped"]:
            store.change("task", added["downstream_task_id"], mapped=True)


def _task(flow: Row, task: Mapping[str, Any]) -> Dict[str, Any]:
    trigger, retries = task.get("trigger"), task.get("max_retries")
    return {
        "tenant_id": flow["tenant_id"],
        "flow_id": flow["id"],
        **{name: _text(task.get(name)) for name in ("name", "slug", "type", "description", "cache_key")},
        "tags": task.get("tags") or [],
        "mapped": bool(task.get("mapped")),
        "max_retries": retries if _is_int(retries) else None,
        "retry_delay": _seconds(task.get("retry_delay")),
        "trigger": _text(trigger.get("fn") if isinstance(trigger, Mapping) else trigger),
        "auto_generated": bool(task.get("auto_generated")),
    }


def _edge(flow: Row, edge: Mapping[str, Any], known: Mapping[Optional[str], str]) -> Dict[str, Any]:
    ends = [_mapping(edge.get(f"{end}_task"), "an end of an edge").get("slug") for end in ("upstream", "downstream")]
    if any(end not in known for end in map(_text, ends)):
        raise BadInput("an edge must connect two tasks of its flow")
    return {
        "tenant_id": flow["tenant_id"],
        "flow_id": flow["id"],
        "upstream_task_id": known[_text(ends[0])],
        "downstream_task_id": known[_text(ends[1])],
        "key": _text(edge.get("key")),
        "mapped": bool(edge.get("mapped")),
    }


def _mappings(entries: Any, what: str) -> List[Mapping[str, Any]]:
    if not isinstance(entries, list):
        raise BadInput(f"expected a list; each entry must be {what}")
    return [_mapping(entry, what) for entry in entries]


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadInput(f"{what} must be a mapping")
    return value


def _text(value: Any) -> Optional[str]:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and abs(value) < 2**31


def _seconds(value: Any) -> Optional[timedelta]:
    return timedelta(seconds=value) if _is_int(value) else None
