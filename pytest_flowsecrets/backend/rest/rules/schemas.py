"""Check values against a JSON Schema, with the messages of the real server.

A value can be wrapped: ``{"__prefect_kind": "json", "value": "[1]"}`` stands for ``[1]``.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Optional, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

_KIND = "__prefect_kind"
_REMOVED = object()


class InvalidValueError(ValueError):
    """A value that does not follow its schema or cannot be rendered."""


def rendered(value: Any, view: View) -> Any:
    """Return a value with its wrapped values replaced.

    Args:
        value: JSON data.
        view: whose variables the kind ``workspace_variable`` names.

    Raises:
        InvalidValueError: the text of a wrapped value is not valid JSON or not a valid template, there is no such
            variable, or Jinja2 is not installed.
    """
    result = _rendered(value, view)
    return {} if result is _REMOVED else result


def _rendered(value: Any, view: View) -> Any:
    if isinstance(value, list):
        return [each for each in (_rendered(item, view) for item in value) if each is not _REMOVED]
    if not isinstance(value, dict):
        return value
    if value.get(_KIND) in _KINDS:
        key, unwrap = _KINDS[value[_KIND]]
        return unwrap(_rendered(value[key], view), view) if key in value else _REMOVED
    items = ((key, _rendered(item, view)) for key, item in value.items())
    return {key: item for key, item in items if item is not _REMOVED}


def _json(text: Any, _view: View) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidValueError(f"Invalid JSON: {error}") from None


def _template(text: Any, _view: View) -> str:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    try:
        return ImmutableSandboxedEnvironment().from_string(text).render()
    except TemplateError as error:
        raise InvalidValueError(f"Invalid jinja: {error}") from None


def _variable(name: Any, view: View) -> Any:
    row = view.variables.first(name=name)
    if row is None:
        raise InvalidValueError(f"Variable {name!r} not found in workspace.")
    return row["value"]


# By kind: where the content is, and how it is unwrapped.
_KINDS: Dict[str, Tuple[str, Callable[[Any, View], Any]]] = {
    "none": ("value", lambda content, _view: content),
    "json": ("value", _json),
    "jinja": ("template", _template),
    "workspace_variable": ("variable_name", _variable),
}


def schema_problem(schema: Row, value: Row, *, ignore_required: bool = False) -> Optional[str]:
    """Return what is wrong with a value, in the words of the real server; None if it follows the schema.

    Prefect 2 and 3 depend on jsonschema. Without it, values are not checked.

    Args:
        schema: a JSON Schema, as pydantic 1 or 2 generates it.
        value: JSON data.
        ignore_required: whether required properties may be missing.
    """
    try:
        import jsonschema
    except ImportError:
        return None

    completed = _completed(schema)
    if ignore_required:
        completed.pop("required", None)
    validator = jsonschema.Draft202012Validator(completed)
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is None:
        return None
    field = f" for field {error.json_path.replace('$.', '')!r}" if error.json_path != "$" else ""
    return f"Validation failed{field}. Failure reason: {error.message}"


def _completed(schema: Row) -> Row:
    """Return a schema in which optional properties without a default may be null, and lists of items are tuples."""
    schema = deepcopy(schema)
    _complete(schema)
    for definition in (schema.get("definitions") or {}).values():
        _complete(definition)
    return schema


def _complete(schema: Dict[str, Any]) -> None:
    required: Iterable[str] = schema.get("required") or ()
    for name, entry in (schema.get("properties") or {}).items():
        kind = entry.get("type")
        if kind not in (None, "null") and name not in required and "default" not in entry:
            entry["anyOf"] = [{"type": entry.pop("type")}, {"type": "null"}]
        if isinstance(entry.get("items"), list):
            entry["prefixItems"] = entry.pop("items")
        _complete(entry)
