"""The texts in the rows and requests of an API, each with its place, for the search for leaks.

The rows show what the API stores at the end of a test. The requests show also what was deleted or replaced since then.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Set, Tuple

from pytest_flowsecrets.backend.rest.store.masking import secret_fields, secret_name, secret_values, without_secrets

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.received import Content, ReceivedRequests
    from pytest_flowsecrets.backend.rest.view import View

TextAt = Tuple[str, str]  # a text, and its place

# Routes below the API and what their rows are called; the first one that matches counts.
_ROUTES: Tuple[Tuple[str, str], ...] = (
    (r".*/(filter|count|paginate|history|get_scheduled_flow_runs)", "request"),
    (r"/logs", "log"),
    (r"/events", "event"),
    (r"/flow_runs/[^/]+/(input.*|resume)", "flow run input"),
    (r"/(flow_runs|ui/flow_runs)\b.*|/deployments/[^/]+/create_flow_run", "flow run"),
    (r"/task_runs\b.*", "task run"),
    (r"/deployments/[^/]+/schedules.*", "deployment schedule"),
    (r"/deployments\b.*", "deployment"),
    (r"/flows\b.*", "flow"),
    (r"/artifacts\b.*", "artifact"),
    (r"/variables\b.*", "variable"),
    (r"/automations\b.*", "automation"),
    (r"/work_pools/[^/]+/queues.*|/work_queues\b.*", "work queue"),
    (r"/work_pools\b.*", "work pool"),
    (r"(/v2)?/concurrency_limits\b.*", "concurrency limit"),
    (r"/block_documents\b.*", "block"),
    (r"/block_schemas\b.*", "block schema"),
    (r"/block_types\b.*", "block type"),
)
_KINDS = [(re.compile(pattern), kind) for pattern, kind in _ROUTES]
# Tables of a view, what their rows are called, and the path of the row itself.
_TABLES = (
    ("flow_runs", "flow run", ""),
    ("flow_run_states", "flow run", "state"),
    ("flow_run_inputs", "flow run input", ""),
    ("task_runs", "task run", ""),
    ("task_run_states", "task run", "state"),
    ("deployments", "deployment", ""),
    ("schedules", "deployment schedule", ""),
    ("flows", "flow", ""),
    ("logs", "log", ""),
    ("artifacts", "artifact", ""),
    ("variables", "variable", ""),
    ("automations", "automation", ""),
    ("work_pools", "work pool", ""),
    ("work_queues", "work queue", ""),
    ("workers", "worker", ""),
    ("tag_limits", "concurrency limit", ""),
    ("limits", "concurrency limit", ""),
)
_OLD_NAMES = {"infra_overrides": "job_variables"}  # of Prefect 2, which the rows no longer have
_IDS = re.compile(r"(.*_)?id|created|updated|timestamp|(.*_)?time|occurred")  # no user chooses these texts
_GENERATED = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\d[T ][\d:.+Z-]+", re.IGNORECASE)
_RUN_EVENT = re.compile(r"(prefect\.(?:flow|task)-run)\.\w+")
_MAX_DEPTH = 50


def texts_of_row(kind: str, row: Any, path: str = "") -> Iterator[TextAt]:
    """Yield the texts of a row, with places such as ``api flow run parameters.token``.

    Args:
        kind: what the row is called.
        row: the JSON data of the row.
        path: of the row in what it belongs to.
    """
    label = _label(kind, row)
    for where, text in _texts(row, path, 0):
        shown = "" if kind in ("event", "request") else where
        yield text, " ".join(part for part in ("api", kind, shown, label) if part)


def _label(kind: str, row: Any) -> str:
    """Return the name of a row that has a fixed one."""
    if not isinstance(row, dict):
        return ""
    if kind == "event":
        return _RUN_EVENT.sub(r"\1", str(row.get("event", "")))
    name = row.get("key" if kind == "artifact" else "name")
    return f"of {name!r}" if kind in ("artifact", "block", "deployment", "variable") and name else ""


def _texts(value: Any, path: str, depth: int) -> Iterator[TextAt]:
    if depth > _MAX_DEPTH:
        yield path, json.dumps(value, default=str)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"a name in {path}" if path else "a name", str(key)
            if inner is not None and not (isinstance(inner, str) and _is_generated(str(key), inner, depth)):
                yield from _texts(inner, f"{path}.{_OLD_NAMES.get(key, key)}".lstrip("."), depth + 1)
    elif isinstance(value, (list, tuple, set)):
        for inner in value:
            yield from _texts(inner, path, depth + 1)
    elif value is not None and not isinstance(value, bool):
        yield path, str(value)


def _is_generated(key: str, text: str, depth: int) -> bool:
    """Return whether the server or the client has chosen a text: a column of the row, or an id or time inside it."""
    return _IDS.fullmatch(key) is not None and (depth == 0 or _GENERATED.fullmatch(text) is not None)


# -- the fake API ------------------------------------------------------------------------------------------------------


def texts_of_view(view: View, received: ReceivedRequests) -> Iterator[TextAt]:
    """Yield the texts in all rows of a view, and those of its requests that no row has any more."""
    known: Set[TextAt] = set()
    for text, place in [*_stored(view)]:
        known.add((text, place.partition(" of '")[0]))
        yield text, place
    for text, place in _sent(received.contents()):
        key = text, place.partition(" of '")[0]
        if key not in known:
            known.add(key)
            yield text, place


def _stored(view: View) -> Iterator[TextAt]:
    with view.lock:
        for table, kind, path in _TABLES:
            for row in getattr(view, table):
                yield from texts_of_row(kind, row, path)
        for row in view.block_documents:
            yield from texts_of_row("block", {**row, "data": without_secrets(row["data"], _fields(view, row))})
        for event in list(view.events.items):
            yield from texts_of_row("event", event)


def _fields(view: View, row: Row) -> List[str]:
    schema = view.block_types.schemas.get(row["block_schema_id"])
    return ["*"] if schema is None else secret_fields(schema)


def _sent(contents: Iterable[Content]) -> Iterator[TextAt]:
    """Yield the texts of requests. Headers are left out: those of the user's settings carry credentials on purpose."""
    paths: Dict[str, None] = {}
    for route, path, _, body in contents:
        paths[path] = None
        method, _, route_path = route.partition(" ")
        if not body or method == "GET":
            continue
        kind = _kind(route_path.rstrip("/"))
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            yield body.decode("utf-8", "replace"), f"api {kind}"
            continue
        for row in data if isinstance(data, list) else [data]:
            yield from texts_of_row(kind, row)
    for path in paths:
        yield path, "api request path"


