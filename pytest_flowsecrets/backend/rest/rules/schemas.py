"""Check values against a JSON Schema, with the messages of the real server.

A value can be wrapped: ``{"__prefect_kind": "json", "value": "[1]"}`` stands for ``[1]``.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Optional, Tuple

from pytest_flowsecrets.backend.rest.errors import ApiError

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View

_KIND = "__prefect_kind"
_REMOVED = object()


class InvalidValueError(ValueError):
    """A value that does not follow its schema or cannot be rendered."""


class CircularSchemaError(ApiError):
    """422: a schema refers to itself without end."""

    def __init__(self) -> None:
        super().__init__(422, "Invalid schema: Unable to validate schema with circular references.")


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
    if _KIND in value:
        return _unwrapped(value, view)
    items = ((key, _rendered(item, view)) for key, item in value.items())
    return {key: item for key, item in items if item is not _REMOVED}


def _unwrapped(value: Row, view: View) -> Any:
    """Return what a wrapped value stands for. The real server takes the content of an unknown kind as it is."""
    kind = value[_KIND]
    if isinstance(kind, (dict, list)):
        raise InvalidValueError(f"{_KIND} must be text")
    if kind not in _KINDS:
        return value.get("value")
    key, unwrap, needs_content = _KINDS[kind]
    if key not in value:
        if needs_content:
            raise InvalidValueError(f"Missing {key!r} key in __prefect object")
        return _REMOVED
    content = value[key]
    if isinstance(content, dict) or kind == "none":
        content = _rendered(content, view)
    return content if content is _REMOVED else unwrap(content, view)


def _json(text: Any, _view: View) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidValueError(f"Invalid JSON: {error}") from None


def _template(text: Any, _view: View) -> str:
    try:
        from jinja2 import ChainableUndefined, TemplateSyntaxError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise InvalidValueError("Jinja2 renders values of the kind jinja: install it where the fake API runs") from None

    if not isinstance(text, str):
        raise InvalidValueError("Invalid jinja: the template must be text")
    try:
        return ImmutableSandboxedEnvironment(undefined=ChainableUndefined).from_string(text).render()
    except TemplateSyntaxError as error:
        raise InvalidValueError(f"Invalid jinja: {error}") from None
    except Exception as error:  # noqa: BLE001 - a template may do anything
        reason = f"Failed to render template due to the following error: {error!r}"
        raise InvalidValueError(f"Invalid jinja: {reason}") from None


def _variable(name: Any, view: View) -> Any:
    row = view.variables.first(name=name)
    if row is None:
        raise InvalidValueError(f"Variable '{name}' not found in workspace.")
    return row["value"]


# By kind: where the content is, how it is unwrapped, and whether it must be there.
_KINDS: Dict[Any, Tuple[str, Callable[[Any, View], Any], bool]] = {
    "none": ("value", lambda content, _view: content, True),
    "json": ("value", _json, False),
    "jinja": ("template", _template, True),
    "workspace_variable": ("variable_name", _variable, False),
}


def schema_problem(schema: Row, value: Row, *, ignore_required: bool = False) -> Optional[str]:
    """Return what is wrong with a value, in the words of the real server; None if it follows the schema.

    Prefect 2 and 3 depend on jsonschema. Without it, values are not checked.

    Args:
        schema: a JSON Schema, as pydantic 1 or 2 generates it.
        value: JSON data.
        ignore_required: whether required properties may be missing.

    Raises:
        CircularSchemaError: the schema refers to itself without end.
    """
    try:
        import jsonschema
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ImportError:
        return None

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        completed = _completed(schema)
        if ignore_required:
            completed = _without_required(completed)
        validator = jsonschema.Draft202012Validator(completed, registry=Registry())  # which fetches no URL
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    except RecursionError:
        raise CircularSchemaError from None
    except Unresolvable as unresolvable:
        return f"Validation failed. Failure reason: {unresolvable}"
    except jsonschema.SchemaError as invalid:
        return f"Validation failed. Failure reason: {invalid.message}"
    if error is None:
        return None
    field = f" for field {error.json_path.replace('$.', '')!r}" if error.json_path != "$" else ""
    return f"Validation failed{field}. Failure reason: {error.message}"


def _without_required(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_required(each) for key, each in schema.items() if key != "required"}
    return [_without_required(each) for each in schema] if isinstance(schema, list) else schema


def _completed(schema: Row) -> Row:
    """Return a schema in which optional properties without a default may be null, and lists of items are tuples."""
    schema = deepcopy(schema)
    _complete(schema)
    for definition in (schema.get("definitions") or {}).values():
        _complete(definition)
    return schema


def _complete(schema: Any) -> None:
    if not isinstance(schema, dict):  # true or false
        return
    required: Iterable[str] = schema.get("required") or ()
    for name, entry in (schema.get("properties") or {}).items():
        if not isinstance(entry, dict):
            continue
        kind = entry.get("type")
        if kind not in (None, "null") and name not in required and "default" not in entry:
            entry["anyOf"] = [{"type": entry.pop("type")}, {"type": "null"}]
        if isinstance(entry.get("items"), list):
            entry["prefixItems"] = entry.pop("items")
        _complete(entry)
