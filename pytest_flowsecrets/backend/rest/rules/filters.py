"""Which rows a request selects: the filters and sort orders of the ``/filter`` routes, and the runs that are due.

A filter is a JSON object: its keys name a property of the row, the values hold operators such as ``any_`` or ``like_``.
One table of operators serves every kind of row. The body of a request holds filters of several kinds of rows, which
are joined by their relations.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional

from pytest_flowsecrets.backend.rest.rules.states import FINAL
from pytest_flowsecrets.backend.rest.store.table import parse_time

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

# A term of a search: its prefix, and a phrase in quotation marks or a word.
_TERM = re.compile(r"""(?:(?<=\s)|^)([-!+]?)(?:"((?:\\.|[^"\\])*)"?|([^\s"]+))""")
Predicate = Callable[[Any, Any], bool]
Properties = Mapping[str, Callable[["Row"], Any]]


def _texts(values: Iterable[Any]) -> List[str]:
    return [str(value) for value in values]


def _is_in(value: Any, options: List[Any]) -> bool:
    if isinstance(value, list):
        return any(item in options for item in value)
    return value is not None and str(value) in _texts(options)


def _is_like(value: Any, pattern: str) -> bool:
    """Return whether a value fits a pattern of SQL, in which ``%`` stands for any text and ``_`` for a character."""
    wildcards = {"%": ".*", "_": "."}
    expression = "".join(wildcards.get(each) or re.escape(each) for each in pattern)
    return value is not None and re.fullmatch(expression, str(value), re.IGNORECASE | re.DOTALL) is not None


def _fits_search(text: str, query: str) -> bool:
    """Return whether a text fits a search: any plain term or phrase, all with ``+``, and none with ``-`` or ``!``."""
    terms: Dict[str, List[bool]] = {"": [], "+": [], "-": []}
    for prefix, phrase, word in _TERM.findall(query):
        term = re.sub(r'\\(["\\])', r"\1", phrase) if phrase else word
        if term.strip():
            terms[prefix.replace("!", "-")].append(term.lower() in text.lower())
    return (any(terms[""]) or not terms[""]) and all(terms["+"]) and not any(terms["-"])


def _orders(compare: Callable[[Any, Any], bool]) -> Predicate:
    def check(value: Any, bound: Any) -> bool:
        if value is None:
            return False
        if isinstance(bound, str):
            return compare(parse_time(value), parse_time(bound))
        return compare(value, bound)

    return check


_OPERATORS: Dict[str, Predicate] = {
    "any_": _is_in,
    "not_any_": lambda value, options: not _is_in(value, options),
    "all_": lambda value, options: set(options) <= set(value or ()),
    "eq_": lambda value, other: value == other,
    "ne_": lambda value, other: value != other,
    "like_": lambda value, text: _is_like(value, f"%{text}%"),
    "startswith_": lambda value, options: any(
        _is_like(value, f"{text}%") for text in ([options] if isinstance(options, str) else options)
    ),
    "query": lambda value, text: _fits_search(str(value), text),
    "is_null_": lambda value, wanted: (not value) == wanted,
    "exists_": lambda value, wanted: (value is not None) == wanted,
    "before_": _orders(lambda value, bound: value <= bound),
    "after_": _orders(lambda value, bound: value >= bound),
    "ge_": _orders(lambda value, bound: value >= bound),
    "gt_": _orders(lambda value, bound: value > bound),
    "le_": _orders(lambda value, bound: value <= bound),
    "lt_": _orders(lambda value, bound: value < bound),
}

# The table of each key of a body.
_TABLES = {
    "flows": "flows",
    "flow_runs": "flow_runs",
    "task_runs": "task_runs",
    "deployments": "deployments",
    "work_pools": "work_pools",
    "work_pool_queues": "work_queues",
    "work_queues": "work_queues",
    "artifacts": "artifacts",
}

# Properties whose name in a filter differs from the row's key, or that lead into the row.
_PROPERTIES: Dict[str, Callable[[Row], Any]] = {
    "state": lambda row: row.get("state") or {},
    "block_type_slug": lambda row: row.get("slug"),
    "block_capabilities": lambda row: row.get("capabilities"),
}


def matches(row: Row, condition: Optional[Mapping[str, Any]], properties: Optional[Properties] = None) -> bool:
    """Return whether a row fits a filter; None fits every row.

    Args:
        row: of any kind.
        condition: such as ``{"name": {"any_": ["a"]}}``.
        properties: more properties that a filter may name.
    """
    if not condition:
        return True
    results = []
    for name, part in condition.items():
        if name != "operator" and part is not None:
            results.append(_property_matches(row, name, part, properties))
    return any(results) if condition.get("operator") == "or_" and results else all(results)


def _property_matches(row: Row, name: str, part: Mapping[str, Any], properties: Optional[Properties]) -> bool:
    read = (properties or {}).get(name) or _PROPERTIES.get(name)
    value = read(row) if read else row.get(name)
    if isinstance(value, dict) and not any(key in _OPERATORS for key in part):
        return matches(value, part)
    checks = [
        _OPERATORS[key](value, option) for key, option in part.items() if option is not None and key in _OPERATORS
    ]
    return any(checks) if part.get("operator") == "or_" and checks else all(checks)


def start_time(run: Row) -> Any:
    """Return when a run started, or when it is expected to start."""
    return run.get("start_time") or run.get("expected_start_time")


def sort_rows(rows: List[Row], order: Optional[str], default: str = "ID_DESC") -> List[Row]:
    """Return rows in an order such as ``START_TIME_DESC``. Rows without the value are the lowest, as in SQLite.

    Equal rows keep the order of their creation.
    """
    field, _, direction = (order or default).lower().rpartition("_")
    is_time = field.endswith(("time", "timestamp", "created", "updated"))

    def value(row: Row) -> Any:
        content = start_time(row) if field == "start_time" else row.get(field)
        return parse_time(content) if is_time and content is not None else content

    present = [row for row in rows if value(row) is not None]
    missing = [row for row in rows if value(row) is None]
    if direction == "desc":
        return sorted(present, key=value, reverse=True) + missing
    return missing + sorted(present, key=value)


# -- filters of related rows -------------------------------------------------------------------------------------------


def select(call: Call, kind: str, rows: Optional[Iterable[Row]] = None) -> List[Row]:
    """Return the rows of a kind that fit their own filter and the filters of related rows.

    Args:
        call: its body holds the filters.
        kind: a key of the body, such as ``flow_runs``.
        rows: to choose from; by default all of the table.
    """
    view, fields = call.view, call.fields
    chosen = list(getattr(view, _TABLES[kind])) if rows is None else list(rows)
    chosen = [row for row in chosen if matches(row, fields.get(kind), _properties(view, kind))]
    for other, condition in fields.items():
        if other in _TABLES and other != kind and condition:
            related = [
                row for row in getattr(view, _TABLES[other]) if matches(row, condition, _properties(view, other))
            ]
            chosen = _join(view, kind, chosen, other, related)
    return chosen


def _properties(view: View, kind: str) -> Dict[str, Any]:
    if kind == "flow_runs":
        return {
            "parent_flow_run_id": lambda row: _parent_flow_run_id(view, row),
            "start_time": (lambda row: row.get("start_time")) if view.legacy else start_time,
        }
    if kind == "task_runs":
        return {"subflow_runs": lambda row: _has_subflow(view, row)}
    if kind == "flows":
        return {"deployment": lambda row: view.deployments.first(flow_id=row["id"])}
    return {}


def _parent_flow_run_id(view: View, run: Row) -> Optional[str]:
    task_run = view.task_runs.get(run.get("parent_task_run_id"))
    return task_run.get("flow_run_id") if task_run else None


def _has_subflow(view: View, task_run: Row) -> Optional[str]:
    run = view.flow_runs.first(parent_task_run_id=task_run["id"])
    return run["id"] if run else None


def _links(view: View, kind: str, row: Row) -> Dict[str, List[Optional[str]]]:
    """Return the ids of the rows that a row belongs to, by kind."""
    if kind == "task_runs":
        run = view.flow_runs.get(row.get("flow_run_id"))
        return {"flow_runs": [row.get("flow_run_id")], **(_links(view, "flow_runs", run) if run else {})}
    if kind == "artifacts":
        run = view.flow_runs.get(row.get("flow_run_id"))
        return {
            "flow_runs": [row.get("flow_run_id")],
            "task_runs": [row.get("task_run_id")],
            **(_links(view, "flow_runs", run) if run else {}),
        }
    queue = view.work_queues.get(row.get("work_queue_id"))
    links: Dict[str, List[Optional[str]]] = {
        "flows": [row.get("flow_id")],
        "deployments": [row.get("deployment_id")],
        "work_pools": [queue["work_pool_id"] if queue else None],
    }
    links["work_pool_queues"] = links["work_queues"] = [row.get("work_queue_id")]
    return links


def _join(view: View, kind: str, rows: List[Row], other: str, related: List[Row]) -> List[Row]:
    """Return the rows that belong to a related row, or that a related row belongs to."""
    ids = {row["id"] for row in related}
    owners: set[Optional[str]] = set()
    for row in related:
        owners.update(_links(view, other, row).get(kind, ()))
    return [row for row in rows if ids.intersection(_links(view, kind, row).get(other, ())) or row["id"] in owners]


# -- runs that are due or active ---------------------------------------------------------------------------------------


def is_active(run: Row) -> bool:
    """Return whether a run occupies a slot of a pool or queue: it is pending, running or cancelling."""
    kind = (run.get("state") or {}).get("type")
    return kind is not None and kind not in FINAL | {"SCHEDULED", "PAUSED"}


def due_runs(view: View, rows: List[Row], fields: Row) -> List[Row]:
    """Return the scheduled runs among rows whose time comes before ``scheduled_before``, the next one first."""
    before = fields.get("scheduled_before")
    limit = parse_time(before) if before else view.now() + timedelta(seconds=1)
    chosen = [
        row
        for row in rows
        if row.get("state_type") == "SCHEDULED" and parse_time(row["next_scheduled_start_time"]) <= limit
    ]
    return sorted(chosen, key=lambda row: parse_time(row["next_scheduled_start_time"]))