def _kind(route: str) -> str:
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(route)), "request")


# -- the real API ------------------------------------------------------------------------------------------------------

#: The routes that return all rows of a table, and what the rows are called.
FILTERS = (
    ("/flow_runs/filter", "flow run"),
    ("/task_runs/filter", "task run"),
    ("/deployments/filter", "deployment"),
    ("/flows/filter", "flow"),
    ("/logs/filter", "log"),
    ("/artifacts/filter", "artifact"),
    ("/variables/filter", "variable"),
    ("/automations/filter", "automation"),
    ("/work_pools/filter", "work pool"),
    ("/work_queues/filter", "work queue"),
    ("/concurrency_limits/filter", "concurrency limit"),
    ("/v2/concurrency_limits/filter", "concurrency limit"),
)


def texts_of_filters(rows_of: Callable[[str], Iterable[Row]]) -> Iterator[TextAt]:
    """Yield the texts in the rows that the ``/filter`` routes of an API return.

    Args:
        rows_of: returns all rows of a route.
    """
    for route, kind in FILTERS:
        yield from texts_of_rows(kind, rows_of(route))


def texts_of_rows(kind: str, rows: Iterable[Row]) -> Iterator[TextAt]:
    """Yield the texts of rows.

    Args:
        kind: what a row is called, such as ``work queue``.
        rows: the JSON data of the rows.
    """
    for row in rows:
        yield from texts_of_row(kind, row)


def texts_of_documents(documents: Iterable[Row]) -> Iterator[TextAt]:
    """Yield the texts in block documents that the API has returned, except those of secret fields."""
    for row in documents:
        shown = {"name": row["name"], "data": without_secrets(row["data"], secret_fields(row.get("block_schema")))}
        yield from texts_of_row("block", shown)


def secrets_of_documents(documents: Iterable[Row]) -> Iterator[Tuple[str, Any]]:
    """Yield the secrets in block documents that the API has returned in clear text, with their names."""
    for row in documents:
        for path, value in secret_values(row["data"], secret_fields(row.get("block_schema"))):
            yield secret_name(row["name"], path), value
